//! The journal's rows.

use super::entry::{Entry, Seq, Trim, part_of};
use super::session_from_rows::Folded;
use super::session_row::Row;
use nexus_model::chat::{Event, SessionId, SessionInfo};
use nexus_model::limits::REMOVED_SESSIONS;
use nexus_store::{Durability, Store, StoreError, signed, unsigned};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

fn json<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}

fn text(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn key_of(db: &Connection, session: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT key FROM session WHERE id = ?1")?
        .query_row([session], |row| row.get(0))
        .optional()
}

/// Reads a session, after the writer's queue: a write that was abandoned half way is done by then, or will never be.
pub(super) async fn load(store: &Store, session: &str) -> Result<Folded, StoreError> {
    let (session, name) = (session.to_owned(), session.to_owned());
    // Only this empty job goes through the queue: reading a long session there would hold up streamed tokens. Where
    // nothing can be written, nothing is on its way either.
    let _ = store.write(Durability::Process, |_| Ok(())).await;
    store
        .read(move |db| {
            let mut folded = Folded::new(key_of(db, &session)?);
            if folded.key.is_none()
                && let Some(seq) = removed_at(db, &session)?
            {
                folded.state.seq = seq;
                folded.state.removed = true;
            }
            if let Some(key) = folded.key {
                let mut query = db.prepare_cached("SELECT seq, body FROM event WHERE session = ?1 ORDER BY seq")?;
                let mut rows = query.query([key])?;
                while let Some(row) = rows.next()? {
                    let event: Event = json(row.get_ref(1)?.as_str()?)?;
                    folded.take(unsigned(row.get(0)?), &event);
                }
            }
            Ok(folded)
        })
        .await
        .map_err(|error| damaged(&name, error))
}

/// Says of data that cannot be read whose they are. Other trouble, a full disk say, is not the session's.
fn damaged(session: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Database(cause) => StoreError::Database(format!(
            "cannot read the stored chat {session} ({cause}). To fix: restore a backup, or delete the chat"
        )),
        other => other,
    }
}

fn removed_at(db: &Connection, session: &str) -> rusqlite::Result<Option<Seq>> {
    db.prepare_cached("SELECT seq FROM removed WHERE id = ?1")?
        .query_row([session], |row| row.get(0).map(unsigned))
        .optional()
}

/// `removed` are the sessions that were deleted.
pub(super) async fn removed(store: &Store) -> Result<HashSet<SessionId>, StoreError> {
    store
        .read(|db| {
            db.prepare("SELECT id FROM removed")?
                .query_map([], |row| row.get(0))?
                .collect()
        })
        .await
}

pub(super) async fn key(store: &Store, session: &str) -> Result<Option<i64>, StoreError> {
    let session = session.to_owned();
    store.read(move |db| key_of(db, &session)).await
}

/// `tail` has the events above `after`, as of one moment; `None`: the session was deleted.
pub(super) async fn tail(store: &Store, key: i64, after: Seq) -> Result<Option<Vec<Arc<Entry>>>, StoreError> {
    store
        .read(move |db| {
            if !db
                .prepare_cached("SELECT 1 FROM session WHERE key = ?1")?
                .exists([key])?
            {
                return Ok(None);
            }
            db.prepare_cached("SELECT seq, body FROM event WHERE session = ?1 AND seq > ?2 ORDER BY seq")?
                .query_map(params![key, signed(after)], |row| {
                    let body: String = row.get(1)?;
                    Ok(Arc::new(Entry {
                        seq: unsigned(row.get(0)?),
                        event: json(&body)?,
                        json: body.into_boxed_str(),
                        shown: OnceLock::new(),
                    }))
                })?
                .collect::<Result<_, _>>()
                .map(Some)
        })
        .await
}

/// `rows` are those of all sessions. One that cannot be read (of a newer version, or damaged) is left out and said: its
/// session stays in the database, and all others are there.
pub(super) async fn rows(store: &Store) -> Result<Vec<Row>, StoreError> {
    store
        .read(|db| {
            db.prepare("SELECT id, backend, info, turn, requests, activity FROM session")?
                .query_map([], |row| {
                    let id: String = row.get(0)?;
                    let info: Option<String> = row.get(2)?;
                    let turn: String = row.get(3)?;
                    // One line that cannot be read, written by a later version say, is no reason to show none.
                    let info = info.map(|info| {
                        let read = json(&info).inspect_err(|error| unreadable(&id, error));
                        read.unwrap_or_else(|_| nameless(&id))
                    });
                    let turn = json(&turn)
                        .inspect_err(|error| unreadable(&id, error))
                        .unwrap_or_default();
                    Ok(Row {
                        info,
                        id,
                        backend: row.get(1)?,
                        turn,
                        requests: row.get(4)?,
                        activity: unsigned(row.get(5)?),
                    })
                })?
                .collect()
        })
        .await
}

fn unreadable(session: &str, error: &rusqlite::Error) {
    tracing::error!(session, %error, "cannot read the entry of a chat in the list");
}

/// `nameless` is what a session is listed under whose row cannot be read, so that it can be opened or deleted.
fn nameless(session: &str) -> SessionInfo {
    SessionInfo {
        id: session.to_owned(),
        workspace: String::new(),
        parent: None,
        title: "Chat with an unreadable name".to_owned(),
        created_at: 0,
        updated_at: 0,
        archived: false,
        reverted: None,
        ext: nexus_model::chat::Ext::default(),
    }
}

/// Tells whether a power cut may not take it: what is closed, completed or removed. The rest is streamed again or soon replaced.
pub(super) fn lasts(entries: &[Arc<Entry>]) -> bool {
    entries.iter().any(|entry| match &entry.event {
        Event::Part { part } => part.closed,
        Event::Message { message } => message.completed_at.is_some() || message.interrupted,
        Event::SessionRemoved | Event::MessageRemoved { .. } => true,
        _ => false,
    })
}

/// Writes `entries`, and answers the session's key once they are committed. Whether they are on the disk is asked for apart.
pub(super) async fn write(
    store: &Store,
    key: Option<i64>,
    row: Option<Row>,
    entries: Vec<Arc<Entry>>,
    room: &Arc<Room>,
) -> Result<i64, StoreError> {
    let bytes = entries.iter().map(|entry| entry.json.len()).sum();
    let removes = entries.iter().any(|entry| entry.event == Event::SessionRemoved);
    let (most, room) = (room.most, Arc::clone(room));
    let job = move |db: &Connection| {
        if !removes && !room.takes(entries.len(), bytes, || in_use(db))? {
            return Ok(None);
        }
        let key = match (row, key) {
            (Some(row), _) => put(db, &row)?,
            (None, Some(key)) => key,
            (None, None) => return Err(rusqlite::Error::QueryReturnedNoRows), // a new session has a row
        };
        let mut insert = db.prepare_cached("INSERT INTO event(session, seq, part, body) VALUES (?1, ?2, ?3, ?4)")?;
        for entry in &entries {
            insert.execute(params![key, signed(entry.seq), part_of(&entry.event), &*entry.json])?;
        }
        if let Some(entry) = entries.iter().find(|entry| entry.event == Event::SessionRemoved) {
            db.prepare_cached("INSERT OR REPLACE INTO removed(id, seq) SELECT id, ?2 FROM session WHERE key = ?1")?
                .execute(params![key, signed(entry.seq)])?;
            db.prepare_cached("DELETE FROM removed WHERE rowid <= (SELECT max(rowid) FROM removed) - ?1")?
                .execute([signed(REMOVED_SESSIONS)])?;
            db.prepare_cached("DELETE FROM event WHERE session = ?1")?
                .execute([key])?;
            db.prepare_cached("DELETE FROM attachment WHERE session = (SELECT id FROM session WHERE key = ?1)")?
                .execute([key])?;
            db.prepare_cached("DELETE FROM session WHERE key = ?1")?
                .execute([key])?;
        }
        Ok(Some(key))
    };
    // To delete a long session is no work for the thread of who asks.
    let written = if removes {
        store.write(Durability::Process, job).await?
    } else {
        store.add(bytes, job).await?
    };
    written.ok_or_else(|| {
        StoreError::ReadOnly(format!(
            "the stored chats take {} MiB, the limit: nothing more can be saved until some are deleted",
            most >> 20
        ))
    })
}

/// Deletes rows that later ones hold the whole of. Nobody waits for it: with them a session is the same, and longer to read.
pub(super) fn trim(store: &Store, key: i64, trims: Vec<Trim>) {
    if trims.is_empty() {
        return;
    }
    store.later(move |db| {
        let mut delete =
            db.prepare_cached("DELETE FROM event WHERE session = ?1 AND seq > ?2 AND seq < ?3 AND part = ?4")?;
        for trim in &trims {
            delete.execute(params![key, signed(trim.after), signed(trim.before), trim.part])?;
        }
        Ok(())
    });
}

/// `Room` is how much the database may still grow, which is asked for only now and then.
pub(super) struct Room {
    /// `most` is the size of the database in bytes from which on nothing more is taken.
    most: u64,
    /// `sure` is how many bytes can be written before its size has to be asked for.
    sure: AtomicU64,
}

impl Room {
    /// `EACH` is what an event may take besides its text, in bytes.
    const EACH: u64 = 4096;
    /// `SHARE` is the part of what is free that is used up before the next look: other things are written besides.
    const SHARE: u64 = 16;

    pub(super) fn new(most: u64) -> Self {
        Self {
            most,
            sure: AtomicU64::new(0),
        }
    }

    /// Takes room for so many events and bytes, if there is any; `in_use` asks for the size of the database.
    fn takes<E>(&self, events: usize, bytes: usize, in_use: impl FnOnce() -> Result<u64, E>) -> Result<bool, E> {
        let wanted = (events as u64).saturating_mul(Self::EACH).saturating_add(bytes as u64);
        let less = |sure: u64| sure.checked_sub(wanted);
        if self
            .sure
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
        {
            return Ok(true);
        }
        let free = self.most.saturating_sub(in_use()?);
        self.sure
            .store((free / Self::SHARE).saturating_sub(wanted), Ordering::Relaxed);
        Ok(free > 0)
    }
}

/// `in_use` counts the bytes of the database, without what deleted rows left free in it.
fn in_use(db: &Connection) -> rusqlite::Result<u64> {
    let number = |name: &str| {
        db.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map(unsigned)
    };
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    Ok(pages.saturating_mul(number("page_size")?))
}

/// Deletes a session unread.
pub(super) async fn remove(store: &Store, session: &str) -> Result<(), StoreError> {
    let session = session.to_owned();
    store
        .write(Durability::Synced, move |db| {
            db.prepare_cached(
                "INSERT OR REPLACE INTO removed(id, seq)
                 SELECT id, coalesce((SELECT max(seq) FROM event WHERE session = key), 0) + 1 FROM session WHERE id = ?1",
            )?
            .execute([&session])?;
            db.prepare_cached("DELETE FROM event WHERE session = (SELECT key FROM session WHERE id = ?1)")?
                .execute([&session])?;
            db.prepare_cached("DELETE FROM attachment WHERE session = ?1")?
                .execute([&session])?;
            db.prepare_cached("DELETE FROM session WHERE id = ?1")?
                .execute([&session])?;
            Ok(())
        })
        .await
}

fn put(db: &Connection, row: &Row) -> rusqlite::Result<i64> {
    // It was made once more, and its numbers go on.
    db.prepare_cached("DELETE FROM removed WHERE id = ?1")?
        .execute([&row.id])?;
    db.prepare_cached(
        "INSERT INTO session(id, backend, info, turn, requests, activity) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT(id) DO UPDATE SET info = ?3, turn = ?4, requests = ?5, activity = ?6 RETURNING key",
    )?
    .query_row(
        params![
            row.id,
            row.backend,
            row.info.as_ref().map(text).transpose()?,
            text(&row.turn)?,
            row.requests,
            signed(row.activity)
        ],
        |row| row.get(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_asked_for_seldom_and_no_room_is_given_twice() {
        let room = Room::new(100 << 20);
        let (mut written, mut asked) = (0_u64, 0);
        loop {
            let takes = room.takes(1, 1000, || {
                asked += 1;
                Ok::<_, ()>(written)
            });
            if takes != Ok(true) {
                break;
            }
            written += 5096;
        }
        assert!(((100 << 20)..(100 << 20) + 5096).contains(&written), "{written}");
        assert!(asked < 1000, "{asked} of {}", written / 5096);
    }
}
