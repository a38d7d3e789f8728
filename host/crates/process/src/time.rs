//! When something happened, by the machine's clock.

/// Milliseconds since the Unix epoch, UTC.
pub type Millis = u64;

#[cfg(target_os = "linux")]
pub(crate) fn now() -> Millis {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
