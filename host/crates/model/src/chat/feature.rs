//! What not every chat backend has.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Feature` is something that not every chat backend has: an optional interface of the contract. What a backend does not have
/// is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// `sessions`: the backend holds several sessions. Without it Nexus makes them.
    Sessions,
    /// `history`: the backend keeps the messages. Without it Nexus alone does.
    History,
    /// `questions`: the agent asks questions.
    Questions,
    /// `models`: the user can choose the model.
    Models,
    /// `agents`: the backend has several agents, or modes.
    Agents,
    /// `commands`: the backend makes prompts from commands.
    Commands,
    /// `attachments`: files can be added to a prompt, and those of messages can be read.
    Attachments,
    /// `fork`: an earlier message can be gone on from in another session.
    Fork,
    /// `revert`: messages can be taken back, with what they did to files.
    Revert,
    /// `compaction`: the earlier messages can be replaced by a summary.
    Compaction,
    /// `archive`: the backend keeps whether a session is archived.
    Archive,
    /// `workspaces`: the backend works in several project folders.
    Workspaces,
    /// `files`: the files of a project folder can be searched and read.
    Files,
    /// `providers`: the user signs in to the providers of models through the backend.
    Providers,
}
