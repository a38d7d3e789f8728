//! Tunnels: each has a loopback listener of its own, a task that keeps it in the state the operator wants, and a
//! provider plugin that opens it.
//!
//! One actor a tunnel, driven by what is *wanted* and not by commands: a start while it stops, two stops, or an
//! account that appears later need no transitions of their own.
//!
//! The test below this page shows it at work alone.

#![warn(missing_docs)]

mod actor;
mod attempt_end;
mod dependencies;
mod error;
mod http_checker;
mod open_command;
mod origin_listener;
mod origin_secret;
mod public_check;
mod public_checker;
mod service;
mod status_board;
mod swap;
mod task_channels;
mod tunnel;
mod wanted_tunnels;

pub use attempt_end::no_tls;
pub use dependencies::{Dependencies, RegisteredProvider, Spec};
pub use error::TunnelError;
pub use http_checker::HttpChecker;
pub use nexus_registry::RegistrationId;
pub use open_command::{Opening, Outcome, Refused};
pub use origin_listener::{ListenerHandle, ListenerServer, NotServed, PublicName, Relocation, TunnelListener};
pub use origin_secret::OriginSecret;
pub use public_checker::PublicChecker;
pub use service::TunnelService;
pub use swap::Swapped;

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod swap_tests;
#[cfg(test)]
mod tests;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod smoke_test {
    use crate::fakes::{Setup, obey, rig};
    use nexus_model::tunnel::TunnelState;

    /// The service at work alone: a tunnel is opened, gets its address from the provider, and is closed.
    #[tokio::test(start_paused = true)]
    async fn a_tunnel_is_opened_and_closed() {
        let mut rig = rig(Setup::default()).await;
        rig.service.open("main").await.unwrap();
        let run = rig.run().await;
        run.up("http://bore.example:4711").await;
        let status = rig
            .until(|status| status.state == TunnelState::Up { connections: 1 })
            .await;
        assert_eq!(status.url.as_deref(), Some("http://bore.example:4711"));
        drop(obey(run));
        rig.service.close("main").await.unwrap();
        assert_eq!(rig.service.statuses().borrow()[0].state, TunnelState::Off);
    }
}
