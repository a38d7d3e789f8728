//! What the host calls of an instance, in the types of the newest minor of the contract. Each minor that the host speaks has
//! these traits for its own bindings: the newest as they are, an older one with its values converted.

use super::event_queue::Item;
use super::instance_state::InstanceState;
use super::stream_bridge::{self, LongCall};
use crate::bindings::agents::exports::nexus::plugin::agents;
use crate::bindings::archive::exports::nexus::plugin::archive;
use crate::bindings::attachments::exports::nexus::plugin::attachments;
use crate::bindings::auth::exports::nexus::plugin::auth;
use crate::bindings::auth::nexus::plugin::auth_types::{Answer as BrowserAnswer, Context, Step};
use crate::bindings::caps::types;
use crate::bindings::chat::exports::nexus::plugin::chat;
use crate::bindings::chat::nexus::plugin::chat_types::{
    Answer as Reply, Event as ChatEvent, FileContent, SessionInfo, SessionRef, SessionSnapshot,
};
use crate::bindings::commands::exports::nexus::plugin::commands;
use crate::bindings::compaction::exports::nexus::plugin::compaction;
use crate::bindings::files::exports::nexus::plugin::files;
use crate::bindings::fork::exports::nexus::plugin::fork;
use crate::bindings::history::exports::nexus::plugin::history;
use crate::bindings::manage::exports::nexus::plugin::manage;
use crate::bindings::models::exports::nexus::plugin::models;
use crate::bindings::providers::exports::nexus::plugin::providers;
use crate::bindings::questions::exports::nexus::plugin::questions;
use crate::bindings::revert::exports::nexus::plugin::revert;
use crate::bindings::sessions::exports::nexus::plugin::sessions;
use crate::bindings::tunnel::exports::nexus::plugin::tunnel;
use crate::bindings::workspaces::exports::nexus::plugin::workspaces;
use futures::future::BoxFuture;
use nexus_model::limits;
use wasmtime::Store;
use wasmtime::component::{Accessor, Instance};

/// `FindExports` finds the exports of a plugin in an instance of it.
pub(crate) type FindExports<T> = fn(&mut Store<InstanceState>, &Instance) -> wasmtime::Result<T>;

/// `Answer` is what a guest answers; an `Err` is a trap.
pub(crate) type Answer<'a, T> = BoxFuture<'a, wasmtime::Result<T>>;

/// The trait with these calls, and what it is for the bindings of the newest minor. `[long]` calls are those that return a stream
/// and an outcome.
macro_rules! calls {
    ($(#[$doc:meta])* $trait:ident for $guest:ty {
        $([long] $long:ident($($long_name:ident: $long_type:ty),*) -> $event:ty;)*
        $($call:ident($($name:ident: $type:ty),*) -> $answer:ty;)*
    }) => {
        $(#[$doc])*
        pub(crate) trait $trait: Send + Sync {
            $(fn $long<'a>(
                &'a self,
                a: &'a Accessor<InstanceState>
                $(, $long_name: $long_type)*
            ) -> Answer<'a, LongCall<$event, Result<(), types::Failure>>>;)*
            $(fn $call<'a>(&'a self, a: &'a Accessor<InstanceState> $(, $name: $type)*) -> Answer<'a, $answer>;)*
        }

        impl $trait for $guest {
            $(fn $long<'a>(
                &'a self,
                a: &'a Accessor<InstanceState>
                $(, $long_name: $long_type)*
            ) -> Answer<'a, LongCall<$event, Result<(), types::Failure>>> {
                Box::pin(async move {
                    let (cancel, cancelled) = stream_bridge::cancel(a)?;
                    let (events, outcome) = <$guest>::$long(self, a $(, $long_name)*, cancelled).await?;
                    stream_bridge::connect(a, events, outcome, cancel, std::iter::once)
                })
            })*
            $(fn $call<'a>(&'a self, a: &'a Accessor<InstanceState> $(, $name: $type)*) -> Answer<'a, $answer> {
                Box::pin(<$guest>::$call(self, a $(, $name)*))
            })*
        }
    };
}

impl Item for ChatEvent {
    fn is_small(&self) -> bool {
        match self {
            Self::Delta(delta) => {
                let ids = delta.session.len() + delta.message.len() + delta.part.len();
                ids + delta.text.len() <= limits::STREAM_SMALL
            }
            _ => false,
        }
    }
}

impl Item for tunnel::Event {
    fn is_small(&self) -> bool {
        false
    }
}

type Fallible<T> = Result<T, types::Error>;

calls! {
    /// `TunnelCalls` are those of `tunnel`.
    TunnelCalls for tunnel::Guest {
        [long] call_run(origin: tunnel::Origin) -> tunnel::Event;
        call_describe() -> tunnel::Descriptor;
        call_check_availability() -> types::Availability;
    }
}

calls! {
    /// `ChatCalls` are those of `chat`.
    ChatCalls for chat::Guest {
        [long] call_events() -> ChatEvent;
        call_describe() -> chat::Descriptor;
        call_check_availability() -> types::Availability;
        call_prompt(session: SessionRef, id: String, parts: Vec<chat::Input>, options: chat::Options) -> Fallible<chat::Admission>;
        call_cancel(session: SessionRef) -> Fallible<()>;
        call_reply(session: SessionRef, request: String, answer: Reply) -> Fallible<()>;
    }
}

calls! {
    /// `SessionsCalls` are those of `sessions`.
    SessionsCalls for sessions::Guest {
        call_list(workspace: String, limit: u32) -> Fallible<Vec<SessionInfo>>;
        call_create(workspace: String, title: Option<String>) -> Fallible<SessionInfo>;
        call_rename(session: SessionRef, title: String) -> Fallible<()>;
        call_delete(session: SessionRef) -> Fallible<()>;
    }
}

calls! {
    /// `HistoryCalls` are those of `history`.
    HistoryCalls for history::Guest {
        call_snapshot(session: SessionRef, before: Option<String>) -> Fallible<SessionSnapshot>;
    }
}

calls! {
    /// `QuestionsCalls` are those of `questions`.
    QuestionsCalls for questions::Guest {
        call_answer(session: SessionRef, request: String, answers: Vec<Vec<String>>) -> Fallible<()>;
    }
}

calls! {
    /// `ModelsCalls` are those of `models`.
    ModelsCalls for models::Guest {
        call_list(workspace: String) -> Fallible<models::ModelList>;
    }
}

calls! {
    /// `AgentsCalls` are those of `agents`.
    AgentsCalls for agents::Guest {
        call_list(workspace: String) -> Fallible<agents::AgentList>;
    }
}

calls! {
    /// `CommandsCalls` are those of `commands`.
    CommandsCalls for commands::Guest {
        call_list(workspace: String) -> Fallible<Vec<commands::Command>>;
    }
}

calls! {
    /// `AttachmentsCalls` are those of `attachments`.
    AttachmentsCalls for attachments::Guest {
        call_read(session: SessionRef, id: String) -> Fallible<FileContent>;
    }
}

calls! {
    /// `ForkCalls` are those of `fork`.
    ForkCalls for fork::Guest {
        call_fork(session: SessionRef, before: Option<String>) -> Fallible<SessionInfo>;
    }
}

calls! {
    /// `RevertCalls` are those of `revert`.
    RevertCalls for revert::Guest {
        call_revert(session: SessionRef, message: String) -> Fallible<SessionInfo>;
        call_restore(session: SessionRef) -> Fallible<SessionInfo>;
    }
}

calls! {
    /// `CompactionCalls` are those of `compaction`.
    CompactionCalls for compaction::Guest {
        call_compact(session: SessionRef, model: Option<String>) -> Fallible<()>;
    }
}

calls! {
    /// `ArchiveCalls` are those of `archive`.
    ArchiveCalls for archive::Guest {
        call_set_archived(session: SessionRef, archived: bool) -> Fallible<()>;
    }
}

calls! {
    /// `WorkspacesCalls` are those of `workspaces`.
    WorkspacesCalls for workspaces::Guest {
        call_list() -> Fallible<Vec<workspaces::Workspace>>;
    }
}

calls! {
    /// `FilesCalls` are those of `files`.
    FilesCalls for files::Guest {
        call_search(workspace: String, query: String, limit: u32) -> Fallible<Vec<files::Entry>>;
        call_list(workspace: String, folder: String) -> Fallible<Vec<files::Entry>>;
        call_read(workspace: String, path: String) -> Fallible<FileContent>;
        call_find(workspace: String, text: String, limit: u32) -> Fallible<Vec<files::FoundLine>>;
    }
}

calls! {
    /// `ProvidersCalls` are those of `providers`.
    ProvidersCalls for providers::Guest {
        call_list() -> Fallible<Vec<providers::Provider>>;
        call_sign_in(provider: String, method: String, values: Vec<providers::Value>) -> Fallible<()>;
        call_begin(
            provider: String,
            method: String,
            values: Vec<providers::Value>
        ) -> Fallible<providers::BrowserSignIn>;
        call_finish(provider: String, method: String, code: Option<String>) -> Fallible<()>;
        call_sign_out(provider: String) -> Fallible<()>;
    }
}

calls! {
    /// `AuthCalls` are those of `auth`.
    AuthCalls for auth::Guest {
        call_describe() -> Vec<auth::Method>;
        call_begin(method: String, context: Context) -> Fallible<Step>;
        call_proceed(state: Vec<u8>, answer: BrowserAnswer, context: Context) -> Fallible<Step>;
        call_authenticate(facts: auth::Facts) -> Fallible<auth::Verdict>;
    }
}

calls! {
    /// `ManageCalls` are those of `manage`.
    ManageCalls for manage::Guest {
        call_enroll(context: Context) -> Fallible<Step>;
        call_change(subject: String, context: Context) -> Fallible<Step>;
        call_reset(subject: String, context: Context) -> Fallible<Step>;
        call_proceed(state: Vec<u8>, answer: BrowserAnswer, context: Context) -> Fallible<Step>;
        call_remove(subject: String) -> Fallible<()>;
    }
}

/// `TunnelGuests` are the interfaces of a tunnel provider.
pub(crate) struct TunnelGuests {
    pub(crate) tunnel: Box<dyn TunnelCalls>,
}

/// `ChatGuests` are the interfaces of a chat backend; `None`: it does not have that one.
pub(crate) struct ChatGuests {
    pub(crate) chat: Box<dyn ChatCalls>,
    pub(crate) sessions: Option<Box<dyn SessionsCalls>>,
    pub(crate) history: Option<Box<dyn HistoryCalls>>,
    pub(crate) questions: Option<Box<dyn QuestionsCalls>>,
    pub(crate) models: Option<Box<dyn ModelsCalls>>,
    pub(crate) agents: Option<Box<dyn AgentsCalls>>,
    pub(crate) commands: Option<Box<dyn CommandsCalls>>,
    pub(crate) attachments: Option<Box<dyn AttachmentsCalls>>,
    pub(crate) fork: Option<Box<dyn ForkCalls>>,
    pub(crate) revert: Option<Box<dyn RevertCalls>>,
    pub(crate) compaction: Option<Box<dyn CompactionCalls>>,
    pub(crate) archive: Option<Box<dyn ArchiveCalls>>,
    pub(crate) workspaces: Option<Box<dyn WorkspacesCalls>>,
    pub(crate) files: Option<Box<dyn FilesCalls>>,
    pub(crate) providers: Option<Box<dyn ProvidersCalls>>,
}

/// `AuthGuests` are the interfaces of an auth provider; `None`: as of [`ChatGuests`].
pub(crate) struct AuthGuests {
    pub(crate) auth: Box<dyn AuthCalls>,
    pub(crate) manage: Option<Box<dyn ManageCalls>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::chat::nexus::plugin::chat_types::Delta;

    #[test]
    fn a_few_words_of_an_answer_are_small_whatever_their_ids_and_all_else_is_large() {
        let delta = |session: usize, text: usize| {
            ChatEvent::Delta(Delta {
                session: "s".repeat(session),
                message: "m".to_owned(),
                part: "p".to_owned(),
                revision: 1,
                text: "t".repeat(text),
            })
        };
        assert!(delta(30, 100).is_small());
        assert!(delta(1, limits::STREAM_SMALL - 3).is_small());
        assert!(!delta(2, limits::STREAM_SMALL - 3).is_small());
        assert!(!delta(1 << 20, 1).is_small());
        assert!(!ChatEvent::Starting(String::new()).is_small());
        assert!(!tunnel::Event::Starting(String::new()).is_small());
    }
}
