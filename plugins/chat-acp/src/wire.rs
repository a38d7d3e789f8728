//! What an agent sends, as types. What is missing or of another type is as if it were not there: one bad value must not cost
//! the message that it is in.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `PROTOCOL` is the version of the protocol that this plugin speaks.
pub const PROTOCOL: u64 = 1;

/// `AUTHENTICATION_REQUIRED` is the code of an error that a sign-in would avoid.
pub const AUTHENTICATION_REQUIRED: i64 = -32_000;

fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(from: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).unwrap_or_default())
}

/// `items` are those of a list that can be read.
fn items<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(listed(Value::deserialize(from)?))
}

/// `optional_items` are `None` where there is no list, which leaves what was there before.
fn optional_items<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<Vec<T>>, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(value.is_array().then(|| listed(value)))
}

fn listed<T: DeserializeOwned>(value: Value) -> Vec<T> {
    match value {
        Value::Array(all) => all
            .into_iter()
            .filter_map(|item| serde_json::from_value(item).ok())
            .collect(),
        _ => Vec::new(),
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Initialized {
    #[serde(deserialize_with = "lenient")]
    pub protocol_version: u64,
    #[serde(deserialize_with = "lenient")]
    pub agent_capabilities: Capabilities,
    #[serde(deserialize_with = "items")]
    pub auth_methods: Vec<AuthMethod>,
    #[serde(deserialize_with = "lenient")]
    pub agent_info: Implementation,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Implementation {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub title: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub version: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capabilities {
    #[serde(deserialize_with = "lenient")]
    pub load_session: bool,
    #[serde(deserialize_with = "lenient")]
    pub prompt_capabilities: PromptCapabilities,
    #[serde(deserialize_with = "lenient")]
    pub session_capabilities: SessionCapabilities,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromptCapabilities {
    #[serde(deserialize_with = "lenient")]
    pub image: bool,
    #[serde(deserialize_with = "lenient")]
    pub audio: bool,
    #[serde(deserialize_with = "lenient")]
    pub embedded_context: bool,
}

/// `SessionCapabilities` has objects; an agent without one of these leaves it out, or has null there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SessionCapabilities {
    pub list: Option<Value>,
    pub resume: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AuthMethod {
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub description: Option<String>,
}

/// `SessionOpened` is the answer to a session's beginning, loading or resuming.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionOpened {
    #[serde(deserialize_with = "lenient")]
    pub session_id: String,
    #[serde(deserialize_with = "lenient")]
    pub modes: Option<Modes>,
    #[serde(deserialize_with = "lenient")]
    pub models: Option<Models>,
    #[serde(deserialize_with = "optional_items")]
    pub config_options: Option<Vec<ConfigOption>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Modes {
    #[serde(deserialize_with = "lenient")]
    pub current_mode_id: String,
    #[serde(deserialize_with = "items")]
    pub available_modes: Vec<Mode>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Mode {
    pub id: String,
    pub name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub description: Option<String>,
}

/// `Models` is how agents named their models before there were options of the configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Models {
    #[serde(deserialize_with = "lenient")]
    pub current_model_id: String,
    #[serde(deserialize_with = "items")]
    pub available_models: Vec<Model>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    pub model_id: String,
    pub name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigOption {
    pub id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub category: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub current_value: String,
    /// `options` are values, or groups of them.
    #[serde(default, deserialize_with = "items")]
    pub options: Vec<ConfigValues>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum ConfigValues {
    Group { name: String, options: Vec<ConfigValue> },
    One(ConfigValue),
}

#[derive(Debug, Clone, Deserialize)]
pub struct ConfigValue {
    pub value: String,
    pub name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub description: Option<String>,
}

/// `Block` is a piece of content.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Block {
    Text {
        text: String,
    },
    Image {
        data: String,
        mime_type: String,
    },
    Audio {
        data: String,
        mime_type: String,
    },
    ResourceLink {
        uri: String,
        name: String,
    },
    Resource {
        resource: Resource,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    #[serde(deserialize_with = "lenient")]
    pub uri: String,
    #[serde(deserialize_with = "lenient")]
    pub mime_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub text: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub blob: Option<String>,
}

/// `Update` is what a session reports.
#[derive(Debug, Clone)]
pub enum Update {
    /// `Message` is a piece of the answer; `Thought` of the reasoning.
    Message(Chunk),
    Thought(Chunk),
    /// `User` is a prompt that is repeated, as while a session is loaded.
    User,
    /// `Tool` is a call, or what has changed of one.
    Tool(Box<ToolCall>),
    Plan(Vec<PlanEntry>),
    Commands(Vec<Command>),
    Mode(String),
    Options(Vec<ConfigOption>),
    Title(String),
    Usage(UsageUpdate),
    /// `Unknown` has the name of one that this plugin does not know.
    Unknown(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    pub content: Block,
    #[serde(default, deserialize_with = "lenient")]
    pub message_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolCall {
    #[serde(deserialize_with = "lenient")]
    pub tool_call_id: String,
    #[serde(deserialize_with = "lenient")]
    pub title: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub status: Option<String>,
    #[serde(deserialize_with = "optional_items")]
    pub content: Option<Vec<ToolContent>>,
    #[serde(deserialize_with = "optional_items")]
    pub locations: Option<Vec<Location>>,
    pub raw_input: Option<Value>,
    pub raw_output: Option<Value>,
}

impl ToolCall {
    /// Keeps what an update says; what it does not say stays.
    pub fn merge(&mut self, update: ToolCall) {
        fn take<T>(known: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *known = new;
            }
        }
        take(&mut self.title, update.title);
        take(&mut self.name, update.name);
        take(&mut self.kind, update.kind);
        take(&mut self.status, update.status);
        take(&mut self.content, update.content);
        take(&mut self.locations, update.locations);
        take(&mut self.raw_input, update.raw_input);
        take(&mut self.raw_output, update.raw_output);
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ToolContent {
    /// `Content` has a [`Block`].
    Content { content: Value },
    Diff {
        path: String,
        #[serde(default)]
        old_text: Option<String>,
        new_text: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Location {
    pub path: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PlanEntry {
    pub content: String,
    #[serde(default, deserialize_with = "lenient")]
    pub status: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Command {
    pub name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub description: String,
    #[serde(default, deserialize_with = "lenient")]
    pub input: Option<CommandInput>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CommandInput {
    pub hint: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct UsageUpdate {
    #[serde(deserialize_with = "lenient")]
    pub cost: Option<Cost>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Cost {
    pub amount: f64,
    pub currency: String,
}

impl Update {
    /// Reads the value of `update` in a notification `session/update`.
    ///
    /// # Errors
    /// What cannot be read of it.
    pub fn read(value: Value) -> Result<Self, String> {
        fn field<T: DeserializeOwned>(value: &Value, name: &str) -> Vec<T> {
            listed(value.get(name).cloned().unwrap_or_default())
        }
        fn whole<T: DeserializeOwned>(value: Value) -> Result<T, String> {
            serde_json::from_value(value).map_err(|e| e.to_string())
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(match text("sessionUpdate").as_str() {
            "agent_message_chunk" => Self::Message(whole(value)?),
            "agent_thought_chunk" => Self::Thought(whole(value)?),
            "user_message_chunk" => Self::User,
            "tool_call" | "tool_call_update" => Self::Tool(Box::new(whole(value)?)),
            "plan" => Self::Plan(field(&value, "entries")),
            "available_commands_update" => Self::Commands(field(&value, "availableCommands")),
            "current_mode_update" => Self::Mode(text("currentModeId")),
            "config_option_update" => Self::Options(field(&value, "configOptions")),
            "session_info_update" => Self::Title(text("title")),
            "usage_update" => Self::Usage(whole(value)?),
            other => Self::Unknown(other.to_owned()),
        })
    }
}

/// `PermissionAsked` are the parameters of a request `session/request_permission`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PermissionAsked {
    #[serde(deserialize_with = "lenient")]
    pub session_id: String,
    #[serde(deserialize_with = "lenient")]
    pub tool_call: ToolCall,
    #[serde(deserialize_with = "items")]
    pub options: Vec<PermissionOption>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionOption {
    pub option_id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub kind: String,
}

/// `Prompted` is the answer to a prompt, which ends its turn.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Prompted {
    #[serde(deserialize_with = "lenient")]
    pub stop_reason: String,
    #[serde(deserialize_with = "lenient")]
    pub usage: Option<Usage>,
}

/// `Usage` is not in the protocol's stable part; some agents say it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    #[serde(deserialize_with = "lenient")]
    pub input_tokens: u64,
    #[serde(deserialize_with = "lenient")]
    pub output_tokens: u64,
    #[serde(deserialize_with = "lenient")]
    pub thought_tokens: u64,
    #[serde(deserialize_with = "lenient")]
    pub cached_read_tokens: u64,
    #[serde(deserialize_with = "lenient")]
    pub cached_write_tokens: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SessionList {
    #[serde(deserialize_with = "items")]
    pub sessions: Vec<ListedSession>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedSession {
    pub session_id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub title: Option<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_bad_value_costs_nothing_but_itself() {
        let read: Initialized = serde_json::from_value(json!({
            "protocolVersion": 1, "authMethods": [7, {"id": "a", "name": null}], "agentInfo": null,
            "agentCapabilities": {"loadSession": "yes", "promptCapabilities": {"image": true}, "sessionCapabilities": {"list": {}, "resume": null}},
        }))
        .unwrap();
        assert_eq!((read.protocol_version, read.auth_methods.len()), (1, 1));
        let can = read.agent_capabilities;
        assert!(!can.load_session && can.prompt_capabilities.image && !can.prompt_capabilities.audio);
        assert!(can.session_capabilities.list.is_some() && can.session_capabilities.resume.is_none());
        let update = json!({"sessionUpdate": "plan", "entries": [{"content": "a", "status": "completed"}, 3]});
        assert!(matches!(Update::read(update).unwrap(), Update::Plan(entries) if entries.len() == 1));
        assert!(Update::read(json!({"sessionUpdate": "agent_message_chunk"})).is_err());
        assert!(
            matches!(Update::read(json!({"sessionUpdate": "later"})).unwrap(), Update::Unknown(name) if name == "later")
        );
        assert!(matches!(Update::read(Value::Null).unwrap(), Update::Unknown(name) if name.is_empty()));
    }

    #[test]
    fn an_update_of_a_call_leaves_what_it_does_not_say() {
        let read = |value: Value| match Update::read(value).unwrap() {
            Update::Tool(call) => *call,
            other => panic!("{other:?}"),
        };
        let mut call = read(
            json!({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "Read a", "kind": "read",
            "locations": [{"path": "/w/a", "line": 3}], "rawInput": {"a": 1}}),
        );
        call.merge(read(
            json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed", "title": null,
            "content": [{"type": "content", "content": {"type": "text", "text": "x"}}, {"type": "hologram"}]}),
        ));
        assert_eq!(
            (call.title.as_deref(), call.status.as_deref()),
            (Some("Read a"), Some("completed"))
        );
        assert_eq!(call.locations.unwrap().len(), 1);
        assert_eq!(call.content.unwrap().last(), Some(&ToolContent::Other));
        assert_eq!(call.raw_input, Some(json!({"a": 1})));
    }

    #[test]
    fn the_values_of_an_option_may_be_in_groups() {
        let option = |options: Value| {
            let read: SessionOpened = serde_json::from_value(
                json!({"sessionId": "s", "configOptions": [{"id": "model", "currentValue": "a", "options": options}]}),
            )
            .unwrap();
            read.config_options.unwrap().remove(0).options
        };
        assert!(matches!(
            option(json!([{"value": "a", "name": "A"}])).as_slice(),
            [ConfigValues::One(_)]
        ));
        let grouped = option(json!([{"group": "g", "name": "G", "options": [{"value": "a", "name": "A"}]}]));
        assert!(
            matches!(grouped.as_slice(), [ConfigValues::Group { name, options }] if name == "G" && options.len() == 1)
        );
    }
}
