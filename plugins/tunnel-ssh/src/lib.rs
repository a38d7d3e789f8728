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
use log_lines::{Exit, HostKey, LineEvent, LogReader};
use nexus_plugin_api::awake_clock::AwakeClock;
use nexus_plugin_api::caps::process::{self, Outcome, Running};
use nexus_plugin_api::caps::{clock, secrets, store};
use nexus_plugin_api::job::{Cancel, Events, Job, permanent, timeout};
use nexus_plugin_api::tunnel::{
    self, Availability, CancelReason, Descriptor, Encryption, Error, Event, Failure, FailureKind, Guest, Liveness,
    Origin, UrlKind, job, send_event,
};
use nexus_plugin_api::{FutureReader, config, log, refuse_settings};
use serde::{Deserialize, Serialize};
use settings::{Authored, HostKeys, IDENTITY, Mode, Secrets, Settings, TOKEN};

const INSTALL: &str = "install OpenSSH's client: `apt install openssh-client` (Debian, Ubuntu), `dnf install openssh-clients` \
                       (Fedora, RHEL), `apk add openssh-client` (Alpine), `pacman -S openssh` (Arch), `pkg install \
                       openssh-portable` (FreeBSD); macOS has it";
/// `OPEN_TIMEOUT` is how many milliseconds it may take until the server listens, or a service has reported an address.
/// ssh itself only limits the time for the connection.
const OPEN_TIMEOUT: u64 = 45_000;
/// `PAUSE` is the pause in milliseconds before the tunnel is opened again; it doubles while the tunnel does not stay
/// open.
const PAUSE: u64 = 1_000;
const MAX_PAUSE: u64 = 30_000;
/// `STABLE_AFTER` is how many milliseconds of a connection make a tunnel stable.
const STABLE_AFTER: u64 = 30_000;
/// `RECONNECT_TIMEOUT` is how many milliseconds the plugin tries to reconnect; after that, the host retries with longer
/// pauses.
const RECONNECT_TIMEOUT: u64 = 300_000;
/// `LONGEST_GAP` is the longest time in milliseconds between two calls of the clock: one whole attempt to open the
/// tunnel.
const LONGEST_GAP: u64 = 60_000;
const SCAN_TIMEOUT: u64 = 20_000;
/// `STORED_URL` starts the keys that store the address of a running process by the port of its origin: an instance that
/// adopts it may come too late to read the address.
const STORED_URL: &str = "up.";
const MAX_TUNNELS: usize = 16;
/// `ACCEPTED` starts the keys that store the host keys that `accept-new` accepted, by the server's name in a
/// known_hosts file.
const ACCEPTED: &str = "host.";

/// `host_failure` is an error of a host function as the end of the tunnel.
fn host_failure(error: Error) -> Failure {
    tunnel::host_failure(error, INSTALL)
}

/// `optional_secret` is a secret that the operator may have set.
async fn optional_secret(name: &str) -> Result<Option<String>, Failure> {
    match secrets::get(name.to_owned()).await {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(host_failure(error)),
    }
}

async fn settings() -> Result<Settings, Failure> {
    let authored = config::<Authored>().map_err(host_failure)?;
    let given = Secrets {
        identity: optional_secret(IDENTITY).await?,
        token: optional_secret(TOKEN).await?,
    };
    Settings::of(authored, &given)
}

/// `scan` are the host keys that the server presents; none if it cannot be asked.
async fn scan(settings: &Settings) -> Result<Vec<Key>, Error> {
    let output = command::scan(settings).run(SCAN_TIMEOUT).await?;
    Ok(host_keys::scanned(&output.stdout))
}

/// `accepted_host_keys` are the host keys that are accepted, with the stored ones in place of `accept-new`.
async fn accepted_host_keys(settings: &Settings) -> Result<HostKeys, Failure> {
    if settings.host_keys != HostKeys::AcceptNew {
        return Ok(settings.host_keys.clone());
    }
    let name = format!("{ACCEPTED}{}", settings.target.known_as());
    let kept = store::get(name.clone()).await.map_err(host_failure)?;
    let kept = kept.and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(lines) = kept {
        return Ok(HostKeys::Lines(lines.lines().map(str::to_owned).collect()));
    }
    let keys = scan(settings).await.map_err(|error| {
        let mut failure = host_failure(error);
        failure.message = format!("`accept-new` needs {SCAN}: {}", failure.message);
        failure
    })?;
    // Nothing is remembered where it was not reached: ssh says why.
    if !keys.is_empty() {
        let lines: Vec<String> = keys.iter().map(|key| key.line(&settings.target)).collect();
        store::set(name, lines.join("\n").into_bytes())
            .await
            .map_err(host_failure)?;
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

/// `host_key_failure` is the failure of a server whose host key is not a known one, with the lines that would accept
/// it.
async fn host_key_failure(settings: &Settings, why: &HostKey, seen: Option<&str>) -> Failure {
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

/// `StoredUrl` is what is stored about a process that is connected.
#[derive(Serialize, Deserialize)]
struct StoredUrl {
    started_at: u64,
    url: String,
}

async fn store_url(origin: &Origin, stored: &StoredUrl) {
    // Ports of earlier lives of the host mean nothing any more.
    if let Ok(old) = store::keys(STORED_URL.to_owned(), None).await
        && old.len() >= MAX_TUNNELS
    {
        for key in old {
            let _ = store::delete(key).await;
        }
    }
    let value = serde_json::to_vec(stored).unwrap_or_default();
    // It costs an instance that adopts a very talkative process its address.
    if let Err(error) = store::set(format!("{STORED_URL}{}", origin.port), value).await {
        log::warn(format!("cannot store the tunnel's address: {error:?}"));
    }
}

async fn stored_url(origin: &Origin, running: &Running) -> Option<String> {
    if running.outcome != Outcome::Adopted {
        return None;
    }
    let value = store::get(format!("{STORED_URL}{}", origin.port)).await.ok()??;
    let stored: StoredUrl = serde_json::from_slice(&value).ok()?;
    (stored.started_at == running.started_at).then_some(stored.url)
}

/// `RunEnd` is the reason why a process is no longer followed.
enum RunEnd {
    Exited,
    /// `Silent`: ssh is running, but reported nothing in time.
    Silent,
    /// `HostDisconnected`: the host stopped reading; the process stays for the next instance.
    HostDisconnected(Failure),
}

/// `TunnelState` is what outlives one process of ssh. Its times are of time awake ([`AwakeClock`]): a connection that
/// slept had no chance to recover.
struct TunnelState {
    awake: AwakeClock,
    /// `url` is the address that was reported to the host.
    url: Option<String>,
    /// `up` is since when requests have been arriving.
    up: Option<u64>,
    /// `down` is since when they have not been arriving, after they did.
    down: Option<u64>,
    pause: u64,
}

impl TunnelState {
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
        store_url(
            origin,
            &StoredUrl {
                started_at: running.started_at,
                url: url.clone(),
            },
        )
        .await;
        if !known {
            self.url = Some(url.clone());
            send_event(events, Event::address(url)).await?;
        }
        if self.up.is_none() {
            (self.up, self.down) = (Some(self.awake.elapsed()), None);
            send_event(events, Event::Ready(1)).await?;
        }
        Ok(())
    }

    /// `closed` is how long to wait before the tunnel is opened again; an error leaves that to the host.
    fn closed(&mut self, failure: Failure) -> Result<u64, Failure> {
        let now = self.awake.elapsed();
        if let Some(since) = self.up.take() {
            let well = now.saturating_sub(since) >= STABLE_AFTER || self.pause == 0;
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
            FailureKind::Retry if now.saturating_sub(down) < RECONNECT_TIMEOUT => Ok(self.pause),
            FailureKind::Retry | FailureKind::RetryLater => Err(failure),
        }
    }

    fn next_pause(&self) -> u64 {
        (self.pause * 2).clamp(PAUSE, MAX_PAUSE)
    }
}

async fn keep_open(origin: Origin, events: &mut Events<Event>, cancel: &mut Cancel) -> Result<(), Failure> {
    let settings = settings().await?;
    let hidden = optional_secret(TOKEN).await?;
    let mut state = TunnelState {
        awake: AwakeClock::new(LONGEST_GAP),
        url: None,
        up: None,
        down: None,
        pause: 0,
    };
    send_event(
        events,
        Event::Starting(format!("Connecting to {}", settings.target.known_as())),
    )
    .await?;
    let Some(known) = cancel.select(accepted_host_keys(&settings)).await else {
        return Ok(());
    };
    let spec = command::spec(&settings, &known?, &origin);
    loop {
        let running = process::ensure(PROCESS.to_owned(), spec.clone())
            .await
            .map_err(host_failure)?;
        let mut log_reader = LogReader::new(hidden.clone());
        let follow = follow(&settings, &origin, &running, &mut log_reader, &mut state, events);
        let Some(end) = cancel.select(follow).await else {
            process::stop(PROCESS.to_owned()).await.map_err(host_failure)?;
            return Ok(());
        };
        let failure = match end? {
            RunEnd::HostDisconnected(failure) => return Err(failure),
            RunEnd::Silent => {
                process::stop(PROCESS.to_owned()).await.map_err(host_failure)?;
                log_reader.timeout_failure(&settings)
            }
            RunEnd::Exited => {
                let exit = process::exited(PROCESS.to_owned()).await.map_err(host_failure)?;
                let exit = match (exit.code, exit.signal) {
                    (Some(code), _) => Exit::Code(code),
                    (None, signal) => Exit::Signal(signal.unwrap_or_default()),
                };
                match log_reader.refused_host() {
                    Some((why, seen)) => {
                        let Some(failure) = cancel.select(host_key_failure(&settings, &why, seen)).await else {
                            return Ok(());
                        };
                        failure
                    }
                    None => log_reader.failure(&settings, exit),
                }
            }
        };
        let why = failure.message.clone();
        let pause = state.closed(failure)?;
        send_event(events, Event::Reconnecting(why)).await?;
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
    log_reader: &mut LogReader,
    state: &mut TunnelState,
    events: &mut Events<Event>,
) -> Result<RunEnd, Failure> {
    if let Some(url) = stored_url(origin, running).await
        && let Err(gone) = state.opened(url, origin, running, events).await
    {
        return Ok(RunEnd::HostDisconnected(gone));
    }
    let mut output = process::lines(PROCESS.to_owned()).await.map_err(host_failure)?;
    let begun = state.awake.elapsed();
    loop {
        let line = if state.up.is_some() {
            output.next().await
        } else {
            let waited = state.awake.elapsed().saturating_sub(begun);
            match timeout(OPEN_TIMEOUT.saturating_sub(waited), output.next()).await {
                Some(line) => line,
                None => return Ok(RunEnd::Silent),
            }
        };
        let Some(line) = line else {
            return Ok(RunEnd::Exited);
        };
        let session = line.stream == process::OutputStream::Stdout;
        match log_reader.read(settings, session, &line.text) {
            LineEvent::Open(url) => {
                if let Err(gone) = state.opened(url, origin, running, events).await {
                    return Ok(RunEnd::HostDisconnected(gone));
                }
            }
            LineEvent::Warning(text) => log::warn(format!("ssh: {text}")),
            LineEvent::Ignored => {}
        }
    }
}

/// `Plugin` is the plugin. It is public so that a native build, which exports nothing, uses it.
pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Descriptor {
        let settings = settings().await;
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
            // ssh asks the server itself (`ServerAliveInterval`), and ends where no answer comes.
            liveness: Liveness::Reported,
            // A server of one's own passes bytes on; what a service does is not known.
            event_streams: of.is_some_and(|settings| matches!(settings.mode, Mode::Own { .. })),
            client_address_header: of.and_then(|settings| settings.client_address_header.clone()),
            public_name_header: None,
            refused: refuse_settings(settings.err()),
        }
    }

    async fn check_availability() -> Availability {
        tunnel::check_availability(BINARY, "-V", INSTALL, command::version).await
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

    #[test]
    fn a_missing_program_waits_for_the_operator() {
        let failure = host_failure(Error::NotFound("no ssh".to_owned()));
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.hint.unwrap().contains("openssh-client"));
    }
}
