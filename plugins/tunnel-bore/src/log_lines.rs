//! What bore writes, and what it means.
//!
//! bore tells its port in one line of its log, and why it failed in the lines of an error report (anyhow's: `Error: …`, then
//! `Caused by:` and the cause). Read line by line, so that the lines kept by the host say the same to an instance
//! that adopted the process as they did to the one before.

use nexus_plugin_api::job::{permanent, retry};
use nexus_plugin_api::tunnel::Failure;

/// `FILTER` is bore's log filter (`RUST_LOG`): its errors, and the one event with the field `remote_port`. Without a
/// line for each connection, the port stays among the lines that the host keeps.
pub(crate) const FILTER: &str = "error,[{remote_port}]=info";

const SECRET: &str = "set `secret` of this plugin to the secret that the server was started with";

/// `LineEvent` is what a line of the log means for the tunnel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LineEvent {
    /// `Connected`: the server listens on this port.
    Connected(u16),
    /// `Warning`: the line is for the operator's log; the tunnel is still open.
    Warning(String),
    Ignored,
}

/// `Exit` is how the process exited, as the host reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

/// `LogReader` collects what the log says.
#[derive(Debug, Default)]
pub(crate) struct LogReader {
    /// `error` is what follows `Error: ` or, for wrong arguments, `error: `.
    error: Option<String>,
    cause: Option<String>,
    in_causes: bool,
    port: Option<u16>,
}

impl LogReader {
    pub(crate) fn read(&mut self, line: &str) -> LineEvent {
        let line = line.trim();
        if let Some(error) = line.strip_prefix("Error: ").or_else(|| line.strip_prefix("error: ")) {
            self.error.get_or_insert_with(|| error.to_owned());
        } else if line == "Caused by:" {
            self.in_causes = true;
        } else if line.is_empty() {
            self.in_causes = false;
        } else if self.in_causes {
            // Only the first, which is the nearest; several are numbered.
            let cause = line
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .trim_start_matches(": ");
            self.cause.get_or_insert_with(|| cause.to_owned());
        } else if let Some((_, port)) = line.rsplit_once("connected to server remote_port=") {
            if let Ok(port) = port.parse() {
                self.port = Some(port);
                return LineEvent::Connected(port);
            }
        } else if let Some((_, complaint)) = line.split_once("ERROR bore_cli::client: ") {
            return LineEvent::Warning(complaint.to_owned());
        }
        LineEvent::Ignored
    }

    /// `failure` is the reason why the tunnel ended.
    pub(crate) fn failure(&self, server: &str, exit: Exit) -> Failure {
        let Some(error) = &self.error else {
            return self.failure_without_reason(server, exit);
        };
        let says = |words: &str| error.contains(words);
        if says("invalid secret") {
            return permanent(format!("{server} rejected the secret."), SECRET);
        }
        if says("no client secret was provided") {
            return permanent(format!("{server} requires a secret, but none is configured."), SECRET);
        }
        if says("no secret was required") || says("timed out waiting for initial message") {
            // A server without a secret never answers a client that waits for its challenge.
            let mut failure = retry(format!("{server} accepted the connection but sent nothing."));
            failure.hint =
                Some("remove `secret` from this plugin's configuration, if the server does not use one".to_owned());
            return failure;
        }
        if says("port number not in allowed range") || says("server error: permission denied") {
            return permanent(
                format!("{server} does not allow the configured port."),
                "choose another `port`, or 0 for any free port",
            );
        }
        if says("port already in use") {
            let mut failure = retry(format!("The configured port is in use on {server}."));
            failure.hint = Some(
                "choose another `port`, or 0 for any free port, if this continues: someone else is using it".to_owned(),
            );
            return failure;
        }
        if let Exit::Code(2) = exit {
            return permanent(
                format!("bore does not support the arguments it was started with: {error}."),
                "update bore with `cargo install bore-cli`",
            );
        }
        if says("could not connect to") {
            let cause = self.cause.as_deref().unwrap_or("no reason given");
            let mut failure = retry(format!("{server} cannot be reached: {cause}."));
            failure.hint = Some(if cause.contains("lookup address") {
                "check `server` and this machine's network".to_owned()
            } else {
                "check that a bore server runs there and that no firewall blocks port 7835".to_owned()
            });
            return failure;
        }
        let cause = self.cause.iter().map(|cause| format!(": {cause}")).collect::<String>();
        retry(format!("bore failed: {error}{cause}."))
    }

    fn failure_without_reason(&self, server: &str, exit: Exit) -> Failure {
        match (exit, self.port) {
            (Exit::Signal(signal), _) => retry(format!("bore was killed by signal {signal}.")),
            (Exit::Code(_), Some(_)) => retry(format!("{server} closed the connection.")),
            (Exit::Code(code), None) => retry(format!(
                "bore exited with code {code} before it had a port and reported no reason."
            )),
        }
    }
}

#[cfg(test)]
#[path = "log_lines_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
