//! opencode's JSON, as far as it is used. Everything that may be absent in some version has a default: a field more or
//! less must not end the session.

use nexus_plugin_api::error_text::sentence;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

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
    #[serde(default)]
    pub revert: Option<Revert>,
    /// `permission` are the session's own rules, which override all others.
    #[serde(default)]
    pub permission: Value,
}

impl Session {
    /// `permissive_rule` is the rule of this session by which something runs without asking. opencode itself creates no
    /// such rule.
    pub fn permissive_rule(&self) -> Option<String> {
        let rules = self.permission.as_array()?.iter();
        let word = |rule: &Value, key: &str| rule.get(key).and_then(Value::as_str).unwrap_or("*").to_owned();
        let mut loose = rules.filter(|rule| !["ask", "deny"].contains(&word(rule, "action").as_str()));
        loose
            .next()
            .map(|rule| format!("{} ({})", word(rule, "permission"), word(rule, "pattern")))
    }
}

/// `Revert` says that everything from this message on, or from this part of it, was reverted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Revert {
    #[serde(rename = "messageID")]
    pub message: String,
    #[serde(default, rename = "partID")]
    pub part: Option<String>,
}

impl Revert {
    /// `apply` removes the messages that were reverted. Ids increase with time.
    pub fn apply(&self, messages: &mut Vec<WithParts>) {
        messages.retain(|m| m.info.id < self.message || (self.part.is_some() && m.info.id == self.message));
        if let (Some(part), Some(last)) = (&self.part, messages.iter_mut().find(|m| m.info.id == self.message)) {
            let from = last.parts.iter().position(|p| p.id == *part);
            last.parts.truncate(from.unwrap_or(last.parts.len()));
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct SessionModel {
    #[serde(default)]
    pub id: String,
    #[serde(default, rename = "providerID")]
    pub provider: String,
}

/// `Times` are the times of sessions, messages, parts and tools; each of them has some.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Times {
    #[serde(default)]
    pub created: Option<f64>,
    #[serde(default)]
    pub updated: Option<f64>,
    #[serde(default)]
    pub completed: Option<f64>,
    #[serde(default)]
    pub archived: Option<f64>,
    #[serde(default)]
    pub start: Option<f64>,
    #[serde(default)]
    pub end: Option<f64>,
}

/// `millis` are milliseconds, from any JSON number.
pub fn millis(time: Option<f64>) -> Option<u64> {
    time.filter(|t| t.is_finite() && *t >= 0.0).map(|t| t as u64)
}

/// `count` is a count, from any JSON number.
pub fn count(number: f64) -> u64 {
    // The cast takes what is below 0, and what is no number, for 0.
    number as u64
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
    pub error: Option<ErrorInfo>,
    #[serde(default)]
    pub finish: Option<String>,
    #[serde(default, rename = "modelID")]
    pub model_id: Option<String>,
    #[serde(default, rename = "providerID")]
    pub provider_id: Option<String>,
    #[serde(default)]
    pub agent: Option<String>,
    /// `mode` is what older versions call the agent.
    #[serde(default)]
    pub mode: Option<String>,
    #[serde(default)]
    pub tokens: Value,
    #[serde(default)]
    pub cost: Value,
    /// `summary` is, of a message of the user, what the turn has changed, and of an answer `true` where it is a summary of
    /// all before it.
    #[serde(default)]
    pub summary: Value,
}

impl Message {
    /// `changed_files` are the files that the turn after this message of the user has changed; `None`: not known yet.
    pub fn changed_files(&self) -> Option<Vec<ChangedFile>> {
        let files = self.summary.get("diffs")?.as_array()?;
        Some(parse_each(files.clone()).0)
    }

    /// `summarizes` tells whether this is opencode's own summary of what was said before.
    pub fn summarizes(&self) -> bool {
        self.summary == Value::Bool(true)
    }
}

/// `ChangedFile` is a file that a turn has changed, without its diff.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ChangedFile {
    pub file: String,
    pub additions: f64,
    pub deletions: f64,
    pub status: String,
}

/// `ErrorInfo` is an error in messages, events and responses.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ErrorInfo {
    #[serde(default, alias = "_tag")]
    pub name: String,
    #[serde(default)]
    pub data: Value,
    #[serde(default)]
    pub message: Option<String>,
}

impl ErrorInfo {
    /// `text` is opencode's error, with its fix where one is known.
    pub fn text(&self) -> String {
        let said = self.reported();
        match self.fix(&said) {
            Some(fix) => sentence(&said, Some(fix)),
            None => said,
        }
    }

    fn fix(&self, said: &str) -> Option<&'static str> {
        if said.starts_with("Model not found") {
            return Some(
                "choose an existing model with model = \"provider/model\" under [plugin.chat-opencode.config]; \
                 `opencode models` lists them.",
            );
        }
        let status = self.data.get("statusCode").and_then(Value::as_u64);
        let key = self.name == "ProviderAuthError" || matches!(status, Some(401 | 403));
        match status {
            _ if key => Some(
                "give opencode a key that the model's provider accepts: run `opencode auth login` on the machine that \
                 runs Nexus.",
            ),
            Some(402) => Some("add credit to your account with the model's provider, or choose another model."),
            Some(413) => Some(
                "start a new chat, or send a shorter message: the model's provider does not accept more \
                at once.",
            ),
            Some(400 | 422) => {
                Some("the model's provider does not accept this chat. Start a new chat, or choose another model.")
            }
            _ => None,
        }
    }

    /// `reported` is the first line of opencode's error; a stack trace may follow it.
    fn reported(&self) -> String {
        let said = self
            .data
            .get("message")
            .and_then(Value::as_str)
            .or(self.message.as_deref())
            .unwrap_or_default();
        let line = said.lines().next().unwrap_or_default().trim();
        let line = line
            .split_once("Error: ")
            .filter(|(name, _)| !name.contains(' '))
            .map_or(line, |(_, rest)| rest);
        match (line.is_empty(), self.name.is_empty()) {
            (false, _) => line.to_owned(),
            (true, false) => self.name.clone(),
            (true, true) => "opencode did not report a reason".to_owned(),
        }
    }

    pub fn aborted(&self) -> bool {
        self.name == "MessageAbortedError"
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
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
    /// `attachments` are files of the output, each like a part of kind `file`.
    #[serde(default)]
    pub attachments: Vec<Value>,
    #[serde(default)]
    pub time: Times,
}

#[derive(Debug, Clone, Deserialize)]
pub struct WithParts {
    pub info: Message,
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// `parse_message` reads a message. A part that cannot be read affects neither the other parts nor other messages.
pub fn parse_message(value: &Value) -> Option<WithParts> {
    let info: Message = serde_json::from_value(value.get("info")?.clone()).ok()?;
    let parts = value.get("parts").and_then(Value::as_array).into_iter().flatten();
    let parts = parts.enumerate().map(|(at, part)| {
        serde_json::from_value(part.clone()).unwrap_or_else(|_| unreadable(&info, part.get("id"), at))
    });
    let parts = parts.collect();
    Some(WithParts { info, parts })
}

fn unreadable(message: &Message, id: Option<&Value>, at: usize) -> Part {
    let id = id
        .and_then(Value::as_str)
        .map_or_else(|| format!("{}-{at}", message.id), str::to_owned);
    let part = serde_json::json!({
        "id": id, "sessionID": message.session, "messageID": message.id, "type": "text", "text": UNREADABLE,
        "time": {"end": message.time.created},
    });
    // It is what `Part` asks for.
    serde_json::from_value(part).unwrap_or_else(|_| Part::default())
}

/// `UNREADABLE` replaces a part that cannot be read.
pub const UNREADABLE: &str = "⟨A part of this message could not be read.⟩";

/// `text_of` is the text under a key, unless it is empty.
pub fn text_of(value: &Value, key: &str) -> Option<String> {
    value
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// `parse_each` are the entries of a list that can be read, and the number of the others.
pub fn parse_each<T: serde::de::DeserializeOwned>(list: Vec<Value>) -> (Vec<T>, usize) {
    let all = list.len();
    let good: Vec<T> = list
        .into_iter()
        .filter_map(|value| serde_json::from_value(value).ok())
        .collect();
    let lost = all - good.len();
    (good, lost)
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
    /// `directory` is the folder in which it is asked: where the request came from says so, not opencode's JSON.
    #[serde(skip)]
    pub directory: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ToolRef {
    #[serde(default, rename = "messageID")]
    pub message: String,
    #[serde(default, rename = "callID")]
    pub call: String,
}

/// `is_question` tells the id of a question from that of a permission request.
pub fn is_question(request: &str) -> bool {
    request.starts_with("que")
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

/// `Todo` is an item of the list that an agent has made itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Todo {
    #[serde(default)]
    pub content: String,
    #[serde(default)]
    pub status: String,
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(id: &str, parts: Value) -> Value {
        json!({"info": {"id": id, "sessionID": "s", "role": "user"}, "parts": parts})
    }

    fn text(id: &str) -> Value {
        json!({"id": id, "sessionID": "s", "messageID": "m", "type": "text", "text": "t"})
    }

    #[test]
    fn what_is_not_understood_spoils_neither_the_rest_nor_what_is_beside_it() {
        let read = parse_message(&message("m", json!([text("a"), {"id": "b", "type": 7}, 3, text("c")]))).unwrap();
        let ids: Vec<_> = read.parts.iter().map(|p| p.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "m-2", "c"]);
        assert_eq!(
            (read.parts[1].text.as_str(), read.parts[1].message.as_str()),
            (UNREADABLE, "m")
        );
        assert!(parse_message(&json!({"parts": []})).is_none());
        let (good, lost) = parse_each::<Session>(vec![json!({"id": "s"}), json!(3), json!({"id": "t", "title": null})]);
        assert_eq!((good.len(), lost), (1, 2));
    }

    #[test]
    fn what_was_taken_back_is_not_shown() {
        let all = || -> Vec<WithParts> {
            ["m1", "m2", "m3"]
                .iter()
                .map(|id| parse_message(&message(id, json!([text("p1"), text("p2")]))).unwrap())
                .collect()
        };
        let ids = |messages: &[WithParts]| {
            messages
                .iter()
                .map(|m| (m.info.id.clone(), m.parts.len()))
                .collect::<Vec<_>>()
        };
        let mut left = all();
        serde_json::from_value::<Revert>(json!({"messageID": "m2"}))
            .unwrap()
            .apply(&mut left);
        assert_eq!(ids(&left), [("m1".to_owned(), 2)]);
        let mut left = all();
        let part = json!({"messageID": "m2", "partID": "p2"});
        serde_json::from_value::<Revert>(part).unwrap().apply(&mut left);
        assert_eq!(ids(&left), [("m1".to_owned(), 2), ("m2".to_owned(), 1)]);
    }

    #[test]
    fn an_error_says_what_to_do() {
        let words = |json: Value| serde_json::from_value::<ErrorInfo>(json).unwrap().text();
        let key = words(json!({"name": "APIError", "data": {"message": "Incorrect API key", "statusCode": 401}}));
        assert_eq!(key.split(" To fix: ").next(), Some("Incorrect API key."));
        assert!(key.contains("opencode auth login"));
        assert!(words(json!({"data": {"message": "Too long", "statusCode": 413}})).contains("new chat"));
        assert_eq!(
            words(json!({"name": "MessageAbortedError", "data": {"message": "Aborted"}})),
            "Aborted"
        );
    }
}
