//! What is written, and by whom: by the writing thread, which drains its queue, commits a batch as one transaction and
//! answers after the commit; or at once, on the thread of who asks ([`Writer::commit_here`]).
//!
//! An event of a chat is committed on its own thread: to the writing thread and back would be two hand-offs between
//! threads, each of which waits for a core, for a commit that takes some twenty microseconds. That is for small jobs that
//! need not survive a power cut, only while nobody else writes or waits, and only while the disk is quick: a commit of more
//! than [`limits::COMMIT_HERE`] sends all to the thread for [`limits::COMMIT_SLOW`]. So a slow disk holds a thread of the
//! services up once in that time, and for one commit. (All on the thread of who asks was left out: a disk that hangs would
//! stop the page too.)
//!
//! What has to survive a power cut is answered by another thread, once that has brought the write-ahead log to the disk: a
//! disk that takes seconds for it holds up whoever asked for it, and not the chat that streams through the same writer. Both
//! answers can be had apart: a commit here, and later whether it is on the disk ([`Writer::flush`]).
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
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
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

/// `Flush` is somebody who waits until what is committed is on the disk, and who has nothing to write.
struct Flush(oneshot::Sender<Result<(), StoreError>>);

impl Work for Flush {
    fn run(&mut self, _: &Connection) -> Result<(), StoreError> {
        Ok(())
    }
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let _ = self.0.send(outcome); // nobody waits any more
    }
}

/// Brings what is committed to the disk. Blocks.
pub(super) type ToDisk = Box<dyn Fn() -> Result<(), StoreError> + Send>;

pub(super) struct Writer {
    committing: Arc<Mutex<Committing>>,
    queue: Option<mpsc::Sender<Order>>,
    /// `queued` counts the orders that the thread has not carried out yet.
    queued: Arc<AtomicUsize>,
    /// `restarts`: the log was moved whole, so the next commit begins it again, and SQLite syncs its head.
    restarts: Arc<AtomicBool>,
    slow: SlowDisk,
    /// `to_disk` leads to the thread that brings what is committed to the disk.
    to_disk: Option<mpsc::Sender<Job>>,
    /// `thread` commits what is queued.
    thread: Option<JoinHandle<()>>,
    /// `helpers` bring commits to the disk and shorten the log. They end once nobody can commit any more.
    helpers: Vec<JoinHandle<()>>,
}

/// `SMALL_TOGETHER` is after how many small commits the log is looked at: it has grown by a megabyte at most.
const SMALL_TOGETHER: u32 = 8;

/// `Order` is what the thread is asked for.
enum Order {
    Job(Job),
    /// `EmptyLog`: the log has reached its bound, and whoever saw that must not wait for it.
    EmptyLog,
}

/// `Committing` is the connection that writes, with what is watched at each commit.
struct Committing {
    db: Connection,
    growth: Growth,
    there: StillThere,
    health: watch::Sender<Health>,
}

/// `SlowDisk` is until when no commit is made on the thread of who asks.
struct SlowDisk {
    since: Instant,
    /// `until` is in milliseconds after `since`.
    until: AtomicU64,
}

impl SlowDisk {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            until: AtomicU64::new(0),
        }
    }

    fn is_now(&self) -> bool {
        self.now() < self.until.load(Ordering::Relaxed)
    }

    fn note(&self, took: Duration) {
        if took > limits::COMMIT_HERE {
            let pause = u64::try_from(limits::COMMIT_SLOW.as_millis()).unwrap_or(u64::MAX);
            self.until.store(self.now().saturating_add(pause), Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
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
        let (queue, orders) = mpsc::channel();
        let (wake, woken) = mpsc::sync_channel(1);
        let (committed, unsynced) = mpsc::channel();
        let to_disk = committed.clone();
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let failing = health.clone();
        let syncer = named("store-sync").spawn(move || bring_to_disk(&sync, &unsynced, &failing))?;
        let log = Log(log);
        let cut = log.clone();
        let committing = Arc::new(Mutex::new(Committing {
            db: connection,
            growth: Growth::new(log, wake),
            there,
            health,
        }));
        let queued = Arc::new(AtomicUsize::new(0));
        // The first commit of a life may begin the log.
        let restarts = Arc::new(AtomicBool::new(true));
        let (shared, left, restarted) = (Arc::clone(&committing), Arc::clone(&queued), Arc::clone(&restarts));
        let writer = named("store-writer").spawn(move || write(&shared, &orders, &left, &restarted, &committed))?;
        let moved = Arc::clone(&restarts);
        let checkpointer = named("store-checkpoint").spawn(move || checkpoint(&checkpoints, &cut, &moved, &woken))?;
        Ok(Self {
            committing,
            queue: Some(queue),
            queued,
            restarts,
            slow: SlowDisk::new(),
            to_disk: Some(to_disk),
            thread: Some(writer),
            helpers: vec![syncer, checkpointer],
        })
    }

    /// Leaves the job to the writing thread.
    pub(super) fn send(&self, job: Job) -> Result<(), StoreError> {
        self.order(Order::Job(job))
    }

    fn order(&self, order: Order) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        self.queued.fetch_add(1, Ordering::AcqRel);
        queue.send(order).map_err(|_| {
            self.queued.fetch_sub(1, Ordering::AcqRel);
            StoreError::Closed
        })
    }

    /// Asks for all that is committed now to be brought to the disk, and answers when it is there.
    pub(super) fn flush(&self, reply: oneshot::Sender<Result<(), StoreError>>) -> Result<(), StoreError> {
        let job = Job {
            durability: Durability::Synced,
            work: Box::new(Flush(reply)),
        };
        let to_disk = self.to_disk.as_ref().ok_or(StoreError::Closed)?;
        to_disk.send(job).map_err(|_| StoreError::Closed)
    }

    /// Commits the job, which writes about so many bytes, before it returns, where nobody else writes or waits to and the
    /// disk is quick; leaves it to the writing thread otherwise. It is for jobs whose commit is answered as
    /// [`Durability::Process`].
    pub(super) fn commit_here(&self, job: Job, bytes: usize) -> Result<(), StoreError> {
        let waits = self.queued.load(Ordering::Acquire) > 0 || self.restarts.load(Ordering::Acquire);
        if bytes > limits::SMALL_WRITE || waits || self.slow.is_now() {
            return self.send(job);
        }
        let mut committing = match self.committing.try_lock() {
            Ok(committing) => committing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return self.send(job),
        };
        let started = Instant::now();
        let begun = committing.begin(Duration::ZERO);
        if begun.as_ref().is_err_and(is_busy) {
            drop(committing);
            return self.send(job);
        }
        let mut batch = [job];
        let outcome = committing.commit(begun, &mut batch);
        let full = committing.growth.small();
        drop(committing);
        self.slow.note(started.elapsed());
        let [job] = batch;
        job.work.answer(outcome);
        if full {
            // The job is committed, whether or not anybody empties the log.
            let _ = self.order(Order::EmptyLog);
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let join = |thread: JoinHandle<()>| {
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        };
        self.queue = None;
        self.to_disk = None;
        self.thread.take().map(join);
        // Held only where this is dropped by a job of its own; then the helpers end a moment later, and nobody waits.
        match self.committing.try_lock() {
            Ok(mut committing) => committing.growth.wake = None,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().growth.wake = None,
            Err(TryLockError::WouldBlock) => return,
        }
        self.helpers.drain(..).for_each(join);
    }
}

fn write(
    committing: &Mutex<Committing>,
    orders: &mpsc::Receiver<Order>,
    queued: &AtomicUsize,
    restarts: &AtomicBool,
    committed: &mpsc::Sender<Job>,
) {
    loop {
        let first = match orders.recv_timeout(limits::STORE_CHECK) {
            Ok(Order::Job(first)) => first,
            Ok(Order::EmptyLog) => {
                let mut committing = committing.lock().unwrap_or_else(PoisonError::into_inner);
                committing.empty_full_log();
                queued.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {
                let committing = committing.lock().unwrap_or_else(PoisonError::into_inner);
                look(&committing.db, &committing.there, &committing.health);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut batch = vec![first];
        let mut emptying = 0;
        while batch.len() < limits::STORE_BATCH
            && let Ok(order) = orders.try_recv()
        {
            match order {
                Order::Job(job) => batch.push(job),
                Order::EmptyLog => emptying += 1,
            }
        }
        let orders = batch.len() + emptying;
        let mut committing = committing.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the commit: what is moved during it begins the log once more.
        restarts.store(false, Ordering::Release);
        let begun = committing.begin(limits::STORE_BUSY);
        let outcome = committing.commit(begun, &mut batch);
        for job in batch {
            if job.durability == Durability::Synced && outcome.is_ok() {
                if let Err(mpsc::SendError(job)) = committed.send(job) {
                    job.work.answer(Err(StoreError::Closed));
                }
            } else {
                job.work.answer(outcome.clone());
            }
        }
        queued.fetch_sub(orders, Ordering::AcqRel);
        if committing.growth.committed() || emptying > 0 {
            committing.empty_full_log();
        }
    }
}

impl Committing {
    /// Begins a transaction. `patience` is how long it waits for another connection that writes.
    fn begin(&self, patience: Duration) -> rusqlite::Result<()> {
        if !self.db.is_autocommit() {
            // A job panicked in it.
            self.db.execute_batch("ROLLBACK")?;
        }
        self.db.busy_timeout(patience)?;
        let begun = self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([]);
        self.db.busy_timeout(limits::STORE_BUSY)?;
        begun.map(drop)
    }

    /// Runs a batch in the transaction that was begun, and commits it.
    fn commit(&self, begun: rusqlite::Result<()>, batch: &mut [Job]) -> Result<(), StoreError> {
        let before = self.db.total_changes();
        let (outcome, trouble) = match begun {
            Ok(()) => transact(&self.db, batch),
            Err(error) => (Err(error.into()), None),
        };
        match outcome.as_ref().err().or(trouble.as_ref()) {
            Some(error) => report(&self.health, Some(error)),
            // A transaction that changed nothing shows nothing.
            None if self.db.total_changes() == before => {}
            None => report(&self.health, (self.there)().as_ref().err()),
        }
        outcome
    }

    fn empty_full_log(&mut self) {
        self.growth.empty(&self.db);
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
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
    /// `wake` wakes the checkpointer, which ends when this is dropped.
    wake: Option<mpsc::SyncSender<()>>,
    commits: u32,
    /// `unseen` is how many small commits were made since the length of the log was asked for.
    unseen: u32,
    /// `soft` is the length in bytes at which the checkpointer is woken next.
    soft: u64,
    /// `hard` is the length in bytes at which the writer itself empties it.
    hard: u64,
}

impl Growth {
    fn new(log: Log, wake: mpsc::SyncSender<()>) -> Self {
        Self {
            log,
            wake: Some(wake),
            commits: 0,
            unseen: 0,
            soft: limits::WAL_KEPT,
            hard: limits::WAL_MOST,
        }
    }

    /// Notes a commit of no more than [`limits::SMALL_WRITE`], of which several are looked at together; true: as of
    /// [`Growth::committed`].
    fn small(&mut self) -> bool {
        if self.unseen < SMALL_TOGETHER {
            self.unseen += 1;
            self.commits += 1;
            return false;
        }
        self.committed()
    }

    /// Notes a commit; true: the log has reached its bound and is to be emptied before more is written.
    fn committed(&mut self) -> bool {
        let bytes = self.log.bytes();
        self.unseen = 0;
        self.commits += 1;
        if self.commits >= limits::WAL_COMMITS || bytes >= self.soft {
            self.commits = 0;
            if let Some(wake) = &self.wake {
                let _ = wake.try_send(()); // one is on its way already
            }
            self.soft = bytes.saturating_add(limits::WAL_KEPT);
        }
        // It is shorter again.
        self.soft = self.soft.min(bytes.saturating_add(limits::WAL_KEPT));
        self.hard = self
            .hard
            .min(limits::WAL_MOST.max(bytes.saturating_add(limits::WAL_KEPT)));
        bytes >= self.hard
    }

    /// Empties the log, unless somebody else has meanwhile.
    fn empty(&mut self, db: &Connection) {
        if self.log.bytes() < self.hard {
            return;
        }
        if let Err(e) = empty(db, limits::WAL_WAIT) {
            tracing::warn!(error = %e, "cannot empty the write-ahead log of the database; retrying");
        }
        // Somebody reads from it still: not again at each commit.
        self.hard = limits::WAL_MOST.max(self.log.bytes().saturating_add(limits::WAL_KEPT));
    }
}

/// Moves all of the log into the database and cuts the file. `wait` is for readers of it; nobody can write meanwhile.
fn empty(db: &Connection, wait: std::time::Duration) -> rusqlite::Result<()> {
    db.busy_timeout(wait)?;
    let done = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    db.busy_timeout(limits::STORE_BUSY)?;
    done
}

/// Ends the transaction that was begun. Returns the commit's result, and the trouble with the disk that one job alone ran
/// into.
fn transact(db: &Connection, batch: &mut [Job]) -> (Result<(), StoreError>, Option<StoreError>) {
    let mut trouble = None;
    let mut body = || -> Result<(), StoreError> {
        if let [job] = &mut *batch {
            // Alone, it needs no place to go back to but the beginning.
            if let Err(e) = job.work.run(db) {
                if db.is_autocommit() {
                    return Err(e); // SQLite aborted the transaction
                }
                if matches!(e, StoreError::ReadOnly(_)) {
                    trouble = Some(e);
                }
                db.prepare_cached("ROLLBACK")?.execute([])?;
                return Ok(());
            }
            db.prepare_cached("COMMIT")?.execute([])?;
            return Ok(());
        }
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
fn bring_to_disk(sync: &ToDisk, unsynced: &mpsc::Receiver<Job>, health: &watch::Sender<Health>) {
    while let Ok(first) = unsynced.recv() {
        let batch: Vec<Job> = std::iter::once(first).chain(unsynced.try_iter()).collect();
        let outcome = sync();
        // Perhaps nobody waits for it.
        if let Err(error) = &outcome {
            report(health, Some(error));
        }
        for job in batch {
            job.work.answer(outcome.clone());
        }
    }
}

/// Moves the write-ahead log into the database beside the writer, who does not wait for it, and cuts its file where all of
/// it was moved: then the writer is held up for as long as that one call takes.
fn checkpoint(db: &Connection, log: &Log, restarts: &AtomicBool, woken: &mpsc::Receiver<()>) {
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
        if !matches!(moved, Ok(false)) {
            restarts.store(true, Ordering::Release);
        }
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
#[path = "writer_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
