//! A Cloudflare Tunnel, by the program cloudflared.
//!
//! cloudflared runs as the host's process `tunnel`. A printed address is no working tunnel: whether one is up is asked at
//! cloudflared's own pages, again and again, and what it writes only explains failures. cloudflared itself reconnects
//! for ever, also where that cannot help, so this plugin keeps the time: a tunnel that Cloudflare does not accept is ended,
//! and one that never gets a connection is tried once more over HTTP/2, which a quick tunnel does not do by itself.

mod pages;
mod settings;
mod words;

use nexus_plugin_api::caps::process::{self, Outcome};
use nexus_plugin_api::caps::{clock, secrets, store};
use nexus_plugin_api::job::{Cancel, Events, Gone, Job, race, retry, within};
use nexus_plugin_api::tunnel::{
    self, Availability, Descriptor, Encryption, Error, Event, Failure, Guest, Origin, UrlKind, job, say,
};
use nexus_plugin_api::{FutureReader, config, log};
use pages::Address;
use settings::{Authored, BINARY, CREDENTIALS, Given, Mode, PROCESS, Protocol, Settings, TOKEN};
use std::cell::RefCell;
use words::{Exit, Words};

const INSTALL: &str = "Install cloudflared (https://developers.cloudflare.com/tunnel, or your package manager), or say where \
                       it is in `[plugin.tunnel-cloudflared.grants.process.cloudflared]`.";
/// Without a connection for this long after cloudflared has begun to try, QUIC does not come through.
const REGISTRATION: u64 = 20_000;
/// Before that it may ask for a name (15 seconds at most) and open its pages.
const BEGIN: u64 = 25_000;
/// Until the address of a tunnel that is managed elsewhere has arrived.
const ROUTES: u64 = 20_000;
/// What was up and did not come back by itself in this time is started again.
const DOWN: u64 = 300_000;
/// cloudflared goes on to try what Cloudflare does not accept; so long it may, if it was accepted once.
const REJECTED: u64 = 60_000;
const LOOK: u64 = 250;
const LOOK_LATER: u64 = 2_000;
/// Pages that do not answer so often in a row mean that nothing is up; once may be a busy machine.
const SILENT: u32 = 3;
const MEASURE: u64 = 10_000;
/// For this long it is remembered that QUIC does not come through.
const REMEMBER: u64 = 24 * 3600 * 1000;
const HTTP2: &str = "http2";
/// How the process that leads to a port was started: an instance that adopts it must ask for the same. One key for each
/// tunnel, by the port of its origin.
const STARTED: &str = "started.";
const TUNNELS: usize = 16;

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
    let credentials = given(CREDENTIALS)?;
    Settings::of(
        authored,
        Given {
            token: given(TOKEN)?.is_some(),
            credentials: credentials.as_deref().map(settings::tunnel_id).transpose()?,
        },
    )
}

/// Whether QUIC is known not to come through. What cannot be read is not known.
async fn http2_is_remembered() -> bool {
    let since = async {
        let bytes = store::get(HTTP2.to_owned()).await.ok()??;
        String::from_utf8(bytes).ok()?.parse::<u64>().ok()
    };
    let since = since.await;
    since.is_some_and(|since| clock::now().saturating_sub(since) < REMEMBER)
}

async fn remember_http2() {
    keep(HTTP2, clock::now().to_string().into_bytes()).await;
}

/// Whether the running process was started over HTTP/2; none: nothing runs.
async fn running_over_http2(origin: &Origin) -> Option<bool> {
    // The future of a process that runs does not complete.
    if within(50, process::exited(PROCESS.to_owned())).await.is_some() {
        return None;
    }
    let started = store::get(format!("{STARTED}{}", origin.port)).await;
    Some(started.is_ok_and(|value| value.is_some_and(|value| value == HTTP2.as_bytes())))
}

async fn started_over(origin: &Origin, http2: bool) {
    // Ports of earlier lives of the host mean nothing any more.
    if let Ok(old) = store::keys(STARTED.to_owned(), None).await
        && old.len() >= TUNNELS
    {
        for key in old {
            let _ = store::delete(key).await;
        }
    }
    let value = if http2 { HTTP2 } else { "auto" };
    keep(&format!("{STARTED}{}", origin.port), value.as_bytes().to_vec()).await;
}

async fn keep(key: &str, value: Vec<u8>) {
    // It costs a later start some seconds, or an adoption.
    if let Err(error) = store::set(key.to_owned(), value).await {
        log::warn(format!(
            "it cannot be remembered which protocol comes through: {error:?}"
        ));
    }
}

/// Why a process is not followed any more.
enum End {
    /// It ended.
    Exited,
    /// It runs on, to no purpose.
    Failed(Failure),
    /// No connection came about in time.
    Unregistered,
    /// The host does not read; the process stays for the next instance.
    Gone,
}

async fn keep_open(origin: Origin, events: &mut Events<Event>, cancel: &mut Cancel) -> Result<(), Failure> {
    let Settings { mode, protocol } = settings()?;
    let mut http2 = match (protocol, running_over_http2(&origin).await) {
        (Protocol::Auto, Some(http2)) => http2,
        (Protocol::Auto, None) => http2_is_remembered().await,
        (Protocol::Quic | Protocol::Http2, _) => false,
    };
    // Whether HTTP/2 is tried because QUIC failed just now.
    let mut fallback = false;
    loop {
        say(events, Event::Starting(starting(&mode, http2).to_owned())).await?;
        started_over(&origin, http2).await;
        let spec = settings::spec(&mode, http2, protocol, &origin);
        let running = process::ensure(PROCESS.to_owned(), spec).await.map_err(refused)?;
        let adopted = running.outcome == Outcome::Adopted;
        let words = RefCell::new(Words::default());
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
        let follow = race(read, follow(&mode, &origin, (adopted, fallback), &words, events));
        let Some(end) = cancel.select(follow).await else {
            process::stop(PROCESS.to_owned()).await.map_err(refused)?;
            return Ok(());
        };
        let failure = match end {
            End::Gone => return Err(retry("The host stopped reading the tunnel's events.")),
            End::Exited => {
                let exit = process::exited(PROCESS.to_owned()).await.map_err(refused)?;
                let exit = match (exit.code, exit.signal) {
                    (Some(code), _) => Exit::Code(code),
                    (None, signal) => Exit::Signal(signal.unwrap_or_default()),
                };
                return Err(words.borrow().failure(&mode, exit));
            }
            End::Failed(failure) => failure,
            End::Unregistered if !http2 && protocol == Protocol::Auto => {
                log::warn("no connection over QUIC; trying HTTP/2");
                (http2, fallback) = (true, true);
                process::stop(PROCESS.to_owned()).await.map_err(refused)?;
                continue;
            }
            End::Unregistered => words.borrow().unregistered(&mode),
        };
        process::stop(PROCESS.to_owned()).await.map_err(refused)?;
        return Err(failure);
    }
}

fn starting(mode: &Mode, http2: bool) -> &'static str {
    match (mode, http2) {
        (Mode::Quick, false) => "Asking Cloudflare for a quick tunnel",
        (Mode::Quick, true) => "Asking Cloudflare for a quick tunnel, over HTTP/2",
        (Mode::Token { .. } | Mode::Credentials { .. }, false) => "Connecting to Cloudflare",
        (Mode::Token { .. } | Mode::Credentials { .. }, true) => "Connecting to Cloudflare over HTTP/2",
    }
}

/// What was told to the host.
#[derive(Default)]
struct Told {
    url: Option<String>,
    connections: Option<u32>,
    /// Why no request arrives.
    trouble: Option<String>,
    measured: Option<u64>,
}

/// Asks the running cloudflared again and again, and tells what changes. `fallback`: QUIC failed just now.
async fn follow(
    mode: &Mode,
    origin: &Origin,
    (adopted, fallback): (bool, bool),
    words: &RefCell<Words>,
    events: &mut Events<Event>,
) -> End {
    let begun = clock::now();
    let mut told = Told::default();
    // Since when its pages are there, since when a connection is, and since when none is.
    let (mut pages_since, mut ready_since, mut down_since) = (None, None, None);
    let (mut connections, mut silent) = (None, 0);
    loop {
        let now = clock::now();
        match pages::connections().await {
            Some(count) => {
                pages_since.get_or_insert(now);
                (connections, silent) = (Some(count), 0);
            }
            None => {
                silent += 1;
                connections = connections.filter(|_| silent < SILENT);
            }
        }
        let up = connections.filter(|connections| *connections > 0);
        if up.is_some() {
            if ready_since.is_none() && fallback {
                remember_http2().await;
            }
            ready_since.get_or_insert(now);
            down_since = None;
        } else {
            let down = now.saturating_sub(*down_since.get_or_insert(now));
            let was_up = ready_since.is_some() || (adopted && words.borrow().registered);
            if let Some(end) = given_up(mode, words, was_up, down, now, begun, pages_since) {
                return end;
            }
        }
        let waited = ready_since.is_some_and(|since| now.saturating_sub(since) > ROUTES);
        let address = match mode {
            // It does not change while the process lives.
            Mode::Quick | Mode::Credentials { .. } if told.url.is_some() => Address::Open,
            _ if connections.is_none() => Address::Open,
            _ => match (pages::address(mode, origin).await, mode) {
                // No word from the dashboard: cloudflared takes the address that we gave it.
                (Address::Open, Mode::Token { hostname: Some(name) }) if waited => {
                    Address::Known(format!("https://{name}"))
                }
                (address, _) => address,
            },
        };
        if tell(&mut told, up, address, waited, words, events).await.is_err() {
            return End::Gone;
        }
        if up.is_some() && told.measured.is_none_or(|at| now.saturating_sub(at) > MEASURE) {
            told.measured = Some(now);
            if let Some(figures) = pages::figures().await
                && events.send(Event::Measured(figures)).await.is_err()
            {
                return End::Gone;
            }
        }
        let settled = up.is_some() || now.saturating_sub(begun) > 2 * REGISTRATION;
        clock::sleep(if settled { LOOK_LATER } else { LOOK }).await;
    }
}

/// Whether a tunnel without a connection is past help. `down`: for how long there is none.
fn given_up(
    mode: &Mode,
    words: &RefCell<Words>,
    was_up: bool,
    down: u64,
    now: u64,
    begun: u64,
    pages_since: Option<u64>,
) -> Option<End> {
    let words = words.borrow();
    if let Some(failure) = words.hopeless(mode)
        && (!was_up || down > REJECTED)
    {
        return Some(End::Failed(failure));
    }
    // It reconnects by itself and keeps its name, for a while.
    if was_up {
        return (down > DOWN).then(|| End::Failed(words.unregistered(mode)));
    }
    match pages_since {
        Some(since) if now.saturating_sub(since) > REGISTRATION => Some(End::Unregistered),
        None if now.saturating_sub(begun) > BEGIN => Some(End::Failed(retry(format!(
            "cloudflared did not begin to work in {} seconds: {}.",
            BEGIN / 1000,
            words.trouble()
        )))),
        _ => None,
    }
}

/// `waited`: the address of a tunnel with connections should be known by now.
async fn tell(
    told: &mut Told,
    up: Option<u32>,
    address: Address,
    waited: bool,
    words: &RefCell<Words>,
    events: &mut Events<Event>,
) -> Result<(), Gone> {
    let trouble = match (up, &address, &told.url) {
        (None, _, None) => return url(told, address, events).await,
        (None, _, Some(_)) => Some(words.borrow().trouble()),
        (Some(_), Address::Elsewhere(why), _) => Some(why.clone()),
        (Some(_), Address::Open, None) if waited => {
            Some("Cloudflare has not said yet where requests for this tunnel lead.".to_owned())
        }
        (Some(_), Address::Open, None) => return Ok(()),
        (Some(_), _, _) => None,
    };
    url(told, address, events).await?;
    match trouble {
        Some(why) if told.trouble.as_ref() != Some(&why) => {
            (told.trouble, told.connections) = (Some(why.clone()), None);
            events.send(Event::Reconnecting(why)).await
        }
        None if told.connections != up => {
            (told.trouble, told.connections) = (None, up);
            events.send(Event::Ready(up.unwrap_or_default())).await
        }
        Some(_) | None => Ok(()),
    }
}

async fn url(told: &mut Told, address: Address, events: &mut Events<Event>) -> Result<(), Gone> {
    match address {
        Address::Known(url) if told.url.as_ref() != Some(&url) => {
            told.url = Some(url.clone());
            events.send(Event::Url(url)).await
        }
        Address::Known(_) | Address::Open | Address::Elsewhere(_) => Ok(()),
    }
}

/// The plugin. Public so that a native build, which exports nothing, uses it.
pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Descriptor {
        let quick = settings().is_ok_and(|settings| settings.mode == Mode::Quick);
        Descriptor {
            title: "Cloudflare Tunnel".to_owned(),
            url: if quick { UrlKind::Ephemeral } else { UrlKind::Stable },
            encryption: Encryption::Edge,
            // Quick tunnels hold an answer to a GET back until it ends.
            event_streams: !quick,
            client_address_header: Some("cf-connecting-ip".to_owned()),
            ext: Vec::new(),
        }
    }

    async fn probe() -> Availability {
        tunnel::probe(BINARY, "version", INSTALL, settings::version).await
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
