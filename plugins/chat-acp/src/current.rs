//! The connection of this instance. The guest has one thread; a borrow never lives over an await.

use crate::agent::Agent;
use crate::connection_state::Connection;
use nexus_plugin_api::caps::types::Error;
use std::cell::RefCell;

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

pub fn set(connection: Option<Connection>) {
    CONNECTION.with(|c| *c.borrow_mut() = connection);
}

/// `with` calls `f` with the connection, open or not yet.
///
/// # Errors
/// `unavailable` while there is none.
pub fn with<T>(f: impl FnOnce(&mut Connection) -> T) -> Result<T, Error> {
    CONNECTION.with(|c| match c.borrow_mut().as_mut() {
        Some(connection) => Ok(f(connection)),
        None => Err(not_connected()),
    })
}

/// `agent` is the agent of the open connection.
///
/// # Errors
/// `unavailable` while there is none.
pub fn agent() -> Result<Agent, Error> {
    with(|c| c.agent.clone())?.ok_or_else(not_connected)
}

fn not_connected() -> Error {
    Error::Unavailable("The agent is not connected yet. Try again in a moment.".to_owned())
}
