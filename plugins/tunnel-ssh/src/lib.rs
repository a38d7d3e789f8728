//! A tunnel over ssh: a remote forward (`ssh -R`) on a server of one's own or of a public service.
//!
//! ssh runs as the host's process `tunnel`. It ends when its connection ends and never reconnects, so this plugin does: a tunnel
//! that was up keeps its address while it is opened again, for some minutes; after that, and where it never was up, the host
//! retries with its own pauses. Whether it is up is what the server answered to the request to listen, or for a service the
//! address it printed: after that, ssh's own questions (`ServerAliveInterval`) find a server that is gone.

mod command;
mod host_keys;
mod log_lines;
mod public_services;
mod server;
mod settings;

use command::{BINARY, PROCESS, SCAN};
use host_keys::Key;
use log_lines::{Exit, HostKey, Meaning, Words};
use nexus_plugin_api::awake::Awake;
use nexus_plugin_api::caps::process::{self, Outcome, Running};
use nexus_plugin_api::caps::{clock, secrets, store};
use nexus_plugin_api::job::{Cancel, Events, Job, permanent, within};
use nexus_plugin_api::tunnel::{
    self, Availability, Descriptor, Encryption, Error, Event, Failure, FailureKind, Guest, Origin, UrlKind, job, say,
};
use nexus_plugin_api::{FutureReader, config, log, refusals};
use serde::{Deserialize, Serialize};
use settings::{Authored, Given, HostKeys, IDENTITY, Mode, Settings, TOKEN};

const INSTALL: &str = "install OpenSSH's client: `apt install openssh-client` (Debian, Ubuntu), `dnf install openssh-clients` \
                       (Fedora, RHEL), `apk add openssh-client` (Alpine), `pacman -S openssh` (Arch), `pkg install \
                       openssh-portable` (FreeBSD); macOS has it";
/// Until the server listens, or a service has given an address. ssh itself waits for the connection alone.
const OPEN: u64 = 45_000;
/// Before it is opened again; doubles while it does not stay up.
const PAUSE: u64 = 1_000;
const PAUSE_MOST: u64 = 30_000;
/// Up for so long, it is stable again.
const WELL: u64 = 30_000;
/// What was up and did not come back in this time is left to the host's longer pauses.
const DOWN: u64 = 300_000;
/// Between two questions for the time, at most: a whole try to open it.
const GAP: u64 = 60_000;
const SCAN_TIMEOUT: u64 = 20_000;
/// What was told about the process that leads to a port: an instance that adopts it may come too late to read it.
const UP: &str = "up.";
const TUNNELS: usize = 16;
/// The keys that `accept-new` took, by the server's name in a known_hosts file.
const ACCEPTED: &str = "host.";

/// A host function's refusal as the end of the tunnel.
fn refused(error: Error) -> Failure {
    tunnel::refused(error, INSTALL)
}

/// A secret that the operator may have given.
fn given(name: &str) -> Result<Option<String>, Failure> {
    match secrets::get(name) {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

fn settings() -> Result<Settings, Failure> {
    let authored = config::<Authored>().map_err(refused)?;
    let given = Given {
        identity: given(IDENTITY)?,
        token: given(TOKEN)?,
    };
    Settings::of(authored, &given)
}

/// The keys that the server shows; none where it cannot be asked.
async fn scan(settings: &Settings) -> Result<Vec<Key>, Error> {
    let output = command::scan(settings).run(SCAN_TIMEOUT).await?;
    Ok(host_keys::scanned(&output.stdout))
}

/// The keys that count now, with those that `accept-new` remembers in its place.
async fn known(settings: &Settings) -> Result<HostKeys, Failure> {
    if settings.host_keys != HostKeys::AcceptNew {
        return Ok(settings.host_keys.clone());
    }
    let name = format!("{ACCEPTED}{}", settings.target.known_as());
    let kept = store::get(name.clone()).await.map_err(refused)?;
    let kept = kept.and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(lines) = kept {
        return Ok(HostKeys::Lines(lines.lines().map(str::to_owned).collect()));
    }
    let keys = scan(settings).await.map_err(|error| {
        let mut failure = refused(error);
        failure.message = format!("`accept-new` needs {SCAN}: {}", failure.message);
        failure
    })?;
    // Nothing is remembered where it was not reached: ssh says why.
    if !keys.is_empty() {
        let lines: Vec<String> = keys.iter().map(|key| key.line(&settings.target)).collect();
        store::set(name, lines.join("\n").into_bytes()).await.map_err(refused)?;
        for key in &keys {
            log::warn(format!(
                "{} presented the host key {} ({}) at the first connection; Nexus accepts it and rejects other keys \
                 from now on",
                settings.target.known_as(),
                key.fingerprint(),
                key.kind
            ));
        }
        return Ok(HostKeys::Lines(lines));
    }
    Ok(HostKeys::Lines(Vec::new()))
}

/// The refusal of a server whose key is not the known one, with the lines that would take it.
async fn unknown_host(settings: &Settings, why: &HostKey, seen: Option<&str>) -> Failure {
    let target = &settings.target;
    let keys = scan(settings).await.unwrap_or_default();
    // The key that ssh refused, or else the one to write down.
    let key = keys
        .iter()
        .find(|key| seen.is_some_and(|seen| seen == key.fingerprint()))
        .or_else(|| keys.first().filter(|_| seen.is_none()));
    let shown = match (key, seen) {
        (Some(key), _) => format!(": {} ({})", key.fingerprint(), key.kind),
        (None, Some(seen)) => format!(": {seen}"),
        (None, None) => String::new(),
    };
    let name = target.known_as();
    let message = match why {
        HostKey::Unknown => format!("{name} has a host key that is not confirmed{shown}."),
        HostKey::Changed => format!(
            "{name} has a different host key than before{shown}. Either the server was reinstalled, or someone is \
             intercepting the connection."
        ),
    };
    let toml = key.map_or_else(
        || {
            format!(
                "known_hosts = [\"…\"]   # a line of: {SCAN} -p {} {}",
                target.port, target.host
            )
        },
        |key| format!("known_hosts = [\"{}\"]", key.line(target)),
    );
    let file = key
        .map_or("ssh-ed25519", |key| key.kind.as_str())
        .trim_start_matches("ssh-");
    let file = file.split('-').next().unwrap_or(file);
    let instead = if matches!(settings.host_keys, HostKeys::File(_)) {
        " instead of `known_hosts_file`"
    } else {
        ""
    };
    permanent(
        message,
        format!(
            "compare the fingerprint with the one on the server (`ssh-keygen -lf /etc/ssh/ssh_host_{file}_key.pub`) \
             or on the website of the service. If they match, add this line under \
             [plugin.tunnel-ssh.config] in the configuration{instead}:\n{toml}"
        ),
    )
}

/// What is kept of a process that is up.
#[derive(Serialize, Deserialize)]
struct Up {
    started_at: u64,
    url: String,
}

async fn keep_up(origin: &Origin, up: &Up) {
    // Ports of earlier lives of the host mean nothing any more.
    if let Ok(old) = store::keys(UP.to_owned(), None).await
        && old.len() >= TUNNELS
    {
        for key in old {
            let _ = store::delete(key).await;
        }
    }
    let value = serde_json::to_vec(up).unwrap_or_default();
    // It costs an instance that adopts a very talkative process its address.
    if let Err(error) = store::set(format!("{UP}{}", origin.port), value).await {
        log::warn(format!("cannot store the tunnel's address: {error:?}"));
    }
}

async fn kept_up(origin: &Origin, running: &Running) -> Option<String> {
    if running.outcome != Outcome::Adopted {
        return None;
    }
    let value = store::get(format!("{UP}{}", origin.port)).await.ok()??;
    let up: Up = serde_json::from_slice(&value).ok()?;
    (up.started_at == running.started_at).then_some(up.url)
}

/// Why a process is not followed any more.
enum End {
    Exited,
    /// It runs on, and nothing came of it.
    Silent,
    /// The host does not read; the process stays for the next instance.
    Gone(Failure),
}

/// What outlives one process of ssh. Its times are of time awake: what slept had no chance to come back.
struct Life {
    awake: Awake,
    /// What the host was told.
    url: Option<String>,
    /// Since when requests arrive.
    up: Option<u64>,
    /// Since when they do not, after they did.
    down: Option<u64>,
    pause: u64,
}

impl Life {
    async fn opened(
        &mut self,
        url: String,
        origin: &Origin,
        running: &Running,
        events: &mut Events<Event>,
    ) -> Result<(), Failure> {
        let known = self.url.as_ref() == Some(&url);
        if self.up.is_some() && known {
            return Ok(());
        }
        keep_up(
            origin,
            &Up {
                started_at: running.started_at,
                url: url.clone(),
            },
        )
        .await;
        if !known {
            self.url = Some(url.clone());
            say(events, Event::Url(url)).await?;
        }
        if self.up.is_none() {
            (self.up, self.down) = (Some(self.awake.now()), None);
            say(events, Event::Ready(1)).await?;
        }
        Ok(())
    }

    /// How long to wait before it is opened again; or the end, where that is no longer this plugin's to try.
    fn closed(&mut self, failure: Failure) -> Result<u64, Failure> {
        let now = self.awake.now();
        if let Some(since) = self.up.take() {
            let well = now.saturating_sub(since) >= WELL || self.pause == 0;
            self.pause = if well { PAUSE } else { self.next_pause() };
            self.down = Some(now);
        } else {
            self.pause = self.next_pause();
        }
        let Some(down) = self.down else {
            return Err(failure);
        };
        match failure.kind {
            // What was accepted once may be again; a remote user has no other access.
            FailureKind::Permanent => Err(Failure {
                kind: FailureKind::RetryLater,
                ..failure
            }),
            FailureKind::Retry if now.saturating_sub(down) < DOWN => Ok(self.pause),
            FailureKind::Retry | FailureKind::RetryLater => Err(failure),
        }
    }

    fn next_pause(&self) -> u64 {
        (self.pause * 2).clamp(PAUSE, PAUSE_MOST)
    }
}

async fn keep_open(origin: Origin, events: &mut Events<Event>, cancel: &mut Cancel) -> Result<(), Failure> {
    let settings = settings()?;
    let hidden = given(TOKEN)?;
    let mut life = Life {
        awake: Awake::new(GAP),
        url: None,
        up: None,
        down: None,
        pause: 0,
    };
    say(
        events,
        Event::Starting(format!("Connecting to {}", settings.target.known_as())),
    )
    .await?;
    let Some(known) = cancel.select(known(&settings)).await else {
        return Ok(());
    };
    let spec = command::spec(&settings, &known?, &origin);
    loop {
        let running = process::ensure(PROCESS.to_owned(), spec.clone())
            .await
            .map_err(refused)?;
        let mut words = Words::new(hidden.clone());
        let follow = follow(&settings, &origin, &running, &mut words, &mut life, events);
        let Some(end) = cancel.select(follow).await else {
            process::stop(PROCESS.to_owned()).await.map_err(refused)?;
            return Ok(());
        };
        let failure = match end? {
            End::Gone(failure) => return Err(failure),
            End::Silent => {
                process::stop(PROCESS.to_owned()).await.map_err(refused)?;
                words.silent(&settings)
            }
            End::Exited => {
                let exit = process::exited(PROCESS.to_owned()).await.map_err(refused)?;
                let exit = match (exit.code, exit.signal) {
                    (Some(code), _) => Exit::Code(code),
                    (None, signal) => Exit::Signal(signal.unwrap_or_default()),
                };
                match words.refused_host() {
                    Some((why, seen)) => {
                        let Some(failure) = cancel.select(unknown_host(&settings, &why, seen)).await else {
                            return Ok(());
                        };
                        failure
                    }
                    None => words.failure(&settings, exit),
                }
            }
        };
        let why = failure.message.clone();
        let pause = life.closed(failure)?;
        say(events, Event::Reconnecting(why)).await?;
        if cancel.select(clock::sleep(pause)).await.is_none() {
            return Ok(());
        }
    }
}

/// Reads what ssh writes until it ends, and tells what changes.
async fn follow(
    settings: &Settings,
    origin: &Origin,
    running: &Running,
    words: &mut Words,
    life: &mut Life,
    events: &mut Events<Event>,
) -> Result<End, Failure> {
    if let Some(url) = kept_up(origin, running).await
        && let Err(gone) = life.opened(url, origin, running, events).await
    {
        return Ok(End::Gone(gone));
    }
    let mut output = process::lines(PROCESS).map_err(refused)?;
    let begun = life.awake.now();
    loop {
        let line = if life.up.is_some() {
            output.next().await
        } else {
            let waited = life.awake.now().saturating_sub(begun);
            match within(OPEN.saturating_sub(waited), output.next()).await {
                Some(line) => line,
                None => return Ok(End::Silent),
            }
        };
        let Some(line) = line else {
            return Ok(End::Exited);
        };
        let session = line.stream == process::OutputStream::Stdout;
        match words.read(settings, session, &line.text) {
            Meaning::Open(url) => {
                if let Err(gone) = life.opened(url, origin, running, events).await {
                    return Ok(End::Gone(gone));
                }
            }
            Meaning::Complaint(text) => log::warn(format!("ssh: {text}")),
            Meaning::Nothing => {}
        }
    }
}

/// The plugin. Public so that a native build, which exports nothing, uses it.
pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Descriptor {
        let settings = settings();
        let of = settings.as_ref().ok();
        Descriptor {
            title: match of.map(|settings| &settings.mode) {
                Some(Mode::Service { name, .. }) => format!("ssh, over {name}"),
                Some(Mode::Own { .. }) | None => "ssh".to_owned(),
            },
            url: if of.is_some_and(Settings::is_stable) {
                UrlKind::Stable
            } else {
                UrlKind::Ephemeral
            },
            encryption: of.map_or(Encryption::Edge, Settings::encryption),
            // A server of one's own passes bytes on; what a service does is not known.
            event_streams: of.is_some_and(|settings| matches!(settings.mode, Mode::Own { .. })),
            client_address_header: of.and_then(|settings| settings.client_address_header.clone()),
            ext: refusals(settings.err()),
        }
    }

    async fn check_availability() -> Availability {
        tunnel::check_availability(BINARY, "-V", INSTALL, command::version).await
    }

    async fn run(origin: Origin, cancel: FutureReader<()>) -> Job<Event> {
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

    #[test]
    fn a_missing_program_waits_for_the_operator() {
        let failure = refused(Error::NotFound("no ssh".to_owned()));
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.hint.unwrap().contains("openssh-client"));
    }
}
