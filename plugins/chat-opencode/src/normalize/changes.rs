//! What sessions have changed, as a whole.
//!
//! opencode's own event for it (`session.diff`) is always empty in version 1.18, but for a revert, where it has what was taken
//! back. So what each turn has changed, which stands at the message of the user that began it, is added up here.
//!
//! Limits: it is told only of a session of which every turn is known: one that began in this connection, or was read back to its
//! beginning, or back to what was known before a loss of events. Then it is told again: another instance may have told the host
//! something else.

use crate::wire;
use nexus_plugin_api::chat::types::{ChangeKind, FileChange};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};

/// `MAX_FILES` is how many files the contract has for a session.
const MAX_FILES: usize = 256;

/// `Page` is some of a session's messages, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    pub messages: &'a [wire::WithParts],
    /// `newest`: they are the last ones.
    pub newest: bool,
    /// `oldest`: they are the first ones.
    pub oldest: bool,
}

/// `Changes` is what sessions have changed.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<String, SessionChanges>);

#[derive(Debug, Default)]
struct SessionChanges {
    /// `complete`: all turns are known.
    complete: bool,
    /// `known_to` is the last turn before the loss of events; all turns up to it are known.
    known_to: Option<String>,
    /// `reading`: it is being read back.
    reading: Weak<()>,
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

    /// `read` takes a page of a session's messages. True: every turn is known then; false: the page before it has to be read too.
    pub(super) fn read(&mut self, session: &str, page: Page<'_>) -> bool {
        page.messages.iter().for_each(|message| self.learn(&message.info));
        let session = self.0.entry(session.to_owned()).or_default();
        let ids: BTreeSet<&str> = page.messages.iter().map(|message| message.info.id.as_str()).collect();
        let (oldest, newest) = (ids.first().copied(), ids.last().copied());
        // Messages go from the end alone, so that all that was known before one that is still there is there too.
        let joined = || Some(oldest? <= session.known_to.as_deref()?);
        session.complete |= page.oldest || joined() == Some(true);
        if page.newest {
            // What the host has is not known.
            session.told = None;
        }
        // What this page had, and has no more, was removed meanwhile.
        let known_to = session.known_to.as_deref();
        session.turns.retain(|id, _| {
            let id = id.as_str();
            let older = !page.oldest && oldest.is_none_or(|oldest| id < oldest);
            let newer = newest < Some(id) && (!page.newest || known_to < Some(id));
            older || newer || ids.contains(id)
        });
        session.complete
    }

    /// `read_back` begins to read the pages before the newest one of a session, for as long as what it gives is held. `None`: every
    /// turn is known, or they are being read.
    pub(super) fn read_back(&mut self, session: &str) -> Option<Rc<()>> {
        let session = self.0.get_mut(session)?;
        let free = !session.complete && session.reading.upgrade().is_none();
        free.then(|| {
            let token = Rc::new(());
            session.reading = Rc::downgrade(&token);
            token
        })
    }

    /// `reads` tells whether no event was missed since that reading began.
    pub(super) fn reads(&self, session: &str, token: &Rc<()>) -> bool {
        let same = |session: &SessionChanges| std::ptr::eq(session.reading.as_ptr(), Rc::as_ptr(token));
        self.0.get(session).is_some_and(same)
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
        for session in self.0.values_mut() {
            session.reading = Weak::new();
            if std::mem::take(&mut session.complete) {
                session.known_to = session.turns.last_key_value().map(|(id, _)| id.clone());
            }
        }
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
        fn all(messages: &[wire::WithParts]) -> Page<'_> {
            let (newest, oldest) = (true, true);
            Page {
                messages,
                newest,
                oldest,
            }
        }
        assert!(changes.read("s", all(std::slice::from_ref(&whole))));
        assert_eq!(changes.news("s", None).map(|files| files.len()), Some(2));
        assert_eq!(changes.news("s", None), None, "it was told");
        assert!(changes.read("s", all(&[whole])));
        assert!(changes.news("s", None).is_some(), "what the host has is not known");
        assert!(changes.read("empty", all(&[])));
        assert_eq!(changes.news("empty", None), Some(vec![]));
        changes.interrupted();
        changes.learn(&turn("m3", json!([file("b", 1, 0, "added")])));
        assert_eq!(changes.news("s", None), None);
    }

    fn turns(ids: std::ops::Range<u32>) -> Vec<wire::WithParts> {
        let message = |n| wire::WithParts {
            info: turn(&format!("m{n:03}"), json!([file(&format!("f{n}"), 1, 0, "added")])),
            parts: Vec::new(),
        };
        ids.map(message).collect()
    }

    #[test]
    fn a_long_session_is_read_back_to_what_is_known_of_it() {
        let read = |changes: &mut Changes, ids, newest, oldest| {
            let messages = &turns(ids);
            changes.read(
                "s",
                Page {
                    messages,
                    newest,
                    oldest,
                },
            )
        };
        let count = |changes: &mut Changes| changes.news("s", None).map(|files| files.len());
        // Another instance knew it: back to the beginning.
        let mut changes = Changes::default();
        assert!(!read(&mut changes, 100..150, true, false));
        assert!(!read(&mut changes, 50..100, false, false));
        assert_eq!(count(&mut changes), None);
        assert!(read(&mut changes, 0..50, false, true));
        assert_eq!(count(&mut changes), Some(150));
        // This one knew it: back to what it knew.
        changes.interrupted();
        changes.learn(&turns(210..211).remove(0).info);
        assert!(!read(&mut changes, 155..205, true, false));
        assert_eq!(count(&mut changes), None);
        assert!(read(&mut changes, 105..155, false, false));
        assert_eq!(
            count(&mut changes),
            Some(206),
            "also the one that was reported meanwhile"
        );
        // Turns that were removed meanwhile are gone.
        changes.interrupted();
        assert!(read(&mut changes, 20..70, true, false));
        assert_eq!(count(&mut changes), Some(70));
        changes.interrupted();
        assert!(read(&mut changes, 0..3, true, true));
        assert_eq!(count(&mut changes), Some(3));
    }

    #[test]
    fn one_at_a_time_reads_a_session_back_until_events_are_missed() {
        let mut changes = Changes::default();
        let messages = &turns(50..100);
        let newest = Page {
            messages,
            newest: true,
            oldest: false,
        };
        assert!(changes.read_back("s").is_none());
        changes.read("s", newest);
        let token = changes.read_back("s").unwrap();
        assert!(changes.reads("s", &token) && changes.read_back("s").is_none());
        changes.interrupted();
        assert!(!changes.reads("s", &token));
        let again = changes.read_back("s").unwrap();
        assert!(changes.reads("s", &again) && !changes.reads("s", &token));
        drop(again);
        assert!(changes.read_back("s").is_some(), "nobody reads it any more");
        changes.read("s", Page { oldest: true, ..newest });
        assert!(changes.read_back("s").is_none());
    }
}
