//! Which session of the agent a chat has.
//!
//! Problem: chats are the host's, and live as long as their owner wants. A session of the agent may end with its process, or be
//! forgotten by it.
//!
//! Mechanism: a chat's session is resumed, or loaded, where the agent can do that. What it repeats then is dropped: the host has
//! it. Otherwise, or where that fails, the chat goes on in a new session, whose first prompt begins with the text of the
//! earlier messages; a note in the chat says so.
//!
//! Limits: of the earlier messages the agent gets the newest [`EARLIER`] bytes, without tool calls and files.

use crate::client::{self, CallError};
use crate::current;
use crate::offers::Offers;
use crate::records::Record;
use crate::turn;
use crate::wire::AUTHENTICATION_REQUIRED;
use nexus_plugin_api::caps::{clock, config, types::Error};
use nexus_plugin_api::chat::transcript::{self, Utterance};
use nexus_plugin_api::chat::types::{Role, SessionRef};
use nexus_plugin_api::log;
use serde_json::{Value, json};

/// `OPEN` is how many milliseconds the agent has to open a session, which may start other programs.
const OPEN: u64 = 40_000;
/// `EARLIER` is how many bytes of the earlier messages a new session is given; [`MESSAGES`] how many of them.
const EARLIER: usize = 64 << 10;
const MESSAGES: u32 = 200;
/// `COMMANDS` is how many milliseconds a new session has to say which commands it has.
const COMMANDS: u64 = 1_000;
const PAUSE: u64 = 50;

/// `folder` is the folder of a workspace; empty: the configured one.
pub fn folder(workspace: &str) -> String {
    if workspace.is_empty() {
        config::workspaces().into_iter().next().unwrap_or_default()
    } else {
        workspace.to_owned()
    }
}

/// `ensure` gives a chat its session.
pub async fn ensure(chat: &SessionRef, record: &mut Record) -> Result<(), CallError> {
    let folder = folder(&chat.workspace);
    if let Some(session) = current::with(|c| c.chat(&chat.id).map(|chat| chat.agent_session.clone()))? {
        record.agent_session = Some(session);
        return Ok(());
    }
    let mut why = "the agent cannot load a session".to_owned();
    if let Some(session) = record.agent_session.clone() {
        match restore(chat, &folder, &session).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(CallError::Agent(error)) if error.code != AUTHENTICATION_REQUIRED => why = error.text(),
            Err(other) => return Err(other),
        }
    }
    // The last one is the prompt itself.
    let earlier = match transcript::read(chat.id.clone(), None, MESSAGES).await {
        Ok(mut all) => {
            all.pop();
            all
        }
        Err(e) => {
            log::warn(format!(
                "Cannot read the earlier messages of the chat {}: {}",
                chat.id,
                e.text()
            ));
            Vec::new()
        }
    };
    let spare = current::with(|c| c.take_spare(&folder))?;
    let session = match spare {
        Some(session) => session,
        None => open(&folder).await?,
    };
    current::with(|c| c.bind(chat, &folder, &session, false))?;
    record.agent_session = Some(session);
    let Some(text) = earlier_text(&earlier) else {
        return Ok(());
    };
    let note = format!(
        "The agent does not know this chat any more ({why}), so it goes on in a new session of the agent, which is given the \
         text of the earlier messages."
    );
    log::info(format!("chat {}: {note}", chat.id));
    let now = clock::now();
    let id = current::with(|c| {
        c.begin_with(&chat.id, json!({"type": "text", "text": text}));
        c.id(now)
    })?;
    client::report(turn::note(&chat.id, id, &note, now)).await;
    Ok(())
}

/// Opens a new session of the agent.
async fn open(folder: &str) -> Result<String, CallError> {
    let answer = client::call("session/new", &json!({"cwd": folder, "mcpServers": []}), OPEN).await?;
    let session = answer
        .get("sessionId")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if session.is_empty() {
        return Err(Error::Other("The agent opened a session without an id.".to_owned()).into());
    }
    current::with(|c| c.opened(&session, folder, answer, true))?;
    Ok(session)
}

/// Resumes or loads a session. `false`: the agent can do neither.
async fn restore(chat: &SessionRef, folder: &str, session: &str) -> Result<bool, CallError> {
    let can = current::agent()?.can;
    let method = match (can.session_capabilities.resume, can.load_session) {
        (Some(_), _) => "session/resume",
        (None, true) => "session/load",
        (None, false) => return Ok(false),
    };
    current::with(|c| c.bind(chat, folder, session, true))?;
    let params = json!({"sessionId": session, "cwd": folder, "mcpServers": []});
    let answer = client::call(method, &params, OPEN).await;
    current::with(|c| {
        c.loaded(&chat.id, answer.is_ok());
        answer.map(|answer| {
            c.opened(session, folder, answer, false);
            true
        })
    })?
}

/// `earlier_text` are earlier messages for an agent that does not know them.
fn earlier_text(earlier: &[Utterance]) -> Option<String> {
    let mut text = String::new();
    for said in earlier
        .iter()
        .rev()
        .filter(|said| said.role != Role::System && !said.text.trim().is_empty())
    {
        let who = if said.role == Role::User { "User" } else { "You" };
        let block = format!("{who}:\n{}\n\n", said.text);
        if text.len() + block.len() > EARLIER && !text.is_empty() {
            break;
        }
        text.insert_str(0, block.get(..block.floor_char_boundary(EARLIER)).unwrap_or_default());
    }
    (!text.is_empty()).then(|| {
        format!(
            "This chat began in an earlier session that you do not remember. These are its last messages, for you to know; do \
             not answer them, but the message after them.\n\n<earlier_messages>\n{}\n</earlier_messages>\n\n",
            text.trim_end()
        )
    })
}

/// `offers` are what the agent offers in a folder. Where no session was opened there yet, one is, and the next chat gets it.
pub async fn offers(workspace: &str) -> Result<Offers, Error> {
    let folder = folder(workspace);
    let known = || current::with(|c| c.offers(&folder).cloned());
    current::agent()?;
    let _opening = loop {
        if let Some(offers) = known()? {
            return Ok(offers);
        }
        // The page asks for all lists at once, and one session is enough.
        match current::with(|c| c.begin(&format!("folder {folder}")))? {
            Some(opening) => break opening,
            None => clock::sleep(PAUSE).await,
        }
    };
    let session = open(&folder).await?;
    current::with(|c| c.keep_spare(&folder, &session))?;
    for _ in 0..COMMANDS / PAUSE {
        if known()?.is_some_and(|offers| !offers.command_list().is_empty()) {
            break;
        }
        clock::sleep(PAUSE).await;
    }
    Ok(known()?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(role: Role, text: &str) -> Utterance {
        Utterance {
            message: String::new(),
            role,
            client_id: None,
            text: text.to_owned(),
            attachments: Vec::new(),
            created_at: 0,
        }
    }

    #[test]
    fn a_new_session_is_given_the_newest_of_the_earlier_messages() {
        assert_eq!(earlier_text(&[]), None);
        assert_eq!(earlier_text(&[said(Role::System, "note"), said(Role::User, " ")]), None);
        let text = earlier_text(&[said(Role::User, "one"), said(Role::Assistant, "two")]).unwrap_or_default();
        assert!(
            text.contains("<earlier_messages>\nUser:\none\n\nYou:\ntwo\n</earlier_messages>"),
            "{text}"
        );
        let long = "é".repeat(EARLIER);
        let text = earlier_text(&[said(Role::User, "first"), said(Role::User, &long)]).unwrap_or_default();
        assert!(!text.contains("first") && text.len() < EARLIER + 500);
        let text = earlier_text(&[said(Role::User, &long), said(Role::User, "last")]).unwrap_or_default();
        assert!(text.contains("last") && !text.contains('é'));
    }
}
