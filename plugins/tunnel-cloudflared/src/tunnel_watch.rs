//! Follows one running cloudflared: asks its pages again and again, tells the host what changes, and decides when it is past
//! help. All spans are of time awake ([`AwakeClock`]): what slept, or was stopped, had no chance to come back.

use crate::log_lines::LogReader;
use crate::metrics_endpoint::{self, Address};
use crate::settings::{Mode, Protocol};
use crate::stored_state;
use nexus_plugin_api::awake_clock::AwakeClock;
use nexus_plugin_api::caps::clock;
use nexus_plugin_api::job::{Events, HostDisconnected};
use nexus_plugin_api::tunnel::{Event, Failure, FailureKind, Origin};
use std::cell::{Cell, RefCell};

/// `REGISTRATION_TIMEOUT` is how many milliseconds without a connection, after cloudflared has begun to connect, mean
/// that QUIC is blocked.
const REGISTRATION_TIMEOUT: u64 = 20_000;
/// `START_TIMEOUT` is how many milliseconds cloudflared has before that to request a name (15 seconds at most) and to
/// open its pages.
const START_TIMEOUT: u64 = 25_000;
/// `ROUTES_TIMEOUT` is how many milliseconds the routes of a tunnel that the dashboard manages may take to arrive.
const ROUTES_TIMEOUT: u64 = 20_000;
/// `RECONNECT_TIMEOUT` is how many milliseconds a tunnel may take to reconnect before it is restarted; its name stays.
const RECONNECT_TIMEOUT: u64 = 300_000;
/// `RECONNECT_TIMEOUT_QUICK` is the same for a quick tunnel, whose name ends with the process. The host, which can
/// check the network, restarts it sooner if there is one.
const RECONNECT_TIMEOUT_QUICK: u64 = 3_600_000;
/// `REJECTION_TIMEOUT` is how many milliseconds cloudflared may retry after a rejection if Cloudflare accepted the
/// tunnel before.
const REJECTION_TIMEOUT: u64 = 60_000;
/// `MAX_REGISTRATION_FAILURES` is the number of failed registrations after which all further ones are expected to fail.
const MAX_REGISTRATION_FAILURES: u64 = 2;
/// `METRICS_TIMEOUT` is how many milliseconds the pages may not answer before cloudflared is restarted.
const METRICS_TIMEOUT: u64 = 60_000;
/// `PROMPT_CONNECTION` is how many milliseconds HTTP/2 may take to connect to show that the network worked and only
/// QUIC is blocked.
const PROMPT_CONNECTION: u64 = 10_000;
/// `STABLE_AFTER` is how many milliseconds of a connection make a tunnel stable: the next name may be requested quickly
/// again.
const STABLE_AFTER: u64 = 60_000;
const POLL_INTERVAL: u64 = 250;
const POLL_INTERVAL_CONNECTED: u64 = 2_000;
/// `FAILURES_INTERVAL` is how often, in milliseconds, the failed registrations of an unconnected tunnel are read.
const FAILURES_INTERVAL: u64 = 1_000;
/// `LONGEST_GAP` is the longest time in milliseconds between two iterations with their requests.
const LONGEST_GAP: u64 = 30_000;
/// `MAX_UNANSWERED` is how many unanswered requests in a row mean that the tunnel is not connected; one may mean a busy
/// machine.
const MAX_UNANSWERED: u32 = 3;
const STATISTICS_INTERVAL: u64 = 10_000;

thread_local! {
    /// `NAME_REQUESTS` is how many names were requested since the last stable tunnel. It lives as long as the instance.
    static NAME_REQUESTS: Cell<u32> = const { Cell::new(0) };
}
/// `MAX_QUICK_REQUESTS` is how many names are requested quickly; later ones are requested rarely, because the service
/// gives none to a client that asks too often.
const MAX_QUICK_REQUESTS: u32 = 3;

/// `count_name_request` counts a process that requests a name.
pub(crate) fn count_name_request() {
    NAME_REQUESTS.set(NAME_REQUESTS.get().saturating_add(1));
}

pub(crate) fn name_requests() -> u32 {
    NAME_REQUESTS.get()
}

/// `retry_kind` is the kind of a failure after which a restart may help.
pub(crate) fn retry_kind(mode: &Mode) -> FailureKind {
    match mode {
        Mode::Quick if name_requests() >= MAX_QUICK_REQUESTS => FailureKind::RetryLater,
        Mode::Quick | Mode::Token { .. } | Mode::Credentials { .. } => FailureKind::Retry,
    }
}

/// `RunEnd` is the reason why a process is no longer followed.
pub(crate) enum RunEnd {
    /// `Exited`: the process exited.
    Exited,
    /// `Failed`: the process is running, but cannot succeed.
    Failed(Failure),
    /// `Unregistered`: no connection was registered in time.
    Unregistered,
    /// `HostDisconnected`: the host stopped reading; the process stays for the next instance.
    HostDisconnected,
}

/// `RunContext` is how the followed process was started.
pub(crate) struct RunContext<'a> {
    pub(crate) mode: &'a Mode,
    pub(crate) origin: &'a Origin,
    pub(crate) protocol: Protocol,
    pub(crate) http2: bool,
    /// `adopted`: the process ran before this instance.
    pub(crate) adopted: bool,
    /// `fallback`: QUIC has just failed.
    pub(crate) fallback: bool,
    /// Tells the tunnel's secret from others.
    pub(crate) mark: Option<&'a str>,
}

/// `ReportedState` is what was reported to the host.
#[derive(Default)]
struct ReportedState {
    url: Option<String>,
    connections: Option<u32>,
    /// `trouble` is the reason why no request arrives, or why the first connection is not ready.
    trouble: Option<String>,
    measured: Option<u64>,
    /// `up`: it was connected in this process.
    up: bool,
}

/// `ObservedState` is what is known of the connections, with times in milliseconds awake.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct ObservedState {
    now: u64,
    /// `pages` is since when its pages have been available.
    pages: Option<u64>,
    /// `ready` is since when it has been connected.
    ready: Option<u64>,
    /// `down` is since when it has not been connected.
    down: Option<u64>,
    /// `silent` is since when its pages have not answered.
    silent: Option<u64>,
    /// `was_up`: it was connected before: in this process, or in the adopted one.
    was_up: bool,
}

impl ObservedState {
    fn since(&self, time: Option<u64>) -> u64 {
        time.map_or(0, |time| self.now.saturating_sub(time))
    }
}

/// Asks the running cloudflared again and again, and tells what changes.
pub(crate) async fn follow(
    run: &RunContext<'_>,
    log_reader: &RefCell<LogReader>,
    events: &mut Events<Event>,
) -> RunEnd {
    let mut awake = AwakeClock::new(LONGEST_GAP);
    let (mut reported, mut observed) = (ReportedState::default(), ObservedState::default());
    let (mut connections, mut unanswered, mut asked) = (None, 0, None);
    loop {
        observed.now = awake.elapsed();
        match metrics_endpoint::connections().await {
            Some(count) => {
                observed.pages.get_or_insert(observed.now);
                (connections, unanswered, observed.silent) = (Some(count), 0, None);
            }
            None => {
                unanswered += 1;
                observed.silent.get_or_insert(observed.now);
                connections = connections.filter(|_| unanswered < MAX_UNANSWERED);
            }
        }
        log_reader.borrow_mut().hangs = observed.pages.is_some() && unanswered >= MAX_UNANSWERED;
        let up = connections.filter(|connections| *connections > 0);
        if up.is_some() {
            if observed.ready.is_none() {
                connected(run, observed.now).await;
            }
            observed.ready.get_or_insert(observed.now);
            (observed.down, observed.was_up) = (None, true);
            log_reader.borrow_mut().connected();
            if observed.since(observed.ready) > STABLE_AFTER {
                NAME_REQUESTS.set(0);
            }
        } else {
            observed.down.get_or_insert(observed.now);
            observed.was_up |= run.adopted && log_reader.borrow().registered;
            if connections.is_some() && asked.is_none_or(|at| observed.now.saturating_sub(at) >= FAILURES_INTERVAL) {
                asked = Some(observed.now);
                if let Some(counted) = metrics_endpoint::sample().await {
                    log_reader
                        .borrow_mut()
                        .set_registration_failures(counted.registration_failures);
                }
            }
            if let Some(end) = end_of_unconnected(run, &log_reader.borrow(), &observed) {
                return end;
            }
        }
        let waited = observed.ready.is_some() && observed.since(observed.ready) > ROUTES_TIMEOUT;
        let address = match run.mode {
            // It does not change while the process lives.
            Mode::Quick | Mode::Credentials { .. } if reported.url.is_some() => Address::Unknown,
            _ if connections.is_none() => Address::Unknown,
            _ => match (metrics_endpoint::address(run.mode, run.origin).await, run.mode) {
                // No word from the dashboard: cloudflared takes the address that we gave it.
                (Address::Unknown, Mode::Token { hostname: Some(name) }) if waited => {
                    Address::Known(format!("https://{name}"))
                }
                (address, _) => address,
            },
        };
        reported.up |= observed.was_up;
        if report_changes(&mut reported, up, address, waited, log_reader, events)
            .await
            .is_err()
        {
            return RunEnd::HostDisconnected;
        }
        if up.is_some()
            && reported
                .measured
                .is_none_or(|at| observed.now.saturating_sub(at) > STATISTICS_INTERVAL)
        {
            reported.measured = Some(observed.now);
            if let Some(counted) = metrics_endpoint::sample().await {
                log_reader.borrow_mut().registration_failures_before = counted.registration_failures;
                if events.send(Event::Measured(counted.statistics)).await.is_err() {
                    return RunEnd::HostDisconnected;
                }
            }
        }
        let settled = up.is_some() || observed.now > 2 * REGISTRATION_TIMEOUT;
        clock::sleep(if settled {
            POLL_INTERVAL_CONNECTED
        } else {
            POLL_INTERVAL
        })
        .await;
    }
}

/// `connected` stores what the first connection of a process shows; `after`: milliseconds since the process is
/// followed.
async fn connected(run: &RunContext<'_>, after: u64) {
    stored_state::accepted(run.mark).await;
    if run.fallback && after <= PROMPT_CONNECTION {
        stored_state::remember_http2().await;
    }
    if !run.http2 && run.protocol == Protocol::Auto {
        stored_state::forget_http2().await;
    }
}

/// `end_of_unconnected` is the end of a tunnel without a connection that cannot recover by itself.
fn end_of_unconnected(run: &RunContext<'_>, log_reader: &LogReader, observed: &ObservedState) -> Option<RunEnd> {
    let (mode, down) = (run.mode, observed.since(observed.down));
    if let Some(failure) = log_reader.rejection_failure(mode)
        && (!observed.was_up || down > REJECTION_TIMEOUT)
    {
        return Some(RunEnd::Failed(failure));
    }
    // Over QUIC nothing says why. With `auto` a tunnel of one's own is tried over HTTP/2 by cloudflared itself, which says it.
    let unsaid = *mode == Mode::Quick || run.protocol != Protocol::Auto || run.http2 || observed.was_up;
    if unsaid
        && log_reader.registration_failures() >= MAX_REGISTRATION_FAILURES
        && (!observed.was_up || down > REJECTION_TIMEOUT)
        && let Some(failure) = log_reader.unexplained_failure(mode)
    {
        return Some(RunEnd::Failed(failure));
    }
    if observed.pages.is_some() && observed.silent.is_some() && observed.since(observed.silent) > METRICS_TIMEOUT {
        return Some(RunEnd::Failed(retry_failure(
            mode,
            format!("{}.", log_reader.trouble()),
        )));
    }
    // It reconnects by itself and keeps its name, for a while.
    if observed.was_up {
        let patience = if *mode == Mode::Quick {
            RECONNECT_TIMEOUT_QUICK
        } else {
            RECONNECT_TIMEOUT
        };
        return (down > patience).then(|| RunEnd::Failed(log_reader.unregistered(FailureKind::Retry)));
    }
    match observed.pages {
        Some(_) if observed.since(observed.pages) > REGISTRATION_TIMEOUT => Some(RunEnd::Unregistered),
        None if observed.now > START_TIMEOUT => {
            let message = format!(
                "cloudflared did not start to work within {} seconds: {}.",
                START_TIMEOUT / 1000,
                log_reader.trouble()
            );
            Some(RunEnd::Failed(retry_failure(mode, message)))
        }
        _ => None,
    }
}

fn retry_failure(mode: &Mode, message: String) -> Failure {
    Failure {
        kind: retry_kind(mode),
        message,
        hint: None,
    }
}

/// `waited`: the address of a tunnel with connections should be known by now.
async fn report_changes(
    reported: &mut ReportedState,
    up: Option<u32>,
    address: Address,
    waited: bool,
    log_reader: &RefCell<LogReader>,
    events: &mut Events<Event>,
) -> Result<(), HostDisconnected> {
    let trouble = match (up, &address, &reported.url) {
        // What never was up is still being opened.
        (None, _, _) if !reported.up => {
            let hinders = log_reader.borrow().known_trouble();
            report_url(reported, address, events).await?;
            return match hinders {
                Some(why) if reported.trouble.as_ref() != Some(&why) => {
                    reported.trouble = Some(why.clone());
                    events
                        .send(Event::Starting(format!("Connecting to Cloudflare: {why}")))
                        .await
                }
                Some(_) | None => Ok(()),
            };
        }
        (None, _, _) => Some(log_reader.borrow().trouble()),
        (Some(_), Address::RoutedElsewhere(why), _) => Some(why.clone()),
        (Some(_), Address::Unknown, None) if waited => {
            Some("Cloudflare has not reported the routes of this tunnel yet.".to_owned())
        }
        (Some(_), Address::Unknown, None) => return Ok(()),
        (Some(_), _, _) => None,
    };
    report_url(reported, address, events).await?;
    match trouble {
        Some(why) if reported.connections.is_some() || reported.trouble.as_ref() != Some(&why) => {
            (reported.trouble, reported.connections) = (Some(why.clone()), None);
            events.send(Event::Reconnecting(why)).await
        }
        None if reported.connections != up => {
            (reported.trouble, reported.connections) = (None, up);
            events.send(Event::Ready(up.unwrap_or_default())).await
        }
        Some(_) | None => Ok(()),
    }
}

async fn report_url(
    reported: &mut ReportedState,
    address: Address,
    events: &mut Events<Event>,
) -> Result<(), HostDisconnected> {
    match address {
        Address::Known(url) if reported.url.as_ref() != Some(&url) => {
            reported.url = Some(url.clone());
            events.send(Event::address(url)).await
        }
        Address::Known(_) | Address::Unknown | Address::RoutedElsewhere(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "tunnel_watch_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
