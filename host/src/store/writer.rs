//! The writing thread: drains its queue, commits a batch as one transaction, answers after the commit.

use super::{Durability, Health, StoreError};
use rusqlite::Connection;
use std::sync::mpsc;
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};

/// Jobs in one transaction at most, so that the first of them does not wait for ever.
const BATCH: usize = 256;
/// Commits after which the checkpointer is woken.
const CHECKPOINT_EVERY: u32 = 500;

pub(super) struct Job {
    durability: Durability,
    work: Box<dyn Work>,
}

trait Work: Send {
    /// True: keep what it changed.
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

pub(super) struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn spawn(
        connection: Connection,
        checkpoints: Connection,
        health: watch::Sender<Health>,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let (wake, woken) = mpsc::sync_channel(1);
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let writer = named("store-writer").spawn(move || write(&connection, &jobs, &wake, &health))?;
        let checkpointer = named("store-checkpoint").spawn(move || checkpoint(&checkpoints, &woken))?;
        Ok(Self {
            queue: Some(queue),
            threads: vec![writer, checkpointer],
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

fn write(db: &Connection, jobs: &mpsc::Receiver<Job>, wake: &mpsc::SyncSender<()>, health: &watch::Sender<Health>) {
    let mut commits = 0;
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
        let (outcome, trouble) = transact(db, &mut batch);
        report(health, outcome.as_ref().err().or(trouble.as_ref()));
        for job in batch {
            job.work.answer(outcome.clone());
        }
        commits += 1;
        if commits >= CHECKPOINT_EVERY {
            commits = 0;
            let _ = wake.try_send(()); // one is on its way already
        }
    }
}

/// The commit's result, and the disk's trouble that a job alone ran into.
fn transact(db: &Connection, batch: &mut [Job]) -> (Result<(), StoreError>, Option<StoreError>) {
    let synced = batch.iter().any(|job| job.durability == Durability::Synced);
    let mut trouble = None;
    let mut body = || -> Result<(), StoreError> {
        // It cannot be changed inside a transaction.
        if synced {
            db.pragma_update(None, "synchronous", "FULL")?;
        }
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for job in batch.iter_mut() {
            db.prepare_cached("SAVEPOINT job")?.execute([])?;
            if let Err(e) = job.work.run(db) {
                if db.is_autocommit() {
                    return Err(e); // SQLite gave up the whole transaction
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
    if synced && let Err(e) = db.pragma_update(None, "synchronous", "NORMAL") {
        tracing::error!(error = %e, "cannot relax the database's syncing: it stays slower");
    }
    (result, trouble)
}

fn report(health: &watch::Sender<Health>, trouble: Option<&StoreError>) {
    let now = match trouble {
        Some(StoreError::ReadOnly(why)) => Health::ReadOnly { why: why.clone() },
        Some(_) => return,
        None => Health::Writable,
    };
    health.send_if_modified(|health| {
        if *health == now {
            return false;
        }
        match &now {
            Health::ReadOnly { why } => tracing::error!("{why}"),
            Health::Writable => tracing::info!("the database can be written again"),
        }
        *health = now;
        true
    });
}

/// Moves the write-ahead log into the database beside the writer, who never waits for it.
fn checkpoint(db: &Connection, woken: &mpsc::Receiver<()>) {
    while woken.recv().is_ok() {
        if let Err(e) = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::warn!(error = %e, "cannot checkpoint the database; it is tried again");
        }
    }
}
