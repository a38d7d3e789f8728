//! What ssh writes, and what it means.
//!
//! ssh says in its log that it logged in and that the server listens; a service says the address in its session. Read line
//! by line, so that the lines kept by the host say the same to an instance that adopted the process as they did to the one
//! before.

use crate::public_services::strip_escapes;
use crate::settings::{Identity, Mode, Settings, encrypted_key_failure};
use nexus_plugin_api::job::{permanent, retry};
use nexus_plugin_api::tunnel::Failure;
use std::collections::VecDeque;

/// `MAX_TEXT` is how many characters of a line are shown.
const MAX_TEXT: usize = 300;
/// `MAX_OUTPUT_LINES` is how many lines of a service are shown if it reported no address.
const MAX_OUTPUT_LINES: usize = 4;

/// `LineEvent` is what a line of the log means for the tunnel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LineEvent {
    /// `Open`: requests arrive at this address.
    Open(String),
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

/// `HostKey` is why the server's host key was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostKey {
    Unknown,
    Changed,
}

/// `LogReader` collects what the log says.
pub(crate) struct LogReader {
    /// `hidden` is a secret that no text may contain.
    hidden: Option<String>,
    authenticated: bool,
    /// `offered` is the fingerprint of the key that ssh offered; `accepted`: the server would accept it.
    offered: Option<String>,
    accepted: bool,
    signed: bool,
    host_key: Option<HostKey>,
    host_fingerprint: Option<String>,
    awaits_fingerprint: bool,
    /// `key_trouble` is what is wrong with the private key.
    key_trouble: Option<String>,
    /// `denied` is what the brackets of "Permission denied" contain.
    denied: Option<String>,
    forwarding_failed: bool,
    unresolved: bool,
    usage: Option<String>,
    algorithms: Option<String>,
    /// `last` is the last line that explains a failure.
    last: Option<String>,
    /// `output_lines` are the last lines of a service before it reported an address.
    output_lines: VecDeque<String>,
    opened: bool,
}

impl LogReader {
    pub(crate) fn new(hidden: Option<String>) -> Self {
        Self {
            hidden,
            authenticated: false,
            offered: None,
            accepted: false,
            signed: false,
            host_key: None,
            host_fingerprint: None,
            awaits_fingerprint: false,
            key_trouble: None,
            denied: None,
            forwarding_failed: false,
            unresolved: false,
            usage: None,
            algorithms: None,
            last: None,
            output_lines: VecDeque::new(),
            opened: false,
        }
    }

    /// `output`: the line is in what the session writes, and not in ssh's log.
    pub(crate) fn read(&mut self, settings: &Settings, output: bool, line: &str) -> LineEvent {
        let line = strip_escapes(line);
        let (level, text) = strip_debug_prefix(line.trim());
        if let Mode::Service { patterns, .. } = &settings.mode
            && level.is_none()
        {
            // Some write the address beside the session.
            if let Some(url) = patterns.iter().find_map(|pattern| pattern.find(text)) {
                // What follows is about requests.
                self.opened = true;
                self.output_lines.clear();
                return LineEvent::Open(url);
            }
            if output {
                self.keep_output(text);
                return LineEvent::Ignored;
            }
        }
        self.read_login(text);
        if let Some(rest) = text.strip_prefix("Allocated port ") {
            let port = rest.split(' ').next().and_then(|port| port.parse().ok());
            return port
                .and_then(|port| settings.url(port))
                .map_or(LineEvent::Ignored, LineEvent::Open);
        }
        if text.starts_with("remote forward success for: listen") && settings.bind.port != 0 {
            return settings
                .url(settings.bind.port)
                .map_or(LineEvent::Ignored, LineEvent::Open);
        }
        if text.contains("remote port forwarding failed for listen") {
            self.forwarding_failed = true;
        } else if let Some(rest) = text.strip_prefix("ssh: Could not resolve hostname ") {
            self.unresolved = true;
            self.last = Some(self.truncated(rest));
        } else if text.contains("no matching ") && text.starts_with("Unable to negotiate") {
            self.algorithms = Some(self.truncated(text));
        } else if text.contains("Bad configuration option")
            || text.contains("unknown option -- ")
            || text.contains("keyword") && text.contains("extra arguments")
            || text.contains("Bad remote forwarding specification")
        {
            self.usage = Some(self.truncated(text));
        } else if text.starts_with("connect_to ") || text.contains("open failed: ") {
            return LineEvent::Warning(self.truncated(text));
        } else if explains_failure(text) {
            self.last = Some(self.truncated(text));
        }
        LineEvent::Ignored
    }

    /// `read_login` reads the lines about the server's identity and about the login.
    fn read_login(&mut self, text: &str) {
        let first = |text: &str| {
            text.split(' ')
                .find(|word| word.starts_with("SHA256:"))
                .map(str::to_owned)
        };
        if std::mem::take(&mut self.awaits_fingerprint) {
            self.host_fingerprint = Some(text.trim_end_matches('.').to_owned());
        }
        if text.starts_with("Authenticated to ") {
            self.authenticated = true;
        } else if text.starts_with("Offering public key: ") {
            self.offered = first(text);
        } else if text.starts_with("Server accepts key: ") {
            self.accepted = true;
        } else if text.starts_with("signing using ") {
            self.signed = true;
        } else if text.contains("key sent by the remote host is") {
            self.awaits_fingerprint = true;
        } else if text.contains("host key is known for") || text.starts_with("No host key is known") {
            self.host_key = Some(HostKey::Unknown);
        } else if text.starts_with("Host key for ") && text.contains(" has changed") {
            self.host_key = Some(HostKey::Changed);
        } else if text.starts_with("Load key \"") || text.starts_with("Permissions 0") {
            self.key_trouble.get_or_insert(self.truncated(text));
        } else if text.starts_with("no such identity: ") {
            self.key_trouble = Some(self.truncated(text.trim_start_matches("no such identity: ")));
        } else if let Some((_, methods)) = text.rsplit_once("Permission denied (") {
            self.denied = Some(methods.trim_end_matches([')', '.']).to_owned());
        }
    }

    fn keep_output(&mut self, text: &str) {
        if text.trim().is_empty() || self.opened {
            return;
        }
        if self.output_lines.len() == MAX_OUTPUT_LINES {
            self.output_lines.pop_front();
        }
        let text = self.truncated(text);
        self.output_lines.push_back(text);
    }

    fn output(&self) -> String {
        self.output_lines
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" / ")
    }

    /// `truncated` is a text that is fit to be shown.
    fn truncated(&self, text: &str) -> String {
        let text = text.trim().trim_end_matches('.');
        let text = match self.hidden.as_deref().filter(|hidden| !hidden.is_empty()) {
            Some(hidden) => text.replace(hidden, "…"),
            None => text.to_owned(),
        };
        match text.char_indices().nth(MAX_TEXT) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(&text)),
            None => text,
        }
    }

    /// `refused_host` is why the server's host key was not accepted, and its fingerprint where ssh reported it.
    pub(crate) fn refused_host(&self) -> Option<(HostKey, Option<&str>)> {
        Some((self.host_key.clone()?, self.host_fingerprint.as_deref()))
    }

    /// `timeout_failure` is the failure of an ssh that is running, but did not open the tunnel in time.
    pub(crate) fn timeout_failure(&self, settings: &Settings) -> Failure {
        let (host, said) = (&settings.target.host, self.output());
        match &settings.mode {
            Mode::Service { .. } if self.authenticated && !said.is_empty() => {
                let mut failure = retry(format!(
                    "{host} printed no known form of an address. Its output: {said}."
                ));
                failure.hint = Some(
                    "if the output contains the address, copy that line into `url_patterns` and replace the part that \
                     changes with `*`"
                        .to_owned(),
                );
                failure
            }
            _ if self.authenticated => retry(format!(
                "{host} accepted the login but did not confirm that it listens."
            )),
            _ => retry(format!("{host} accepted the connection but sent nothing.")),
        }
    }

    /// `failure` is the reason why ssh exited, if the host key is not the cause.
    pub(crate) fn failure(&self, settings: &Settings, exit: Exit) -> Failure {
        let host = &settings.target.host;
        let why = self.last.as_deref();
        if let Some(usage) = &self.usage {
            return permanent(
                format!("ssh does not support the arguments it was started with: {usage}."),
                "update OpenSSH with your system's package manager",
            );
        }
        if let Some(methods) = &self.denied {
            return self.login_failure(settings, methods);
        }
        if why.is_some_and(|why| why.contains("Too many authentication failures")) {
            return permanent(
                format!(
                    "{host} rejected the login after too many keys: the agent has more keys than the server accepts \
                     attempts."
                ),
                "set the public key to use in `identity_file`",
            );
        }
        if self.forwarding_failed {
            return self.forwarding_failure(settings);
        }
        if let Some(algorithms) = &self.algorithms {
            return permanent(
                format!("{host} and this ssh have no algorithm in common: {algorithms}."),
                "update the server's OpenSSH, or this machine's",
            );
        }
        if self.unresolved {
            return with_hint(
                retry(format!("The host name cannot be resolved: {}.", why.unwrap_or(host))),
                "check `host` and this machine's network",
            );
        }
        let ended = match exit {
            Exit::Signal(signal) => return retry(format!("ssh was killed by signal {signal}.")),
            Exit::Code(code) => code,
        };
        match why {
            _ if !self.output_lines.is_empty() => {
                retry(format!("{host} ended the session. Its output: {}.", self.output()))
            }
            Some(why) if why.contains("verification failed") => permanent(
                format!("ssh does not accept the host key of {host}: it may be marked as revoked."),
                "check the lines for that host in `known_hosts` or `known_hosts_file`",
            ),
            Some(why) if why.contains("not responding") => retry(format!("{host} stopped answering: {why}.")),
            Some(why) if self.authenticated => retry(format!("The connection to {host} was lost: {why}.")),
            Some(why) => with_hint(
                retry(format!("{host} cannot be reached: {why}.")),
                format!(
                    "check that an ssh server listens there on port {} and that no firewall blocks it",
                    settings.target.port
                ),
            ),
            None if self.authenticated => retry(format!("{host} ended the connection.")),
            None => retry(format!("ssh exited with code {ended} and reported no reason.")),
        }
    }

    fn login_failure(&self, settings: &Settings, methods: &str) -> Failure {
        let target = &settings.target;
        let user = target
            .user
            .as_ref()
            .map(|user| format!(" as {user}"))
            .unwrap_or_default();
        let fault = format!("{} rejected the login{user}", target.host);
        if settings.identity == Identity::Nothing {
            return permanent(
                format!("{fault} without a key (accepted methods: {methods}). Some services accept any key."),
                "create a key (`ssh-keygen -t ed25519 -N \"\" -f nexus_tunnel`) and add these lines to the \
                 configuration:\n[plugin.tunnel-ssh.secrets]\nidentity = { file = \"nexus_tunnel\" }",
            );
        }
        if let Some(trouble) = &self.key_trouble {
            return permanent(
                format!("{fault}: the private key cannot be used: {trouble}."),
                "set `identity_file` or the secret `identity` to a private key that only you can read (`chmod 600`)",
            );
        }
        if self.accepted && !self.signed && !matches!(settings.identity, Identity::Agent { .. }) {
            return encrypted_key_failure("The private key that the server expects");
        }
        let Some(fingerprint) = &self.offered else {
            return permanent(
                format!("{fault}, and ssh found no key to offer (accepted methods: {methods})."),
                "check `identity_file`; with `agent`, check that the agent is running and has the key (`ssh-add -l`)",
            );
        };
        permanent(
            format!("{fault}: it does not accept the key {fingerprint} (accepted methods: {methods})."),
            format!(
                "add the public key to ~/.ssh/authorized_keys of that account on {}, correct `user`, or use the right \
                 key",
                target.host
            ),
        )
    }

    /// `forwarding_failure` is the failure of a server that does not listen. The protocol does not report why.
    fn forwarding_failure(&self, settings: &Settings) -> Failure {
        let (host, bind) = (&settings.target.host, &settings.bind);
        if matches!(settings.mode, Mode::Service { .. }) {
            return with_hint(
                retry(format!(
                    "{host} did not provide {}: someone else may be using that name, or your key may not be registered \
                     there.",
                    bind.text
                )),
                "choose another `remote_bind`, or register your key with the service",
            );
        }
        if bind.port == 0 {
            return permanent(
                format!("{host} does not allow remote port forwarding."),
                "in its sshd_config set `AllowTcpForwarding yes` (or `remote`) and check `PermitListen`; in \
                 authorized_keys add `port-forwarding` to `restrict`",
            );
        }
        with_hint(
            retry(format!(
                "{host} does not listen on {}: remote port forwarding failed. Port {} may be used by another program \
                 there, or by an earlier connection that has not timed out yet.",
                bind.text, bind.port
            )),
            format!(
                "if this continues, choose another `remote_bind`, or check `AllowTcpForwarding` and `PermitListen` in \
                 its sshd_config{}",
                if bind.port < 1024 {
                    "; only root can use a port below 1024"
                } else {
                    ""
                }
            ),
        )
    }
}

fn with_hint(mut failure: Failure, hint: impl Into<String>) -> Failure {
    failure.hint = Some(hint.into());
    failure
}

/// `strip_debug_prefix` removes the level and the source location that `LogVerbose` writes before a line: `debug1:
/// ssh.c:main():1598 (pid=27561): text`. It returns the level if it is one of debugging.
fn strip_debug_prefix(line: &str) -> (Option<&str>, &str) {
    let (level, rest) = match line.split_once(": ") {
        Some((level @ ("debug1" | "debug2" | "debug3"), rest)) => (Some(level), rest),
        _ => (None, line),
    };
    let text = match rest.split_once(" (pid=") {
        Some((place, after)) if place.contains(".c:") && !place.contains(' ') => {
            after.split_once("): ").map_or(rest, |(_, text)| text)
        }
        _ => rest,
    };
    (level, text)
}

/// `explains_failure` tells whether a line of ssh explains why it failed.
fn explains_failure(text: &str) -> bool {
    [
        "ssh: ",
        "Connection ",
        "kex_exchange_identification",
        "banner exchange",
        "Timeout, server ",
        "Received disconnect",
        "Disconnected from ",
        "client_loop: ",
        "ssh_dispatch_run_fatal",
        "Read from remote host",
        "Write failed",
        "Host key verification failed",
        "fatal: ",
    ]
    .iter()
    .any(|begin| text.starts_with(begin))
}

#[cfg(test)]
#[path = "log_lines_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
