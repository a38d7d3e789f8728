//! What happened: the last of it in memory for whoever looks, all of it (within limits) in the database.

use crate::database::Store;
use nexus_model::activity::{Note, Severity};
use nexus_model::limits;
use nexus_model::time::Clock;
use nexus_model::token_bucket::TokenBucket;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// `Recent` are the newest notes, the newest first.
pub type Recent = Arc<VecDeque<Note>>;

/// `Line` is what the writing task is sent.
enum Line {
    Note(Note),
    Flush(oneshot::Sender<()>),
}

/// `ActivityLog` takes notes of what happened.
pub struct ActivityLog {
    /// `recent` holds the newest notes, the newest first.
    recent: watch::Sender<Recent>,
    writer: mpsc::Sender<Line>,
    /// `writes` limits the notes of each subject: what a plugin reports, with other words each time, must not write to
    /// the disk without an end.
    writes: Mutex<BTreeMap<String, TokenBucket>>,
    clock: Arc<dyn Clock>,
}

impl ActivityLog {
    /// Opens the log with the notes that the database has, and starts the task that writes new ones.
    pub async fn open(store: Store, clock: Arc<dyn Clock>) -> Self {
        let kept = store.notes(limits::ACTIVITY_SHOWN).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read the earlier activity");
            Vec::new()
        });
        let (writer, mut notes) = mpsc::channel(limits::ACTIVITY_QUEUE);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while notes.recv_many(&mut batch, limits::ACTIVITY_QUEUE).await > 0 {
                let (mut lines, mut waiting) = (Vec::new(), Vec::new());
                for line in batch.drain(..) {
                    match line {
                        Line::Note(note) => lines.push(note),
                        Line::Flush(done) => waiting.push(done),
                    }
                }
                if let Err(error) = store.add_notes(lines).await {
                    tracing::warn!(%error, "cannot save the activity");
                }
                for done in waiting {
                    let _ = done.send(());
                }
            }
        });
        Self {
            recent: watch::Sender::new(Arc::new(kept.into())),
            writer,
            writes: Mutex::default(),
            clock,
        }
    }

    /// Makes one that writes nothing down: for commands that run beside a host, whose list is in its memory.
    pub fn unkept(clock: Arc<dyn Clock>) -> Self {
        Self {
            recent: watch::Sender::default(),
            // Nobody takes what is written.
            writer: mpsc::channel(1).0,
            writes: Mutex::default(),
            clock,
        }
    }

    /// Tells whether one more note about this may be kept.
    fn admit(&self, subject: &str) -> bool {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        // Subjects are names of the configuration; should there ever be more, they begin again.
        if writes.len() >= limits::ACTIVITY_SUBJECTS && !writes.contains_key(subject) {
            writes.clear();
        }
        let new = || TokenBucket::new(f64::from(limits::ACTIVITY_NOTES), limits::ACTIVITY_WINDOW);
        writes.entry(subject.to_owned()).or_insert_with(new).take(1.0).is_ok()
    }

    /// Returns when what was noted so far is written: called at the end of the host.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.writer.send(Line::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// `recent` are the last notes, the newest first; changes are seen at once.
    pub fn recent(&self) -> watch::Receiver<Recent> {
        self.recent.subscribe()
    }

    /// Takes a note: `text` is a sentence about `subject`, such as `tunnel main`. It returns at once; a note that cannot be kept is not worth a wait.
    pub fn note(&self, subject: &str, severity: Severity, text: &str) {
        let note = Note {
            at: self.clock.now(),
            subject: subject.to_owned(),
            severity,
            text: text.chars().take(limits::ACTIVITY_CHARS).collect(),
        };
        let mut again = false;
        self.recent.send_modify(|recent| {
            let recent = Arc::make_mut(recent);
            // The same thing again and again is one note: a stranger at the login must not push out all the others.
            let last = recent.iter().position(|old| old.subject == note.subject);
            let again_within = |old: &Note| {
                let since = Duration::from_millis(note.at.saturating_sub(old.at));
                since < limits::ACTIVITY_AGAIN
            };
            let same = |old: &Note| (old.severity, &old.text) == (note.severity, &note.text) && again_within(old);
            if let Some(at) = last.filter(|at| recent.get(*at).is_some_and(same)) {
                again = recent.remove(at).is_some();
            }
            recent.push_front(note.clone());
            recent.truncate(limits::ACTIVITY_SHOWN as usize);
        });
        if !again && self.admit(subject) {
            let _ = self.writer.try_send(Line::Note(note));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_model::time::ManualClock;

    #[tokio::test]
    async fn the_same_note_again_is_one_note() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let log = ActivityLog::open(store, Arc::new(ManualClock::at(7))).await;
        for text in ["open", "closed", "open"] {
            log.note("tunnel main", Severity::Ok, text);
        }
        for _ in 0..500 {
            log.note("login", Severity::Error, "refused");
        }
        let texts: Vec<_> = log.recent().borrow().iter().map(|note| note.text.clone()).collect();
        assert_eq!(
            texts,
            ["refused", "open", "closed", "open"],
            "a stranger does not push out the rest"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_reports_without_an_end_does_not_write_without_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let log = ActivityLog::open(store, Arc::new(ManualClock::at(7))).await;
        let kept = |subject: &str, count: u32| (0..count).filter(|_| log.admit(subject)).count();
        assert_eq!(kept("tunnel hostile", 100_000), limits::ACTIVITY_NOTES as usize);
        assert_eq!(kept("tunnel other", 3), 3, "nobody else is cut short");
        tokio::time::advance(limits::ACTIVITY_WINDOW).await;
        assert_eq!(kept("tunnel hostile", 1), 1);
        for n in 0..10_000 {
            log.admit(&format!("made up {n}"));
        }
        assert!(log.writes.lock().unwrap().len() <= limits::ACTIVITY_SUBJECTS);
    }

    #[tokio::test]
    async fn what_happened_is_there_after_a_restart_the_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let clock: Arc<ManualClock> = Arc::new(ManualClock::at(7));
        let log = ActivityLog::open(store.clone(), Arc::<ManualClock>::clone(&clock)).await;
        for n in 0..2_100 {
            log.note("tunnel main", Severity::Error, &format!("failed: {n}"));
            // The writer has its turns, as it does among other tasks.
            let room = async || log.writer.capacity() >= limits::ACTIVITY_QUEUE / 2;
            nexus_testkit::wait::until_async("the writer takes what is noted", room).await;
        }
        log.note("chat", Severity::Ok, &"x".repeat(9_999));
        let seen = log.recent().borrow().clone();
        assert_eq!((seen.len(), seen[0].text.len()), (100, 500));
        assert_eq!(
            (seen[1].text.as_str(), seen[1].at, seen[1].severity),
            ("failed: 2099", 7, Severity::Error)
        );
        drop(log);
        let written = async || store.notes(5_000).await.unwrap().first() == seen.front();
        nexus_testkit::wait::until_async("the last note is in the database", written).await;
        let kept = store.notes(5_000).await.unwrap();
        assert!((1..=2_000).contains(&kept.len()), "{}", kept.len());
        let again = ActivityLog::open(store, clock).await;
        assert_eq!(again.recent().borrow()[0], seen[0]);
    }
}
