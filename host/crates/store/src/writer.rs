//! The writing thread: drains its queue, commits a batch as one transaction, answers after the commit.
//!
//! What has to survive a power cut is answered by another thread, once that has brought the write-ahead log to the disk: a
//! disk that takes seconds for it holds up whoever asked for it, and not the chat that streams through the same writer.
//! (`synchronous = FULL` for such a batch, which syncs within the commit, held up all of them.)
//!
//! The write-ahead log grows with what is written, whoever writes it, and has to shrink again. Three things see to that:
//! the checkpointer moves it into the database beside the writer, by the number of commits and by the bytes that were added;
//! it cuts the file when all of it was moved; and where writing goes on so fast that there never is such a moment, the
//! writer itself waits for one at [`limits::WAL_MOST`]. (SQLite's own checkpoint, within a commit, was left out: it makes
//! every chat wait for the disk. `PASSIVE` checkpoints alone let a writer that never pauses fill the disk.)

use crate::error::StoreError;
use crate::types::{Durability, Health};
use nexus_model::limits;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};

pub(super) struct Job {
    durability: Durability,
    work: Box<dyn Work>,
}

trait Work: Send {
    /// Runs the job; true: what it changed is kept.
    fn run(&mut self, db: &Connection) -> Result<(), StoreError>;
    /// Answers the caller, with `commit`'s error where there is one.
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

struct Typed<T, F> {
    job: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnOnce(&Connection) -> rusqlite::Result<T> + Send> Work for Typed<T, F> {
    fn run(&mut self, db: &Connection) -> Result<(), StoreError> {
        let Some(job) = self.job.take() else { return Ok(()) };
        let result = job(db).map_err(StoreError::from);
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        outcome
    }
    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        let result = match (self.result, commit) {
            (Some(Ok(_)) | None, Err(e)) => Err(e),
            (Some(result), _) => result,
            (None, Ok(())) => Err(StoreError::Closed),
        };
        let _ = self.reply.send(result); // nobody waits any more
    }
}

impl Job {
    pub(super) fn new<T, F>(durability: Durability, job: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        Self {
            durability,
            work: Box::new(Typed {
                job: Some(job),
                result: None,
                reply,
            }),
        }
    }
}

/// `StillThere` tells whether the database's file is still the one that is open.
pub(super) type StillThere = Arc<dyn Fn() -> Result<(), StoreError> + Send + Sync>;

/// Brings what is committed to the disk. Blocks.
pub(super) type ToDisk = Box<dyn Fn() -> Result<(), StoreError> + Send>;

pub(super) struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn spawn(
        connection: Connection,
        checkpoints: Connection,
        sync: ToDisk,
        there: StillThere,
        health: watch::Sender<Health>,
        log: PathBuf,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let (wake, woken) = mpsc::sync_channel(1);
        let (committed, unsynced) = mpsc::channel();
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let syncer = named("store-sync").spawn(move || bring_to_disk(&sync, &unsynced))?;
        let log = Log(log);
        let cut = log.clone();
        let writer = named("store-writer").spawn(move || {
            let mut growth = Growth::new(log, wake);
            write(&connection, &jobs, &mut growth, &committed, &there, &health);
        })?;
        let checkpointer = named("store-checkpoint").spawn(move || checkpoint(&checkpoints, &cut, &woken))?;
        Ok(Self {
            queue: Some(queue),
            // In this order: each of them ends when the one before has.
            threads: vec![writer, syncer, checkpointer],
        })
    }

    pub(super) fn send(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(job).map_err(|_| StoreError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

fn write(
    db: &Connection,
    jobs: &mpsc::Receiver<Job>,
    growth: &mut Growth,
    committed: &mpsc::Sender<Job>,
    there: &StillThere,
    health: &watch::Sender<Health>,
) {
    loop {
        let first = match jobs.recv_timeout(limits::STORE_CHECK) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => {
                look(db, there, health);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut batch = vec![first];
        while batch.len() < limits::STORE_BATCH
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
        let before = db.total_changes();
        let (outcome, trouble) = transact(db, &mut batch);
        match outcome.as_ref().err().or(trouble.as_ref()) {
            Some(error) => report(health, Some(error)),
            // A transaction that changed nothing shows nothing.
            None if db.total_changes() == before => {}
            None => report(health, there().as_ref().err()),
        }
        for job in batch {
            if job.durability == Durability::Synced && outcome.is_ok() {
                if let Err(mpsc::SendError(job)) = committed.send(job) {
                    job.work.answer(Err(StoreError::Closed));
                }
            } else {
                job.work.answer(outcome.clone());
            }
        }
        growth.committed(db);
    }
}

/// `Log` is the file of the write-ahead log.
#[derive(Clone)]
struct Log(PathBuf);

impl Log {
    /// `bytes` is the length of the log; 0: there is none.
    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.0).map_or(0, |file| file.len())
    }
}

/// `Growth` is how much the log has grown since the checkpointer was told.
struct Growth {
    log: Log,
    wake: mpsc::SyncSender<()>,
    commits: u32,
    /// `soft` is the length in bytes at which the checkpointer is woken next.
    soft: u64,
    /// `hard` is the length in bytes at which the writer itself empties it.
    hard: u64,
}

impl Growth {
    fn new(log: Log, wake: mpsc::SyncSender<()>) -> Self {
        Self {
            log,
            wake,
            commits: 0,
            soft: limits::WAL_KEPT,
            hard: limits::WAL_MOST,
        }
    }

    fn committed(&mut self, db: &Connection) {
        let bytes = self.log.bytes();
        self.commits += 1;
        if self.commits >= limits::WAL_COMMITS || bytes >= self.soft {
            self.commits = 0;
            let _ = self.wake.try_send(()); // one is on its way already
            self.soft = bytes.saturating_add(limits::WAL_KEPT);
        }
        // It is shorter again.
        self.soft = self.soft.min(bytes.saturating_add(limits::WAL_KEPT));
        self.hard = self
            .hard
            .min(limits::WAL_MOST.max(bytes.saturating_add(limits::WAL_KEPT)));
        if bytes >= self.hard {
            if let Err(e) = empty(db, limits::WAL_WAIT) {
                tracing::warn!(error = %e, "cannot empty the write-ahead log of the database; retrying");
            }
            // Somebody reads from it still: not again at each commit.
            self.hard = limits::WAL_MOST.max(self.log.bytes().saturating_add(limits::WAL_KEPT));
        }
    }
}

/// Moves all of the log into the database and cuts the file. `wait` is for readers of it; nobody can write meanwhile.
fn empty(db: &Connection, wait: std::time::Duration) -> rusqlite::Result<()> {
    db.busy_timeout(wait)?;
    let done = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    db.busy_timeout(limits::STORE_BUSY)?;
    done
}

/// Returns the commit's result, and the trouble with the disk that one job alone ran into.
fn transact(db: &Connection, batch: &mut [Job]) -> (Result<(), StoreError>, Option<StoreError>) {
    let mut trouble = None;
    let mut body = || -> Result<(), StoreError> {
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for job in batch.iter_mut() {
            db.prepare_cached("SAVEPOINT job")?.execute([])?;
            if let Err(e) = job.work.run(db) {
                if db.is_autocommit() {
                    return Err(e); // SQLite aborted the whole transaction
                }
                if matches!(e, StoreError::ReadOnly(_)) {
                    trouble = Some(e);
                }
                db.prepare_cached("ROLLBACK TO job")?.execute([])?;
            }
            db.prepare_cached("RELEASE job")?.execute([])?;
        }
        db.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    };
    let result = body();
    if !db.is_autocommit()
        && let Err(e) = db.execute_batch("ROLLBACK")
    {
        tracing::error!(error = %e, "cannot roll back");
    }
    (result, trouble)
}

/// Checks, while nothing asks for a write, whether the file is there, and, where the last write failed, whether one
/// succeeds now.
fn look(db: &Connection, there: &StillThere, health: &watch::Sender<Health>) {
    if let Err(error) = there() {
        return report(health, Some(&error));
    }
    if *health.borrow() == Health::Writable {
        return;
    }
    // The same number again: SQLite writes the page all the same.
    let version = db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    let written = version.and_then(|version| db.pragma_update(None, "user_version", version));
    report(health, written.map_err(StoreError::from).as_ref().err());
}

fn report(health: &watch::Sender<Health>, trouble: Option<&StoreError>) {
    let now = match trouble {
        Some(StoreError::ReadOnly(cause)) => Health::ReadOnly { cause: cause.clone() },
        Some(_) => return,
        None => Health::Writable,
    };
    health.send_if_modified(|health| {
        if *health == now {
            return false;
        }
        match &now {
            Health::ReadOnly { cause } => tracing::error!("{cause}"),
            Health::Writable => tracing::info!("the database is writable again"),
        }
        *health = now;
        true
    });
}

/// Answers those who wait for the disk, once it has synced: as many at a time as have come meanwhile.
fn bring_to_disk(sync: &ToDisk, unsynced: &mpsc::Receiver<Job>) {
    while let Ok(first) = unsynced.recv() {
        let batch: Vec<Job> = std::iter::once(first).chain(unsynced.try_iter()).collect();
        let outcome = sync();
        for job in batch {
            job.work.answer(outcome.clone());
        }
    }
}

/// Moves the write-ahead log into the database beside the writer, who does not wait for it, and cuts its file where all of
/// it was moved: then the writer is held up for as long as that one call takes.
fn checkpoint(db: &Connection, log: &Log, woken: &mpsc::Receiver<()>) {
    loop {
        match woken.recv_timeout(limits::STORE_CHECK) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) if log.bytes() <= limits::WAL_KEPT => continue,
            // Nothing was written for a while: what a burst left is moved and cut.
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let moved = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok(row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
        });
        let cut = match moved {
            Ok(true) if log.bytes() > limits::WAL_KEPT => empty(db, std::time::Duration::ZERO),
            Ok(_) => Ok(()),
            Err(e) => Err(e),
        };
        if let Err(e) = cut {
            tracing::warn!(error = %e, "cannot checkpoint the database; retrying");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_disk_holds_up_only_who_asked_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Connection::open(dir.path().join("t.db")).unwrap();
        let connection = open();
        connection.execute_batch("CREATE TABLE t(n)").unwrap();
        let (finish, finished) = mpsc::channel::<Result<(), StoreError>>();
        let (health, _) = watch::channel(Health::Writable);
        let sync = Box::new(move || finished.recv().unwrap());
        let log = dir.path().join("t.db-wal");
        let writer = Writer::spawn(connection, open(), sync, Arc::new(|| Ok(())), health, log).unwrap();
        let insert = |durability| {
            let (reply, answer) = oneshot::channel();
            let job = |db: &Connection| db.execute("INSERT INTO t VALUES (1)", []);
            writer.send(Job::new(durability, job, reply)).unwrap();
            answer
        };
        let mut synced = insert(Durability::Synced);
        for _ in 0..100 {
            assert_eq!(insert(Durability::Process).await.unwrap(), Ok(1));
        }
        assert!(synced.try_recv().is_err(), "its disk has not answered");
        finish.send(Ok(())).unwrap();
        assert_eq!(synced.await.unwrap(), Ok(1));

        let synced = insert(Durability::Synced);
        finish.send(Err(StoreError::ReadOnly("broken".into()))).unwrap();
        let answer = nexus_testkit::wait::within("the disk has answered", synced).await;
        assert_eq!(answer.unwrap(), Err(StoreError::ReadOnly("broken".into())));
    }
}
