//! The layer that takes the audit's events, and the thread that writes them.

use super::file::AuditFile;
use super::fold_repeats::{Fields, Fold, FoldOutcome};
use super::paths::TARGET;
use crate::logfile::{Background, Filter, Line, recent};
use nexus_model::limits::{AUDIT_FOLD, AUDIT_REFUSALS, AUDIT_SEARCHED, AUDIT_VALUE, AUDIT_WAITING};
use nexus_model::time::Utc;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// `OF_STRANGERS` are the events that one without a login can cause, or a program of the agent.
const OF_STRANGERS: [&str; 7] = [
    "login_failed",
    "login_locked",
    "login_denied",
    "login_unknown",
    "login_unchecked",
    "first_account_refused",
    "refused",
];

/// `POLL_INTERVAL` is how often it is looked whether something that was counted is due, while there is something.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

enum AuditMessage {
    Line {
        strangers: bool,
        line: String,
    },
    /// `Written` is answered when all before it is written, and all that was counted.
    Written(SyncSender<()>),
}

/// `Out` is where the lines go.
enum Out {
    /// `Queue` is for a host: nobody who causes a line waits for the disk.
    Queue {
        queue: SyncSender<AuditMessage>,
        lost: Arc<AtomicU64>,
        echo: Option<Echo>,
    },
    /// `Direct` is for a command, which is over at once.
    Direct([AuditFile; 2]),
}

/// `Echo` writes the same lines on stderr.
struct Echo {
    to: Arc<Background>,
    json: bool,
}

/// `Audit` is the layer of `tracing` that takes the events.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    fold: Mutex<Fold>,
    out: Out,
}

impl Audit {
    /// `of_host` is the audit of the host that runs on `data_dir`, with a thread that writes. `echo` is its stderr, and
    /// whether that is JSON.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn of_host(data_dir: &Path, echo: Option<(Arc<Background>, bool)>) -> std::io::Result<Self> {
        let (queue, lines) = sync_channel(AUDIT_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let inner = Arc::new(Inner {
            fold: Mutex::default(),
            out: Out::Queue {
                queue,
                lost: Arc::clone(&lost),
                echo: echo.map(|(to, json)| Echo { to, json }),
            },
        });
        let files = [false, true].map(|strangers| AuditFile::of(data_dir, strangers));
        let folded = Arc::downgrade(&inner);
        let due = move |now| {
            let inner = folded.upgrade();
            inner.map_or_else(Due::default, |inner| inner.due(now))
        };
        std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || write(&files, &lines, &lost, &due))?;
        Ok(Self(inner))
    }

    /// `of_command` is the audit of a command beside the host, or without one: each line is written before the event
    /// returns.
    pub fn of_command(data_dir: &Path) -> Self {
        Self(Arc::new(Inner {
            fold: Mutex::default(),
            out: Out::Direct([false, true].map(|strangers| AuditFile::of(data_dir, strangers))),
        }))
    }

    /// Waits until everything is written, but no longer than `limit`.
    pub fn finish(&self, limit: Duration) {
        if let Out::Queue { queue, .. } = &self.0.out {
            let (done, written) = sync_channel(1);
            if queue.try_send(AuditMessage::Written(done)).is_ok() {
                let _ = written.recv_timeout(limit);
            }
        }
    }
}

impl Inner {
    fn take(&self, level: &str, mut fields: Fields) {
        // What does not apply to an event has no value, and is no field.
        fields.retain(|_, value| value.as_str() != Some(""));
        mark(&mut fields);
        let timestamp = Utc::now().to_string();
        let event = fields.get("event").and_then(Value::as_str).unwrap_or_default();
        let strangers = OF_STRANGERS.contains(&event);
        if strangers {
            let mut fold = self.fold.lock().unwrap_or_else(PoisonError::into_inner);
            if fold.take(&fields, &timestamp, Instant::now()) == FoldOutcome::Counted {
                return;
            }
        }
        let line = line(&timestamp, level, fields);
        match &self.out {
            Out::Queue { queue, lost, echo } => {
                if let Some(echo) = echo {
                    echo.say(&line);
                }
                if queue.try_send(AuditMessage::Line { strangers, line }).is_err() {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Out::Direct([owners, others]) => {
                let file = if strangers { others } else { owners };
                if strangers && many(file.path()) {
                    return;
                }
                if let Err(error) = file.append(&line) {
                    use std::io::Write as _;
                    let path = file.path().display();
                    let _ = writeln!(
                        std::io::stderr(),
                        "warning: cannot write the audit log {path}: {error}. This event is missing in it"
                    );
                }
            }
        }
    }

    fn due(&self, now: Option<Instant>) -> Due {
        let mut fold = self.fold.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = fold.due(now);
        let counting = !fold.is_empty();
        drop(fold);
        let timestamp = Utc::now().to_string();
        let lines: Vec<String> = counted
            .into_iter()
            .map(|fields| line(&timestamp, "WARN", fields))
            .collect();
        if let Out::Queue { echo: Some(echo), .. } = &self.out {
            lines.iter().for_each(|line| echo.say(line));
        }
        Due { lines, counting }
    }
}

/// `Due` is what of the counted is to be written.
#[derive(Default)]
struct Due {
    lines: Vec<String>,
    /// `counting` tells whether more will be due later.
    counting: bool,
}

impl Echo {
    fn say(&self, line: &str) {
        if self.json {
            return self.to.say(line);
        }
        let read = Line::read(line.as_bytes());
        if let Some(parsed) = &read.parsed {
            self.to.say(&format!(
                "{} {:>5} audit: {}",
                parsed.timestamp,
                parsed.level,
                parsed.text()
            ));
        }
    }
}

/// `time` is a time as the audit writes it in its fields: to the second.
pub fn time(at: u64) -> String {
    Utc::of_millis(at).map_or_else(|| "unknown".to_owned(), Utc::whole_seconds)
}

/// Marks the peer of a tunnel: its listener takes the peer from a header, and who can open it can forge that.
fn mark(fields: &mut Fields) {
    let place = fields.get("place").and_then(Value::as_str).unwrap_or_default();
    if place.starts_with("tunnel ") && fields.contains_key("peer") {
        fields.insert("peer_by".to_owned(), "the tunnel's program".into());
    }
}

fn line(timestamp: &str, level: &str, fields: Fields) -> String {
    serde_json::json!({ "timestamp": timestamp, "level": level, "fields": fields, "target": TARGET }).to_string()
}

/// Tells whether commands wrote enough refusals in the last minute.
fn many(path: &Path) -> bool {
    let since = Utc::now().before(AUDIT_FOLD);
    let since = since.to_string();
    let filter = Filter::default();
    let lines = recent(path, AUDIT_SEARCHED, &filter).unwrap_or_default();
    let lines = lines.iter().filter_map(|line| line.parsed.as_ref());
    let fresh = lines.filter(|line| line.timestamp > since && line.fields.get("event") == Some(&"refused".into()));
    fresh.count() >= AUDIT_REFUSALS
}

fn write(
    files: &[AuditFile; 2],
    lines: &Receiver<AuditMessage>,
    lost: &AtomicU64,
    due: &dyn Fn(Option<Instant>) -> Due,
) {
    let [owners, others] = files;
    let mut failing = false;
    let mut put = |file: &AuditFile, line: &str| {
        let written = file.append(line);
        if let Err(error) = &written
            && !failing
        {
            tracing::error!(%error, "cannot write the audit log {}: events are missing in it from now on", file.path().display());
        }
        failing = written.is_err();
        if failing {
            lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            many => {
                let mut fields = Fields::new();
                fields.insert("event".into(), "lines_lost".into());
                fields.insert("count".into(), many.into());
                let _ = file.append(&self::line(&Utc::now().to_string(), "ERROR", fields));
            }
        }
    };
    // What is counted begins with a line, and that wakes this thread.
    let mut counting = false;
    loop {
        let received = if counting {
            lines.recv_timeout(POLL_INTERVAL)
        } else {
            lines.recv().map_err(RecvTimeoutError::from)
        };
        let (now, done) = match received {
            Ok(AuditMessage::Line { strangers, line }) => {
                put(if strangers { others } else { owners }, &line);
                (Some(Instant::now()), None)
            }
            Ok(AuditMessage::Written(done)) => (None, Some(done)),
            Err(RecvTimeoutError::Timeout) => (Some(Instant::now()), None),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let due = due(now);
        due.lines.iter().for_each(|line| put(others, line));
        counting = due.counting;
        if let Some(done) = done {
            let _ = done.try_send(());
        }
    }
}

impl<S: Subscriber> Layer<S> for Audit {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == TARGET {
            let mut fields = Values(Fields::new());
            event.record(&mut fields);
            self.0.take(event.metadata().level().as_str(), fields.0);
        }
    }
}

/// `Values` are the fields of an event, each truncated to [`limits::AUDIT_VALUE`] characters.
struct Values(Fields);

impl Values {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        let mut cut: String = value.chars().take(AUDIT_VALUE).collect();
        if cut.len() < value.len() {
            cut.push('…');
        }
        self.put(field, cut);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::audit::paths::paths;
    use tracing_subscriber::layer::SubscriberExt as _;

    fn read(data_dir: &Path) -> [Vec<Value>; 2] {
        paths(data_dir).map(|path| {
            let mut files = crate::logfile::open_all(&path).unwrap();
            files.reverse();
            let text: String = files
                .into_iter()
                .map(|(_, file)| std::io::read_to_string(file).unwrap())
                .collect();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        })
    }

    /// The attack of the review: a flood at a locked account pushed out every line of the owner's within minutes.
    #[test]
    fn a_stranger_pushes_out_no_line_of_the_owners_and_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::of_host(dir.path(), None).unwrap();
        let log = tracing_subscriber::registry().with(audit.clone());
        tracing::subscriber::with_default(log, || {
            tracing::info!(target: "audit", event = "login", account = "owner", place = "loopback", peer = "127.0.0.1");
            for n in 0..20_000 {
                tracing::warn!(target: "audit", event = "login_locked", account = "owner", place = "tunnel main", peer = "203.0.113.9", until = 7_u64);
                tracing::info!(target: "audit", event = "login_failed", account = format!("name{n}"), place = "tunnel main", peer = "203.0.113.9", attempts_left = 4);
            }
            tracing::info!(target: "audit", event = "logout", account = "owner");
            tracing::info!("no line of the audit");
        });
        audit.finish(Duration::from_secs(60));
        let [owners, others] = read(dir.path());
        let events: Vec<_> = owners
            .iter()
            .map(|line| line["fields"]["event"].as_str().unwrap())
            .collect();
        assert_eq!(events, ["login", "logout"]);
        assert!(others.len() < 100, "{}", others.len());
        let counted: u64 = others
            .iter()
            .map(|line| line["fields"]["repeated"].as_u64().unwrap_or(1))
            .sum();
        assert_eq!(counted, 40_000);
        assert!(
            others
                .iter()
                .all(|line| line["fields"]["peer_by"] == "the tunnel's program")
        );
        assert_eq!(owners[0]["target"], "audit");
    }

    #[test]
    fn a_time_is_written_as_people_read_it_and_what_is_empty_is_left_out() {
        assert_eq!(time(1_764_374_400_000), "2025-11-29T00:00:00Z");
        let dir = tempfile::tempdir().unwrap();
        let log = tracing_subscriber::registry().with(Audit::of_command(dir.path()));
        tracing::subscriber::with_default(log, || {
            tracing::info!(target: "audit", event = "command", what = "/status/backend/stop", plugin = "", result = "");
        });
        let [owners, _] = read(dir.path());
        assert_eq!(
            owners[0]["fields"],
            serde_json::json!({ "event": "command", "what": "/status/backend/stop" })
        );
    }

    #[test]
    fn a_command_writes_at_once_and_its_refusals_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            // Each command is a process of its own.
            let log = tracing_subscriber::registry().with(Audit::of_command(dir.path()));
            tracing::subscriber::with_default(log, || {
                tracing::warn!(target: "audit", event = "refused", what = "nexus user add");
                tracing::info!(target: "audit", event = "account_added", account = "x".repeat(5_000));
            });
        }
        let [owners, others] = read(dir.path());
        assert_eq!((owners.len(), others.len()), (20, AUDIT_REFUSALS));
        assert!(owners[0]["fields"]["account"].as_str().unwrap().chars().count() <= AUDIT_VALUE + 1);
    }

    #[test]
    fn a_disk_that_takes_nothing_stops_nobody() {
        let dir = tempfile::tempdir().unwrap();
        // A file where the folder should be.
        std::fs::write(dir.path().join("logs"), "").unwrap();
        let audit = Audit::of_host(dir.path(), None).unwrap();
        let log = tracing_subscriber::registry().with(audit.clone());
        let say = || tracing::info!(target: "audit", event = "login", account = "owner");
        tracing::subscriber::with_default(log, || {
            say();
            audit.finish(Duration::from_secs(60));
            std::fs::remove_file(dir.path().join("logs")).unwrap();
            say();
        });
        audit.finish(Duration::from_secs(60));
        let [owners, _] = read(dir.path());
        assert_eq!(owners.len(), 2, "{owners:?}");
        assert_eq!(owners[1]["fields"]["event"], "lines_lost");
    }
}
