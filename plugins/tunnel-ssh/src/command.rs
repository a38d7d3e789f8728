//! How ssh is called. Nothing of the operator's own ssh configuration is read, nothing is asked on a terminal, and nothing but
//! the one forward is opened.

use crate::settings::{HostKeys, IDENTITY, Identity, Mode, Settings, TOKEN};
use nexus_plugin_api::caps::process::{Signal, Spec, StopStep};
use nexus_plugin_api::process::Command;
use nexus_plugin_api::tunnel::Origin;
use nexus_plugin_api::version::VersionRequirement;

pub(crate) const BINARY: &str = "ssh";
pub(crate) const SCAN: &str = "ssh-keyscan";
/// `PROCESS` is the name that the contract requires.
pub(crate) const PROCESS: &str = "tunnel";
/// `STOP_TIMEOUT` is in milliseconds. ssh stops at once; the time is for a machine under load.
const STOP_TIMEOUT: u64 = 3_000;
/// `CONNECT_TIMEOUT` is how many seconds the server may take to answer.
const CONNECT_TIMEOUT: u16 = 15;
/// `MAX_UNANSWERED` is how many unanswered keep-alive messages end the connection.
const MAX_UNANSWERED: u16 = 3;
/// `LOG_VERBOSE` selects the debugging output that reports the login and that the server listens. With all of it
/// (`-v`), the lines for each connection would displace those among the lines that the host keeps.
const LOG_VERBOSE: &str = "LogVerbose=ssh.c:*,sshconnect2.c:*";

/// `known`: what takes the place of [`HostKeys::AcceptNew`].
pub(crate) fn spec(settings: &Settings, known: &HostKeys, origin: &Origin) -> Spec {
    let here = if origin.host.contains(':') {
        format!("[{}]", origin.host)
    } else {
        origin.host.clone()
    };
    let own = matches!(settings.mode, Mode::Own { .. });
    let mut command = Command::new(BINARY)
        .env("LC_ALL", "C")
        // Where a service asks something all the same, nobody is asked.
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("SSH_ASKPASS", "/nonexistent")
        .stop(vec![StopStep::Signal(Signal::Terminate), StopStep::Wait(STOP_TIMEOUT)]);
    command = if settings.token {
        command
            .args(["-F", "{file:ssh_config}"])
            .file("ssh_config", format!("User \"{{secret:{TOKEN}}}\"\n"))
    } else {
        command.args(["-F", "none"])
    };
    command = command.args(["-T", "-x", "-a", "-e", "none", "-p", &settings.target.port.to_string()]);
    if own {
        command = command.args(["-N"]);
    }
    if let Some(user) = &settings.target.user {
        command = command.args(["-l", user]);
    }
    let forward = format!("{}:{here}:{}", settings.bind.text, origin.port);
    command = command.args(["-R", &forward]);
    for option in [
        "LogLevel=VERBOSE",
        LOG_VERBOSE,
        "BatchMode=yes",
        "ExitOnForwardFailure=yes",
        &format!("ConnectTimeout={CONNECT_TIMEOUT}"),
        &format!("ServerAliveInterval={}", settings.keep_alive),
        &format!("ServerAliveCountMax={MAX_UNANSWERED}"),
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        "CheckHostIP=no",
        "PasswordAuthentication=no",
        if own {
            "PreferredAuthentications=publickey"
        } else {
            // Some services ask nothing this way, and take whoever answers.
            "PreferredAuthentications=publickey,keyboard-interactive"
        },
    ] {
        command = command.args(["-o", option]);
    }
    command = match known {
        HostKeys::File(path) => command.args(["-o", &quoted("UserKnownHostsFile", &escape_braces(path))]),
        HostKeys::Lines(lines) => {
            let content: String = lines.iter().map(|line| escape_braces(line) + "\n").collect();
            command
                .args(["-o", &quoted("UserKnownHostsFile", "{file:known_hosts}")])
                .file("known_hosts", content)
        }
        HostKeys::AcceptNew => command.args(["-o", "UserKnownHostsFile=/dev/null"]),
    };
    command = with_identity(command, &settings.identity).args([&settings.target.host]);
    // A session whose input ends is ended by some services.
    command.0.stdin = !own;
    command.0
}

fn with_identity(command: Command, identity: &Identity) -> Command {
    let (file, agent, only) = match identity {
        Identity::Secret => (Some("{file:identity}".to_owned()), None, true),
        Identity::File(path) => (Some(escape_braces(path)), None, true),
        Identity::Agent { socket, key } => (
            key.as_deref().map(escape_braces),
            Some(escape_braces(socket)),
            key.is_some(),
        ),
        Identity::Nothing => (None, None, true),
    };
    let command = match identity {
        // An editor's or the host's cut of the last end of line makes ssh refuse it.
        Identity::Secret => command.file(IDENTITY, format!("{{secret:{IDENTITY}}}\n")),
        Identity::File(_) | Identity::Agent { .. } | Identity::Nothing => command,
    };
    // Not `-i`, which falls back to the keys in ~/.ssh where the file is missing.
    let file = file.map_or_else(|| "IdentityFile=none".to_owned(), |file| quoted("IdentityFile", &file));
    let agent = agent.map_or_else(
        || "IdentityAgent=none".to_owned(),
        |socket| quoted("IdentityAgent", &socket),
    );
    let only = format!("IdentitiesOnly={}", if only { "yes" } else { "no" });
    command.args(["-o", &file, "-o", &agent, "-o", &only])
}

/// `quoted` is an option in quotation marks, because the name of a folder may contain blanks.
fn quoted(option: &str, path: &str) -> String {
    format!("{option}=\"{path}\"")
}

/// `escape_braces` doubles each brace, because a single one in a spec starts a reference.
fn escape_braces(text: &str) -> String {
    text.replace('{', "{{")
}

/// `scan` is the command that asks a server for its host keys.
pub(crate) fn scan(settings: &Settings) -> Command {
    let port = settings.target.port.to_string();
    Command::new(SCAN).env("LC_ALL", "C").args([
        "-T",
        "5",
        "-t",
        "ed25519,ecdsa,rsa",
        "-p",
        &port,
        &settings.target.host,
    ])
}

/// `VERSION` requires the oldest OpenSSH whose log can be filtered (`LogVerbose`).
const VERSION: VersionRequirement<'static> = VersionRequirement {
    program: "OpenSSH",
    command: "ssh -V",
    minimum: "8.5",
    update: "update your system, or set the `path` of a newer ssh in [plugin.tunnel-ssh.grants.process.ssh] in the \
             configuration",
    other_program: "install OpenSSH, or if it is installed, set its `path` in [plugin.tunnel-ssh.grants.process.ssh] in \
                    the configuration",
};

/// `version` is the version in the output of `ssh -V`.
///
/// # Errors
/// The version is too old, or the program is not OpenSSH; with the fix.
pub(crate) fn version(output: &str) -> Result<String, String> {
    let rest = output.trim_start().strip_prefix("OpenSSH_");
    let rest = rest.map(|rest| rest.strip_prefix("for_Windows_").unwrap_or(rest));
    let found = rest.and_then(|rest| rest.split([' ', ',', '\n']).next());
    VERSION.check(output, found.map(str::trim))
}

#[cfg(test)]
#[path = "command_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
