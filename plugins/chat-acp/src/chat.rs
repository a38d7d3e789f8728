//! A chat of the host, and the events that are made of it in more than one place.

use crate::permission::{self, Waiting};
use crate::rpc;
use crate::turn::{Spent, Turn};
use nexus_plugin_api::chat::types::{Event, RequestRef, SessionInfo, SessionRef};
use serde_json::Value;
use std::collections::BTreeMap;

/// `Chat` is a chat of the host, with the session of the agent that it has.
#[derive(Debug)]
pub struct Chat {
    pub agent_session: String,
    pub workspace: String,
    pub folder: String,
    pub turn: Option<Turn>,
    pub requests: BTreeMap<String, Waiting>,
    pub spent: Spent,
    /// `replaying`: the agent repeats what was, which the host has.
    pub replaying: bool,
    /// `preface` is what the next prompt begins with.
    pub preface: Option<Value>,
    /// `listed_title` is the agent's name for the session as it listed it last.
    pub listed_title: Option<String>,
}

pub fn closed(chat: &str, request: &str) -> Event {
    Event::RequestClosed(RequestRef {
        session: chat.to_owned(),
        request: request.to_owned(),
    })
}

/// Closes the requests of a chat: the events, and the answers for the agent.
pub fn close_requests(name: &str, chat: &mut Chat) -> (Vec<Event>, Vec<Vec<u8>>) {
    let requests = std::mem::take(&mut chat.requests);
    let answers = requests
        .values()
        .map(|waiting| rpc::answer(&waiting.id, &permission::cancelled()));
    let answers = answers.collect();
    (requests.keys().map(|request| closed(name, request)).collect(), answers)
}

/// `titled` is a chat with another title; of the rest the host takes nothing.
pub fn titled(id: &str, chat: &Chat, title: String) -> Event {
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
