//! Chat: one backend, its events in the journal, and what people ask of it.
//!
//! [`journal::Journal`] is the host's own record of every session. [`ChatService`] keeps it up to date with one chat
//! backend, and does what the page, the API and the operator ask for. Sessions of a backend that is not running stay in the
//! journal: they can be read and deleted, and are continued when their backend is back.
//!
//! The test below this page shows it at work alone.

#![warn(missing_docs)]

mod agent_install;
mod attachments;
mod backend_status;
mod backend_task;
mod choices;
mod commands;
mod dependencies;
mod error;
mod event_pump;
#[cfg(test)]
mod fakes;
pub mod journal;
mod journal_writes;
mod named_backend;
mod pending_prompts;
mod prompt_messages;
mod prompts;
mod queue;
mod service;
mod session_changes;
mod session_files;
mod sessions;
mod shared;
mod snapshots;
mod swap;
#[cfg(test)]
mod tests;
mod transcript;

pub use backend_status::{BackendStatus, Install, Missing, Phase};
pub use dependencies::Dependencies;
pub use error::ChatError;
pub use named_backend::NamedBackend;
pub use nexus_plugin_traits::Prompt;
pub use service::ChatService;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod smoke_test {
    use crate::fakes::{rig, settle};
    use nexus_model::chat::{Admission, Event, Turn};
    use nexus_testkit::fake_chat::event;

    /// The service at work alone: a backend connects, a prompt is sent and answered, and a page sees it.
    #[tokio::test(start_paused = true)]
    async fn a_prompt_is_sent_and_its_answer_is_in_the_journal() {
        let mut rig = rig();
        let backend = rig.up().await;
        let prompt = crate::Prompt {
            client_id: "c1".to_owned(),
            text: "Hello".to_owned(),
            ..crate::Prompt::default()
        };
        assert_eq!(rig.service.prompt("s", prompt, false).await, Ok(Admission::Admitted));
        for turn in [Turn::Running, Turn::Idle] {
            backend.send(event("s", Event::Turn { turn })).await.unwrap();
        }
        settle().await;
        let state = rig.service.state("s").await.unwrap();
        assert_eq!((state.turn, state.messages.len()), (Turn::Idle, 1));
        assert_eq!(rig.service.sessions().borrow()[0].info.id, "s");
    }
}
