//! What the host calls of an instance, in the types of the newest minor of the contract. Each minor that the host speaks has
//! these traits for its own bindings: the newest as they are, an older one with its values converted.

use super::instance_state::InstanceState;
use super::stream_bridge::{self, LongCall};
use crate::bindings::auth::exports::nexus::plugin::auth;
use crate::bindings::auth::nexus::plugin::auth_types::{Field, Value};
use crate::bindings::caps::types;
use crate::bindings::chat::exports::nexus::plugin::chat;
use crate::bindings::chat::nexus::plugin::chat_types::{
    Answer as Reply, Event as ChatEvent, SessionInfo, SessionRef, SessionSnapshot,
};
use crate::bindings::history::exports::nexus::plugin::history;
use crate::bindings::manage::exports::nexus::plugin::manage;
use crate::bindings::questions::exports::nexus::plugin::questions;
use crate::bindings::sessions::exports::nexus::plugin::sessions;
use crate::bindings::tunnel::exports::nexus::plugin::tunnel;
use futures::future::BoxFuture;
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
                    stream_bridge::connect(a, events, outcome, cancel, std::convert::identity)
                })
            })*
            $(fn $call<'a>(&'a self, a: &'a Accessor<InstanceState> $(, $name: $type)*) -> Answer<'a, $answer> {
                Box::pin(<$guest>::$call(self, a $(, $name)*))
            })*
        }
    };
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
    /// `AuthCalls` are those of `auth`.
    AuthCalls for auth::Guest {
        call_describe() -> Vec<auth::Method>;
        call_begin(method: String, context: auth::Context) -> Fallible<auth::Step>;
        call_proceed(state: Vec<u8>, input: Vec<Value>) -> Fallible<auth::Step>;
    }
}

calls! {
    /// `ManageCalls` are those of `manage`.
    ManageCalls for manage::Guest {
        call_fields() -> Fallible<Vec<Field>>;
        call_enroll(account: String, input: Vec<Value>) -> Fallible<manage::Outcome>;
        call_change(subject: String, input: Vec<Value>) -> Fallible<manage::Outcome>;
        call_reset(subject: String, input: Vec<Value>) -> Fallible<manage::Outcome>;
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
}

/// `AuthGuests` are the interfaces of an auth provider; `None`: as of [`ChatGuests`].
pub(crate) struct AuthGuests {
    pub(crate) auth: Box<dyn AuthCalls>,
    pub(crate) manage: Option<Box<dyn ManageCalls>>,
}
