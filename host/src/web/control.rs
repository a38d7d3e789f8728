//! The control socket: `/api/v1` for the operator at this machine, without a login.
//!
//! A socket file of mode 600 in the private data directory: whoever can open it is this user (or root), who could as well
//! read the database. Not a TCP port with a token in a file: a port is open to every user and every web page of the
//! machine, and the token would be one more secret to keep.
//!
//! One who is this user and must not come in is the agent: it runs as a child of this host. Descendants of this process
//! are refused. That guides and does not confine, as all of it does until agents run as another user: see SECURITY.md.

use super::ingress::{Connection, Ingress};
use super::{WebState, api, guard, serve};
use crate::limits::HTTP_READ;
#[cfg(target_os = "linux")]
use crate::process::Parent;
use axum::Router;
use http::StatusCode;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// In the data directory.
pub const FILE: &str = "control.sock";

/// Refusals that are told at the same time. Beyond them one just finds the door closed.
const REFUSALS: usize = 8;

/// Between two lines about connections that are refused.
const REFUSED_EVERY: Duration = Duration::from_secs(60);

/// Bytes of the header of a request that is refused: hyper's least.
const REFUSED_HEADER: usize = 8 * 1024;

/// The longest chain of parents that is followed.
#[cfg(target_os = "linux")]
const GENERATIONS: usize = 1_000;

pub(super) fn router(state: WebState) -> Router {
    api::for_the_operator()
        .route("/healthz", axum::routing::get(super::health::healthz))
        .fallback(api::nothing)
        .layer(axum::middleware::from_fn(guard::guard))
        .with_state(state)
}

/// Makes the socket anew. Its caller holds the lock of the data directory.
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

/// Serves until `shutdown` is cancelled, and takes the file away.
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
                    tokio::time::sleep(serve::ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = shutdown.cancelled() => break,
        };
        if let Err(why) = admitted(&stream) {
            refused += 1;
            // Whoever is refused must not be able to fill the log.
            if said.is_none_or(|at: Instant| at.elapsed() >= REFUSED_EVERY) {
                tracing::warn!(why, refused, "connections to the control socket are refused");
                said = Some(Instant::now());
            }
            if let Ok(slot) = Arc::clone(&telling).try_acquire_owned() {
                let told = refuse(stream, why, shutdown.child_token());
                tasks.spawn(async move {
                    // Not for as long as they like.
                    let _ = tokio::time::timeout(HTTP_READ, told).await;
                    drop(slot);
                });
            }
            continue;
        }
        let connection = Connection {
            closing: shutdown.child_token(),
            ..Connection::new(Ingress::Control, (std::net::Ipv4Addr::LOCALHOST, 0).into())
        };
        tasks.spawn(serve::one(stream, connection, app.clone()));
    }
    drop(listener);
    let _ = std::fs::remove_file(path);
    tasks.close();
    let _ = tokio::time::timeout(serve::DRAIN, tasks.wait()).await;
}

/// Says why, whatever is asked.
async fn refuse(stream: UnixStream, why: String, closing: CancellationToken) {
    let service = hyper::service::service_fn(move |_| {
        std::future::ready(Ok::<_, Infallible>(api::refuse(StatusCode::FORBIDDEN, &why)))
    });
    serve::converse(stream, service, REFUSED_HEADER, closing).await;
}

fn admitted(stream: &UnixStream) -> Result<(), String> {
    let peer = stream
        .peer_cred()
        .map_err(|error| format!("who it is cannot be told: {error}"))?;
    let own = rustix::process::getuid().as_raw();
    if peer.uid() != own && peer.uid() != 0 {
        return Err(format!("it is of user {}, and this is user {own}", peer.uid()));
    }
    match peer.pid().and_then(|pid| u32::try_from(pid).ok()) {
        // 0: of another namespace of processes, and so not below this one.
        Some(pid) if pid != 0 && is_ours(pid) => Err(format!(
            "process {pid} was started by this Nexus itself: what the agent runs does not command it"
        )),
        _ => Ok(()),
    }
}

/// Whether a process descends from this one.
#[cfg(target_os = "linux")]
fn is_ours(pid: u32) -> bool {
    descends(pid, std::process::id(), crate::process::parent)
}

#[cfg(target_os = "linux")]
fn descends(pid: u32, from: u32, parent: impl Fn(u32) -> Parent) -> bool {
    let mut at = pid;
    for _ in 0..GENERATIONS {
        match parent(at) {
            Parent::Known(parent) if parent == from => return true,
            Parent::Known(0 | 1) => return false,
            Parent::Known(parent) => at = parent,
            // Another user's: the sudo, say, through which the operator came. What runs below us is this user's, unless
            // the agent has become root; then nothing here would hold it.
            Parent::Hidden => return false,
            // Whose it was cannot be told: no reason to let it in.
            Parent::Gone => return true,
        }
    }
    // Nobody honest has so many ancestors.
    true
}

/// Elsewhere the process tree is not asked.
#[cfg(not(target_os = "linux"))]
fn is_ours(_pid: u32) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_child_of_this_process_is_ours_and_its_parent_is_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(is_ours(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        let Parent::Known(above) = crate::process::parent(std::process::id()) else {
            panic!("no parent")
        };
        assert!(!is_ours(above));
        assert!(!is_ours(1));
        assert!(is_ours(child.id()), "one that is gone cannot be told from ours");
    }

    /// 10 is the host, 12 the agent's command, 21 the operator's below the sudo 20, which is another user's.
    #[test]
    fn an_ancestor_that_proc_hides_is_another_users_and_so_not_below_us() {
        let parent = |pid| match pid {
            12 => Parent::Known(11),
            11 => Parent::Known(10),
            10 => Parent::Known(1),
            21 => Parent::Known(20),
            20 => Parent::Hidden,
            31 => Parent::Known(31),
            _ => Parent::Gone,
        };
        assert!(descends(12, 10, parent));
        assert!(!descends(21, 10, parent));
        assert!(!descends(20, 10, parent), "root itself");
        assert!(!descends(10, 10, parent), "the host is not below itself");
        assert!(descends(40, 10, parent), "gone");
        assert!(descends(31, 10, parent), "no end to it");
    }
}
