//! What an instance of a chat backend exports.

use crate::bindings::chat::ChatBackend as Bindings;
use crate::bindings::chat::exports::nexus::plugin::chat::{Descriptor, Guest};
use crate::bindings::sessions::OptionalSessions;
use crate::bindings::sessions::exports::nexus::plugin::sessions::Guest as Sessions;
use crate::capabilities::Mask;
use crate::engine::instance_state::InstanceState;
use crate::instance::{Exports, Handle, read_refused};
use futures::future::BoxFuture;
use nexus_model::plugin;
use wasmtime::component::{Accessor, Instance};

pub(crate) struct ChatExports {
    pub(crate) chat: Guest,
    pub(crate) sessions: Option<Sessions>,
}

impl Exports for ChatExports {
    type Facts = Descriptor;

    fn find(store: &mut wasmtime::Store<InstanceState>, instance: &Instance) -> wasmtime::Result<Self> {
        Ok(Self {
            chat: Bindings::new(&mut *store, instance)?.nexus_plugin_chat().clone(),
            // Whether it has it was found when it was loaded; here its absence is no error.
            sessions: OptionalSessions::new(&mut *store, instance)
                .ok()
                .map(|o| o.nexus_plugin_sessions().clone()),
        })
    }

    fn refused(facts: &Descriptor, mask: &Mask) -> Vec<plugin::Refusal> {
        read_refused(&facts.ext, mask)
    }

    fn facts<'a>(&'a self, a: &'a Accessor<InstanceState>) -> BoxFuture<'a, wasmtime::Result<Descriptor>> {
        Box::pin(self.chat.call_describe(a))
    }
}

pub(crate) type ChatHandle = Handle<ChatExports>;
