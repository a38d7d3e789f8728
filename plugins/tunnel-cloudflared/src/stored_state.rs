//! What is remembered over starts: which protocol comes through here, how the running process was started, and whether
//! Cloudflare has accepted this tunnel before.

use crate::host_errors::refused;
use crate::settings::PROCESS;
use nexus_plugin_api::caps::{clock, process, store};
use nexus_plugin_api::job::within;
use nexus_plugin_api::log;
use nexus_plugin_api::tunnel::Origin;

/// For so long it is remembered that QUIC does not come through: seen once it may have been an outage that ended just then.
const ONCE: u64 = 3600 * 1000;
const TWICE: u64 = 24 * 3600 * 1000;
const HTTP2: &str = "http2";
/// How the process that leads to a port was started: an instance that adopts it must ask for the same. One key for each
/// tunnel, by the port of its origin.
const STARTED: &str = "started.";
const TUNNELS: usize = 16;
/// The mark of the secret whose tunnel Cloudflare accepted last.
const ACCEPTED: &str = "accepted";

async fn text(key: &str) -> Option<String> {
    let bytes = store::get(key.to_owned()).await.ok()??;
    String::from_utf8(bytes).ok()
}

async fn keep(key: &str, value: String) {
    // It costs a later start some seconds, or an adoption.
    if let Err(error) = store::set(key.to_owned(), value.into_bytes()).await {
        let why = refused(error).message;
        log::warn(format!("cannot store the state of the tunnel: {why}"));
    }
}

/// How often it was seen, and when last: `COUNT SINCE`.
fn seen(text: &str) -> Option<(u64, u64)> {
    let (count, since) = text.split_once(' ')?;
    Some((count.parse().ok()?, since.parse().ok()?))
}

/// Whether what was kept holds at `now`. A clock that was ahead then says nothing.
fn holds(text: &str, now: u64) -> bool {
    seen(text).is_some_and(|(count, since)| {
        let span = if count > 1 { TWICE } else { ONCE };
        since <= now && now - since < span
    })
}

/// Whether QUIC is known not to come through. What cannot be read is not known.
pub(crate) async fn http2_is_remembered() -> bool {
    let kept = text(HTTP2).await;
    kept.is_some_and(|kept| holds(&kept, clock::now()))
}

pub(crate) async fn remember_http2() {
    let count = text(HTTP2)
        .await
        .as_deref()
        .and_then(seen)
        .map_or(0, |(count, _)| count);
    keep(HTTP2, format!("{} {}", count + 1, clock::now())).await;
}

/// QUIC comes through.
pub(crate) async fn forget_http2() {
    if text(HTTP2).await.is_some() {
        let _ = store::delete(HTTP2.to_owned()).await;
    }
}

/// Whether the running process was started over HTTP/2; none: nothing runs.
pub(crate) async fn running_over_http2(origin: &Origin) -> Option<bool> {
    // The future of a process that runs does not complete.
    if within(50, process::exited(PROCESS.to_owned())).await.is_some() {
        return None;
    }
    let started = text(&format!("{STARTED}{}", origin.port)).await;
    Some(started.is_some_and(|value| value == HTTP2))
}

pub(crate) async fn started_over(origin: &Origin, http2: bool) {
    // Ports of earlier lives of the host mean nothing any more.
    if let Ok(old) = store::keys(STARTED.to_owned(), None).await
        && old.len() >= TUNNELS
    {
        for key in old {
            let _ = store::delete(key).await;
        }
    }
    let value = if http2 { HTTP2 } else { "auto" };
    keep(&format!("{STARTED}{}", origin.port), value.to_owned()).await;
}

/// Tells one secret from another, and is none: FNV-1a.
pub(crate) fn mark(secret: &str) -> String {
    let hash = secret.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

pub(crate) async fn was_accepted(mark: Option<&str>) -> bool {
    match mark {
        Some(mark) => text(ACCEPTED).await.as_deref() == Some(mark),
        None => false,
    }
}

pub(crate) async fn accepted(mark: Option<&str>) {
    if let Some(mark) = mark
        && !was_accepted(Some(mark)).await
    {
        keep(ACCEPTED, mark.to_owned()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_that_did_not_come_through_once_is_forgotten_soon_and_a_clock_that_was_ahead_at_once() {
        let then = 1_000_000_000_000;
        let at = |count: u64| format!("{count} {then}");
        assert!(holds(&at(1), then) && holds(&at(1), then + ONCE - 1));
        assert!(!holds(&at(1), then + ONCE));
        assert!(holds(&at(2), then + ONCE) && !holds(&at(2), then + TWICE));
        assert!(!holds(&at(2), then - 1), "the clock was ahead when it was written");
        for nothing in ["", "x", "1", "1 x", "1000000000000"] {
            assert!(!holds(nothing, then), "{nothing}");
        }
    }

    #[test]
    fn secrets_have_marks_of_their_own() {
        assert_eq!(mark("a"), mark("a"));
        assert_ne!(mark("a"), mark("b"));
    }
}
