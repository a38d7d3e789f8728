//! What is remembered over starts: which protocol comes through here, how the running process was started, and whether
//! Cloudflare has accepted this tunnel before.

use crate::host_errors::host_failure;
use crate::settings::PROCESS;
use nexus_plugin_api::caps::{clock, process, store};
use nexus_plugin_api::job::timeout;
use nexus_plugin_api::log;
use nexus_plugin_api::tunnel::Origin;

/// `REMEMBERED_ONCE` is how many milliseconds a blocked QUIC is remembered after one failure, which may have been a
/// short outage.
const REMEMBERED_ONCE: u64 = 3600 * 1000;
const REMEMBERED_TWICE: u64 = 24 * 3600 * 1000;
const HTTP2: &str = "http2";
/// `STARTED` starts the keys that store how the process behind a port was started: an instance that adopts it must
/// request the same. There is one key for each tunnel, by the port of its origin.
const STARTED: &str = "started.";
const MAX_TUNNELS: usize = 16;
/// `ACCEPTED` is the key for the fingerprint of the secret whose tunnel Cloudflare accepted last.
const ACCEPTED: &str = "accepted";

async fn text(key: &str) -> Option<String> {
    let bytes = store::get(key.to_owned()).await.ok()??;
    String::from_utf8(bytes).ok()
}

async fn keep(key: &str, value: String) {
    // It costs a later start some seconds, or an adoption.
    if let Err(error) = store::set(key.to_owned(), value.into_bytes()).await {
        let why = host_failure(error).message;
        log::warn(format!("cannot store the state of the tunnel: {why}"));
    }
}

/// `seen` reads how often it was seen, and when last: `COUNT SINCE`.
fn seen(text: &str) -> Option<(u64, u64)> {
    let (count, since) = text.split_once(' ')?;
    Some((count.parse().ok()?, since.parse().ok()?))
}

/// `holds` tells whether a stored value is still valid at `now`. A value from the future, when the clock was ahead, is
/// not.
fn holds(text: &str, now: u64) -> bool {
    seen(text).is_some_and(|(count, since)| {
        let span = if count > 1 { REMEMBERED_TWICE } else { REMEMBERED_ONCE };
        since <= now && now - since < span
    })
}

/// `http2_is_remembered` tells whether QUIC is known to be blocked. A value that cannot be read does not count.
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

/// `forget_http2` forgets that QUIC was blocked.
pub(crate) async fn forget_http2() {
    if text(HTTP2).await.is_some() {
        let _ = store::delete(HTTP2.to_owned()).await;
    }
}

/// `running_over_http2` tells whether the running process was started over HTTP/2; `None`: no process is running.
pub(crate) async fn running_over_http2(origin: &Origin) -> Option<bool> {
    // The future of a process that runs does not complete.
    if timeout(50, process::exited(PROCESS.to_owned())).await.is_some() {
        return None;
    }
    let started = text(&format!("{STARTED}{}", origin.port)).await;
    Some(started.is_some_and(|value| value == HTTP2))
}

pub(crate) async fn started_over(origin: &Origin, http2: bool) {
    // Ports of earlier lives of the host mean nothing any more.
    if let Ok(old) = store::keys(STARTED.to_owned(), None).await
        && old.len() >= MAX_TUNNELS
    {
        for key in old {
            let _ = store::delete(key).await;
        }
    }
    let value = if http2 { HTTP2 } else { "auto" };
    keep(&format!("{STARTED}{}", origin.port), value.to_owned()).await;
}

/// Tells one secret from another, and is none: FNV-1a.
pub(crate) fn fingerprint(secret: &str) -> String {
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
        assert!(holds(&at(1), then) && holds(&at(1), then + REMEMBERED_ONCE - 1));
        assert!(!holds(&at(1), then + REMEMBERED_ONCE));
        assert!(holds(&at(2), then + REMEMBERED_ONCE) && !holds(&at(2), then + REMEMBERED_TWICE));
        assert!(!holds(&at(2), then - 1), "the clock was ahead when it was written");
        for nothing in ["", "x", "1", "1 x", "1000000000000"] {
            assert!(!holds(nothing, then), "{nothing}");
        }
    }

    #[test]
    fn secrets_have_marks_of_their_own() {
        assert_eq!(fingerprint("a"), fingerprint("a"));
        assert_ne!(fingerprint("a"), fingerprint("b"));
    }
}
