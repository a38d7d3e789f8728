//! How ssh is called. Nothing of the operator's own ssh configuration is read, nothing is asked on a terminal, and nothing but
//! the one forward is opened.

use crate::settings::{HostKeys, IDENTITY, Identity, Mode, Settings, TOKEN};
use nexus_plugin_api::caps::process::{Signal, Spec, StopStep};
use nexus_plugin_api::process::Command;
use nexus_plugin_api::tunnel::Origin;

pub(crate) const BINARY: &str = "ssh";
pub(crate) const SCAN: &str = "ssh-keyscan";
/// The name the contract asks for.
pub(crate) const PROCESS: &str = "tunnel";
/// ssh ends at once when it is told to; this is for a machine under load.
const STOP_TIMEOUT: u64 = 3_000;
/// Until the server answers, in seconds.
const CONNECT: u16 = 15;
/// Questions without an answer that end the connection.
const UNANSWERED: u16 = 3;
/// Of the debugging output only what says how the login went and that the server listens. All of it (`-v`) has lines for
/// each connection, which would push those out of the lines that the host keeps.
const TALK: &str = "LogVerbose=ssh.c:*,sshconnect2.c:*";

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
        TALK,
        "BatchMode=yes",
        "ExitOnForwardFailure=yes",
        &format!("ConnectTimeout={CONNECT}"),
        &format!("ServerAliveInterval={}", settings.keep_alive),
        &format!("ServerAliveCountMax={UNANSWERED}"),
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
        HostKeys::File(path) => command.args(["-o", &quoted("UserKnownHostsFile", &literal(path))]),
        HostKeys::Lines(lines) => {
            let content: String = lines.iter().map(|line| literal(line) + "\n").collect();
            command
                .args(["-o", &quoted("UserKnownHostsFile", "{file:known_hosts}")])
                .file("known_hosts", content)
        }
        HostKeys::AcceptNew => command.args(["-o", "UserKnownHostsFile=/dev/null"]),
    };
    command = identified(command, &settings.identity).args([&settings.target.host]);
    // A session whose input ends is ended by some services.
    command.0.stdin = !own;
    command.0
}

fn identified(command: Command, identity: &Identity) -> Command {
    let (file, agent, only) = match identity {
        Identity::Secret => (Some("{file:identity}".to_owned()), None, true),
        Identity::File(path) => (Some(literal(path)), None, true),
        Identity::Agent { socket, key } => (key.as_deref().map(literal), Some(literal(socket)), key.is_some()),
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

/// A folder's name may hold blanks.
fn quoted(option: &str, path: &str) -> String {
    format!("{option}=\"{path}\"")
}

/// A brace in a spec begins a reference.
fn literal(text: &str) -> String {
    text.replace('{', "{{")
}

/// What asks a server for its host keys.
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

/// The oldest OpenSSH that can be told which of its lines to write (`LogVerbose`).
const FLOOR: (u32, u32) = (8, 5);

/// Whether the text of `ssh -V` names a version that will do.
///
/// # Errors
/// What was found, what is needed and what to do.
pub(crate) fn version(text: &str) -> Result<String, String> {
    let first = text.trim().lines().next().unwrap_or_default();
    let Some(rest) = first.strip_prefix("OpenSSH_") else {
        return Err(format!(
            "`ssh -V` prints `{}`: this is not OpenSSH, which is required. To fix: install OpenSSH; where it is \
             installed too, set its `path` in [plugin.tunnel-ssh.grants.process.ssh] in the configuration",
            first.chars().take(80).collect::<String>()
        ));
    };
    let rest = rest.strip_prefix("for_Windows_").unwrap_or(rest);
    let found = rest.split([' ', ',']).next().unwrap_or_default();
    let mut numbers = found.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= FLOOR => Ok(found.to_owned()),
        _ => Err(format!(
            "OpenSSH {found} is too old: {}.{} or newer is required. To fix: update your system, or set the `path` of a \
             newer ssh in [plugin.tunnel-ssh.grants.process.ssh] in the configuration",
            FLOOR.0, FLOOR.1
        )),
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
