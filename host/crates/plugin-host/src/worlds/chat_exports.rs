//! What an instance of a chat backend exports.

use crate::bindings::chat::ChatBackend as Bindings;
use crate::bindings::chat::exports::nexus::plugin::chat::{Descriptor, Guest};
use crate::capabilities::Mask;
use crate::engine::instance_state::InstanceState;
use crate::instance::{Exports, Handle, read_refused};
use futures::future::BoxFuture;
use nexus_model::chat::Feature;
use nexus_model::plugin;
use std::collections::BTreeSet;
use wasmtime::component::{Accessor, Instance};

/// `ChatFacts` are what a chat backend is: what it says, and which optional interfaces it has.
#[derive(Debug, Clone)]
pub(crate) struct ChatFacts {
    pub(crate) descriptor: Descriptor,
    pub(crate) features: BTreeSet<Feature>,
}

/// Each optional interface once: its name, and the names that bindgen makes of it.
macro_rules! exports {
    ($($name:ident: $world:ident, $get:ident, $feature:ident;)+) => {
        pub(crate) struct ChatExports {
            pub(crate) chat: Guest,
            $(pub(crate) $name: Option<crate::bindings::$name::exports::nexus::plugin::$name::Guest>,)+
        }

        impl ChatExports {
            fn features(&self) -> BTreeSet<Feature> {
                let found = [$((Feature::$feature, self.$name.is_some())),+];
                found.into_iter().filter_map(|(which, has)| has.then_some(which)).collect()
            }

            fn find_all(store: &mut wasmtime::Store<InstanceState>, instance: &Instance) -> wasmtime::Result<Self> {
                Ok(Self {
                    chat: Bindings::new(&mut *store, instance)?.nexus_plugin_chat().clone(),
                    // Whether their types are those of the contract was found when it was loaded; here absence is no error.
                    $($name: crate::bindings::$name::$world::new(&mut *store, instance).ok().map(|o| o.$get().clone()),)+
                })
            }
        }
    };
}

exports! {
    sessions: OptionalSessions, nexus_plugin_sessions, Sessions;
    history: OptionalHistory, nexus_plugin_history, History;
    questions: OptionalQuestions, nexus_plugin_questions, Questions;
    models: OptionalModels, nexus_plugin_models, Models;
    agents: OptionalAgents, nexus_plugin_agents, Agents;
    commands: OptionalCommands, nexus_plugin_commands, Commands;
    attachments: OptionalAttachments, nexus_plugin_attachments, Attachments;
    fork: OptionalFork, nexus_plugin_fork, Fork;
    revert: OptionalRevert, nexus_plugin_revert, Revert;
    compaction: OptionalCompaction, nexus_plugin_compaction, Compaction;
    archive: OptionalArchive, nexus_plugin_archive, Archive;
    workspaces: OptionalWorkspaces, nexus_plugin_workspaces, Workspaces;
    files: OptionalFiles, nexus_plugin_files, Files;
    providers: OptionalProviders, nexus_plugin_providers, Providers;
}

impl Exports for ChatExports {
    type Facts = ChatFacts;

    fn find(store: &mut wasmtime::Store<InstanceState>, instance: &Instance) -> wasmtime::Result<Self> {
        Self::find_all(store, instance)
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
