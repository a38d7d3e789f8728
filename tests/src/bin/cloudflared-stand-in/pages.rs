//! The metrics server.

use super::Kind;
use super::log::Log;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use nexus_tests::cloudflared::public::Counts;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What the pages show.
pub(crate) struct Shown {
    hostname: String,
    pub(crate) connections: AtomicU32,
    pub(crate) counts: Arc<Counts>,
    /// Registrations that failed.
    pub(crate) refused: AtomicU64,
    /// The version and the content of the dashboard's word.
    remote: Mutex<(i64, Option<Value>)>,
}

impl Shown {
    pub(crate) fn new(hostname: String) -> Self {
        Self {
            hostname,
            connections: AtomicU32::new(0),
            counts: Arc::default(),
            refused: AtomicU64::new(0),
            remote: Mutex::new((-1, None)),
        }
    }

    /// Takes the dashboard's word over once there is a connection.
    pub(crate) fn configure(&self, kind: &Kind, remote: Option<&Value>, log: &Log) {
        if !matches!(kind, Kind::Token { .. }) || self.connections.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut present = self.remote.lock().unwrap();
        if remote.is_some() && present.1.as_ref() != remote {
            *present = (present.0 + 1, remote.cloned());
            let fields = json!({ "config": remote.map(Value::to_string), "version": present.0 });
            log.info("Updated to new configuration", fields);
        }
    }
}

/// The pages say that they are plain text, whatever they are.
fn plain(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [("content-type", "text/plain; charset=utf-8")],
        body.to_string(),
    )
        .into_response()
}

async fn ready(State(shown): State<Arc<Shown>>) -> Response {
    let connections = shown.connections.load(Ordering::SeqCst);
    let status = if connections > 0 {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let id = "5f0c1e52-0a43-4d0e-a6b4-2f2a1b3c4d5e";
    plain(
        status,
        &json!({ "status": status.as_u16(), "readyConnections": connections, "connectorId": id }),
    )
}

async fn quick(State(shown): State<Arc<Shown>>) -> Response {
    plain(StatusCode::OK, &json!({ "hostname": shown.hostname }))
}

async fn config(State(shown): State<Arc<Shown>>) -> Response {
    let (version, remote) = shown.remote.lock().unwrap().clone();
    let config = remote.unwrap_or_else(|| json!({ "ingress": [], "warp-routing": {}, "originRequest": {} }));
    plain(StatusCode::OK, &json!({ "version": version, "config": config }))
}

async fn metrics(State(shown): State<Arc<Shown>>) -> String {
    let connections = shown.connections.load(Ordering::SeqCst);
    let mut text = String::from("# TYPE build_info gauge\nbuild_info{version=\"2026.8.2\"} 1\n");
    // It says 1 while it only dials: nobody may take it for readiness.
    text.push_str(&format!("cloudflared_tunnel_ha_connections {}\n", connections.max(1)));
    for index in 0..connections {
        let labels = format!("connection_id=\"{index}\",edge_location=\"fra03\"");
        text.push_str(&format!("cloudflared_tunnel_server_locations{{{labels}}} 1\n"));
    }
    let requests = shown.counts.requests.load(Ordering::SeqCst);
    let errors = shown.counts.errors.load(Ordering::SeqCst);
    text.push_str(&format!("cloudflared_tunnel_total_requests {requests}\n"));
    text.push_str(&format!("cloudflared_tunnel_request_errors {errors}\n"));
    let running = shown.counts.running.load(Ordering::SeqCst);
    text.push_str(&format!(
        "cloudflared_tunnel_concurrent_requests_per_tunnel {running}\n"
    ));
    // A series with labels is not there before it is used.
    let refused = shown.refused.load(Ordering::SeqCst);
    if refused > 0 {
        let labels = "error=\"server_error\",rpcName=\"registerConnection\"";
        text.push_str(&format!(
            "cloudflared_tunnel_tunnel_register_fail{{{labels}}} {refused}\n"
        ));
    }
    text
}

/// Listens on `address`, or ends the process as cloudflared does.
pub(crate) async fn serve(address: &str, shown: Arc<Shown>, log: &Log) {
    let listener = match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("Error opening metrics server listener: failed to bind to address ({address}): {error}");
            std::process::exit(1);
        }
    };
    let local = listener.local_addr().unwrap();
    log.info(&format!("Starting metrics server on {local}/metrics"), json!({}));
    let router = Router::new()
        .route("/ready", get(ready))
        .route("/healthcheck", get(|| async { "OK\n" }))
        .route("/quicktunnel", get(quick))
        .route("/config", get(config))
        .route("/metrics", get(metrics))
        .with_state(shown);
    tokio::spawn(async move { axum::serve(listener, router).await });
}
