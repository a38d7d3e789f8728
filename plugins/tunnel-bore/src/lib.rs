//! A tunnel over a bore server: a public TCP port, without TLS.
//!
//! bore runs as the host's process `tunnel` and ends when its connection ends; it never reconnects, so each end is a
//! failure and the host starts the tunnel again. After a crash of this plugin the same spec adopts the running process,
//! and the lines the host kept tell the address once more.

mod log_lines;
mod settings;

use log_lines::{Exit, FILTER, LineEvent, LogReader};
use nexus_plugin_api::caps::{process, secrets};
use nexus_plugin_api::job::{Cancel, Events, Job};
use nexus_plugin_api::process::{Command, Signal, StopStep};
use nexus_plugin_api::tunnel::{
    self, Availability, CancelReason, Descriptor, Encryption, Error, Event, Failure, Guest, Liveness, Origin, UrlKind,
    job, send_event,
};
use nexus_plugin_api::{FutureReader, config, log, refuse_settings};
use settings::{Authored, Settings};

const BINARY: &str = "bore";
/// `PROCESS` is the name that the contract requires.
const PROCESS: &str = "tunnel";
/// `SECRET` is the name of the secret in the manifest.
const SECRET: &str = "secret";
/// `STOP_TIMEOUT` is in milliseconds. bore stops at once; the time is for a machine under load.
const STOP_TIMEOUT: u64 = 2_000;
const INSTALL: &str = "install bore with `cargo install bore-cli`";

fn command(args: Vec<String>, with_secret: bool) -> Command {
    let command = Command::new(BINARY)
        .args(args)
        // A literal brace is doubled in a spec.
        .env("RUST_LOG", FILTER.replace('{', "{{"))
        .env("NO_COLOR", "1")
        .stop(vec![StopStep::Signal(Signal::Terminate), StopStep::Wait(STOP_TIMEOUT)]);
    if with_secret {
        command.env("BORE_SECRET", format!("{{secret:{SECRET}}}"))
    } else {
        command
    }
}

/// `has_secret` tells whether the operator set a secret. The host inserts it; its value is not needed here.
async fn has_secret() -> Result<bool, Failure> {
    secrets::has(SECRET.to_owned()).await.map_err(host_failure)
}

fn settings() -> Result<Settings, Failure> {
    config::<Authored>().map_err(host_failure)?.try_into()
}

/// `host_failure` is an error of a host function as the end of the tunnel.
fn host_failure(error: Error) -> Failure {
    tunnel::host_failure(error, INSTALL)
}

async fn keep_open(origin: Origin, events: &mut Events<Event>, cancel: &mut Cancel) -> Result<(), Failure> {
    let settings = settings()?;
    let command = command(settings.arguments(&origin), has_secret().await?);
    send_event(
        events,
        Event::Starting(format!("Requesting a port from {}", settings.server)),
    )
    .await?;
    command.ensure(PROCESS).await.map_err(host_failure)?;
    let mut output = process::lines(PROCESS.to_owned()).await.map_err(host_failure)?;
    let mut log_reader = LogReader::default();
    loop {
        let Some(line) = cancel.select(output.next()).await else {
            process::stop(PROCESS.to_owned()).await.map_err(host_failure)?;
            return Ok(());
        };
        let Some(line) = line else { break };
        match log_reader.read(&line.text) {
            LineEvent::Connected(port) => {
                send_event(events, Event::address(settings.url(port))).await?;
                send_event(events, Event::Ready(1)).await?;
            }
            LineEvent::Warning(text) => log::warn(format!("bore: {text}")),
            LineEvent::Ignored => {}
        }
    }
    let exit = process::exited(PROCESS.to_owned()).await.map_err(host_failure)?;
    let exit = match (exit.code, exit.signal) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    };
    Err(log_reader.failure(&settings.server, exit))
}

/// `Plugin` is the plugin. It is public so that a native build, which exports nothing, uses it.
pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Descriptor {
        let settings = config::<Authored>().map_err(host_failure);
        let stable = settings.as_ref().is_ok_and(|settings| settings.port != 0);
        let failures = settings.map_or_else(|failure| vec![failure], |settings| settings.failures());
        Descriptor {
            title: "bore".to_owned(),
            url: if stable { UrlKind::Stable } else { UrlKind::Ephemeral },
            encryption: Encryption::None,
            // bore notices the end of its connection, and not that a server, or what is before it, has become silent.
            liveness: Liveness::Unknown,
            event_streams: true,
            client_address_header: None,
            public_name_header: None,
            refused: refuse_settings(failures),
        }
    }

    async fn check_availability() -> Availability {
        tunnel::check_availability(BINARY, "--version", INSTALL, settings::version).await
    }

    async fn run(origin: Origin, cancel: FutureReader<CancelReason>) -> Job<Event> {
        job(cancel, async move |mut events, mut cancel| {
            keep_open(origin, &mut events, &mut cancel).await
        })
    }
}

// A native linker does not know names like `nexus:plugin/tunnel#run`.
#[cfg(target_family = "wasm")]
nexus_plugin_api::export_tunnel!(Plugin);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use nexus_plugin_api::caps::process::Spec;

    #[test]
    fn the_secret_is_a_reference_in_the_environment_and_never_an_argument() {
        let settings = Settings {
            server: "bore.pub".to_owned(),
            port: Some(1),
        };
        let origin = Origin {
            host: "127.0.0.1".to_owned(),
            port: 2,
        };
        let spec = command(settings.arguments(&origin), true).0;
        assert!(spec.args.iter().all(|argument| !argument.contains("secret")));
        assert_eq!(variable(&spec, "BORE_SECRET"), Some("{secret:secret}"));
        assert_eq!(variable(&command(Vec::new(), false).0, "BORE_SECRET"), None);
    }

    fn variable<'a>(spec: &'a Spec, name: &str) -> Option<&'a str> {
        let variable = spec.env.iter().find(|variable| variable.name == name);
        variable.map(|variable| variable.value.as_str())
    }

    #[test]
    fn braces_of_the_filter_are_no_references() {
        let spec = command(Vec::new(), false).0;
        assert_eq!(variable(&spec, "RUST_LOG"), Some("error,[{{remote_port}]=info"));
    }

    #[test]
    fn a_missing_program_and_a_missing_grant_wait_for_the_operator() {
        use nexus_plugin_api::tunnel::FailureKind;
        assert_eq!(
            host_failure(Error::NotFound("no bore".to_owned())).kind,
            FailureKind::Permanent
        );
        assert_eq!(
            host_failure(Error::Denied("no grant".to_owned())).kind,
            FailureKind::Permanent
        );
        assert_eq!(
            host_failure(Error::Unavailable("no memory".to_owned())).kind,
            FailureKind::Retry
        );
    }
}
