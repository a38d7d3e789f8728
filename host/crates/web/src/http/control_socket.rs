//! The control socket: `/api/v1` for the operator at this machine, without a login.
//!
//! A socket file of mode 600 in the private data folder: whoever can open it is this user (or root), who could as well
//! read the database. Not a TCP port with a token in a file: a port is open to every user and every web page of the
//! machine, and the token would be one more secret to keep.
//!
//! One who is this user and must not come in is the agent: what descends from a Nexus is refused
//! ([`nexus_process::ancestry`]). That guides and does not confine, as all of it does until agents run as another user: see
//! SECURITY.md.

use super::connection_limits::{ConnectionActivity, WriteTimeout};
use super::listener::{Connection, Ingress};
use super::{request_checks, server};
use crate::{WebState, api};
use axum::Router;
use http::StatusCode;
use nexus_model::limits::HTTP_READ;
use nexus_process::ancestry::{self, Hosts};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// `FILE` is the name of the socket in the data folder.
pub const FILE: &str = "control.sock";

/// `REFUSALS` is how many refusals are told at the same time. Beyond them the connection just closes.
const REFUSALS: usize = 8;

/// `REFUSED_EVERY` is the time between two lines about connections that are refused.
const REFUSED_EVERY: Duration = Duration::from_secs(60);

/// `REFUSED_HEADER` is how many bytes the header of a request may have that is refused: hyper's least.
const REFUSED_HEADER: usize = 8 * 1024;

pub(crate) fn router(state: WebState) -> Router {
    api::for_the_operator()
        .route("/healthz", axum::routing::get(super::health::healthz))
        .fallback(api::nothing)
        .layer(axum::middleware::from_fn(request_checks::guard))
        .with_state(state)
}

/// Makes the socket, in place of an old one. Its caller holds the lock of the data folder.
///
/// # Errors
/// The path is too long for a socket, or cannot be written.
pub fn bind(data_dir: &Path) -> std::io::Result<(UnixListener, PathBuf)> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = data_dir.join(FILE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // The directory is private, so nobody else comes in between these two.
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok((listener, path))
}

/// Serves until `shutdown` is cancelled, and then removes the file.
pub async fn serve_control(listener: UnixListener, path: PathBuf, app: Router, shutdown: CancellationToken) {
    let tasks = TaskTracker::new();
    let (mut refused, mut said) = (0_u64, None);
    let telling = Arc::new(Semaphore::new(REFUSALS));
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection on the control socket");
                    tokio::time::sleep(server::ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = shutdown.cancelled() => break,
        };
        if let Err(cause) = admitted(&stream) {
            refused += 1;
            tracing::warn!(target: "audit", event = "refused", what = "control socket", cause);
            // Whoever is refused must not be able to fill the log.
            if said.is_none_or(|at: Instant| at.elapsed() >= REFUSED_EVERY) {
                tracing::warn!(cause, refused, "refused a connection to the control socket");
                said = Some(Instant::now());
            }
            if let Ok(slot) = Arc::clone(&telling).try_acquire_owned() {
                let told = refuse(stream, cause, shutdown.child_token());
                tasks.spawn(async move {
                    // Not for as long as they like.
                    let _ = tokio::time::timeout(HTTP_READ, told).await;
                    drop(slot);
                });
            }
            continue;
        }
        let peer = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        let connection = Connection::accepted(Arc::new(Ingress::Control), peer, shutdown.child_token());
        let stream = WriteTimeout::new(stream, ConnectionActivity::new());
        tasks.spawn(server::one(stream, connection, app.clone()));
    }
    drop(listener);
    let _ = std::fs::remove_file(path);
    tasks.close();
    let _ = tokio::time::timeout(server::DRAIN, tasks.wait()).await;
}

/// Answers with the reason, whatever is asked.
async fn refuse(stream: UnixStream, cause: String, closing: CancellationToken) {
    let refusal = move |_| std::future::ready(api::refuse(StatusCode::FORBIDDEN, &cause));
    server::converse(stream, refusal, REFUSED_HEADER, closing).await;
}

fn admitted(stream: &UnixStream) -> Result<(), String> {
    let peer = stream
        .peer_cred()
        .map_err(|error| format!("cannot identify the caller: {error}"))?;
    let own = rustix::process::getuid().as_raw();
    if peer.uid() != own && peer.uid() != 0 {
        return Err(format!(
            "the caller is user {}, but Nexus runs as user {own}",
            peer.uid()
        ));
    }
    match peer.pid().and_then(|pid| u32::try_from(pid).ok()) {
        // 0: of another namespace of processes, and so not below this one.
        // A plugin has asked for it, by a grant for a unix socket.
        Some(pid) if pid == std::process::id() => {
            Err("the caller is this Nexus itself: a plugin must not act for the operator".to_owned())
        }
        Some(pid) if pid != 0 => match ancestry::known(pid, &Hosts::this()) {
            Some(cause) => Err(format!("{cause}: processes of the agent must not act for the operator")),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}
