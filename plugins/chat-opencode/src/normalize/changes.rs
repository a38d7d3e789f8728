//! What sessions have changed, as a whole.
//!
//! opencode's own event for it (`session.diff`) is always empty in version 1.18, but for a revert, where it has what was taken
//! back. So what each turn has changed, which stands at the message of the user that began it, is added up here.
//!
//! Limits: it is told only of a session of which every turn is known: one that began in this connection, or was read as a
//! whole. After a loss of events it has to be read again, and is told again then: another instance may have told the host
//! something else.

use crate::wire;
use nexus_plugin_api::chat::types::{ChangeKind, FileChange};
use std::collections::BTreeMap;

/// `MAX_FILES` is how many files the contract has for a session.
const MAX_FILES: usize = 1_024;

/// `Changes` is what sessions have changed.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<String, SessionChanges>);

#[derive(Debug, Default)]
struct SessionChanges {
    /// `complete`: all turns are known.
    complete: bool,
    /// `turns` are the changed files, by the message that began the turn.
    turns: BTreeMap<String, Vec<wire::ChangedFile>>,
    /// `told` is what the host has; `None`: that is not known.
    told: Option<Vec<FileChange>>,
}

impl Changes {
    /// `begun` takes a session that has no turns yet.
    pub(super) fn begun(&mut self, session: &str) {
        let session = self.0.entry(session.to_owned()).or_default();
        session.complete = true;
        session.told.get_or_insert_default();
    }

    /// `read` takes all messages of a session.
    pub(super) fn read(&mut self, session: &str, messages: &[wire::WithParts]) {
        messages.iter().for_each(|message| self.learn(&message.info));
        let session = self.0.entry(session.to_owned()).or_default();
        session.complete = true;
        session.told = None;
    }

    /// `learn` takes what a turn has changed, as far as its first message says it.
    pub(super) fn learn(&mut self, message: &wire::Message) {
        if let Some(files) = message.changed_files() {
            let session = self.0.entry(message.session.clone()).or_default();
            session.turns.insert(message.id.clone(), files);
        }
    }

    /// `removed`: the message is no more, and neither is what its turn has changed.
    pub(super) fn removed(&mut self, session: &str, message: &str) {
        if let Some(session) = self.0.get_mut(session) {
            session.turns.remove(message);
        }
    }

    pub(super) fn forget(&mut self, session: &str) {
        self.0.remove(session);
    }

    /// `interrupted`: events were missed.
    pub(super) fn interrupted(&mut self) {
        self.0.values_mut().for_each(|session| session.complete = false);
    }

    /// `news` is what a session has changed, if that is not what was told before. `revert`: the turns that do not count.
    pub(super) fn news(&mut self, session: &str, revert: Option<&wire::Revert>) -> Option<Vec<FileChange>> {
        let session = self.0.get_mut(session).filter(|session| session.complete)?;
        let stands = |message: &String| revert.is_none_or(|revert| *message < revert.message);
        let mut files: BTreeMap<&str, FileChange> = BTreeMap::new();
        // Ids increase with time.
        let turns = session.turns.iter().filter(|(message, _)| stands(message));
        for file in turns.flat_map(|(_, files)| files) {
            let kind = kind(&file.status);
            let (added, deleted) = (lines(file.additions), lines(file.deletions));
            match files.get_mut(file.file.as_str()) {
                Some(sum) => {
                    sum.kind = merged(sum.kind, kind);
                    sum.added_lines = sum.added_lines.saturating_add(added);
                    sum.deleted_lines = sum.deleted_lines.saturating_add(deleted);
                }
                None => {
                    let change = FileChange {
                        path: file.file.clone(),
                        kind,
                        diff: None,
                        added_lines: added,
                        deleted_lines: deleted,
                    };
                    files.insert(&file.file, change);
                }
            }
        }
        let files: Vec<FileChange> = files.into_values().take(MAX_FILES).collect();
        (session.told.as_ref() != Some(&files)).then(|| {
            session.told = Some(files.clone());
            files
        })
    }
}

fn kind(status: &str) -> ChangeKind {
    match status {
        "added" => ChangeKind::Added,
        "deleted" => ChangeKind::Deleted,
        _ => ChangeKind::Modified,
    }
}

/// `merged` is what two changes of a file are together.
fn merged(first: ChangeKind, then: ChangeKind) -> ChangeKind {
    match (first, then) {
        (_, ChangeKind::Deleted) => ChangeKind::Deleted,
        (ChangeKind::Deleted, _) => ChangeKind::Modified,
        (first, _) => first,
    }
}

fn lines(number: f64) -> u32 {
    u32::try_from(wire::count(number)).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn turn(id: &str, diffs: Value) -> wire::Message {
        let message = json!({"id": id, "sessionID": "s", "role": "user", "summary": {"diffs": diffs}});
        serde_json::from_value(message).unwrap()
    }

    fn file(name: &str, additions: u32, deletions: u32, status: &str) -> Value {
        json!({"file": name, "patch": "p", "additions": additions, "deletions": deletions, "status": status})
    }

    fn change(path: &str, kind: ChangeKind, added_lines: u32, deleted_lines: u32) -> FileChange {
        FileChange {
            path: path.to_owned(),
            kind,
            diff: None,
            added_lines,
            deleted_lines,
        }
    }

    #[test]
    fn the_turns_of_a_session_are_added_up_and_reverted_ones_do_not_count() {
        let mut changes = Changes::default();
        changes.begun("s");
        assert_eq!(changes.news("s", None), None, "nothing has changed");
        changes.learn(&turn(
            "m1",
            json!([file("a", 2, 0, "added"), file("b", 1, 1, "modified")]),
        ));
        let first = vec![
            change("a", ChangeKind::Added, 2, 0),
            change("b", ChangeKind::Modified, 1, 1),
        ];
        assert_eq!(changes.news("s", None), Some(first.clone()));
        assert_eq!(changes.news("s", None), None, "it was told");
        changes.learn(&turn(
            "m2",
            json!([file("a", 1, 1, "modified"), file("b", 0, 9, "deleted")]),
        ));
        let both = vec![
            change("a", ChangeKind::Added, 3, 1),
            change("b", ChangeKind::Deleted, 1, 10),
        ];
        assert_eq!(changes.news("s", None), Some(both));
        let revert = serde_json::from_value(json!({"messageID": "m2"})).unwrap();
        assert_eq!(changes.news("s", Some(&revert)), Some(first));
    }

    #[test]
    fn a_session_of_which_turns_are_unknown_is_not_told() {
        let mut changes = Changes::default();
        let last = turn("m2", json!([file("a", 1, 0, "added")]));
        changes.learn(&last);
        assert_eq!(changes.news("s", None), None);
        let whole = wire::WithParts {
            info: turn("m1", json!([file("z", 1, 0, "added")])),
            parts: Vec::new(),
        };
        changes.read("s", std::slice::from_ref(&whole));
        assert_eq!(changes.news("s", None).map(|files| files.len()), Some(2));
        assert_eq!(changes.news("s", None), None, "it was told");
        changes.read("s", &[whole]);
        assert!(changes.news("s", None).is_some(), "what the host has is not known");
        changes.read("empty", &[]);
        assert_eq!(changes.news("empty", None), Some(vec![]));
        changes.interrupted();
        changes.learn(&turn("m3", json!([file("b", 1, 0, "added")])));
        assert_eq!(changes.news("s", None), None);
    }
}
