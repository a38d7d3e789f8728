//! The generated bindings. Unsafe code and the like is wit-bindgen's own.
#![allow(
    unsafe_code, // SAFETY: the canonical ABI is spoken by generated code alone
    unreachable_pub,
    missing_docs, // they are the WIT's
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::todo,
    clippy::unimplemented
)]

macro_rules! world {
    // What it imports is generated once, for the world `capabilities`. (To name what a world does not import is an error.)
    ($name:ident, $world:literal, capabilities $(, $extra:literal : $with:path)*) => {
        world!($name, $world,
            "nexus:plugin/config@0.2.0": crate::guest::bindings::caps::nexus::plugin::config,
            "nexus:plugin/log@0.2.0": crate::guest::bindings::caps::nexus::plugin::log,
            "nexus:plugin/clock@0.2.0": crate::guest::bindings::caps::nexus::plugin::clock,
            "nexus:plugin/store@0.2.0": crate::guest::bindings::caps::nexus::plugin::store,
            "nexus:plugin/secrets@0.2.0": crate::guest::bindings::caps::nexus::plugin::secrets,
            "nexus:plugin/http@0.2.0": crate::guest::bindings::caps::nexus::plugin::http,
            "nexus:plugin/process@0.2.0": crate::guest::bindings::caps::nexus::plugin::process
            $(, $extra: $with)*);
    };
    ($name:ident, $world:literal $(, $extra:literal : $with:path)*) => {
        pub mod $name {
            wit_bindgen::generate!({
                path: "wit",
                world: $world,
                pub_export_macro: true,
                export_macro_name: "export_world",
                additional_derives: [PartialEq, Clone],
                generate_unused_types: true,
                with: {
                    "nexus:plugin/types@0.2.0": crate::guest::bindings::caps::nexus::plugin::types,
                    $($extra: $with,)*
                },
            });
        }
    };
}

pub mod caps {
    wit_bindgen::generate!({
        path: "wit",
        world: "capabilities",
        additional_derives: [PartialEq, Clone],
        generate_unused_types: true,
        generate_all,
    });
}

#[cfg(feature = "tunnel")]
world!(tunnel, "tunnel-provider", capabilities);
#[cfg(feature = "chat")]
world!(chat, "chat-backend", capabilities, "nexus:plugin/chat-types@0.2.0": generate);
#[cfg(feature = "chat")]
world!(sessions, "optional-sessions", "nexus:plugin/chat-types@0.2.0": crate::guest::bindings::chat::nexus::plugin::chat_types);
#[cfg(feature = "chat")]
world!(history, "optional-history", "nexus:plugin/chat-types@0.2.0": crate::guest::bindings::chat::nexus::plugin::chat_types);
#[cfg(feature = "chat")]
world!(questions, "optional-questions", "nexus:plugin/chat-types@0.2.0": crate::guest::bindings::chat::nexus::plugin::chat_types);
#[cfg(feature = "chat")]
world!(models, "optional-models");
#[cfg(feature = "chat")]
world!(agents, "optional-agents");
#[cfg(feature = "chat")]
world!(commands, "optional-commands");
#[cfg(feature = "chat")]
world!(attachments, "optional-attachments", "nexus:plugin/chat-types@0.2.0": crate::guest::bindings::chat::nexus::plugin::chat_types);
#[cfg(feature = "chat")]
world!(fork, "optional-fork", "nexus:plugin/chat-types@0.2.0": crate::guest::bindings::chat::nexus::plugin::chat_types);
#[cfg(feature = "chat")]
world!(revert, "optional-revert", "nexus:plugin/chat-types@0.2.0": crate::guest::bindings::chat::nexus::plugin::chat_types);
#[cfg(feature = "chat")]
world!(compaction, "optional-compaction", "nexus:plugin/chat-types@0.2.0": crate::guest::bindings::chat::nexus::plugin::chat_types);
#[cfg(feature = "chat")]
world!(archive, "optional-archive", "nexus:plugin/chat-types@0.2.0": crate::guest::bindings::chat::nexus::plugin::chat_types);
#[cfg(feature = "chat")]
world!(workspaces, "optional-workspaces");
#[cfg(feature = "chat")]
world!(files, "optional-files", "nexus:plugin/chat-types@0.2.0": crate::guest::bindings::chat::nexus::plugin::chat_types);
#[cfg(feature = "chat")]
world!(providers, "optional-providers", "nexus:plugin/chat-types@0.2.0": crate::guest::bindings::chat::nexus::plugin::chat_types);
#[cfg(feature = "auth")]
world!(auth, "auth-provider", capabilities, "nexus:plugin/auth-types@0.2.0": generate);
#[cfg(feature = "auth")]
world!(manage, "optional-manage", "nexus:plugin/auth-types@0.2.0": crate::guest::bindings::auth::nexus::plugin::auth_types);
