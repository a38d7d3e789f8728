//! What the chat service sees of a chat plugin, and what such a plugin may read of the journal.

use crate::backend_events::BackendEvents;
use crate::call::{Call, CallError};
use crate::supervised::{CancelReason, Supervised};
use futures::future::BoxFuture;
use nexus_model::{chat, plugin};
use std::collections::BTreeSet;

/// `ChatBackend` is a chat plugin (WIT interfaces `chat` and, where present, `sessions`).
pub trait ChatBackend: Supervised {
    /// `title` is for people: `opencode`.
    fn title(&self) -> String;
    /// `is_example` tells whether it is an example in which no model answers.
    fn is_example(&self) -> bool;
    /// Asks whether the backend's program is there and usable.
    fn check_availability(&self) -> Call<'_, plugin::Availability>;
    /// Opens the backend and reports what happens in it until they are dropped, across restarts of the plugin and of the backend.
    /// Called once at a time.
    fn events(&self) -> BackendEvents;
    /// Says for what reason the receiver of [`Self::events`] is dropped next. Who does not say is taken to stop it.
    fn leaving(&self, reason: CancelReason) {
        let _ = reason;
    }
    /// `features` are the optional interfaces that its plugin has; those of the last start while it does not run, and none
    /// before the first. What it does not have answers [`CallError::Unsupported`].
    fn features(&self) -> BTreeSet<chat::Feature>;
    /// Gives the backend a prompt, with the content of its attachments in their order. It answers when the backend has taken it,
    /// long before the agent's answer. The same client id again makes no second turn.
    fn prompt<'a>(
        &'a self,
        session: &'a chat::SessionInfo,
        prompt: Prompt,
        attachments: Vec<chat::NewAttachment>,
    ) -> Call<'a, chat::Admission>;
    /// Stops the running turn, if there is one, and closes its requests.
    fn cancel<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, ()>;
    /// Answers the agent's request with this id. `NotFound`: it waits no longer.
    fn reply<'a>(&'a self, session: &'a chat::SessionInfo, request: &'a str, answer: chat::Answer) -> Call<'a, ()>;
    /// Reads a session as the backend has it, with its newest messages; `before`, from an earlier snapshot, pages back.
    fn snapshot<'a>(&'a self, session: &'a chat::SessionInfo, before: Option<String>) -> Call<'a, chat::Snapshot>;
    /// Lists at most `limit` root sessions of a workspace (`None`: the configured one), the most recently changed first.
    fn sessions(&self, workspace: Option<String>, limit: u32) -> Call<'_, Vec<chat::SessionInfo>>;
    /// Makes a session in a workspace (`None`: the configured one); without a title the backend chooses one.
    fn create(&self, workspace: Option<String>, title: Option<String>) -> Call<'_, chat::SessionInfo>;
    /// Gives a session another title.
    fn rename<'a>(&'a self, session: &'a chat::SessionInfo, title: &'a str) -> Call<'a, ()>;
    /// Deletes a session in the backend.
    fn delete<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, ()>;
    /// Lists the models that can be used in a workspace.
    fn models<'a>(&'a self, _workspace: &'a str) -> Call<'a, chat::ModelList> {
        without("list models")
    }
    /// Lists the agents that a prompt can be sent to.
    fn agents<'a>(&'a self, _workspace: &'a str) -> Call<'a, chat::AgentList> {
        without("list agents")
    }
    /// Lists the commands of a workspace.
    fn commands<'a>(&'a self, _workspace: &'a str) -> Call<'a, Vec<chat::Command>> {
        without("list commands")
    }
    /// Reads the content of an attachment by its id, at most [`nexus_model::limits::FILE_BYTES`].
    fn read_attachment<'a>(&'a self, _session: &'a chat::SessionInfo, _id: &'a str) -> Call<'a, chat::FileContent> {
        without("read attachments")
    }
    /// Makes a session with the messages up to `before` and without it; `None`: with all.
    fn fork<'a>(&'a self, _session: &'a chat::SessionInfo, _before: Option<&'a str>) -> Call<'a, chat::SessionInfo> {
        without("fork sessions")
    }
    /// Takes back a message of the user and all after it, and what they did to files.
    fn revert<'a>(&'a self, _session: &'a chat::SessionInfo, _message: &'a str) -> Call<'a, chat::SessionInfo> {
        without("take messages back")
    }
    /// Brings back what is taken back.
    fn restore<'a>(&'a self, _session: &'a chat::SessionInfo) -> Call<'a, chat::SessionInfo> {
        without("bring messages back")
    }
    /// Begins to replace the earlier messages by a summary that `model` writes; `None`: the session's model.
    fn compact<'a>(&'a self, _session: &'a chat::SessionInfo, _model: Option<&'a str>) -> Call<'a, ()> {
        without("summarize messages")
    }
    /// Archives a session, or takes it out of the archive.
    fn set_archived<'a>(&'a self, _session: &'a chat::SessionInfo, _archived: bool) -> Call<'a, ()> {
        without("archive sessions")
    }
    /// Lists the project folders in which sessions may be made.
    fn workspaces(&self) -> Call<'_, Vec<chat::Workspace>> {
        without("list project folders")
    }
    /// Finds at most `limit` files and folders by a part of their path, the best first.
    fn search_files<'a>(&'a self, _workspace: &'a str, _query: &'a str, _limit: u32) -> Call<'a, Vec<chat::FileEntry>> {
        without("search files")
    }
    /// Lists what is in a folder; the workspace itself is empty.
    fn list_folder<'a>(&'a self, _workspace: &'a str, _folder: &'a str) -> Call<'a, Vec<chat::FileEntry>> {
        without("list files")
    }
    /// Reads a file of the workspace, at most [`nexus_model::limits::FILE_BYTES`].
    fn read_file<'a>(&'a self, _workspace: &'a str, _path: &'a str) -> Call<'a, chat::FileContent> {
        without("read files")
    }
    /// Finds at most `limit` lines by a text.
    fn find_lines<'a>(&'a self, _workspace: &'a str, _text: &'a str, _limit: u32) -> Call<'a, Vec<chat::FoundLine>> {
        without("search in files")
    }
    /// Lists the providers of models.
    fn providers(&self) -> Call<'_, Vec<chat::Provider>> {
        without("list providers of models")
    }
    /// Signs in to a provider with what the user typed.
    fn sign_in<'a>(&'a self, _provider: &'a str, _method: &'a str, _values: chat::SignInValues) -> Call<'a, ()> {
        without("sign in to providers of models")
    }
    /// Begins to sign in at a page of the provider.
    fn begin_sign_in<'a>(
        &'a self,
        _provider: &'a str,
        _method: &'a str,
        _values: chat::SignInValues,
    ) -> Call<'a, chat::BrowserSignIn> {
        without("sign in to providers of models")
    }
    /// Ends that. `Unavailable`: the user is not done yet.
    fn finish_sign_in<'a>(&'a self, _provider: &'a str, _method: &'a str, _code: Option<String>) -> Call<'a, ()> {
        without("sign in to providers of models")
    }
    /// Removes the credential for a provider. Removing one that is not there is no error.
    fn sign_out<'a>(&'a self, _provider: &'a str) -> Call<'a, ()> {
        without("sign out of providers of models")
    }
}

/// What a backend without the interface answers.
fn without<'a, T>(what: &'static str) -> Call<'a, T> {
    Box::pin(async move { Err(CallError::Unsupported(what)) })
}

/// `Utterance` is the text of one message, and what files it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utterance {
    /// `message` is the id of the message.
    pub message: chat::MessageId,
    /// `role` is its author.
    pub role: chat::Role,
    /// `client_id` is that of a prompt of the user.
    pub client_id: Option<String>,
    /// `text` has its texts, one after the other.
    pub text: String,
    /// `attachments` are its files, at most [`nexus_model::limits::PROMPT_ATTACHMENTS`].
    pub attachments: Vec<chat::Attachment>,
    /// `created_at` is the time at which it was created.
    pub created_at: nexus_model::time::Millis,
}

/// `TranscriptError` says why a transcript cannot be read, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranscriptError {
    /// `NotFound`: it is no session of this backend, or has no such file.
    #[error("{0}")]
    NotFound(String),
    /// `Unavailable`: it cannot be read now.
    #[error("{0}")]
    Unavailable(String),
}

/// `Transcripts` are what was said in the sessions of all chat backends, each for its own plugin alone.
pub trait Transcripts: Send + Sync + 'static {
    /// Reads the newest utterances of a session of `plugin`, the oldest first: at most `limit`, and
    /// [`nexus_model::limits::TRANSCRIPT_BYTES`]. `before` is a message: those before it.
    fn read<'a>(
        &'a self,
        plugin: &'a str,
        session: &'a str,
        before: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Utterance>, TranscriptError>>;

    /// Reads a file that the user added to a prompt of a session of `plugin`.
    fn attachment<'a>(
        &'a self,
        plugin: &'a str,
        session: &'a str,
        id: &'a str,
    ) -> BoxFuture<'a, Result<chat::FileContent, TranscriptError>>;
}

/// `Prompt` is a prompt of the user, as the host keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// `client_id` is chosen by the client, `[A-Za-z0-9_-]{1,128}`; it is admitted once.
    pub client_id: String,
    /// `text` is what the user wrote; empty where there is a command.
    pub text: String,
    /// `attachments` are files that the host keeps, by their ids.
    pub attachments: Vec<chat::Attachment>,
    /// `options` are what it is sent with beside that.
    pub options: chat::PromptOptions,
    /// `consent` is the id of a consent given just now.
    pub consent: Option<String>,
}

impl Prompt {
    /// `shown` is what is shown of it: the text, or the command as it would be written.
    pub fn shown(&self) -> String {
        let command = self.options.command.as_ref();
        command.map_or_else(|| self.text.clone(), chat::CommandCall::text)
    }
}
