//! The body of a request: the chat as the model reads it.

use crate::files::File;
use crate::settings::Settings;
use nexus_plugin_api::chat::transcript::Utterance;
use nexus_plugin_api::chat::types::{Attachment, Role};
use serde_json::{Map, Value, json};

/// `until` are the utterances up to a prompt and with it. What came later belongs to other turns, or to an attempt at this one
/// that a crash ended.
pub fn until(mut utterances: Vec<Utterance>, client_id: &str) -> Vec<Utterance> {
    let prompt = utterances
        .iter()
        .rposition(|u| u.client_id.as_deref() == Some(client_id));
    if let Some(at) = prompt {
        utterances.truncate(at + 1);
    }
    utterances
}

/// `wanted` are the files to read, the newest first, by utterance and place in it: as many as `most` bytes.
pub fn wanted(utterances: &[Utterance], most: u64) -> Vec<(usize, usize)> {
    let mut left = most;
    let mut all = Vec::new();
    for (at, utterance) in utterances.iter().enumerate().rev() {
        for (place, file) in utterance.attachments.iter().enumerate() {
            let size = file.size.unwrap_or_default();
            if file.id.is_some() && size <= left {
                left -= size;
                all.push((at, place));
            }
        }
    }
    all
}

/// `Spoken` is a message of the chat with its files.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    pub role: Role,
    pub text: String,
    pub files: Vec<File>,
}

/// `missing` is a file that is not sent.
pub fn missing(file: &Attachment, why: &'static str) -> File {
    File::Missing {
        name: crate::files::plain(file.name.as_deref().unwrap_or_default()),
        why,
    }
}

/// `body` is the request's body; `usage`: the server is asked to count.
pub fn body(settings: &Settings, model: &str, chat: &[Spoken], usage: bool) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), model.into());
    body.insert("messages".to_owned(), messages(&settings.system_prompt, chat).into());
    body.insert("stream".to_owned(), true.into());
    if usage {
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    body.extend(settings.parameters.clone());
    Value::Object(body)
}

/// `messages` alternate between the user and the model: a turn that failed leaves two prompts behind each other, which the
/// templates of many models do not take.
fn messages(system: &str, chat: &[Spoken]) -> Vec<Value> {
    let mut all = Vec::new();
    if !system.is_empty() {
        all.push(json!({"role": "system", "content": system}));
    }
    let mut rest = chat;
    while let Some(first) = rest.first() {
        let role = name(first.role);
        let same = rest.iter().take_while(|spoken| name(spoken.role) == role).count();
        let (group, after) = rest.split_at(same);
        rest = after;
        all.push(json!({"role": role, "content": content(group)}));
    }
    all
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Assistant => "assistant",
        Role::User | Role::System => "user",
    }
}

/// `content` is a text where it can be one: not every server takes parts.
fn content(group: &[Spoken]) -> Value {
    let text = |text: &str| json!({"type": "text", "text": text});
    if group.iter().all(|spoken| spoken.files.is_empty()) {
        let texts: Vec<&str> = group.iter().map(|spoken| spoken.text.as_str()).collect();
        return texts.join("\n\n").into();
    }
    let parts = group.iter().flat_map(|spoken| {
        let files = spoken.files.iter().map(File::content);
        files.chain((!spoken.text.is_empty()).then(|| text(&spoken.text)))
    });
    let parts: Vec<Value> = parts.collect();
    let texts: Option<Vec<&str>> = parts.iter().map(|part| part.get("text")?.as_str()).collect();
    match texts {
        Some(texts) => texts.join("\n\n").into(),
        None => parts.into(),
    }
}

#[cfg(test)]
#[path = "request_body_tests.rs"]
mod tests;
