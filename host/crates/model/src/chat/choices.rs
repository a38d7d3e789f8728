//! What the user can choose for a prompt: models, agents and commands of a backend.

use super::ext::Ext;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Model` is a model that can answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// `id` is `provider/model`: the value for a prompt.
    #[schema(examples("anthropic/claude-sonnet-4-5"))]
    pub id: String,
    /// `title` is its name for people.
    pub title: String,
    /// `provider` is the name of its provider for people.
    pub provider: String,
    /// `variants` are the ids of its variants: how much it is to think.
    pub variants: Vec<String>,
    /// `reads` are the media types that it reads as attachments, such as `image/*`. Absent: it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reads: Option<Vec<String>>,
    /// `context_tokens` is how many tokens it takes in all. Absent: it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub context_tokens: Option<u64>,
    /// `input_price` is the price of a million tokens that it reads, in US dollars. Absent: it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub input_price: Option<f64>,
    /// `output_price` is the price of a million tokens that it writes, in US dollars. Absent: it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub output_price: Option<f64>,
    /// `ext` has what the backend's plugin says of the model beside all that.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}

/// `ModelList` are the models that can be used now.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// `models` are the models.
    pub models: Vec<Model>,
    /// `default` is the id of the one that answers in a new session. Null: it is not known.
    #[schema(required)]
    pub default: Option<String>,
}

/// `Agent` is an agent, or mode, of a backend that has several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// `id` is the value for a prompt.
    #[schema(examples("plan"))]
    pub id: String,
    /// `title` is its name for people.
    pub title: String,
    /// `description` says what it is for. It may be empty.
    pub description: String,
    /// `model` is the id of the model that it uses, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<String>,
    /// `ext` has what the backend's plugin says of the agent beside all that.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}

/// `AgentList` are the agents that a prompt can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AgentList {
    /// `agents` are the agents.
    pub agents: Vec<Agent>,
    /// `default` is the id of the one that answers in a new session. Null: it is not known.
    #[schema(required)]
    pub default: Option<String>,
}

/// `Command` is a prompt that the backend makes, from a name and what follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatCommand)]
pub struct Command {
    /// `name` is the name, without the `/`.
    #[schema(examples("review"))]
    pub name: String,
    /// `description` says what it does. It may be empty.
    pub description: String,
    /// `arguments` is what is expected after the name, for people. Absent: it is not known. Empty: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub arguments: Option<String>,
    /// `ext` has what the backend's plugin says of the command beside all that.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}

/// `CommandCall` is a command in place of the text of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandCall {
    /// `name` is the name of the command, without the `/`: 1 to 128 bytes without white space.
    #[schema(pattern = r"^[^\s/]\S*$", examples("review"))]
    pub name: String,
    /// `arguments` is what the user wrote after the name, at most 512 KiB.
    #[serde(default)]
    pub arguments: String,
}

impl CommandCall {
    /// `text` is the command as the user would write it.
    pub fn text(&self) -> String {
        match self.arguments.trim() {
            "" => format!("/{}", self.name),
            arguments => format!("/{} {arguments}", self.name),
        }
    }
}

/// `PromptOptions` are what a prompt is sent with beside its text and its attachments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptOptions {
    /// `command` is a command of the backend, in place of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub command: Option<CommandCall>,
    /// `files` are files and folders of the project folder that the user points at, relative to it: at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// `model` is the id of the model that is to answer. Absent: the backend's default, which may be that of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<String>,
    /// `agent` is the id of the agent that is to answer. Absent: the backend's default, which may be that of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agent: Option<String>,
    /// `variant` is the id of one of the model's variants. Absent: the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub variant: Option<String>,
}

impl PromptOptions {
    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
