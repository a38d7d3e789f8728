//! What an instance of a chat backend exports.

use crate::bindings::chat::ChatBackend as Bindings;
use crate::bindings::chat::exports::nexus::plugin::chat::{Descriptor, Guest};
use crate::bindings::history::OptionalHistory;
use crate::bindings::history::exports::nexus::plugin::history::Guest as History;
use crate::bindings::questions::OptionalQuestions;
use crate::bindings::questions::exports::nexus::plugin::questions::Guest as Questions;
use crate::bindings::sessions::OptionalSessions;
pub(crate) use crate::bindings::sessions::exports::nexus::plugin::sessions::Guest as Sessions;
use crate::capabilities::Mask;
use crate::engine::instance_state::InstanceState;
use crate::instance::{Exports, Handle, read_refused};
use futures::future::BoxFuture;
use nexus_model::chat::Feature;
use nexus_model::plugin;
use std::collections::BTreeSet;
use wasmtime::component::{Accessor, Instance};

pub(crate) struct ChatExports {
    pub(crate) chat: Guest,
    pub(crate) sessions: Option<Sessions>,
    pub(crate) history: Option<History>,
    pub(crate) questions: Option<Questions>,
}

/// `ChatFacts` are what a chat backend is: what it says, and which optional interfaces it has.
#[derive(Debug, Clone)]
pub(crate) struct ChatFacts {
    pub(crate) descriptor: Descriptor,
    pub(crate) features: BTreeSet<Feature>,
}

impl ChatExports {
    fn features(&self) -> BTreeSet<Feature> {
        let found = [
            (Feature::Sessions, self.sessions.is_some()),
            (Feature::History, self.history.is_some()),
            (Feature::Questions, self.questions.is_some()),
        ];
        found
            .into_iter()
            .filter_map(|(which, has)| has.then_some(which))
            .collect()
    }
}

impl Exports for ChatExports {
    type Facts = ChatFacts;

    fn find(store: &mut wasmtime::Store<InstanceState>, instance: &Instance) -> wasmtime::Result<Self> {
        Ok(Self {
            chat: Bindings::new(&mut *store, instance)?.nexus_plugin_chat().clone(),
            // Whether their types are those of the contract was found when it was loaded; here absence is no error.
            sessions: OptionalSessions::new(&mut *store, instance)
                .ok()
                .map(|o| o.nexus_plugin_sessions().clone()),
            history: OptionalHistory::new(&mut *store, instance)
                .ok()
                .map(|o| o.nexus_plugin_history().clone()),
            questions: OptionalQuestions::new(&mut *store, instance)
                .ok()
                .map(|o| o.nexus_plugin_questions().clone()),
        })
    }

    fn refused(facts: &ChatFacts, mask: &Mask) -> Vec<plugin::Refusal> {
        read_refused(&facts.descriptor.refused, mask)
    }

    fn facts<'a>(&'a self, a: &'a Accessor<InstanceState>) -> BoxFuture<'a, wasmtime::Result<ChatFacts>> {
        Box::pin(async {
            Ok(ChatFacts {
                descriptor: self.chat.call_describe(a).await?,
                features: self.features(),
            })
        })
    }
}

pub(crate) type ChatHandle = Handle<ChatExports>;
