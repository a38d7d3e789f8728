//! What ssh writes, and what it means.
//!
//! ssh says in its log that it logged in and that the server listens; a service says the address in its session. Read line
//! by line, so that the lines kept by the host say the same to an instance that adopted the process as they did to the one
//! before.

use crate::public_services::plain;
use crate::settings::{Identity, Mode, Settings, locked_key};
use nexus_plugin_api::job::{permanent, retry};
use nexus_plugin_api::tunnel::Failure;
use std::collections::VecDeque;

/// Characters of a line that are shown.
const LENGTH: usize = 300;
/// Lines of a service that are shown where it gave no address.
const SAID: usize = 4;

/// What a line changes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Requests arrive at this address.
    Open(String),
    /// Worth the operator's log; the tunnel stands.
    Complaint(String),
    Nothing,
}

/// How the process ended, as the host says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

/// What the server's key has to do with the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostKey {
    Unknown,
    Changed,
}

/// Everything the lines so far have said.
pub(crate) struct Words {
    /// What no text may hold.
    hidden: Option<String>,
    authenticated: bool,
    /// The fingerprint of the key that was offered, and whether the server would take it.
    offered: Option<String>,
    accepted: bool,
    signed: bool,
    host_key: Option<HostKey>,
    host_fingerprint: Option<String>,
    awaits_fingerprint: bool,
    /// What is wrong with the private key.
    key_trouble: Option<String>,
    /// In the brackets of "Permission denied".
    denied: Option<String>,
    taken: bool,
    unresolved: bool,
    usage: Option<String>,
    algorithms: Option<String>,
    /// The last line that tells of trouble.
    last: Option<String>,
    /// The last lines of a service before it gave an address.
    said: VecDeque<String>,
    opened: bool,
}

impl Words {
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
            taken: false,
            unresolved: false,
            usage: None,
            algorithms: None,
            last: None,
            said: VecDeque::new(),
            opened: false,
        }
    }

    /// `output`: the line is in what the session writes, and not in ssh's log.
    pub(crate) fn read(&mut self, settings: &Settings, output: bool, line: &str) -> Meaning {
        let line = plain(line);
        let (level, text) = message(line.trim());
        if let Mode::Service { patterns, .. } = &settings.mode
            && level.is_none()
        {
            // Some write the address beside the session.
            if let Some(url) = patterns.iter().find_map(|pattern| pattern.find(text)) {
                // What follows is about requests.
                self.opened = true;
                self.said.clear();
                return Meaning::Open(url);
            }
            if output {
                self.say(text);
                return Meaning::Nothing;
            }
        }
        self.of_login(text);
        if let Some(rest) = text.strip_prefix("Allocated port ") {
            let port = rest.split(' ').next().and_then(|port| port.parse().ok());
            return port
                .and_then(|port| settings.url(port))
                .map_or(Meaning::Nothing, Meaning::Open);
        }
        if text.starts_with("remote forward success for: listen") && settings.bind.port != 0 {
            return settings.url(settings.bind.port).map_or(Meaning::Nothing, Meaning::Open);
        }
        if text.contains("remote port forwarding failed for listen") {
            self.taken = true;
        } else if let Some(rest) = text.strip_prefix("ssh: Could not resolve hostname ") {
            self.unresolved = true;
            self.last = Some(self.cut(rest));
        } else if text.contains("no matching ") && text.starts_with("Unable to negotiate") {
            self.algorithms = Some(self.cut(text));
        } else if text.contains("Bad configuration option")
            || text.contains("unknown option -- ")
            || text.contains("keyword") && text.contains("extra arguments")
            || text.contains("Bad remote forwarding specification")
        {
            self.usage = Some(self.cut(text));
        } else if text.starts_with("connect_to ") || text.contains("open failed: ") {
            return Meaning::Complaint(self.cut(text));
        } else if is_trouble(text) {
            self.last = Some(self.cut(text));
        }
        Meaning::Nothing
    }

    /// Who the server is, and whether it lets us in.
    fn of_login(&mut self, text: &str) {
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
            self.key_trouble.get_or_insert(self.cut(text));
        } else if text.starts_with("no such identity: ") {
            self.key_trouble = Some(self.cut(text.trim_start_matches("no such identity: ")));
        } else if let Some((_, methods)) = text.rsplit_once("Permission denied (") {
            self.denied = Some(methods.trim_end_matches([')', '.']).to_owned());
        }
    }

    fn say(&mut self, text: &str) {
        if text.trim().is_empty() || self.opened {
            return;
        }
        if self.said.len() == SAID {
            self.said.pop_front();
        }
        let text = self.cut(text);
        self.said.push_back(text);
    }

    fn all_said(&self) -> String {
        self.said.iter().map(String::as_str).collect::<Vec<_>>().join(" / ")
    }

    /// What is fit to be shown.
    fn cut(&self, text: &str) -> String {
        let text = text.trim().trim_end_matches('.');
        let text = match self.hidden.as_deref().filter(|hidden| !hidden.is_empty()) {
            Some(hidden) => text.replace(hidden, "…"),
            None => text.to_owned(),
        };
        match text.char_indices().nth(LENGTH) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(&text)),
            None => text,
        }
    }

    /// The server's key was not taken; the fingerprint, where ssh said it.
    pub(crate) fn refused_host(&self) -> Option<(HostKey, Option<&str>)> {
        Some((self.host_key.clone()?, self.host_fingerprint.as_deref()))
    }

    /// It runs, and for a long time nothing came of it.
    pub(crate) fn silent(&self, settings: &Settings) -> Failure {
        let (host, said) = (&settings.target.host, self.all_said());
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

    /// Why the process is gone, where the server's key has nothing to do with it.
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
            return self.denied(settings, methods);
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
        if self.taken {
            return self.taken(settings);
        }
        if let Some(algorithms) = &self.algorithms {
            return permanent(
                format!("{host} and this ssh have no algorithm in common: {algorithms}."),
                "update the server's OpenSSH, or this machine's",
            );
        }
        if self.unresolved {
            return with(
                retry(format!("The host name cannot be resolved: {}.", why.unwrap_or(host))),
                "check `host` and this machine's network",
            );
        }
        let ended = match exit {
            Exit::Signal(signal) => return retry(format!("ssh was killed by signal {signal}.")),
            Exit::Code(code) => code,
        };
        match why {
            _ if !self.said.is_empty() => retry(format!("{host} ended the session. Its output: {}.", self.all_said())),
            Some(why) if why.contains("verification failed") => permanent(
                format!("ssh does not accept the host key of {host}: it may be marked as revoked."),
                "check the lines for that host in `known_hosts` or `known_hosts_file`",
            ),
            Some(why) if why.contains("not responding") => retry(format!("{host} stopped answering: {why}.")),
            Some(why) if self.authenticated => retry(format!("The connection to {host} was lost: {why}.")),
            Some(why) => with(
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

    fn denied(&self, settings: &Settings, methods: &str) -> Failure {
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
            return locked_key("The private key that the server expects");
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

    /// The protocol does not say why a server does not listen.
    fn taken(&self, settings: &Settings) -> Failure {
        let (host, bind) = (&settings.target.host, &settings.bind);
        if matches!(settings.mode, Mode::Service { .. }) {
            return with(
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
        with(
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

fn with(mut failure: Failure, hint: impl Into<String>) -> Failure {
    failure.hint = Some(hint.into());
    failure
}

/// Without the level and the place in the source that `LogVerbose` writes before a line:
/// `debug1: ssh.c:main():1598 (pid=27561): text`. The level, where it is one of debugging.
fn message(line: &str) -> (Option<&str>, &str) {
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

/// Of what ssh says in the end, what explains it.
fn is_trouble(text: &str) -> bool {
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
