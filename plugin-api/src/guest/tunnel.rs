//! What a tunnel provider implements: [`Guest`], exported with [`export_tunnel!`](crate::export_tunnel).

#[doc(hidden)]
pub use super::bindings::tunnel as __world;
pub use super::bindings::tunnel::exports::nexus::plugin::tunnel::*;
pub use super::caps::types::{
    Availability, CancelReason, Error, Ext, Failure, FailureKind, Fit, RefusedSetting, Unfit,
};
use super::job::{Cancel, Events, HostDisconnected, Job, permanent_from_text, retry};
use super::process::{Command, program_not_found};
use crate::error_text::{cause_and_fix, sentence};

/// `VERSION_TIMEOUT` is the time in milliseconds until the provider's program has said its version.
const VERSION_TIMEOUT: u64 = 10_000;

/// `host_failure` is a host function's refusal as the end of the tunnel. `install` is the fix that installs the provider's
/// program.
pub fn host_failure(error: Error, install: &str) -> Failure {
    const BUG: &str = "report this to the author of the plugin: it is a bug";
    match error {
        Error::Denied(text) | Error::Invalid(text) => permanent_from_text(&text, BUG),
        Error::NotFound(text) => permanent_from_text(&program_not_found(&text, install), install),
        other => {
            let (why, fix) = cause_and_fix(other.text());
            Failure {
                hint: fix.map(str::to_owned),
                ..retry(why)
            }
        }
    }
}

impl Event {
    /// `address` tells the one address by which everybody reaches the tunnel.
    pub fn address(url: impl Into<String>) -> Self {
        let (url, private) = (url.into(), false);
        Self::Addresses(vec![Address { url, private }])
    }
}

/// Tells the host of an event. Where it stops reading without a cancel, the process stays for the next instance.
pub async fn send_event(events: &mut Events<Event>, event: Event) -> Result<(), Failure> {
    events
        .send(event)
        .await
        .map_err(|HostDisconnected| retry("The host stopped reading the tunnel's events."))
}

/// Runs `binary argument` and lets `version` read what it writes, on stderr where nothing is on stdout: the version, or
/// why it will not do.
pub async fn check_availability(
    binary: &str,
    argument: &str,
    install: &str,
    version: impl FnOnce(&str) -> Result<String, String>,
) -> Availability {
    match Command::new(binary).args([argument]).run(VERSION_TIMEOUT).await {
        Ok(output) if output.exit.code == Some(0) => {
            let silent = output.stdout.trim().is_empty();
            match version(if silent { &output.stderr } else { &output.stdout }) {
                Ok(version) => Availability::ready(version),
                Err(text) => Availability::unsuitable(&text),
            }
        }
        Ok(output) => {
            let why = output.stderr.lines().next().unwrap_or("it printed nothing");
            Availability::unsuitable(&sentence(
                &format!("`{binary} {argument}` failed: {why}"),
                Some(install),
            ))
        }
        Err(Error::NotFound(text)) => Availability::missing(&program_not_found(&text, install)),
        Err(error) => {
            let Failure {
                message: cause,
                hint: fix,
                ..
            } = host_failure(error, install);
            Availability::Unsuitable(Unfit { cause, fix })
        }
    }
}

/// Runs `work` beside the call: returns the pair that `run` returns.
pub fn job<W>(cancel: wit_bindgen::FutureReader<CancelReason>, work: W) -> Job<Event>
where
    W: AsyncFnOnce(Events<Event>, Cancel) -> Result<(), Failure> + 'static,
{
    use super::bindings::tunnel::{wit_future, wit_stream};
    super::job::start(cancel, wit_stream::new(), wit_future::new(super::job::unfinished), work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_may_be_free_later_and_a_missing_grant_is_not() {
        let text = "It runs 4 processes at once, its limit. To fix: add these lines:\n[x]";
        let limited = host_failure(Error::Limited(text.to_owned()), "install it");
        assert_eq!(
            (limited.kind, limited.message.as_str(), limited.hint.as_deref()),
            (
                FailureKind::Retry,
                "It runs 4 processes at once, its limit.",
                Some("add these lines:\n[x]")
            )
        );
        let denied = host_failure(Error::Denied(text.to_owned()), "install it");
        assert_eq!(denied.kind, FailureKind::Permanent);
    }
}
