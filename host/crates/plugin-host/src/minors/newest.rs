//! The newest minor, whose types are those of the host's own code: nothing is converted.

use crate::bindings::auth::AuthProvider;
use crate::bindings::chat::ChatBackend;
use crate::bindings::manage::OptionalManage;
use crate::bindings::tunnel::TunnelProvider;
use crate::capabilities;
use crate::engine::guest_calls::{AuthGuests, ChatGuests, ManageCalls, TunnelGuests};
use crate::engine::instance_state::InstanceState;
use crate::engine::minor::Minor;
use crate::engine::{CONTRACT, optional};
use semver::Version;
use std::sync::OnceLock;
use wasmtime::Store;
use wasmtime::component::{Instance, Linker};

/// `TYPES` are interfaces of types alone, which others of the contract use.
const TYPES: [&str; 3] = ["types", "chat-types", "auth-types"];

/// `NEWEST` is the minor of `plugin-api/wit`.
pub(crate) static NEWEST: Minor = Minor {
    version: Version::new(0, 2, 0),
    contract: CONTRACT,
    types: OnceLock::new(),
    interfaces: || TYPES.into_iter().chain(capabilities::interfaces()).collect(),
    optional,
    link,
    tunnel,
    chat,
    auth,
};

fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    let mut all = capabilities::all().into_iter();
    all.try_for_each(|capability| (capability.link)(linker, |state| &mut state.caps))
}

fn tunnel(store: &mut Store<InstanceState>, instance: &Instance) -> wasmtime::Result<TunnelGuests> {
    let tunnel = TunnelProvider::new(store, instance)?;
    Ok(TunnelGuests {
        tunnel: Box::new(tunnel.nexus_plugin_tunnel().clone()),
    })
}

// Whether the types of the optional interfaces are those of the contract was found when the component was loaded; here absence is
// no error.

fn chat(store: &mut Store<InstanceState>, instance: &Instance) -> wasmtime::Result<ChatGuests> {
    let chat = ChatBackend::new(&mut *store, instance)?;
    /// One that the component exports; its bindings, and what they call it.
    macro_rules! optional {
        ($name:ident, $world:ident, $get:ident) => {
            match crate::bindings::$name::$world::new(&mut *store, instance) {
                Ok(found) => Some(Box::new(found.$get().clone())),
                Err(_) => None,
            }
        };
    }
    Ok(ChatGuests {
        chat: Box::new(chat.nexus_plugin_chat().clone()),
        sessions: optional!(sessions, OptionalSessions, nexus_plugin_sessions),
        history: optional!(history, OptionalHistory, nexus_plugin_history),
        questions: optional!(questions, OptionalQuestions, nexus_plugin_questions),
        models: optional!(models, OptionalModels, nexus_plugin_models),
        agents: optional!(agents, OptionalAgents, nexus_plugin_agents),
        commands: optional!(commands, OptionalCommands, nexus_plugin_commands),
        attachments: optional!(attachments, OptionalAttachments, nexus_plugin_attachments),
        fork: optional!(fork, OptionalFork, nexus_plugin_fork),
        revert: optional!(revert, OptionalRevert, nexus_plugin_revert),
        compaction: optional!(compaction, OptionalCompaction, nexus_plugin_compaction),
        archive: optional!(archive, OptionalArchive, nexus_plugin_archive),
        workspaces: optional!(workspaces, OptionalWorkspaces, nexus_plugin_workspaces),
        files: optional!(files, OptionalFiles, nexus_plugin_files),
        providers: optional!(providers, OptionalProviders, nexus_plugin_providers),
    })
}

fn auth(store: &mut Store<InstanceState>, instance: &Instance) -> wasmtime::Result<AuthGuests> {
    let auth = AuthProvider::new(&mut *store, instance)?;
    let manage = OptionalManage::new(&mut *store, instance).ok();
    Ok(AuthGuests {
        auth: Box::new(auth.nexus_plugin_auth().clone()),
        manage: manage.map(|o| Box::new(o.nexus_plugin_manage().clone()) as Box<dyn ManageCalls>),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn its_version_is_that_of_the_sdk() {
        assert_eq!(super::NEWEST.version.to_string(), nexus_plugin_api::API_VERSION);
    }
}
