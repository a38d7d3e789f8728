//! A Cloudflare Tunnel, by the program cloudflared.
//!
//! cloudflared runs as the host's process `tunnel`. A printed address is no working tunnel: whether one is up is asked at
//! cloudflared's own pages, again and again, and what it writes only explains failures. cloudflared itself reconnects
//! for ever, also where that cannot help, so this plugin keeps the time: a tunnel that Cloudflare does not accept is ended,
//! and one that never gets a connection is tried once more over HTTP/2, which a quick tunnel does not do by itself.

mod host_errors;
mod log_lines;
mod metrics_endpoint;
mod settings;
mod stored_state;
mod tunnel_watch;

use host_errors::{INSTALL, host_failure};
use log_lines::{Exit, LogReader};
use nexus_plugin_api::caps::process::{self, Outcome};
use nexus_plugin_api::caps::{clock, secrets};
use nexus_plugin_api::job::{Cancel, Events, Job, race, retry, timeout};
use nexus_plugin_api::tunnel::{
    self, Availability, CancelReason, Descriptor, Encryption, Error, Event, Failure, FailureKind, Guest, Liveness,
    Origin, UrlKind, job, send_event,
};
use nexus_plugin_api::{FutureReader, config, log, refuse_settings};
use settings::{Authored, BINARY, CREDENTIALS, Mode, PROCESS, Protocol, Secrets, Settings, TOKEN};
use std::cell::RefCell;
use tunnel_watch::{RunContext, RunEnd, count_name_request, follow, name_requests, retry_kind};

/// `NAME_REQUEST_PAUSES` are the pauses in milliseconds before another name is requested: the quick-tunnel service
/// often succeeds seconds after a failure.
const NAME_REQUEST_PAUSES: [u64; 2] = [2_000, 5_000];
/// `DRAIN_TIMEOUT` is how many milliseconds running requests have when the tunnel closes. cloudflared's own grace
/// period is short, because over QUIC it always waits for all of it.
const DRAIN_TIMEOUT: u64 = 4_000;
const DRAIN_INTERVAL: u64 = 200;
/// `DRAIN_REQUEST_TIMEOUT` is in milliseconds, for a program that may hang.
const DRAIN_REQUEST_TIMEOUT: u64 = 1_000;

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
    let credentials = optional_secret(CREDENTIALS).await?;
    Settings::of(
        authored,
        Secrets {
            token: optional_secret(TOKEN).await?,
            credentials: credentials.as_deref().map(settings::tunnel_id).transpose()?,
        },
    )
}

/// `tunnel_secret` is the secret that identifies the tunnel to Cloudflare; a quick tunnel has none.
async fn tunnel_secret(mode: &Mode) -> Result<Option<String>, Failure> {
    match mode {
        Mode::Quick => Ok(None),
        Mode::Token { .. } => optional_secret(TOKEN).await,
        Mode::Credentials { .. } => optional_secret(CREDENTIALS).await,
    }
}

/// Closes the tunnel; what runs through it may end.
async fn stop() -> Result<(), Failure> {
    let drained = async {
        while let Some(Some(counted)) = timeout(DRAIN_REQUEST_TIMEOUT, metrics_endpoint::sample()).await
            && counted.running > 0
        {
            clock::sleep(DRAIN_INTERVAL).await;
        }
    };
    // None: it took too long.
    let _: Option<()> = timeout(DRAIN_TIMEOUT, drained).await;
    process::stop(PROCESS.to_owned()).await.map(drop).map_err(host_failure)
}

async fn keep_open(origin: Origin, events: &mut Events<Event>, cancel: &mut Cancel) -> Result<(), Failure> {
    let Settings { mode, protocol, token } = settings().await?;
    let mark = tunnel_secret(&mode)
        .await?
        .map(|secret| stored_state::fingerprint(&secret));
    let accepted = stored_state::was_accepted(mark.as_deref()).await;
    let mut http2 = match (protocol, stored_state::running_over_http2(&origin).await) {
        (Protocol::Auto, Some(http2)) => http2,
        (Protocol::Auto, None) => stored_state::http2_is_remembered().await,
        (Protocol::Quic | Protocol::Http2, _) => false,
    };
    // Whether HTTP/2 is tried because QUIC failed just now.
    let mut fallback = false;
    loop {
        send_event(events, Event::Starting(starting(&mode, http2).to_owned())).await?;
        stored_state::started_over(&origin, http2).await;
        let spec = settings::spec(&mode, token.as_ref(), http2, protocol, &origin);
        let running = process::ensure(PROCESS.to_owned(), spec).await.map_err(host_failure)?;
        let adopted = running.outcome == Outcome::Adopted;
        if mode == Mode::Quick && !adopted {
            count_name_request();
        }
        let log_reader = RefCell::new(LogReader::new(accepted));
        let mut output = process::lines(PROCESS.to_owned()).await.map_err(host_failure)?;
        let read = async {
            while let Some(line) = output.next().await {
                let mut log_reader = log_reader.borrow_mut();
                log_reader.read(&line.text);
                // So much was written since its start that the first lines are gone: it was up long ago.
                log_reader.registered |= line.dropped > 0;
            }
            RunEnd::Exited
        };
        let run = RunContext {
            mode: &mode,
            origin: &origin,
            protocol,
            http2,
            adopted,
            fallback,
            mark: mark.as_deref(),
        };
        let follow = race(read, follow(&run, &log_reader, events));
        let Some(end) = cancel.select(follow).await else {
            return stop().await;
        };
        let failure = match end {
            RunEnd::HostDisconnected => return Err(retry("The host stopped reading the tunnel's events.")),
            RunEnd::Exited => {
                let exit = process::exited(PROCESS.to_owned()).await.map_err(host_failure)?;
                let exit = match (exit.code, exit.signal) {
                    (Some(code), _) => Exit::Code(code),
                    (None, signal) => Exit::Signal(signal.unwrap_or_default()),
                };
                log_reader.borrow().failure(&mode, exit, retry_kind(&mode))
            }
            RunEnd::Failed(failure) => {
                process::stop(PROCESS.to_owned()).await.map_err(host_failure)?;
                failure
            }
            RunEnd::Unregistered if !http2 && protocol == Protocol::Auto => {
                log::warn("no connection over QUIC; trying HTTP/2");
                (http2, fallback) = (true, true);
                process::stop(PROCESS.to_owned()).await.map_err(host_failure)?;
                continue;
            }
            RunEnd::Unregistered => {
                process::stop(PROCESS.to_owned()).await.map_err(host_failure)?;
                log_reader.borrow().unregistered(retry_kind(&mode))
            }
        };
        let registered = log_reader.borrow().registered;
        let Some(pause) = pause(&mode, &failure, registered) else {
            return Err(failure);
        };
        let what = format!("{} Retrying in {} s", failure.message, pause / 1000);
        send_event(events, Event::Starting(what)).await?;
        if cancel.select(clock::sleep(pause)).await.is_none() {
            return Ok(());
        }
        fallback = false;
    }
}

/// `pause` is how long to wait before another name is requested. The plugin waits itself, because the host's pauses
/// start with a fraction of a second, and the service gives no name to a client that asks too often.
fn pause(mode: &Mode, failure: &Failure, registered: bool) -> Option<u64> {
    let quickly = *mode == Mode::Quick && failure.kind == FailureKind::Retry && !registered;
    let asked = usize::try_from(name_requests()).unwrap_or(usize::MAX);
    NAME_REQUEST_PAUSES
        .get(asked.checked_sub(1)?)
        .copied()
        .filter(|_| quickly)
}

fn starting(mode: &Mode, http2: bool) -> &'static str {
    match (mode, http2) {
        (Mode::Quick, false) => "Requesting a quick tunnel from Cloudflare",
        (Mode::Quick, true) => "Requesting a quick tunnel from Cloudflare, over HTTP/2",
        (Mode::Token { .. } | Mode::Credentials { .. }, false) => "Connecting to Cloudflare",
        (Mode::Token { .. } | Mode::Credentials { .. }, true) => "Connecting to Cloudflare over HTTP/2",
    }
}

/// `Plugin` is the plugin. It is public so that a native build, which exports nothing, uses it.
pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Descriptor {
        let settings = settings().await;
        let quick = settings.as_ref().is_ok_and(|settings| settings.mode == Mode::Quick);
        Descriptor {
            title: "Cloudflare Tunnel".to_owned(),
            url: if quick { UrlKind::Ephemeral } else { UrlKind::Stable },
            encryption: Encryption::Edge,
            // cloudflared's own page says whether it is connected.
            liveness: Liveness::Reported,
            // Quick tunnels hold an answer to a GET back until it ends.
            event_streams: !quick,
            client_address_header: Some("cf-connecting-ip".to_owned()),
            public_name_header: None,
            refused: refuse_settings(settings.err()),
        }
    }

    async fn check_availability() -> Availability {
        tunnel::check_availability(BINARY, "version", INSTALL, settings::version).await
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
