//! wasmtime's bindings of the contract, which lies in `plugin-api/wit` (`wit` beside this crate's manifest is a link).
//!
//! They are generated here and not in `plugin-api`, so that nothing but this crate waits for wasmtime to be compiled.
//!
//! The imports are generated once, in [`caps`]; the worlds share them, so that a host implements each
//! capability once and links it for all kinds of plugin.
#![allow(unreachable_pub)] // bindgen re-exports what it is given

/// The imports every plugin may have: traits for the host to implement, and their types.
pub mod caps {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "capabilities",
        imports: {
            "nexus:plugin/http.fetch": async | store | trappable,
            "nexus:plugin/process.lines": async | store | trappable,
            "nexus:plugin/process.output": async | store | trappable,
            default: trappable,
        },
        additional_derives: [PartialEq],
    });
    pub use nexus::plugin::{clock, config, http, log, process, secrets, store, types};
}

macro_rules! world {
    ($(#[$doc:meta])* $name:ident, $world:literal => capabilities) => {
        world!($(#[$doc])* $name, $world,
            "nexus:plugin/config": crate::bindings::caps::config,
            "nexus:plugin/log": crate::bindings::caps::log,
            "nexus:plugin/clock": crate::bindings::caps::clock,
            "nexus:plugin/store": crate::bindings::caps::store,
            "nexus:plugin/secrets": crate::bindings::caps::secrets,
            "nexus:plugin/http": crate::bindings::caps::http,
            "nexus:plugin/process": crate::bindings::caps::process);
    };
    ($(#[$doc:meta])* $name:ident, $world:literal $(, $extra:literal : $with:path)*) => {
        $(#[$doc])*
        pub mod $name {
            wasmtime::component::bindgen!({
                path: "wit",
                world: $world,
                imports: { default: trappable },
                exports: { default: async | store },
                with: {
                    "nexus:plugin/types": crate::bindings::caps::types,
                    $($extra: $with,)*
                },
                additional_derives: [PartialEq],
            });
        }
    };
}

world!(
    /// A tunnel provider's exports.
    tunnel, "tunnel-provider" => capabilities);
world!(
    /// A chat backend's required exports.
    chat, "chat-backend" => capabilities);
world!(
    /// A chat backend's optional `sessions` interface.
    sessions, "optional-sessions", "nexus:plugin/chat-types": crate::bindings::chat::nexus::plugin::chat_types);
world!(
    /// A chat backend's optional `history` interface.
    history, "optional-history", "nexus:plugin/chat-types": crate::bindings::chat::nexus::plugin::chat_types);
world!(
    /// A chat backend's optional `questions` interface.
    questions, "optional-questions", "nexus:plugin/chat-types": crate::bindings::chat::nexus::plugin::chat_types);
world!(
    /// A chat backend's optional `models` interface.
    models, "optional-models");
world!(
    /// A chat backend's optional `agents` interface.
    agents, "optional-agents");
world!(
    /// A chat backend's optional `commands` interface.
    commands, "optional-commands");
world!(
    /// A chat backend's optional `attachments` interface.
    attachments, "optional-attachments", "nexus:plugin/chat-types": crate::bindings::chat::nexus::plugin::chat_types);
world!(
    /// A chat backend's optional `fork` interface.
    fork, "optional-fork", "nexus:plugin/chat-types": crate::bindings::chat::nexus::plugin::chat_types);
world!(
    /// A chat backend's optional `revert` interface.
    revert, "optional-revert", "nexus:plugin/chat-types": crate::bindings::chat::nexus::plugin::chat_types);
world!(
    /// A chat backend's optional `compaction` interface.
    compaction, "optional-compaction", "nexus:plugin/chat-types": crate::bindings::chat::nexus::plugin::chat_types);
world!(
    /// A chat backend's optional `archive` interface.
    archive, "optional-archive", "nexus:plugin/chat-types": crate::bindings::chat::nexus::plugin::chat_types);
world!(
    /// A chat backend's optional `workspaces` interface.
    workspaces, "optional-workspaces");
world!(
    /// A chat backend's optional `files` interface.
    files, "optional-files", "nexus:plugin/chat-types": crate::bindings::chat::nexus::plugin::chat_types);
world!(
    /// A chat backend's optional `providers` interface.
    providers, "optional-providers", "nexus:plugin/chat-types": crate::bindings::chat::nexus::plugin::chat_types);
world!(
    /// An auth provider's required exports.
    auth, "auth-provider" => capabilities);
world!(
    /// An auth provider's optional `manage` interface.
    manage, "optional-manage", "nexus:plugin/auth-types": crate::bindings::auth::nexus::plugin::auth_types);
