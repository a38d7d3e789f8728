//! opencode's JSON, as far as it is used. Everything that may be absent in some version has a default: a field more or
//! less must not end the conversation.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A line of `GET /global/event`.
#[derive(Debug, Deserialize)]
pub struct Envelope {
    #[serde(default)]
    pub directory: Option<String>,
    pub payload: Payload,
}

#[derive(Debug, Deserialize)]
pub struct Payload {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub properties: Value,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    pub id: String,
    #[serde(default)]
    pub directory: String,
    #[serde(default, rename = "parentID")]
    pub parent: Option<String>,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub model: Option<SessionModel>,
    #[serde(default)]
    pub time: Times,
}

#[derive(Debug, Clone, Deserialize)]
pub struct SessionModel {
    #[serde(default, rename = "providerID")]
    pub provider: String,
}

/// The times of sessions, messages, parts and tools; each has some of them.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Times {
    #[serde(default)]
    pub created: Option<f64>,
    #[serde(default)]
    pub updated: Option<f64>,
    #[serde(default)]
    pub completed: Option<f64>,
    #[serde(default)]
    pub start: Option<f64>,
    #[serde(default)]
    pub end: Option<f64>,
}

/// Milliseconds, whatever JSON number they came as.
pub fn millis(time: Option<f64>) -> Option<u64> {
    time.filter(|t| t.is_finite() && *t >= 0.0).map(|t| t as u64)
}

#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    pub id: String,
    #[serde(rename = "sessionID")]
    pub session: String,
    pub role: String,
    #[serde(default)]
    pub time: Times,
    #[serde(default)]
    pub error: Option<Fault>,
    #[serde(default)]
    pub finish: Option<String>,
    #[serde(default, rename = "modelID")]
    pub model_id: Option<String>,
    #[serde(default, rename = "providerID")]
    pub provider_id: Option<String>,
}

/// An error, as it stands in messages, events and answers.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Fault {
    #[serde(default, alias = "_tag")]
    pub name: String,
    #[serde(default)]
    pub data: Value,
    #[serde(default)]
    pub message: Option<String>,
}

impl Fault {
    /// The first line of what opencode says; it may append a stack trace.
    pub fn words(&self) -> String {
        let said = self.data.get("message").and_then(Value::as_str).or(self.message.as_deref()).unwrap_or_default();
        let line = said.lines().next().unwrap_or_default().trim();
        let line = line.split_once("Error: ").filter(|(name, _)| !name.contains(' ')).map_or(line, |(_, rest)| rest);
        match (line.is_empty(), self.name.is_empty()) {
            (false, _) => line.to_owned(),
            (true, false) => self.name.clone(),
            (true, true) => "opencode gave no reason".to_owned(),
        }
    }

    pub fn aborted(&self) -> bool {
        self.name == "MessageAbortedError"
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Part {
    pub id: String,
    #[serde(rename = "sessionID")]
    pub session: String,
    #[serde(rename = "messageID")]
    pub message: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub text: String,
    #[serde(default)]
    pub synthetic: bool,
    #[serde(default)]
    pub time: Times,
    #[serde(default)]
    pub tool: String,
    #[serde(default, rename = "callID")]
    pub call: Option<String>,
    #[serde(default)]
    pub state: Option<ToolState>,
    #[serde(default)]
    pub mime: String,
    #[serde(default)]
    pub filename: Option<String>,
    #[serde(default)]
    pub url: String,
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct ToolState {
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub input: Value,
    #[serde(default)]
    pub output: Option<String>,
    #[serde(default)]
    pub error: Option<String>,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub metadata: Value,
    #[serde(default)]
    pub time: Times,
}

#[derive(Debug, Clone, Deserialize)]
pub struct WithParts {
    pub info: Message,
    #[serde(default)]
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Permission {
    pub id: String,
    #[serde(rename = "sessionID")]
    pub session: String,
    #[serde(default)]
    pub permission: String,
    #[serde(default)]
    pub patterns: Vec<String>,
    #[serde(default)]
    pub metadata: Value,
    #[serde(default)]
    pub always: Vec<String>,
    #[serde(default)]
    pub tool: Option<ToolRef>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ToolRef {
    #[serde(default, rename = "callID")]
    pub call: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    pub id: String,
    #[serde(rename = "sessionID")]
    pub session: String,
    #[serde(default)]
    pub questions: Value,
    #[serde(default)]
    pub tool: Option<ToolRef>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub attempt: u32,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub next: Option<f64>,
}

/// `GET /session/status`: sessions that are not idle.
pub type Statuses = BTreeMap<String, Status>;
