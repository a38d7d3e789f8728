//! What the connections of one edge share.

use super::registration::{self, Asked};
use h2::client::SendRequest;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

pub(super) const LOCATION: &str = "fra03";

/// What the edge does. Every key may be changed at any time.
#[derive(Debug, Clone)]
pub struct Faults {
    /// The answer of the quick service: 200, or an error's status.
    pub quick: u16,
    /// What a registration is refused with; none: it is accepted.
    pub refusal: Option<String>,
    /// QUIC comes through.
    pub quic: bool,
    /// Registrations and requests are taken and never answered.
    pub black_hole: bool,
    /// As the public quick tunnels do: an event stream of a GET arrives when it has ended.
    pub hold_event_streams: bool,
    /// The dashboard's ingress rules, the content of `config`, for a tunnel that is managed there.
    pub remote: Option<Value>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            quick: 200,
            refusal: None,
            quic: true,
            black_hole: false,
            hold_event_streams: true,
            remote: None,
        }
    }
}

/// A registered connection.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) number: u64,
    pub(super) requests: Towards,
}

/// The way to cloudflared.
#[derive(Clone)]
pub(super) enum Towards {
    Http2(SendRequest<bytes::Bytes>),
    Quic(quinn::Connection),
}

pub(super) struct Shared {
    pub(super) faults: Mutex<Faults>,
    pub(super) connected: watch::Sender<Vec<Connected>>,
    pub(super) count: AtomicU64,
    /// Registrations that were asked for, refused ones too.
    pub(super) registrations: AtomicU64,
    pub(super) drop: Notify,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(super) type Tls = tokio_rustls::server::TlsStream<TcpStream>;

/// The answer to the next question of a control stream, the index of the connection that is registered by it, and the
/// dashboard's word. None: no question has arrived that is answered.
pub(super) fn answered(arrived: &mut Vec<u8>, shared: &Shared) -> Option<(Vec<u8>, Option<u8>, Option<Value>)> {
    loop {
        let question = registration::question(arrived)?;
        let faults = lock(&shared.faults).clone();
        if faults.black_hole {
            continue;
        }
        let (answer, registered) = match question.asked {
            Asked::Bootstrap => (registration::object(question.id), None),
            Asked::Register { index, .. } => {
                shared.registrations.fetch_add(1, Ordering::SeqCst);
                match &faults.refusal {
                    Some(cause) => (registration::refused(question.id, cause), None),
                    None => {
                        let mut id = [0x5a; 16];
                        id[0] = index;
                        let remote = faults.remote.is_some();
                        (registration::accepted(question.id, id, LOCATION, remote), Some(index))
                    }
                }
            }
            Asked::Unregister | Asked::Configuration | Asked::Other => (registration::nothing(question.id), None),
        };
        return Some((answer, registered, faults.remote));
    }
}

/// Takes the connection off the list when it is gone.
pub(super) struct Registered {
    pub(super) number: u64,
    pub(super) shared: Arc<Shared>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let number = self.number;
        self.shared
            .connected
            .send_modify(|all| all.retain(|connected| connected.number != number));
    }
}

/// For ever, or as long as nobody looks any more.
pub(super) async fn nothing_at_all() {
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
}
