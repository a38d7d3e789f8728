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

use host_errors::{INSTALL, refused};
use log_lines::{Exit, Words};
use nexus_plugin_api::caps::process::{self, Outcome};
use nexus_plugin_api::caps::{clock, secrets};
use nexus_plugin_api::job::{Cancel, Events, Job, race, retry, within};
use nexus_plugin_api::tunnel::{
    self, Availability, Descriptor, Encryption, Error, Event, Failure, FailureKind, Guest, Origin, UrlKind, job, say,
};
use nexus_plugin_api::{FutureReader, config, log, refusals};
use settings::{Authored, BINARY, CREDENTIALS, Given, Mode, PROCESS, Protocol, Settings, TOKEN};
use std::cell::RefCell;
use tunnel_watch::{End, Run, again, count_name_request, follow, name_requests};

/// Before a name is asked for again: what the quick service did not do at once it often does seconds later.
const ASK_AGAIN: [u64; 2] = [2_000, 5_000];
/// Requests that run when the tunnel is to close may end for this long. cloudflared's own grace is as long over QUIC also
/// where nothing runs, so it is short.
const DRAIN: u64 = 4_000;
const DRAIN_LOOK: u64 = 200;
/// For a page of a program that may hang.
const DRAIN_PAGE: u64 = 1_000;

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
    let credentials = given(CREDENTIALS)?;
    Settings::of(
        authored,
        Given {
            token: given(TOKEN)?,
            credentials: credentials.as_deref().map(settings::tunnel_id).transpose()?,
        },
    )
}

/// What tells Cloudflare whose tunnel it is; a quick one is nobody's.
fn own_secret(mode: &Mode) -> Result<Option<String>, Failure> {
    match mode {
        Mode::Quick => Ok(None),
        Mode::Token { .. } => given(TOKEN),
        Mode::Credentials { .. } => given(CREDENTIALS),
    }
}

/// Closes the tunnel; what runs through it may end.
async fn stop() -> Result<(), Failure> {
    let drained = async {
        while let Some(Some(counted)) = within(DRAIN_PAGE, metrics_endpoint::counted()).await
            && counted.running > 0
        {
            clock::sleep(DRAIN_LOOK).await;
        }
    };
    // None: it took too long.
    let _: Option<()> = within(DRAIN, drained).await;
    process::stop(PROCESS.to_owned()).await.map(drop).map_err(refused)
}

async fn keep_open(origin: Origin, events: &mut Events<Event>, cancel: &mut Cancel) -> Result<(), Failure> {
    let Settings { mode, protocol, token } = settings()?;
    let mark = own_secret(&mode)?.map(|secret| stored_state::mark(&secret));
    let accepted = stored_state::was_accepted(mark.as_deref()).await;
    let mut http2 = match (protocol, stored_state::running_over_http2(&origin).await) {
        (Protocol::Auto, Some(http2)) => http2,
        (Protocol::Auto, None) => stored_state::http2_is_remembered().await,
        (Protocol::Quic | Protocol::Http2, _) => false,
    };
    // Whether HTTP/2 is tried because QUIC failed just now.
    let mut fallback = false;
    loop {
        say(events, Event::Starting(starting(&mode, http2).to_owned())).await?;
        stored_state::started_over(&origin, http2).await;
        let spec = settings::spec(&mode, token.as_ref(), http2, protocol, &origin);
        let running = process::ensure(PROCESS.to_owned(), spec).await.map_err(refused)?;
        let adopted = running.outcome == Outcome::Adopted;
        if mode == Mode::Quick && !adopted {
            count_name_request();
        }
        let words = RefCell::new(Words::new(accepted));
        let mut output = process::lines(PROCESS).map_err(refused)?;
        let read = async {
            while let Some(line) = output.next().await {
                let mut words = words.borrow_mut();
                words.read(&line.text);
                // So much was written since its start that the first lines are gone: it was up long ago.
                words.registered |= line.dropped > 0;
            }
            End::Exited
        };
        let run = Run {
            mode: &mode,
            origin: &origin,
            protocol,
            http2,
            adopted,
            fallback,
            mark: mark.as_deref(),
        };
        let follow = race(read, follow(&run, &words, events));
        let Some(end) = cancel.select(follow).await else {
            return stop().await;
        };
        let failure = match end {
            End::Gone => return Err(retry("The host stopped reading the tunnel's events.")),
            End::Exited => {
                let exit = process::exited(PROCESS.to_owned()).await.map_err(refused)?;
                let exit = match (exit.code, exit.signal) {
                    (Some(code), _) => Exit::Code(code),
                    (None, signal) => Exit::Signal(signal.unwrap_or_default()),
                };
                words.borrow().failure(&mode, exit, again(&mode))
            }
            End::Failed(failure) => {
                process::stop(PROCESS.to_owned()).await.map_err(refused)?;
                failure
            }
            End::Unregistered if !http2 && protocol == Protocol::Auto => {
                log::warn("no connection over QUIC; trying HTTP/2");
                (http2, fallback) = (true, true);
                process::stop(PROCESS.to_owned()).await.map_err(refused)?;
                continue;
            }
            End::Unregistered => {
                process::stop(PROCESS.to_owned()).await.map_err(refused)?;
                words.borrow().unregistered(again(&mode))
            }
        };
        let registered = words.borrow().registered;
        let Some(pause) = pause(&mode, &failure, registered) else {
            return Err(failure);
        };
        let what = format!("{} Retrying in {} s", failure.message, pause / 1000);
        say(events, Event::Starting(what)).await?;
        if cancel.select(clock::sleep(pause)).await.is_none() {
            return Ok(());
        }
        fallback = false;
    }
}

/// How long to wait before a name is asked for again, here and not by the host's own pauses: they begin with a fraction of
/// a second, and the service answers who asks too often with no name at all.
fn pause(mode: &Mode, failure: &Failure, registered: bool) -> Option<u64> {
    let quickly = *mode == Mode::Quick && failure.kind == FailureKind::Retry && !registered;
    let asked = usize::try_from(name_requests()).unwrap_or(usize::MAX);
    ASK_AGAIN.get(asked.checked_sub(1)?).copied().filter(|_| quickly)
}

fn starting(mode: &Mode, http2: bool) -> &'static str {
    match (mode, http2) {
        (Mode::Quick, false) => "Requesting a quick tunnel from Cloudflare",
        (Mode::Quick, true) => "Requesting a quick tunnel from Cloudflare, over HTTP/2",
        (Mode::Token { .. } | Mode::Credentials { .. }, false) => "Connecting to Cloudflare",
        (Mode::Token { .. } | Mode::Credentials { .. }, true) => "Connecting to Cloudflare over HTTP/2",
    }
}

/// The plugin. Public so that a native build, which exports nothing, uses it.
pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Descriptor {
        let settings = settings();
        let quick = settings.as_ref().is_ok_and(|settings| settings.mode == Mode::Quick);
        Descriptor {
            title: "Cloudflare Tunnel".to_owned(),
            url: if quick { UrlKind::Ephemeral } else { UrlKind::Stable },
            encryption: Encryption::Edge,
            // Quick tunnels hold an answer to a GET back until it ends.
            event_streams: !quick,
            client_address_header: Some("cf-connecting-ip".to_owned()),
            ext: refusals(settings.err()),
        }
    }

    async fn check_availability() -> Availability {
        tunnel::check_availability(BINARY, "version", INSTALL, settings::version).await
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
