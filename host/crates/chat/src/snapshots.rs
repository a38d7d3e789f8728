//! Reading a session, and the list of them, from the backend.

use crate::journal::{message_bytes, part_bytes};
use nexus_model::chat::{Feature, Message, Part, SessionInfo, Snapshot};
use nexus_model::{backoff, limits};
use nexus_plugin_traits::{CallError, ChatBackend};
use std::collections::BTreeSet;

const TRIES: u32 = 4;
/// `PAGES` is how many pages of older messages are read.
const PAGES: usize = 500;

/// Reads a session; tries again where the backend is only unavailable. With `whole`, all older messages are read, as far as the
/// backend goes on to new pages and the journal would take them.
///
/// # Errors
/// The backend does not show the session.
pub(crate) async fn read_session(
    backend: &dyn ChatBackend,
    info: &SessionInfo,
    whole: bool,
) -> Result<Snapshot, CallError> {
    let mut tries = 0;
    let mut snapshot = loop {
        let error = match backend.snapshot(info, None).await {
            Ok(snapshot) => break snapshot,
            Err(error) => error,
        };
        tries += 1;
        let passes = matches!(
            error,
            CallError::Unavailable(_) | CallError::Timeout(_) | CallError::Crashed(_) | CallError::Other(_)
        );
        if !passes || tries >= TRIES {
            return Err(error);
        }
        tokio::time::sleep(backoff::pause(limits::RESTART_FIRST * 2, limits::RESTART_MAX, tries)).await;
    };
    if whole {
        let (mut asked, mut read) = (BTreeSet::new(), size(&snapshot));
        for _ in 0..PAGES {
            let Some(before) = snapshot.before.clone() else { break };
            if !asked.insert(before.clone()) {
                tracing::warn!(
                    session = info.id,
                    "{} leads back to a page of older messages that it gave before. This is a bug of the plugin",
                    backend.title()
                );
                break;
            }
            let Ok(mut page) = backend.snapshot(info, Some(before)).await else {
                break;
            };
            read += size(&page);
            if read > limits::SESSION_BYTES {
                break;
            }
            page.messages.append(&mut snapshot.messages);
            snapshot.messages = page.messages;
            snapshot.before = page.before;
        }
    }
    Ok(snapshot)
}

/// `size` is what a page counts in the bytes of a session.
fn size(page: &Snapshot) -> usize {
    let of =
        |(message, parts): &(Message, Vec<Part>)| message_bytes(message) + parts.iter().map(part_bytes).sum::<usize>();
    page.messages.iter().map(of).sum()
}

/// `list_sessions` are the root sessions of all workspaces of the backend, as far as it lists them.
pub(crate) async fn list_sessions(backend: &dyn ChatBackend) -> Vec<SessionInfo> {
    let mut workspaces = vec![None];
    if backend.features().contains(&Feature::Workspaces) {
        match backend.workspaces().await {
            Ok(all) => workspaces = all.into_iter().map(|workspace| Some(workspace.path)).collect(),
            Err(error) => tracing::warn!(%error, "cannot list the project folders of the backend"),
        }
    }
    let most = usize::try_from(limits::LISTED_SESSIONS).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    for workspace in workspaces {
        match backend.sessions(workspace, limits::LISTED_SESSIONS).await {
            Ok(listed) => found.extend(listed),
            Err(error) => tracing::warn!(%error, "cannot list the sessions of the backend"),
        }
        found.truncate(most);
    }
    found
}

/// `unknown` describes a session that nobody has introduced. The empty workspace means the configured one.
pub(crate) fn unknown(session: &str) -> SessionInfo {
    SessionInfo {
        id: session.to_owned(),
        workspace: String::new(),
        parent: None,
        title: String::new(),
        created_at: 0,
        updated_at: 0,
        archived: false,
        reverted: None,
        ext: nexus_model::chat::Ext::default(),
    }
}
