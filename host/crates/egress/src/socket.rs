//! Requests to a unix socket of this machine.
//!
//! Problem: what is granted is a path, and what lies there may be another thing by now: a link to a socket with more rights, or
//! one that somebody else has made. Mechanism: right before each request the path is looked at. It has no link on its way, and
//! the socket belongs to root or to the user of Nexus; and it is not the one by which a Nexus is operated. Limit: what is replaced between the look and the connection is not seen.

use crate::error::OutgoingError;
use nexus_config::THEN_APPLY;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// `CONTROL_SOCKET` is the name of the socket by which a Nexus is operated, beside [`DATABASE`] in its data folder.
const CONTROL_SOCKET: &str = "control.sock";
const DATABASE: &str = "nexus.db";

/// Looks whether requests may go to the socket at `path`, whose owner is root or `user`.
///
/// # Errors
/// `Unavailable`: there is none. `Denied`: why it is not the one that is meant.
pub(crate) async fn check(path: &Path, user: u32) -> Result<(), OutgoingError> {
    let shown = path.display();
    let missing = |e: std::io::Error| match e.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => OutgoingError::Unavailable(format!(
            "there is no socket {shown}: the program that has it may not be running"
        )),
        _ => OutgoingError::Unavailable(format!("the socket {shown} cannot be reached: {e}")),
    };
    let real = tokio::fs::canonicalize(path).await.map_err(missing)?;
    if real != path {
        return Err(OutgoingError::Denied(format!(
            "the socket {shown} is a link, or lies behind one, and leads to {}. To fix: name that path in the manifest of the \
             plugin, its configuration and its grant, {THEN_APPLY}",
            real.display()
        )));
    }
    if path.file_name().is_some_and(|name| name == CONTROL_SOCKET)
        && tokio::fs::try_exists(path.with_file_name(DATABASE))
            .await
            .unwrap_or(true)
    {
        return Err(OutgoingError::Denied(format!(
            "{shown} is the control socket of a Nexus: a request there acts for its operator. To fix: remove the grant, {THEN_APPLY}"
        )));
    }
    let found = tokio::fs::symlink_metadata(path).await.map_err(missing)?;
    if !found.file_type().is_socket() {
        return Err(OutgoingError::Denied(format!(
            "{shown} is not a socket. To fix: grant the path of the socket, {THEN_APPLY}"
        )));
    }
    if ![0, user].contains(&found.uid()) {
        return Err(OutgoingError::Denied(format!(
            "the socket {shown} belongs to the user {}, neither to root nor to the user of Nexus. To fix: start its program as \
             one of them",
            found.uid()
        )));
    }
    Ok(())
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
