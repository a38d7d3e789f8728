//! Events of a chat that are made in more than one place.

use super::Chat;
use crate::permission;
use crate::rpc;
use nexus_plugin_api::chat::types::{Event, RequestRef, SessionInfo, SessionRef};

pub(super) fn closed(chat: &str, request: &str) -> Event {
    Event::RequestClosed(RequestRef {
        session: chat.to_owned(),
        request: request.to_owned(),
    })
}

/// Closes the requests of a chat: the events, and the answers for the agent.
pub(super) fn close_requests(name: &str, chat: &mut Chat) -> (Vec<Event>, Vec<Vec<u8>>) {
    let requests = std::mem::take(&mut chat.requests);
    let answers = requests
        .values()
        .map(|waiting| rpc::answer(&waiting.id, &permission::cancelled()));
    let answers = answers.collect();
    (requests.keys().map(|request| closed(name, request)).collect(), answers)
}

/// `titled` is a chat with another title; of the rest the host takes nothing.
pub(super) fn titled(id: &str, chat: &Chat, title: String) -> Event {
    Event::Session(SessionInfo {
        ref_: SessionRef {
            workspace: chat.workspace.clone(),
            id: id.to_owned(),
        },
        parent: None,
        title,
        created_at: 0,
        updated_at: 0,
        archived: false,
        reverted: None,
        ext: Vec::new(),
    })
}
