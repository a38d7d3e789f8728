//! What agents have set themselves to do, where it was read for a snapshot: a snapshot itself has no place for it.

use nexus_plugin_api::chat::types::TodoItem;
use std::collections::BTreeMap;

/// `ReadTodos` are lists that the host has not been told, by their session; `None`: opencode is being asked.
#[derive(Debug, Default)]
pub(super) struct ReadTodos(BTreeMap<String, Option<Vec<TodoItem>>>);

impl ReadTodos {
    pub(super) fn ask(&mut self, session: &str) {
        self.0.insert(session.to_owned(), None);
    }

    /// `answered` takes opencode's answer, unless an event has told a newer list meanwhile.
    pub(super) fn answered(&mut self, session: &str, items: Vec<TodoItem>) {
        if let Some(list) = self.0.get_mut(session) {
            *list = Some(items);
        }
    }

    /// `outdated`: an event has told the list, or there is nothing to tell any more.
    pub(super) fn outdated(&mut self, session: &str) {
        self.0.remove(session);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// `take` takes what can be told.
    pub(super) fn take(&mut self) -> Vec<(String, Vec<TodoItem>)> {
        let all = std::mem::take(&mut self.0);
        let (read, asked): (BTreeMap<_, _>, _) = all.into_iter().partition(|(_, items)| items.is_some());
        self.0 = asked;
        read.into_iter()
            .filter_map(|(session, items)| Some((session, items?)))
            .collect()
    }
}
