//! A session as its rows are read.

use super::entry::{Seq, part_of};
use super::session_state::SessionState;
use nexus_model::chat::Event;
use std::collections::HashMap;

pub(super) struct Folded {
    /// `key` is that of the session in the database; `None`: it has no row.
    pub(super) key: Option<i64>,
    pub(super) state: SessionState,
    /// `first` is the number of each part's first event.
    pub(super) first: HashMap<String, Seq>,
}

impl Folded {
    pub(super) fn new(key: Option<i64>) -> Self {
        Self {
            key,
            state: SessionState::default(),
            first: HashMap::new(),
        }
    }

    /// Takes one row as it was written.
    pub(super) fn take(&mut self, seq: Seq, event: &Event) {
        match event {
            Event::PartRemoved { part, .. } => {
                self.first.remove(part);
            }
            Event::MessageRemoved { message } => {
                for part in self.state.part_ids(message) {
                    self.first.remove(&part);
                }
            }
            _ => {}
        }
        self.state.advance(seq, event);
        self.state.seq = seq; // given, whatever it changes
        if let Some(part) = part_of(event) {
            self.first.entry(part.into_owned()).or_insert(seq);
        }
    }
}
