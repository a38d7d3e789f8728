//! What a chat backend implements: [`Guest`], exported with [`export_chat!`](crate::export_chat).

#[doc(hidden)]
pub use super::bindings::chat as __world;
pub use super::bindings::chat::exports::nexus::plugin::chat::*;
pub use super::bindings::chat::nexus::plugin::chat_types as types;
pub use super::bindings::chat::nexus::plugin::transcript;
pub use super::caps::types::{
    Availability, CancelReason, Error, Ext, Failure, FailureKind, Fit, RefusedSetting, Unfit,
};
use super::job::{Cancel, Events, Job};

/// Runs `work` beside the call: returns the pair that `events` returns.
pub fn job<W>(cancel: wit_bindgen::FutureReader<CancelReason>, work: W) -> Job<types::Event>
where
    W: AsyncFnOnce(Events<types::Event>, Cancel) -> Result<(), Failure> + 'static,
{
    use super::bindings::chat::{wit_future, wit_stream};
    super::job::start(cancel, wit_stream::new(), wit_future::new(super::job::unfinished), work)
}
