//! What a tunnel provider implements: [`Guest`], exported with [`export_tunnel!`](crate::export_tunnel).

#[doc(hidden)]
pub use super::bindings::tunnel as __world;
pub use super::bindings::tunnel::exports::nexus::plugin::tunnel::*;
pub use super::caps::types::{Availability, Error, Ext, Failure, FailureKind};
use super::job::{Cancel, Events, Gone, Job, explained, retry};
use super::process::{Command, missing};

/// `VERSION_TIMEOUT` is the time in milliseconds until the provider's program has said its version.
const VERSION_TIMEOUT: u64 = 10_000;

/// `refused` is a host function's refusal as the end of the tunnel. `install` says how to get the provider's program, as
/// what follows "To fix: ".
pub fn refused(error: Error, install: &str) -> Failure {
    const BUG: &str = "report this to the author of the plugin: it is a bug";
    match error {
        Error::Denied(text) | Error::Invalid(text) => explained(&text, BUG),
        Error::NotFound(text) => explained(&missing(&text, install), install),
        other => retry(other.text()),
    }
}

/// Tells the host of an event. Where it stops reading without a cancel, the process stays for the next instance.
pub async fn say(events: &mut Events<Event>, event: Event) -> Result<(), Failure> {
    events
        .send(event)
        .await
        .map_err(|Gone| retry("The host stopped reading the tunnel's events."))
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
        Ok(output) => Availability::Unsuitable(format!(
            "`{binary} {argument}` failed: {}. To fix: {install}",
            output.stderr.lines().next().unwrap_or("it printed nothing")
        )),
        Err(Error::NotFound(text)) => Availability::Missing(missing(&text, install)),
        Err(error) => {
            let Failure { message, hint, .. } = refused(error, install);
            Availability::Unsuitable(match hint {
                Some(fix) => format!("{message} To fix: {fix}"),
                None => message,
            })
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
