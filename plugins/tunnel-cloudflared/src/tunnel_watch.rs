//! Follows one running cloudflared: asks its pages again and again, tells the host what changes, and decides when it is past
//! help. All spans are of time awake ([`Awake`]): what slept, or was stopped, had no chance to come back.

use crate::log_lines::Words;
use crate::metrics_endpoint::{self, Address};
use crate::settings::{Mode, Protocol};
use crate::stored_state;
use nexus_plugin_api::awake::Awake;
use nexus_plugin_api::caps::clock;
use nexus_plugin_api::job::{Events, Gone};
use nexus_plugin_api::tunnel::{Event, Failure, FailureKind, Origin};
use std::cell::{Cell, RefCell};

/// Without a connection for this long after cloudflared has begun to try, QUIC does not come through.
const REGISTRATION: u64 = 20_000;
/// Before that it may ask for a name (15 seconds at most) and open its pages.
const BEGIN: u64 = 25_000;
/// Until the address of a tunnel that is managed elsewhere has arrived.
const ROUTES: u64 = 20_000;
/// What was up and did not come back by itself in this time is started again: its name stays.
const DOWN: u64 = 300_000;
/// The same for a quick tunnel, whose name goes with the process. The host, which can see whether there is a network at all,
/// is quicker where there is one.
const DOWN_QUICK: u64 = 3_600_000;
/// cloudflared goes on to try what Cloudflare does not accept; so long it may, if it was accepted once.
const REJECTED: u64 = 60_000;
/// Registrations that failed, after which more will.
const REFUSALS: u64 = 2;
/// A program whose pages do not answer for this long will not come back.
const HUNG: u64 = 60_000;
/// HTTP/2 that connects no later than this shows that there was a network all the time, and QUIC does not come through it.
const PROMPT: u64 = 10_000;
/// Up for so long, it was worth its name: the next one may be asked for quickly again.
const WELL: u64 = 60_000;
const LOOK: u64 = 250;
const LOOK_LATER: u64 = 2_000;
/// How often a cloudflared without a connection is asked whether it was refused.
const ASK: u64 = 1_000;
/// Between two looks, each with its questions, at most.
const GAP: u64 = 30_000;
/// Pages that do not answer so often in a row mean that nothing is up; once may be a busy machine.
const SILENT: u32 = 3;
const MEASURE: u64 = 10_000;

thread_local! {
    /// Names that were asked for since one was worth it. Lives as long as the instance.
    static ASKED: Cell<u32> = const { Cell::new(0) };
}
/// So many names are asked for quickly; then rarely, since asking too often is answered with none at all.
const QUICKLY: u32 = 3;

/// A process is started that asks for a name.
pub(crate) fn count_name_request() {
    ASKED.set(ASKED.get().saturating_add(1));
}

pub(crate) fn name_requests() -> u32 {
    ASKED.get()
}

/// What to do after a failure that a new start may help.
pub(crate) fn again(mode: &Mode) -> FailureKind {
    match mode {
        Mode::Quick if name_requests() >= QUICKLY => FailureKind::RetryLater,
        Mode::Quick | Mode::Token { .. } | Mode::Credentials { .. } => FailureKind::Retry,
    }
}

/// Why a process is not followed any more.
pub(crate) enum End {
    /// It ended.
    Exited,
    /// It runs on, to no purpose.
    Failed(Failure),
    /// No connection came about in time.
    Unregistered,
    /// The host does not read; the process stays for the next instance.
    Gone,
}

/// How the process that is followed was started.
pub(crate) struct Run<'a> {
    pub(crate) mode: &'a Mode,
    pub(crate) origin: &'a Origin,
    pub(crate) protocol: Protocol,
    pub(crate) http2: bool,
    /// It ran before this instance.
    pub(crate) adopted: bool,
    /// QUIC failed just now.
    pub(crate) fallback: bool,
    /// Tells the tunnel's secret from others.
    pub(crate) mark: Option<&'a str>,
}

/// What was told to the host.
#[derive(Default)]
struct Told {
    url: Option<String>,
    connections: Option<u32>,
    /// Why no request arrives, or what hinders the first connection.
    trouble: Option<String>,
    measured: Option<u64>,
    /// It was up in this process.
    up: bool,
}

/// What is known of the connections, in milliseconds awake.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Seen {
    now: u64,
    /// Its pages were there, since then.
    pages: Option<u64>,
    /// It had a connection, since then.
    ready: Option<u64>,
    /// It has none, since then.
    down: Option<u64>,
    /// Its pages do not answer any more, since then.
    silent: Option<u64>,
    /// It was up before: in this process, or in the one that was adopted.
    was_up: bool,
}

impl Seen {
    fn since(&self, time: Option<u64>) -> u64 {
        time.map_or(0, |time| self.now.saturating_sub(time))
    }
}

/// Asks the running cloudflared again and again, and tells what changes.
pub(crate) async fn follow(run: &Run<'_>, words: &RefCell<Words>, events: &mut Events<Event>) -> End {
    let mut awake = Awake::new(GAP);
    let (mut told, mut seen) = (Told::default(), Seen::default());
    let (mut connections, mut unanswered, mut asked) = (None, 0, None);
    loop {
        seen.now = awake.now();
        match metrics_endpoint::connections().await {
            Some(count) => {
                seen.pages.get_or_insert(seen.now);
                (connections, unanswered, seen.silent) = (Some(count), 0, None);
            }
            None => {
                unanswered += 1;
                seen.silent.get_or_insert(seen.now);
                connections = connections.filter(|_| unanswered < SILENT);
            }
        }
        words.borrow_mut().hangs = seen.pages.is_some() && unanswered >= SILENT;
        let up = connections.filter(|connections| *connections > 0);
        if up.is_some() {
            if seen.ready.is_none() {
                connected(run, seen.now).await;
            }
            seen.ready.get_or_insert(seen.now);
            (seen.down, seen.was_up) = (None, true);
            words.borrow_mut().connected();
            if seen.since(seen.ready) > WELL {
                ASKED.set(0);
            }
        } else {
            seen.down.get_or_insert(seen.now);
            seen.was_up |= run.adopted && words.borrow().registered;
            if connections.is_some() && asked.is_none_or(|at| seen.now.saturating_sub(at) >= ASK) {
                asked = Some(seen.now);
                if let Some(counted) = metrics_endpoint::counted().await {
                    words.borrow_mut().refused(counted.refused);
                }
            }
            if let Some(end) = given_up(run, &words.borrow(), &seen) {
                return end;
            }
        }
        let waited = seen.ready.is_some() && seen.since(seen.ready) > ROUTES;
        let address = match run.mode {
            // It does not change while the process lives.
            Mode::Quick | Mode::Credentials { .. } if told.url.is_some() => Address::Open,
            _ if connections.is_none() => Address::Open,
            _ => match (metrics_endpoint::address(run.mode, run.origin).await, run.mode) {
                // No word from the dashboard: cloudflared takes the address that we gave it.
                (Address::Open, Mode::Token { hostname: Some(name) }) if waited => {
                    Address::Known(format!("https://{name}"))
                }
                (address, _) => address,
            },
        };
        told.up |= seen.was_up;
        if tell(&mut told, up, address, waited, words, events).await.is_err() {
            return End::Gone;
        }
        if up.is_some() && told.measured.is_none_or(|at| seen.now.saturating_sub(at) > MEASURE) {
            told.measured = Some(seen.now);
            if let Some(counted) = metrics_endpoint::counted().await {
                words.borrow_mut().refusals_before = counted.refused;
                if events.send(Event::Measured(counted.statistics)).await.is_err() {
                    return End::Gone;
                }
            }
        }
        let settled = up.is_some() || seen.now > 2 * REGISTRATION;
        clock::sleep(if settled { LOOK_LATER } else { LOOK }).await;
    }
}

/// The first connection of a process; `after`: milliseconds since it is followed.
async fn connected(run: &Run<'_>, after: u64) {
    stored_state::accepted(run.mark).await;
    if run.fallback && after <= PROMPT {
        stored_state::remember_http2().await;
    }
    if !run.http2 && run.protocol == Protocol::Auto {
        stored_state::forget_http2().await;
    }
}

/// Whether a tunnel without a connection is past help.
fn given_up(run: &Run<'_>, words: &Words, seen: &Seen) -> Option<End> {
    let (mode, down) = (run.mode, seen.since(seen.down));
    if let Some(failure) = words.hopeless(mode)
        && (!seen.was_up || down > REJECTED)
    {
        return Some(End::Failed(failure));
    }
    // Over QUIC nothing says why. With `auto` a tunnel of one's own is tried over HTTP/2 by cloudflared itself, which says it.
    let unsaid = *mode == Mode::Quick || run.protocol != Protocol::Auto || run.http2 || seen.was_up;
    if unsaid
        && words.refusals() >= REFUSALS
        && (!seen.was_up || down > REJECTED)
        && let Some(failure) = words.unsaid(mode)
    {
        return Some(End::Failed(failure));
    }
    if seen.pages.is_some() && seen.silent.is_some() && seen.since(seen.silent) > HUNG {
        return Some(End::Failed(started_anew(mode, format!("{}.", words.trouble()))));
    }
    // It reconnects by itself and keeps its name, for a while.
    if seen.was_up {
        let patience = if *mode == Mode::Quick { DOWN_QUICK } else { DOWN };
        return (down > patience).then(|| End::Failed(words.unregistered(FailureKind::Retry)));
    }
    match seen.pages {
        Some(_) if seen.since(seen.pages) > REGISTRATION => Some(End::Unregistered),
        None if seen.now > BEGIN => {
            let message = format!(
                "cloudflared did not start to work within {} seconds: {}.",
                BEGIN / 1000,
                words.trouble()
            );
            Some(End::Failed(started_anew(mode, message)))
        }
        _ => None,
    }
}

fn started_anew(mode: &Mode, message: String) -> Failure {
    Failure {
        kind: again(mode),
        message,
        hint: None,
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
        // What never was up is still being opened.
        (None, _, _) if !told.up => {
            let hinders = words.borrow().hinders();
            url(told, address, events).await?;
            return match hinders {
                Some(why) if told.trouble.as_ref() != Some(&why) => {
                    told.trouble = Some(why.clone());
                    events
                        .send(Event::Starting(format!("Connecting to Cloudflare: {why}")))
                        .await
                }
                Some(_) | None => Ok(()),
            };
        }
        (None, _, _) => Some(words.borrow().trouble()),
        (Some(_), Address::Elsewhere(why), _) => Some(why.clone()),
        (Some(_), Address::Open, None) if waited => {
            Some("Cloudflare has not reported the routes of this tunnel yet.".to_owned())
        }
        (Some(_), Address::Open, None) => return Ok(()),
        (Some(_), _, _) => None,
    };
    url(told, address, events).await?;
    match trouble {
        Some(why) if told.connections.is_some() || told.trouble.as_ref() != Some(&why) => {
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

#[cfg(test)]
#[path = "tunnel_watch_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
