//! Requests to the agent, from the functions that the host calls.

use crate::connection_state::Outgoing;
use crate::current;
use crate::rpc::RpcError;
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::chat::types::Event;
use nexus_plugin_api::job::{channel, timeout};
use serde_json::Value;

/// `CallError` is why a request has no result.
#[derive(Debug)]
pub enum CallError {
    /// `Agent`: it answered with an error.
    Agent(RpcError),
    /// `Host`: it did not answer.
    Host(Error),
}

impl CallError {
    /// `text` is the error for the owner.
    pub fn text(&self) -> String {
        match self {
            Self::Agent(error) => current::agent().unwrap_or_default().words(error),
            Self::Host(error) => error.text().to_owned(),
        }
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Host(error)
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Agent(_) => Self::Unavailable(error.text()),
            CallError::Host(error) => error,
        }
    }
}

fn gone() -> Error {
    Error::Unavailable("The connection to the agent ended before it answered.".to_owned())
}

/// `call` sends a request and waits at most `milliseconds` for its result.
pub async fn call(method: &str, params: &Value, milliseconds: u64) -> Result<Value, CallError> {
    let (sender, mut answer) = channel(1);
    let (line, outgoing) = current::with(|c| (c.call(method, params, sender), c.outgoing.clone()))?;
    let answered = async {
        let sent = outgoing.send(Outgoing { line, written: None });
        sent.await.map_err(|_| gone())?;
        // The connection drops who waits when it ends.
        answer.recv().await.ok_or_else(gone)
    };
    match timeout(milliseconds, answered).await {
        Some(answered) => answered?.map_err(CallError::Agent),
        None => Err(CallError::Host(Error::Timeout(format!(
            "The agent has not answered {method} within {} s.",
            milliseconds / 1000
        )))),
    }
}

/// `deliver` sends a line, and returns when the agent has it.
///
/// # Errors
/// `unavailable`: it has not.
pub async fn deliver(line: Vec<u8>) -> Result<(), Error> {
    let outgoing = current::with(|c| c.outgoing.clone())?;
    let (sender, mut written) = channel(1);
    let line = Outgoing {
        line,
        written: Some(sender),
    };
    outgoing.send(line).await.map_err(|_| gone())?;
    written.recv().await.ok_or_else(gone)
}

/// `report` hands events to the job that the host listens to. Where nobody listens, nobody needs them.
pub async fn report(events: Vec<Event>) {
    if events.is_empty() {
        return;
    }
    if let Ok(sender) = current::with(|c| c.events.clone()) {
        let _ = sender.send(events).await;
    }
}
