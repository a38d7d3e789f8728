//! The open database: its writer, its readers, and whether it can be written.

use crate::connection::{FILE, connect, log_of};
use crate::error::StoreError;
use crate::in_memory::InMemory;
use crate::private::{private_dir, private_file};
use crate::schema;
use crate::sqlite_integers::signed;
use crate::types::{Durability, Health};
use crate::writer::{Job, StillThere, ToDisk, Writer};
use nexus_model::limits;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{oneshot, watch};

/// `Store` is the open database. It is cheap to clone; the last one dropped waits for what is queued.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    at: Place,
    health: watch::Receiver<Health>,
}

enum Place {
    File(FileDatabase),
    Memory {
        database: InMemory,
        health: watch::Sender<Health>,
    },
}

struct FileDatabase {
    path: PathBuf,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Tells whether a database was ever made in `data_dir`.
    pub fn exists(data_dir: &Path) -> bool {
        data_dir.join(FILE).exists()
    }

    /// Opens (or makes) `data_dir/nexus.db`, and brings its schema up to date. Blocks.
    ///
    /// # Errors
    /// Where it cannot be opened or written, or was written by a newer Nexus.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        private_dir(data_dir)?;
        let path = data_dir.join(FILE);
        private_file(&path)?;
        let mut connection = connect(&path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // The checkpointer's thread does it, off the path of the streamed tokens.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // What is left of the file when it is begun again.
        connection.pragma_update(None, "journal_size_limit", signed(limits::WAL_KEPT))?;
        schema::migrate(&mut connection, &path)?;
        let checkpoints = connect(&path)?;
        let (health_tx, health) = watch::channel(Health::Writable);
        let there = still_there(&path)?;
        let log = log_of(&path);
        let sync = log_to_disk(log.clone(), Arc::clone(&there));
        let writer = Writer::spawn(connection, checkpoints, sync, there, health_tx, log)
            .map_err(|e| StoreError::Open(format!("cannot start the database's thread: {e}")))?;
        Ok(Self {
            inner: Arc::new(Inner {
                at: Place::File(FileDatabase {
                    path,
                    writer,
                    readers: Mutex::default(),
                }),
                health,
            }),
        })
    }

    /// Opens an empty database that is gone with the last handle of it. Its jobs run on the thread of the caller.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        let database = InMemory::open()?;
        let (sender, health) = watch::channel(Health::Writable);
        Ok(Self {
            inner: Arc::new(Inner {
                at: Place::Memory {
                    database,
                    health: sender,
                },
                health,
            }),
        })
    }

    /// Lets every write of a database in memory fail from now on, as a full disk does; none: lets them succeed again. One in
    /// a file is not touched.
    pub fn fail_writes(&self, with: Option<StoreError>) {
        if let Place::Memory { database, health } = &self.inner.at {
            health.send_replace(match &with {
                Some(StoreError::ReadOnly(cause)) => Health::ReadOnly { cause: cause.clone() },
                _ => Health::Writable,
            });
            database.fail(with);
        }
    }

    /// Runs `job` in the writer's next transaction; its changes are undone if it fails. Answers after the commit.
    ///
    /// # Errors
    /// What `job` or the commit failed with.
    pub async fn write<T, F>(&self, durability: Durability, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.hand_over(durability, job, Writer::send).await
    }

    /// Runs a `job` that adds about so many `bytes` as [`Store::write`] with [`Durability::Process`] does, and where that is
    /// not much and nobody else writes on the thread of the caller: such a write waits for no other thread.
    ///
    /// # Errors
    /// What `job` or the commit failed with.
    pub async fn add<T, F>(&self, bytes: usize, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.hand_over(Durability::Process, job, |writer, job| writer.commit_here(job, bytes))
            .await
    }

    /// Leaves a job to the writing thread whose outcome nobody waits for. What it fails with is logged.
    pub fn later<F>(&self, job: F)
    where
        F: FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    {
        let noted =
            move |db: &Connection| job(db).inspect_err(|error| tracing::warn!(%error, "cannot tidy up the database"));
        match &self.inner.at {
            Place::File(file) => {
                let (reply, _) = oneshot::channel();
                // The store is closing: the next life does without it too.
                let _ = file.writer.send(Job::new(Durability::Process, noted, reply));
            }
            Place::Memory { database, .. } => {
                let _ = database.write(noted);
            }
        }
    }

    /// Asks for what is committed now to be brought to the disk. The answer may be waited for, or dropped: what cannot be brought
    /// there is seen in [`Store::health`] as well.
    pub fn flush(&self) -> Flushed {
        let (reply, answer) = oneshot::channel();
        let asked = match &self.inner.at {
            Place::File(file) => file.writer.flush(reply),
            Place::Memory { .. } => {
                let _ = reply.send(Ok(()));
                Ok(())
            }
        };
        Flushed(asked.map(|()| answer))
    }

    /// Waits for the answer to a job that `to` gives to the writer.
    async fn hand_over<T, F>(
        &self,
        durability: Durability,
        job: F,
        to: impl FnOnce(&Writer, Job) -> Result<(), StoreError>,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        match &self.inner.at {
            Place::File(file) => {
                let (reply, answer) = oneshot::channel();
                to(&file.writer, Job::new(durability, job, reply))?;
                answer.await.map_err(|_| StoreError::Closed)?
            }
            Place::Memory { database, .. } => database.write(job),
        }
    }

    /// Runs `job` on a reading connection, in one read transaction: it sees one moment.
    ///
    /// # Errors
    /// What `job` failed with.
    pub async fn read<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        if let Place::Memory { database, .. } = &self.inner.at {
            return database.read(job);
        }
        let inner = self.inner.clone();
        let read = move || match &inner.at {
            Place::File(file) => file.read(job),
            Place::Memory { database, .. } => database.read(job),
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| StoreError::Closed)?
    }

    /// `health` says whether the last write could be saved; changes are seen at once.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.inner.health.clone()
    }
}

/// `Flushed` is the answer of [`Store::flush`].
#[must_use = "drop it where nobody has to know"]
pub struct Flushed(Result<oneshot::Receiver<Result<(), StoreError>>, StoreError>);

impl Flushed {
    /// Waits until it is on the disk.
    ///
    /// # Errors
    /// The disk does not take it.
    pub async fn wait(self) -> Result<(), StoreError> {
        self.0?.await.map_err(|_| StoreError::Closed)?
    }
}

impl FileDatabase {
    fn read<T>(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.path)?;
                connection.pragma_update(None, "query_only", true)?;
                connection
            }
        };
        let moment = connection.transaction()?;
        let result = job(&moment);
        drop(moment);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < limits::STORE_READERS {
            readers.push(connection);
        }
        Ok(result?)
    }
}

/// What is committed is in the write-ahead log until it is in the database, which a checkpoint syncs by itself. No lock is
/// held on that file, so none is lost when it is closed here.
fn log_to_disk(log: PathBuf, there: StillThere) -> ToDisk {
    Box::new(move || {
        let synced = std::fs::File::open(&log).and_then(|file| file.sync_data());
        match synced {
            Ok(()) => Ok(()),
            // A checkpoint has taken all of it into the database.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => there(),
            Err(error) => Err(StoreError::ReadOnly(format!(
                "the disk of the data folder failed ({error}): the latest changes may be lost"
            ))),
        }
    })
}

/// What is written into a file that somebody removed would be gone with this process, and nobody would know.
fn still_there(database: &Path) -> Result<StillThere, StoreError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let path = database.to_owned();
        let which = move || std::fs::metadata(&path).map(|file| (file.dev(), file.ino()));
        let open =
            which().map_err(|e| StoreError::Open(format!("cannot open the database {}: {e}", database.display())))?;
        let gone = StoreError::ReadOnly(format!(
            "the database {} was deleted or moved while Nexus is running: new data is lost when Nexus stops. To fix: \
             move it back; if it no longer exists, stop Nexus and restore a backup",
            database.display()
        ));
        Ok(Arc::new(move || match which() {
            Ok(found) if found == open => Ok(()),
            _ => Err(gone.clone()),
        }))
    }
    #[cfg(not(unix))]
    {
        let _ = database;
        Ok(Arc::new(|| Ok(())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    /// `log_bytes` is the size of the write-ahead log.
    fn log_bytes(dir: &Path) -> u64 {
        std::fs::metadata(log_of(&dir.join(FILE))).map_or(0, |file| file.len())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_log_of_a_writer_that_never_pauses_stays_below_its_bound_and_shrinks_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let value = vec![7_u8; 900_000];
        let mut most = 0;
        for _ in 0..300 {
            let value = value.clone();
            // Not synced: as fast as it can be.
            store
                .write(Durability::Process, move |db| {
                    db.execute("INSERT OR REPLACE INTO setting(name, value) VALUES ('x', ?1)", [value])
                })
                .await
                .unwrap();
            most = most.max(log_bytes(dir.path()));
        }
        let bound = limits::WAL_MOST + limits::WAL_KEPT;
        assert!(most <= bound, "{most} bytes of a log that may have {bound}");
        let shrunk = async || log_bytes(dir.path()) <= limits::WAL_KEPT;
        nexus_testkit::wait::until_async("the log of the database is cut", shrunk).await;
        assert_eq!(*store.health().borrow(), Health::Writable);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_log_that_an_earlier_life_left_long_is_cut_without_a_write() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let path = dir.path().join(FILE);
        let old = connect(&path).unwrap();
        old.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        for n in 0..40 {
            old.execute(
                "INSERT INTO setting(name, value) VALUES ('x' || ?1, randomblob(1000000))",
                [n],
            )
            .unwrap();
        }
        assert!(log_bytes(dir.path()) > 2 * limits::WAL_KEPT);
        let store = Store::open(dir.path()).unwrap();
        drop(old);
        let shrunk = async || log_bytes(dir.path()) <= limits::WAL_KEPT;
        nexus_testkit::wait::until_async("the log of the database is cut", shrunk).await;
        drop(store);
    }

    #[tokio::test]
    async fn a_failed_job_undoes_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let insert = |name: &'static str, fail: bool| {
            store.write(Durability::Process, move |db| {
                db.execute("INSERT INTO setting(name, value) VALUES (?1, x'00')", [name])?;
                if fail {
                    Err(rusqlite::Error::InvalidQuery)
                } else {
                    Ok(())
                }
            })
        };
        let (a, b, c) = tokio::join!(insert("a", false), insert("b", true), insert("c", false));
        assert!(a.is_ok() && b.is_err() && c.is_ok());
        let names = store
            .read(|db| {
                db.prepare("SELECT name FROM setting ORDER BY name")?
                    .query_map([], |r| r.get(0))?
                    .collect()
            })
            .await;
        assert_eq!(names, Ok(vec!["a".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn a_newer_schema_is_refused_with_a_message() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let db = Connection::open(dir.path().join(FILE)).unwrap();
        db.pragma_update(None, "user_version", 999).unwrap();
        drop(db);
        let Err(error) = Store::open(dir.path()) else {
            panic!("opened")
        };
        assert!(matches!(error, StoreError::Newer { found: 999, .. }), "{error}");
        assert!(error.to_string().contains("999"));
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_with_a_message() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join(FILE),
            "this is a letter to my aunt, not a database, and long enough ".repeat(20),
        )
        .unwrap();
        let Err(error) = Store::open(dir.path()) else {
            panic!("opened")
        };
        assert!(error.to_string().contains("damaged"), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn files_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let store = Store::open(&data).unwrap();
        store
            .write(Durability::Synced, |db| db.execute("DELETE FROM setting", []))
            .await
            .unwrap();
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in std::fs::read_dir(&data).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(
                entry.metadata().unwrap().permissions().mode() & 0o777,
                0o600,
                "{:?}",
                entry.path()
            );
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_reported_until_it_has_room() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let health = store.health();
        let cap = |pages: i64| {
            store.write(Durability::Process, move |db| {
                db.pragma_update(None, "max_page_count", pages)
            })
        };
        cap(1).await.unwrap(); // SQLite takes the present size where that is more
        let fill = || {
            store.write(Durability::Process, |db| {
                db.execute("INSERT OR REPLACE INTO setting VALUES ('big', zeroblob(1000000))", [])
            })
        };
        let error = fill().await.unwrap_err();
        assert!(
            matches!(&error, StoreError::ReadOnly(cause) if cause.contains("full")),
            "{error}"
        );
        assert!(matches!(&*health.borrow(), Health::ReadOnly { .. }));
        store.write(Durability::Process, |_| Ok(())).await.unwrap();
        assert!(
            matches!(&*health.borrow(), Health::ReadOnly { .. }),
            "a job that writes nothing shows nothing"
        );
        cap(1_000_000).await.unwrap();
        fill().await.unwrap();
        assert_eq!(*health.borrow(), Health::Writable);
    }

    #[tokio::test]
    async fn a_disk_that_has_room_again_is_noticed_without_a_write() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut health = store.health();
        let trouble = Err::<(), _>(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
            None,
        ));
        store.write(Durability::Process, move |_| trouble).await.unwrap_err();
        assert!(matches!(&*health.borrow_and_update(), Health::ReadOnly { .. }));
        nexus_testkit::wait::watched("the room on the disk is noticed", &mut health, |now| {
            *now == Health::Writable
        })
        .await;
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_removed_database_is_reported_until_it_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let health = store.health();
        let save = || {
            store.write(Durability::Synced, |db| {
                db.execute("INSERT OR REPLACE INTO setting VALUES ('a', x'00')", [])
            })
        };
        save().await.unwrap();
        let (here, away) = (dir.path().join(FILE), dir.path().join("away"));
        std::fs::rename(&here, &away).unwrap();
        std::fs::write(&here, "another file").unwrap();
        let _ = save().await;
        assert!(
            matches!(&*health.borrow(), Health::ReadOnly { cause } if cause.contains("deleted or moved")),
            "{:?}",
            *health.borrow()
        );
        std::fs::rename(&away, &here).unwrap();
        save().await.unwrap();
        assert_eq!(*health.borrow(), Health::Writable);
    }
}
