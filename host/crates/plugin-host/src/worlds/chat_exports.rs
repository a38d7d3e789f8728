//! What an instance of a chat backend exports.

use crate::bindings::chat::exports::nexus::plugin::chat::Descriptor;
use crate::capabilities::Mask;
use crate::engine::guest_calls::ChatGuests;
use crate::engine::instance_state::InstanceState;
use crate::engine::minor::Minor;
use crate::instance::{Exports, Handle, read_refused};
use futures::future::BoxFuture;
use nexus_model::chat::Feature;
use nexus_model::plugin;
use std::collections::BTreeSet;
use wasmtime::component::{Accessor, Instance};

pub(crate) type ChatExports = ChatGuests;

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
            (Feature::Models, self.models.is_some()),
            (Feature::Agents, self.agents.is_some()),
            (Feature::Commands, self.commands.is_some()),
            (Feature::Attachments, self.attachments.is_some()),
            (Feature::Fork, self.fork.is_some()),
            (Feature::Revert, self.revert.is_some()),
            (Feature::Compaction, self.compaction.is_some()),
            (Feature::Archive, self.archive.is_some()),
            (Feature::Workspaces, self.workspaces.is_some()),
            (Feature::Files, self.files.is_some()),
            (Feature::Providers, self.providers.is_some()),
        ];
        found
            .into_iter()
            .filter_map(|(which, has)| has.then_some(which))
            .collect()
    }
}

impl Exports for ChatExports {
    type Facts = ChatFacts;

    fn find(minor: &Minor, store: &mut wasmtime::Store<InstanceState>, instance: &Instance) -> wasmtime::Result<Self> {
        (minor.chat)(store, instance)
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
