//! What a tunnel provider implements: [`Guest`], exported with [`export_tunnel!`](crate::export_tunnel).

#[doc(hidden)]
pub use super::bindings::tunnel as __world;
pub use super::bindings::tunnel::exports::nexus::plugin::tunnel::*;
pub use super::caps::types::{Availability, Error, Ext, Failure, FailureKind};
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
                Ok(version) => Availability::Ready(version),
                Err(text) => Availability::Unsuitable(text),
            }
        }
        Ok(output) => {
            let why = output.stderr.lines().next().unwrap_or("it printed nothing");
            Availability::Unsuitable(sentence(&format!("`{binary} {argument}` failed: {why}"), Some(install)))
        }
        Err(Error::NotFound(text)) => Availability::Missing(program_not_found(&text, install)),
        Err(error) => {
            let Failure { message, hint, .. } = host_failure(error, install);
            Availability::Unsuitable(sentence(&message, hint.as_deref()))
        }
    }
}

/// Runs `work` beside the call: returns the pair that `run` returns.
pub fn job<W>(cancel: wit_bindgen::FutureReader<()>, work: W) -> Job<Event>
where
    W: AsyncFnOnce(Events<Event>, Cancel) -> Result<(), Failure> + 'static,
{
    use super::bindings::tunnel::{wit_future, wit_stream};
    super::job::start(cancel, wit_stream::new(), wit_future::new(super::job::unfinished), work)
}
