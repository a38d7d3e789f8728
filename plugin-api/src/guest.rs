//! The guest side: what a plugin in Rust implements and calls.
//!
//! Each interface of the contract is generated once and shared. The optional interfaces are generated from worlds of
//! their own (`optional-…`) rather than from the `…-full` worlds: so `chat::Guest` is one trait, whether or not a plugin
//! also exports `sessions`, and all features compile together. The section that describes a component's
//! exports is emitted by the `export_…!` macros only; a guest exports what it asked for and nothing else.
//!
//! ```text
//! struct Plugin;
//! impl nexus_plugin_api::chat::Guest for Plugin { … }
//! nexus_plugin_api::export_chat!(Plugin);
//! ```

/// The generated bindings. Unsafe code and the like is wit-bindgen's own.
#[allow(
    unsafe_code, // SAFETY: the canonical ABI is spoken by generated code alone
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::todo,
    clippy::unimplemented
)]
mod bindings {
    macro_rules! world {
        // What it imports is generated once, for the world `capabilities`. (To name what a world does not import is an error.)
        ($name:ident, $world:literal, capabilities $(, $extra:literal : $with:path)*) => {
            world!($name, $world,
                "nexus:plugin/config@0.1.0": crate::caps::config,
                "nexus:plugin/log@0.1.0": crate::caps::log,
                "nexus:plugin/clock@0.1.0": crate::caps::clock,
                "nexus:plugin/store@0.1.0": crate::caps::store,
                "nexus:plugin/secrets@0.1.0": crate::caps::secrets,
                "nexus:plugin/http@0.1.0": crate::caps::http,
                "nexus:plugin/process@0.1.0": crate::caps::process
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
                        "nexus:plugin/types@0.1.0": crate::caps::types,
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
    world!(chat, "chat-backend", capabilities, "nexus:plugin/chat-types@0.1.0": generate);
    #[cfg(feature = "chat")]
    world!(sessions, "optional-sessions", "nexus:plugin/chat-types@0.1.0": crate::chat::types);
    #[cfg(feature = "auth")]
    world!(auth, "auth-provider", capabilities, "nexus:plugin/auth-types@0.1.0": generate);
    #[cfg(feature = "auth")]
    world!(manage, "optional-manage", "nexus:plugin/auth-types@0.1.0": crate::auth::types);
}

pub mod awake;
mod config;
mod error;
pub mod http;
pub mod job;
pub mod log;
pub mod process;
mod refused;
pub mod sse;
pub use config::config;
pub use refused::refusals;

/// What every plugin may call. Importing an interface grants nothing: see `plugin.toml`.
pub mod caps {
    pub use super::bindings::caps::nexus::plugin::{clock, config, http, log, process, secrets, store, types};
}

/// What a tunnel provider implements: [`Guest`](tunnel::Guest), exported with [`export_tunnel!`](crate::export_tunnel).
#[cfg(feature = "tunnel")]
pub mod tunnel {
    #[doc(hidden)]
    pub use super::bindings::tunnel as __world;
    pub use super::bindings::tunnel::exports::nexus::plugin::tunnel::*;
    use super::job::{Cancel, Events, Gone, Job, permanent, retry};
    use super::process::Command;
    pub use crate::caps::types::{Availability, Error, Ext, Failure, FailureKind};

    /// Until the provider's program has said its version, in milliseconds.
    const VERSION_TIMEOUT: u64 = 10_000;

    /// A host function's refusal as the end of the tunnel. `install`: how to get the provider's program.
    pub fn refused(error: Error, install: &str) -> Failure {
        match error {
            Error::Denied(text) => permanent(text, "Add the grant to the configuration."),
            Error::NotFound(text) => permanent(text.trim_end(), install),
            Error::Invalid(text) => permanent(text, "This is a bug of the plugin. Please report it."),
            other => retry(other.text()),
        }
    }

    /// Tells the host. Where it stops reading without a cancel, the process stays for the next instance.
    pub async fn say(events: &mut Events<Event>, event: Event) -> Result<(), Failure> {
        events
            .send(event)
            .await
            .map_err(|Gone| retry("The host stopped reading the tunnel's events."))
    }

    /// Runs `binary argument` and lets `version` read what it writes, on stderr where nothing is on stdout: the version, or
    /// why it will not do.
    pub async fn check_availability(
        binary: &str,
        argument: &str,
        install: &str,
        version: impl FnOnce(&str) -> Result<String, String>,
    ) -> Availability {
        match Command::new(binary).args([argument]).run(VERSION_TIMEOUT).await {
            Ok(output) if output.exit.code == Some(0) => {
                let silent = output.stdout.trim().is_empty();
                match version(if silent { &output.stderr } else { &output.stdout }) {
                    Ok(version) => Availability::Ready(version),
                    Err(text) => Availability::Unsuitable(text),
                }
            }
            Ok(output) => Availability::Unsuitable(format!(
                "`{binary} {argument}` failed: {}. {install}",
                output.stderr.lines().next().unwrap_or("it printed nothing")
            )),
            Err(Error::NotFound(text)) => Availability::Missing(format!("{install}\n{}", text.trim_end())),
            Err(error) => Availability::Unsuitable(refused(error, install).message),
        }
    }

    /// Runs `work` beside the call: returns the pair that `run` returns.
    pub fn job<W>(cancel: wit_bindgen::FutureReader<()>, work: W) -> Job<Event>
    where
        W: AsyncFnOnce(Events<Event>, Cancel) -> Result<(), Failure> + 'static,
    {
        use super::bindings::tunnel::{wit_future, wit_stream};
        super::job::start(cancel, wit_stream::new(), wit_future::new(super::job::unfinished), work)
    }
}

/// What a chat backend implements: [`Guest`](chat::Guest), exported with [`export_chat!`](crate::export_chat).
#[cfg(feature = "chat")]
pub mod chat {
    #[doc(hidden)]
    pub use super::bindings::chat as __world;
    pub use super::bindings::chat::exports::nexus::plugin::chat::*;
    pub use super::bindings::chat::nexus::plugin::chat_types as types;
    use super::job::{Cancel, Events, Job};
    pub use crate::caps::types::{Availability, Error, Ext, Failure, FailureKind};

    /// Runs `work` beside the call: returns the pair that `events` returns.
    pub fn job<W>(cancel: wit_bindgen::FutureReader<()>, work: W) -> Job<types::Event>
    where
        W: AsyncFnOnce(Events<types::Event>, Cancel) -> Result<(), Failure> + 'static,
    {
        use super::bindings::chat::{wit_future, wit_stream};
        super::job::start(cancel, wit_stream::new(), wit_future::new(super::job::unfinished), work)
    }
}

/// The optional interface of a chat backend that holds several sessions.
#[cfg(feature = "chat")]
pub mod sessions {
    #[doc(hidden)]
    pub use super::bindings::sessions as __world;
    pub use super::bindings::sessions::exports::nexus::plugin::sessions::*;
}

/// What an auth provider implements: [`Guest`](auth::Guest), exported with [`export_auth!`](crate::export_auth).
#[cfg(feature = "auth")]
pub mod auth {
    #[doc(hidden)]
    pub use super::bindings::auth as __world;
    pub use super::bindings::auth::exports::nexus::plugin::auth::*;
    pub use super::bindings::auth::nexus::plugin::auth_types as types;
    pub use crate::caps::types::{Error, Ext};
}

/// The optional interface of an auth provider that keeps credentials.
#[cfg(feature = "auth")]
pub mod manage {
    #[doc(hidden)]
    pub use super::bindings::manage as __world;
    pub use super::bindings::manage::exports::nexus::plugin::manage::*;
}

pub use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

/// Exports a type that implements [`tunnel::Guest`].
#[cfg(feature = "tunnel")]
#[macro_export]
macro_rules! export_tunnel {
    ($plugin:ident) => {
        // A native linker rejects the names of these symbols.
        #[cfg(target_arch = "wasm32")]
        $crate::tunnel::__world::export_world!($plugin with_types_in $crate::tunnel::__world);
        const _: fn() = || {
            fn implements<T: $crate::tunnel::Guest>() {}
            implements::<$plugin>();
        };
    };
}

/// Exports a type that implements [`chat::Guest`].
#[cfg(feature = "chat")]
#[macro_export]
macro_rules! export_chat {
    ($plugin:ident) => {
        // A native linker rejects the names of these symbols.
        #[cfg(target_arch = "wasm32")]
        $crate::chat::__world::export_world!($plugin with_types_in $crate::chat::__world);
        const _: fn() = || {
            fn implements<T: $crate::chat::Guest>() {}
            implements::<$plugin>();
        };
    };
}

/// Exports a type that implements [`chat::Guest`] and [`sessions::Guest`].
#[cfg(feature = "chat")]
#[macro_export]
macro_rules! export_chat_with_sessions {
    ($plugin:ident) => {
        $crate::export_chat!($plugin);
        // A native linker rejects the names of these symbols.
        #[cfg(target_arch = "wasm32")]
        $crate::sessions::__world::export_world!($plugin with_types_in $crate::sessions::__world);
        const _: fn() = || {
            fn implements<T: $crate::sessions::Guest>() {}
            implements::<$plugin>();
        };
    };
}

/// Exports a type that implements [`auth::Guest`].
#[cfg(feature = "auth")]
#[macro_export]
macro_rules! export_auth {
    ($plugin:ident) => {
        // A native linker rejects the names of these symbols.
        #[cfg(target_arch = "wasm32")]
        $crate::auth::__world::export_world!($plugin with_types_in $crate::auth::__world);
        const _: fn() = || {
            fn implements<T: $crate::auth::Guest>() {}
            implements::<$plugin>();
        };
    };
}

/// Exports a type that implements [`auth::Guest`] and [`manage::Guest`].
#[cfg(feature = "auth")]
#[macro_export]
macro_rules! export_auth_with_manage {
    ($plugin:ident) => {
        $crate::export_auth!($plugin);
        // A native linker rejects the names of these symbols.
        #[cfg(target_arch = "wasm32")]
        $crate::manage::__world::export_world!($plugin with_types_in $crate::manage::__world);
        const _: fn() = || {
            fn implements<T: $crate::manage::Guest>() {}
            implements::<$plugin>();
        };
    };
}
