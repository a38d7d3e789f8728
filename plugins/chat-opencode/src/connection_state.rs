//! What the functions of one instance share. The guest has one thread; a borrow never lives over an await.

use crate::normalize::Normalizer;
use nexus_plugin_api::caps::types::Error;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Weak;

/// `Connection` is an open connection to opencode.
#[derive(Debug)]
pub struct Connection {
    pub normalizer: Normalizer,
    /// `taken` are the messages that opencode has accepted, although it may not have stored them yet.
    pub taken: BTreeSet<String>,
    /// `commands` are the messages that were sent as commands. One that runs programs first has no message for a while, and sent
    /// again it would run them again.
    pub commands: BTreeSet<String>,
    /// `reload_due` are the folders in which opencode has not read the credentials that it has now.
    pub reload_due: BTreeSet<String>,
    /// `reloading`: it is being let read them, which would end a turn that begins; for as long as somebody holds it.
    pub reloading: Weak<()>,
    /// `sending` are the client ids (with their session) that are being sent, each for as long as somebody holds it.
    pub sending: BTreeMap<(String, String), Weak<()>>,
    /// `clients` maps message ids to client ids, as far as this instance knows them.
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

/// `with` calls `f` with the open connection.
///
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

/// `all_folders` are the folders of the open connection, by all of their names.
///
/// # Errors
/// `unavailable` while there is no connection.
pub fn all_folders() -> Result<Vec<String>, Error> {
    with(|c| c.normalizer.folders().names().map(str::to_owned).collect())
}
