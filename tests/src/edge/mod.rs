//! A stand-in for Cloudflare's edge, on loopback, for the real cloudflared: the service of quick tunnels, the connections
//! over QUIC, or over TLS where cloudflared is the *server* of HTTP/2, its registration, and the public side in front of it.
//!
//! Nothing here or of the cloudflared behind [`Edge::wrapper`] goes anywhere but 127.0.0.1: edge, quick service and
//! certificate authority are pinned. By itself: `cargo run -p nexus-tests --bin cloudflare-edge`.

mod capnp;
mod proxy;
mod quic;
mod registration;
mod shared;

pub use shared::Faults;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::post;
use h2::client::SendRequest;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use shared::{Connected, Registered, Shared, Tls, Towards, answered, lock};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

/// A running edge. It ends with the runtime.
#[derive(Clone)]
pub struct Edge {
    shared: Arc<Shared>,
    pub quick: SocketAddr,
    pub edge: SocketAddr,
    /// TLS, for browsers: each request goes to a connected cloudflared.
    pub public: SocketAddr,
    /// PEM of the authority that vouches for `edge`.
    pub authority: String,
}

impl Edge {
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            connected: watch::Sender::new(Vec::new()),
            count: AtomicU64::new(0),
            registrations: AtomicU64::new(0),
            drop: Notify::new(),
        });
        let (config, authority) = certificates();
        let acceptor = TlsAcceptor::from(Arc::new(config.clone()));
        let bind = || async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            (listener, address)
        };
        let ((quick, quick_at), (public, public_at)) = (bind().await, bind().await);
        let (edge, udp) = quic::both().await;
        let edge_at = edge.local_addr().unwrap();
        let service = axum::Router::new()
            .route("/tunnel", post(quick_tunnel))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(quick, service).await });
        tokio::spawn(accept(edge, acceptor.clone(), Arc::clone(&shared), serve));
        let over_quic = quic::endpoint(udp, config);
        tokio::spawn(quic::accept(over_quic, Arc::clone(&shared)));
        tokio::spawn(accept(public, acceptor, Arc::clone(&shared), proxy::serve));
        Self {
            shared,
            quick: quick_at,
            edge: edge_at,
            public: public_at,
            authority,
        }
    }

    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut lock(&self.shared.faults));
    }

    /// Cuts every connection, once.
    pub fn drop_connections(&self) {
        self.shared.drop.notify_waiters();
    }

    pub fn connections(&self) -> usize {
        self.shared.connected.borrow().len()
    }

    /// Whether what is connected is so over QUIC.
    pub fn quic(&self) -> bool {
        let connected = self.shared.connected.borrow();
        connected.iter().all(|c| matches!(c.requests, Towards::Quic(_)))
    }

    pub fn registrations(&self) -> u64 {
        self.shared.registrations.load(Ordering::SeqCst)
    }

    /// A program in `folder` that is `cloudflared`, pinned to this edge.
    pub fn wrapper(&self, folder: &Path, cloudflared: &Path) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        let (authority, wrapper) = (folder.join("authority.pem"), folder.join("cloudflared"));
        fs::write(&authority, &self.authority).unwrap();
        let (edge, quick) = (self.edge, self.quick);
        let (authority, cloudflared) = (authority.display(), cloudflared.display());
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = tunnel ]; then\n  shift\n  TUNNEL_EDGE={edge} TUNNEL_CACERT='{authority}' exec \
             '{cloudflared}' tunnel --quick-service http://{quick} \"$@\"\nfi\nexec '{cloudflared}' \"$@\"\n"
        );
        crate::write_with_mode(&wrapper, &script, 0o755);
        wrapper
    }
}

/// A certificate for the names that are asked for, and who vouches for it.
fn certificates() -> (rustls::ServerConfig, String) {
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "edge stand-in");
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let names = ["h2.cftunnel.com", "quic.cftunnel.com", "trycloudflare.com"].map(str::to_owned);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (config, authority.pem())
}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    serve: fn(Tls, Arc<Shared>) -> F,
) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            if let Ok(tls) = acceptor.accept(tcp).await {
                serve(tls, shared).await;
            }
        });
    }
}

async fn quick_tunnel(State(shared): State<Arc<Shared>>) -> axum::response::Response {
    let status = lock(&shared.faults).quick;
    let number = shared.count.fetch_add(1, Ordering::SeqCst);
    match status {
        200 => axum::Json(json!({
            "success": true,
            "result": {
                "id": "f7b2a1c4-0d3e-4a5b-8c6d-9e0f1a2b3c4d",
                "name": "",
                "hostname": format!("edge-stand-in-{number}.trycloudflare.com"),
                "account_tag": "account",
                "secret": "a2VlcCB0aGlz",
            },
            "errors": [],
        }))
        .into_response(),
        429 => (StatusCode::TOO_MANY_REQUESTS, "error code: 1015").into_response(),
        other => (StatusCode::from_u16(other).unwrap(), "<html>").into_response(),
    }
}

/// One connection of cloudflared: a client's part of HTTP/2 on the side that accepted.
async fn serve(tls: Tls, shared: Arc<Shared>) {
    let Ok((mut requests, connection)) = h2::client::handshake(tls).await else {
        return;
    };
    let cut = shared.drop.notified();
    let control = control(&mut requests, &shared);
    tokio::select! {
        _ = connection => {}
        () = cut => {}
        () = control => {}
    }
}

async fn control(requests: &mut SendRequest<bytes::Bytes>, shared: &Arc<Shared>) {
    let number = shared.count.fetch_add(1, Ordering::SeqCst);
    let _registered = Registered {
        number,
        shared: Arc::clone(shared),
    };
    let request = http::Request::get("https://edge.stand-in/")
        .header("cf-cloudflared-proxy-connection-upgrade", "control-stream")
        .body(())
        .unwrap();
    let Ok((response, mut out)) = requests.clone().send_request(request, false) else {
        return;
    };
    let Ok(response) = response.await else { return };
    let mut body = response.into_body();
    let mut arrived = Vec::new();
    while let Some(Ok(bytes)) = body.data().await {
        let _ = body.flow_control().release_capacity(bytes.len());
        arrived.extend_from_slice(&bytes);
        while let Some((answer, registered, remote)) = answered(&mut arrived, shared) {
            if out.send_data(answer.into(), false).is_err() {
                return;
            }
            if registered.is_some() {
                let connected = Connected {
                    number,
                    requests: Towards::Http2(requests.clone()),
                };
                shared.connected.send_modify(|all| all.push(connected));
            }
            if registered == Some(0)
                && let Some(remote) = remote
            {
                tokio::spawn(configure(requests.clone(), remote));
            }
        }
    }
}

/// Tells the dashboard's word.
async fn configure(requests: SendRequest<bytes::Bytes>, config: Value) {
    let request = http::Request::post("https://edge.stand-in/")
        .header("cf-cloudflared-proxy-connection-upgrade", "update-configuration")
        .body(())
        .unwrap();
    let body = json!({ "version": 1, "config": config }).to_string();
    if let Ok((response, mut out)) = requests.clone().send_request(request, false) {
        let _ = out.send_data(body.into(), true);
        let _ = response.await;
    }
}
