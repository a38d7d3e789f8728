//! What is committed by whom: at once, by the thread, and when a disk is slow.

use super::*;

struct Rig {
    writer: Writer,
    /// `finish` is the disk's answer to each sync.
    finish: mpsc::Sender<Result<(), StoreError>>,
    dir: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let db = Connection::open(dir.path().join("t.db")).unwrap();
            db.pragma_update(None, "journal_mode", "WAL").unwrap();
            db.pragma_update(None, "synchronous", "NORMAL").unwrap();
            db.busy_timeout(limits::STORE_BUSY).unwrap();
            db
        };
        let connection = open();
        connection.execute_batch("CREATE TABLE t(n)").unwrap();
        let (finish, finished) = mpsc::channel::<Result<(), StoreError>>();
        let (health, _) = watch::channel(Health::Writable);
        let sync = Box::new(move || finished.recv().unwrap());
        let log = dir.path().join("t.db-wal");
        let writer = Writer::spawn(connection, open(), sync, Arc::new(|| Ok(())), health, log).unwrap();
        Self { writer, finish, dir }
    }

    /// The thread on which it was inserted.
    fn insert_here(&self) -> oneshot::Receiver<Result<std::thread::ThreadId, StoreError>> {
        self.insert(limits::SMALL_WRITE)
    }

    /// Waits until the thread has nothing to do, and forgets that the disk was slow.
    async fn quick(&self) {
        let idle = async || self.writer.queued.load(Ordering::Acquire) == 0;
        nexus_testkit::wait::until_async("the queue is empty", idle).await;
        self.writer.slow.until.store(0, Ordering::Relaxed);
    }

    fn insert(&self, bytes: usize) -> oneshot::Receiver<Result<std::thread::ThreadId, StoreError>> {
        let (reply, answer) = oneshot::channel();
        let job = |db: &Connection| {
            db.execute("INSERT INTO t VALUES (1)", [])?;
            Ok(std::thread::current().id())
        };
        self.writer
            .commit_here(Job::new(Durability::Process, job, reply), bytes)
            .unwrap();
        answer
    }
}

#[tokio::test]
async fn a_small_write_is_committed_before_it_returns() {
    let rig = Rig::new();
    let here = std::thread::current().id();
    assert_ne!(
        rig.insert_here().await.unwrap(),
        Ok(here),
        "the first one begins the log"
    );
    for _ in 0..3 {
        rig.quick().await;
        assert_eq!(rig.insert_here().try_recv().unwrap(), Ok(here));
    }
    let other = Connection::open(rig.dir.path().join("t.db")).unwrap();
    let count = || {
        other
            .query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let before = count();
    let (reply, answer) = oneshot::channel();
    let failing = |db: &Connection| -> rusqlite::Result<()> {
        db.execute("INSERT INTO t VALUES (1)", [])?;
        Err(rusqlite::Error::InvalidQuery)
    };
    rig.writer
        .commit_here(Job::new(Durability::Process, failing, reply), 1)
        .unwrap();
    assert!(answer.await.unwrap().is_err());
    assert_eq!(count(), before, "undone");
}

#[tokio::test]
async fn who_would_have_to_wait_leaves_it_to_the_thread() {
    let rig = Rig::new();
    let here = std::thread::current().id();

    // Another connection writes.
    let other = Connection::open(rig.dir.path().join("t.db")).unwrap();
    other
        .execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)")
        .unwrap();
    let mut answer = rig.insert_here();
    assert!(answer.try_recv().is_err(), "nobody waited for it");
    let behind = rig.insert_here();
    other.execute_batch("COMMIT").unwrap();
    for answer in [answer, behind] {
        let thread = nexus_testkit::wait::within("the other one has written", answer).await;
        assert_ne!(thread.unwrap().unwrap(), here);
    }

    // It is long.
    rig.quick().await;
    assert_eq!(rig.insert_here().await.unwrap(), Ok(here));
    assert_ne!(rig.insert(limits::SMALL_WRITE + 1).await.unwrap(), Ok(here));

    // The log begins again.
    rig.quick().await;
    rig.writer.restarts.store(true, Ordering::Release);
    assert_ne!(rig.insert_here().await.unwrap(), Ok(here));
    rig.quick().await;
    assert_eq!(rig.insert_here().await.unwrap(), Ok(here));

    // The disk was slow just now.
    rig.writer.slow.note(limits::COMMIT_HERE + Duration::from_micros(1));
    assert_ne!(rig.insert_here().await.unwrap(), Ok(here));
    rig.quick().await;
    assert_eq!(rig.insert_here().await.unwrap(), Ok(here));
}

#[tokio::test]
async fn a_job_that_panics_costs_no_other() {
    let rig = Rig::new();
    rig.insert_here().await.unwrap().unwrap();
    rig.quick().await;
    let (reply, _answer) = oneshot::channel();
    let panicking = |db: &Connection| -> rusqlite::Result<()> {
        db.execute("INSERT INTO t VALUES (1)", [])?;
        panic!("of this test");
    };
    let job = Job::new(Durability::Process, panicking, reply);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rig.writer.commit_here(job, 1)));
    assert!(panicked.is_err());
    assert!(rig.insert_here().await.unwrap().is_ok());
    assert!(rig.insert(limits::SMALL_WRITE + 1).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_slow_disk_holds_up_only_who_asked_for_it() {
    let Rig { writer, finish, dir } = Rig::new();
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
    drop(dir);
}
