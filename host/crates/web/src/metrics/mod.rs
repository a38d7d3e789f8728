//! `GET /metrics` for Prometheus, on a listener of its own, where the configuration names one.
//!
//! Written by hand: a registry with its macros is for programs that count in a hundred places. Here everything is counted
//! already, and read when somebody asks. No login, so it tells nothing that is worth one: numbers, the names of plugins
//! and tunnels, versions. No address of a tunnel, no text of anybody.

mod text;

use super::{WebState, live};
use crate::http::connection_limits::WriteTimeout;
use crate::http::server::{accept, converse};
use crate::services::Services;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use nexus_chat::Phase;
use nexus_model::address::literal;
use nexus_model::limits;
use nexus_model::plugin::{Details, PluginState, PluginStatus};
use nexus_model::trouble::Trouble;
use nexus_model::tunnel::{PublicCheckResult, TunnelState, TunnelStatus};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use text::{Kind, Page};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// `AGAIN` is how often a listener whose address is taken is tried again.
const AGAIN: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Source {
    services: Services,
    live: live::connections::Connections,
    /// `loopback`: only this machine can reach it, and so only by a name of this machine.
    loopback: bool,
}

/// Serves at an address until `shutdown` is cancelled. One that is taken costs nothing else, and is tried again: what has
/// it may go.
pub async fn listen(address: SocketAddr, state: WebState, shutdown: CancellationToken) {
    const PART: &str = "metrics";
    let statuses = Arc::clone(&state.services.plugins.statuses);
    let mut said = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => {
                let trouble = Trouble::new(
                    PART,
                    format!(
                        "cannot listen on {address}: {error}. Nexus retries every {} s.",
                        AGAIN.as_secs()
                    ),
                    "stop the program that uses this address, choose another address with `listen` in [metrics], or \
                     remove [metrics]",
                );
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!("{trouble}");
                    statuses.trouble(trouble);
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = shutdown.cancelled() => return,
        }
    };
    statuses.no_trouble(PART);
    tracing::info!("metrics on http://{}/metrics", listener.local_addr().unwrap_or(address));
    serve(listener, state, shutdown).await;
}

/// Serves until `shutdown` is cancelled.
pub async fn serve(listener: TcpListener, state: WebState, shutdown: CancellationToken) {
    let source = Source {
        services: state.services,
        live: state.live,
        loopback: listener.local_addr().is_ok_and(|at| at.ip().is_loopback()),
    };
    let each = |stream: WriteTimeout<TcpStream>, _| {
        let (source, closing) = (source.clone(), shutdown.child_token());
        let handler = move |request: Request<Incoming>| {
            let source = source.clone();
            async move { answer(&source, &request).await.map(Body::new) }
        };
        converse(stream, handler, limits::METRICS_HEADER_BYTES, closing)
    };
    accept(listener, limits::METRICS_CONNECTIONS, &shutdown, each).await;
}

async fn answer<B>(source: &Source, request: &Request<B>) -> Response<Full<Bytes>> {
    if source.loopback && !own_name(request.headers().get(header::HOST)) {
        // A page of another site whose name was made to lead here.
        return plain(StatusCode::MISDIRECTED_REQUEST, "Unknown host name.\n");
    }
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "Only /metrics is served here.\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are allowed.\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(header::ALLOW, allowed);
        return refused;
    }
    let status = Arc::clone(&source.services.plugins.statuses);
    // It looks at the disk and at all processes.
    let Ok(details) = tokio::task::spawn_blocking(move || status.details()).await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "Nexus is stopping.\n");
    };
    let mut page = plain(StatusCode::OK, page(source, &details));
    let kind = HeaderValue::from_static(text::CONTENT_TYPE);
    page.headers_mut().insert(header::CONTENT_TYPE, kind);
    page
}

/// Tells whether it is `localhost`, or an address: no name that somebody else could make lead here.
fn own_name(host: Option<&HeaderValue>) -> bool {
    let Some(host) = host.and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let Ok(authority) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    let name = authority.host();
    name.eq_ignore_ascii_case("localhost") || literal(name).is_some()
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

fn page(source: &Source, details: &[Details]) -> String {
    let mut page = Page::default();
    let services = &source.services;
    let version = services.host.version.clone();
    page.family(
        "nexus_build_info",
        Kind::Gauge,
        "The version of this program.",
        [(vec![("version", version.as_str())], 1.0)],
    );
    page.one("nexus_up", Kind::Gauge, "Whether Nexus is running: always 1.", 1.0);
    plugins(&mut page, source, details);
    let tunnels = services.tunnels.statuses().borrow().clone();
    self::tunnels(&mut page, &tunnels);
    let backend = services.chat.backend().borrow().clone();
    let up = backend.phase == Phase::Up && backend.missing.is_none();
    page.family(
        "nexus_chat_backend_up",
        Kind::Gauge,
        "Whether the configured chat backend answers; 0 while the fallback is used.",
        [(vec![("plugin", backend.plugin.as_str())], flag(up))],
    );
    let sessions = services.chat.sessions().borrow().len();
    page.one(
        "nexus_sessions",
        Kind::Gauge,
        "Sessions in the list of chats.",
        sessions as f64,
    );
    let sockets = source.live.open();
    page.one(
        "nexus_live_sockets",
        Kind::Gauge,
        "Browsers that are currently connected.",
        sockets as f64,
    );
    this_process(&mut page);
    page.finish()
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn labels(details: &Details) -> Labels<'_> {
    let mut labels = vec![("plugin", details.name.as_str()), ("kind", details.kind.as_str())];
    // A plugin that serves two tunnels counts for each.
    labels.extend(details.tunnel.as_deref().map(|tunnel| ("tunnel", tunnel)));
    labels
}

fn plugins(page: &mut Page, source: &Source, all: &[Details]) {
    use Kind::{Counter, Gauge};
    let mut each = |name: &str, kind: Kind, help: &str, value: &dyn Fn(&Details) -> f64| {
        page.family(name, kind, help, all.iter().map(|d| (labels(d), value(d))));
    };
    each(
        "nexus_plugin_calls_total",
        Counter,
        "Calls from Nexus to the plugin.",
        &|d| d.statistics.calls as f64,
    );
    each(
        "nexus_plugin_errors_total",
        Counter,
        "Calls that ended with a crash, a timeout or an error of the plugin.",
        &|d| d.statistics.errors as f64,
    );
    each(
        "nexus_plugin_crashes_total",
        Counter,
        "Instances of the plugin that crashed.",
        &|d| d.statistics.crashes as f64,
    );
    each(
        "nexus_plugin_events_total",
        Counter,
        "Events that the plugin reported.",
        &|d| d.statistics.events as f64,
    );
    each(
        "nexus_plugin_cpu_paused_seconds_total",
        Counter,
        "Time the plugin was paused because it had used its share of CPU.",
        &|d| d.statistics.cpu_paused_ms as f64 / 1000.0,
    );
    each(
        "nexus_plugin_denied_total",
        Counter,
        "Calls from the plugin to Nexus that were denied.",
        &|d| d.statistics.denied as f64,
    );
    each(
        "nexus_plugin_log_dropped_total",
        Counter,
        "Log lines that were dropped because they exceeded the rate limit.",
        &|d| d.statistics.log_dropped as f64,
    );
    each(
        "nexus_plugin_memory_peak_bytes",
        Gauge,
        "Peak linear memory of one instance of the plugin.",
        &|d| d.statistics.memory_peak_bytes as f64,
    );
    each(
        "nexus_plugin_cpu_seconds_total",
        Counter,
        "CPU time used by the plugin's instances.",
        &|d| d.statistics.cpu_ms as f64 / 1000.0,
    );
    let processes = || all.iter().flat_map(|d| d.processes.iter().map(move |p| (d, p)));
    let of = |d, process| -> Labels<'_> {
        let mut labels = labels(d);
        labels.push(("process", process));
        labels
    };
    page.family(
        "nexus_process_resident_bytes",
        Gauge,
        "Memory of a plugin's process and its descendants; shared pages are counted in each.",
        processes().filter_map(|(d, p)| Some((of(d, p.name.as_str()), p.resident_bytes? as f64))),
    );
    page.family(
        "nexus_process_cpu_seconds_total",
        Counter,
        "CPU time of a plugin's process and its descendants.",
        processes().filter_map(|(d, p)| Some((of(d, p.name.as_str()), p.cpu_ms? as f64 / 1000.0))),
    );
    page.family(
        "nexus_process_restarts_total",
        Counter,
        "Restarts of a plugin's process.",
        processes().map(|(d, p)| (of(d, p.name.as_str()), f64::from(p.restarts))),
    );
    restarts(page, source, all);
}

/// Counts restarts from the list of states, which has the plugins in the same order.
fn restarts(page: &mut Page, source: &Source, all: &[Details]) {
    let states = source.services.plugins.statuses.subscribe().borrow().clone();
    // A swap between the two looks: rather a scrape without these two than a wrong number.
    if states.len() != all.len() || states.iter().zip(all).any(|(state, d)| state.name != d.name) {
        return;
    }
    let both = || all.iter().zip(&states);
    page.family(
        "nexus_plugin_restarts_total",
        Kind::Counter,
        "Restarts of the plugin after a crash.",
        both().map(|(d, state)| (labels(d), f64::from(state.restarts))),
    );
    let running = |state: &PluginStatus| state.state == PluginState::Running;
    page.family(
        "nexus_plugin_up",
        Kind::Gauge,
        "Whether the plugin is running; the plugin of a closed tunnel is not.",
        both().map(|(d, state)| (labels(d), flag(running(state)))),
    );
}

fn tunnels(page: &mut Page, all: &[TunnelStatus]) {
    fn labels(t: &TunnelStatus) -> Labels<'_> {
        vec![("tunnel", t.name.as_str()), ("plugin", t.plugin.as_str())]
    }
    page.family(
        "nexus_tunnel_up",
        Kind::Gauge,
        "Whether the tunnel is open, as reported by its provider.",
        all.iter().map(|t| {
            let open = matches!(t.state, TunnelState::Up { .. } | TunnelState::Degraded { .. });
            (labels(t), flag(open))
        }),
    );
    let checks = || all.iter().filter_map(|t| Some((t, &t.public_check.as_ref()?.result)));
    page.family(
        "nexus_tunnel_public_check_success",
        Kind::Gauge,
        "Whether the last public check of the tunnel reached Nexus.",
        checks().map(|(t, result)| (labels(t), flag(matches!(result, PublicCheckResult::Passed { .. })))),
    );
    page.family(
        "nexus_tunnel_public_check_seconds",
        Kind::Gauge,
        "How long the last public check of the tunnel took, there and back.",
        checks().filter_map(|(t, result)| match result {
            PublicCheckResult::Passed { latency_ms } => Some((labels(t), *latency_ms as f64 / 1000.0)),
            PublicCheckResult::Failed { .. } => None,
        }),
    );
    let statistics = || all.iter().filter_map(|t| Some((t, &t.statistics.as_ref()?.statistics)));
    page.family(
        "nexus_tunnel_requests_total",
        Kind::Counter,
        "Requests through the tunnel since its program started, if the program reports them.",
        statistics().filter_map(|(t, f)| Some((labels(t), f.requests? as f64))),
    );
    page.family(
        "nexus_tunnel_errors_total",
        Kind::Counter,
        "Requests that did not reach this machine, if the tunnel's program reports them.",
        statistics().filter_map(|(t, f)| Some((labels(t), f.errors? as f64))),
    );
}

/// Counts this process by the names that every exporter has for it.
fn this_process(page: &mut Page) {
    let Some(own) = nexus_process::own() else { return };
    page.one(
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Memory of Nexus itself, without its child processes.",
        own.usage.resident as f64,
    );
    page.one(
        "process_cpu_seconds_total",
        Kind::Counter,
        "CPU time of Nexus itself.",
        own.usage.cpu.as_secs_f64(),
    );
    page.one(
        "process_open_fds",
        Kind::Gauge,
        "Open files and sockets of Nexus.",
        own.open_files as f64,
    );
    page.one(
        "process_start_time_seconds",
        Kind::Gauge,
        "Start time of Nexus in seconds since the Unix epoch.",
        own.started,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_and_addresses_are_taken() {
        let own = |host: &'static str| own_name(Some(&HeaderValue::from_static(host)));
        for good in [
            "localhost",
            "LOCALHOST:9464",
            "127.0.0.1:9464",
            "[::1]:9464",
            "192.0.2.7",
        ] {
            assert!(own(good), "{good}");
        }
        for bad in [
            "rebound.example:9464",
            "localhost.example",
            "127.0.0.1.example",
            "",
            "a b",
        ] {
            assert!(!own(bad), "{bad}");
        }
        assert!(!own_name(None));
    }
}
