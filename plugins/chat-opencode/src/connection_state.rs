//! What the functions of one instance share. The guest has one thread; a borrow never lives over an await.

use crate::normalize::Normalizer;
use nexus_plugin_api::caps::types::Error;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// An open connection to opencode.
#[derive(Debug)]
pub struct Connection {
    pub normalizer: Normalizer,
    /// Messages that opencode has taken, though it may not have stored them yet.
    pub taken: BTreeSet<String>,
    /// Client ids (with their session) that are being sent at this moment.
    pub sending: BTreeSet<(String, String)>,
    /// Message id → client id, as far as this instance knows.
    pub clients: BTreeMap<String, String>,
    /// Tells message ids of one millisecond apart.
    pub count: u16,
}

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

pub fn set(connection: Option<Connection>) {
    CONNECTION.with(|c| *c.borrow_mut() = connection);
}

/// # Errors
/// `unavailable` while there is no connection.
pub fn with<T>(f: impl FnOnce(&mut Connection) -> T) -> Result<T, Error> {
    CONNECTION.with(|c| match c.borrow_mut().as_mut() {
        Some(connection) => Ok(f(connection)),
        None => Err(Error::Unavailable(
            "opencode is not connected yet. Try again in a moment.".to_owned(),
        )),
    })
}
