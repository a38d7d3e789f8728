//! When something happened, by the machine's clock.

/// `Millis` counts milliseconds since the Unix epoch, UTC.
pub type Millis = u64;

#[cfg(target_os = "linux")]
pub(crate) fn now() -> Millis {
    millis(std::time::UNIX_EPOCH.elapsed().unwrap_or_default())
}

/// `millis` is a duration in whole milliseconds.
#[cfg(target_os = "linux")]
pub(crate) fn millis(duration: std::time::Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
