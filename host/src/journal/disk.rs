//! The journal's rows.

use super::state::SessionState;
use super::{Entry, Folded, Seq, Trim};
use crate::model::chat::{Event, SessionInfo, Turn};
use crate::store::{Durability, Store, StoreError, signed, unsigned};
use crate::time::Millis;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::sync::Arc;

/// What of a session is in the list of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub id: String,
    pub backend: String,
    pub info: Option<SessionInfo>,
    pub turn: Turn,
    pub asks: u32,
    pub activity: Millis,
}

impl Row {
    pub(super) fn of(id: &str, backend: &str, state: &SessionState, activity: Millis) -> Self {
        Self {
            id: id.to_owned(),
            backend: backend.to_owned(),
            info: state.info.clone(),
            turn: state.turn.clone(),
            asks: u32::try_from(state.asks.len()).unwrap_or(u32::MAX),
            activity,
        }
    }
}

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

/// After the writer's queue: a write that was given up half way is done by then, or will never be.
pub(super) async fn load(store: &Store, session: &str) -> Result<Folded, StoreError> {
    let session = session.to_owned();
    // Only this empty job goes through the queue: reading a long session there would hold up streamed tokens. Where
    // nothing can be written, nothing is on its way either.
    let _ = store.write(Durability::Process, |_| Ok(())).await;
    store
        .read(move |db| {
            let mut folded = Folded::new(key_of(db, &session)?);
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
}

pub(super) async fn key(store: &Store, session: &str) -> Result<Option<i64>, StoreError> {
    let session = session.to_owned();
    store.read(move |db| key_of(db, &session)).await
}

/// What is there above `after`, at one moment; none: the session was deleted.
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
                    }))
                })?
                .collect::<Result<_, _>>()
                .map(Some)
        })
        .await
}

/// A row that cannot be read (of a newer version, or damaged) is left out and said: its session stays in the database, and
/// all others are there.
pub(super) async fn rows(store: &Store) -> Result<Vec<Row>, StoreError> {
    store
        .read(|db| {
            let mut query = db.prepare("SELECT id, backend, info, turn, asks, activity, key FROM session")?;
            let mut found = query.query([])?;
            let mut rows = Vec::new();
            while let Some(row) = found.next()? {
                match listed(row) {
                    Ok(listed) => rows.push(listed),
                    Err(error) => {
                        let key: i64 = row.get(6)?;
                        tracing::error!(
                            session = row.get::<_, String>(0).unwrap_or_default(),
                            key,
                            %error,
                            "a chat cannot be listed: its row of the journal cannot be read. The others are there"
                        );
                    }
                }
            }
            Ok(rows)
        })
        .await
}

fn listed(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let info: Option<String> = row.get(2)?;
    let turn: String = row.get(3)?;
    Ok(Row {
        id: row.get(0)?,
        backend: row.get(1)?,
        info: info.as_deref().map(json).transpose()?,
        turn: json(&turn)?,
        asks: row.get(4)?,
        activity: unsigned(row.get(5)?),
    })
}

/// What a power cut may not take: what is closed, completed or removed. The rest is streamed again or soon replaced.
fn durability(entries: &[Arc<Entry>]) -> Durability {
    let synced = entries.iter().any(|entry| match &entry.event {
        Event::Part { part } => part.closed,
        Event::Message { message } => message.completed_at.is_some() || message.interrupted,
        Event::SessionRemoved | Event::MessageRemoved { .. } => true,
        _ => false,
    });
    if synced {
        Durability::Synced
    } else {
        Durability::Process
    }
}

/// Writes `entries`, deletes what they make superfluous, and answers the session's key.
pub(super) async fn write(
    store: &Store,
    key: Option<i64>,
    row: Option<Row>,
    entries: Vec<Arc<Entry>>,
    trims: Vec<Trim>,
) -> Result<i64, StoreError> {
    store
        .write(durability(&entries), move |db| {
            let key = match (row, key) {
                (Some(row), _) => put(db, &row)?,
                (None, Some(key)) => key,
                (None, None) => return Err(rusqlite::Error::QueryReturnedNoRows), // a new session has a row
            };
            let mut insert =
                db.prepare_cached("INSERT INTO event(session, seq, part, body) VALUES (?1, ?2, ?3, ?4)")?;
            for entry in &entries {
                insert.execute(params![
                    key,
                    signed(entry.seq),
                    super::part_of(&entry.event),
                    &*entry.json
                ])?;
            }
            let mut delete =
                db.prepare_cached("DELETE FROM event WHERE session = ?1 AND seq > ?2 AND seq < ?3 AND part = ?4")?;
            for trim in &trims {
                delete.execute(params![key, signed(trim.after), signed(trim.before), trim.part])?;
            }
            if entries.iter().any(|entry| entry.event == Event::SessionRemoved) {
                db.prepare_cached("DELETE FROM event WHERE session = ?1")?
                    .execute([key])?;
                db.prepare_cached("DELETE FROM session WHERE key = ?1")?
                    .execute([key])?;
            }
            Ok(key)
        })
        .await
}

fn put(db: &Connection, row: &Row) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO session(id, backend, info, turn, asks, activity) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT(id) DO UPDATE SET info = ?3, turn = ?4, asks = ?5, activity = ?6 RETURNING key",
    )?
    .query_row(
        params![
            row.id,
            row.backend,
            row.info.as_ref().map(text).transpose()?,
            text(&row.turn)?,
            row.asks,
            signed(row.activity)
        ],
        |row| row.get(0),
    )
}
