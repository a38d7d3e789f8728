//! The compilations that are under way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::watch;

/// `Compilations` are the plugins that are being compiled, for whoever waits for it.
#[derive(Default)]
pub(crate) struct Compilations {
    pub(crate) names: watch::Sender<Vec<String>>,
    /// `turns` are by the component's digest: one is compiled once, however many want it.
    turns: Mutex<BTreeMap<String, Weak<Mutex<()>>>>,
}

/// `COMPILED_IN_A_SECOND` is about how many bytes of a component are compiled in a second: what the first start says is
/// a hint and no promise.
const COMPILED_IN_A_SECOND: usize = 2 << 20;

impl Compilations {
    /// `turn` is the lock under which a component of this digest is compiled.
    pub(crate) fn turn(&self, digest: &str) -> Arc<Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(digest).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(digest.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// Shows a compilation until what it returns is dropped.
    pub(crate) fn begin(&self, name: &str, bytes: usize) -> impl Drop + use<'_> {
        let seconds = bytes.div_ceil(COMPILED_IN_A_SECOND).max(1);
        tracing::info!("compiling {name}, because this version starts for the first time (about {seconds} s)");
        self.names.send_modify(|names| names.push(name.to_owned()));
        Compilation {
            names: &self.names,
            name: name.to_owned(),
        }
    }
}

struct Compilation<'a> {
    names: &'a watch::Sender<Vec<String>>,
    name: String,
}

impl Drop for Compilation<'_> {
    fn drop(&mut self) {
        self.names.send_modify(|names| {
            if let Some(at) = names.iter().position(|name| *name == self.name) {
                names.remove(at);
            }
        });
    }
}
