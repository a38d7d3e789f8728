//! The schema, as a list of steps: `user_version` is how many of them a database has. A step is never changed once
//! released; a new one is added at the end.

use crate::error::StoreError;
use rusqlite::Connection;
use std::path::Path;

const STEPS: &[&str] = &[
    // 1
    "CREATE TABLE setting(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE kv(plugin TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY(plugin, key)) STRICT, WITHOUT ROWID;

     CREATE TABLE user(id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL) STRICT;
     CREATE TABLE identity(plugin TEXT NOT NULL, subject TEXT NOT NULL, user INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,
        PRIMARY KEY(plugin, subject)) STRICT, WITHOUT ROWID;
     CREATE TABLE login(hash BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, user INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,
        created_at INTEGER NOT NULL, used_at INTEGER NOT NULL, checked_at INTEGER NOT NULL, peer TEXT NOT NULL, agent TEXT NOT NULL)
        STRICT, WITHOUT ROWID;
     CREATE TABLE device(id TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,
        created_at INTEGER NOT NULL, used_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE lockout(key TEXT PRIMARY KEY, account TEXT NOT NULL, failures INTEGER NOT NULL, last INTEGER NOT NULL,
        until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE INDEX lockout_last ON lockout(last);

     CREATE TABLE session(key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, backend TEXT NOT NULL, info TEXT,
        turn TEXT NOT NULL, asks INTEGER NOT NULL, activity INTEGER NOT NULL) STRICT;
     CREATE TABLE event(session INTEGER NOT NULL, seq INTEGER NOT NULL, part TEXT, body TEXT NOT NULL,
        PRIMARY KEY(session, seq)) STRICT, WITHOUT ROWID;",
    // 2
    "CREATE TABLE activity(id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, subject TEXT NOT NULL, tone TEXT NOT NULL,
        text TEXT NOT NULL) STRICT;",
    // 3
    "ALTER TABLE login ADD COLUMN place TEXT NOT NULL DEFAULT '';
     ALTER TABLE login ADD COLUMN device TEXT NOT NULL DEFAULT '';
     ALTER TABLE device ADD COLUMN place TEXT NOT NULL DEFAULT '';
     ALTER TABLE device ADD COLUMN peer TEXT NOT NULL DEFAULT '';
     ALTER TABLE device ADD COLUMN agent TEXT NOT NULL DEFAULT '';",
    // 4: sessions that were deleted, and the last number of each.
    "CREATE TABLE removed(id TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT;",
    // 5: what 0.1 called `ask` is a request. Such an event is of no part, so that the rows of parts, which are long, are
    // told from it without being read.
    r#"ALTER TABLE session RENAME COLUMN asks TO requests;
     UPDATE event SET body = json_object('type', 'request', 'request',
            json_set(json_remove(body -> '$.ask', '$.asked_by'), '$.requested_by', body ->> '$.ask.asked_by'))
        WHERE part IS NULL AND body LIKE '{"type":"asked",%';
     UPDATE event SET body = json_object('type', 'request_closed', 'request', body ->> '$.ask')
        WHERE part IS NULL AND body LIKE '{"type":"ask_closed",%';"#,
    // 6: one name for a cause and for the tag of a state, in what is stored as in the API.
    r#"ALTER TABLE activity RENAME COLUMN tone TO severity;
     UPDATE activity SET severity = CASE severity WHEN 'good' THEN 'ok' WHEN 'busy' THEN 'warning' WHEN 'bad' THEN 'error'
        ELSE 'inactive' END;
     UPDATE session SET turn = CASE
            WHEN turn LIKE '{"type":"retrying",%' THEN json_object('state', 'retrying', 'attempt', turn -> '$.attempt',
                'cause', turn -> '$.message', 'next_at', turn -> '$.next_at')
            ELSE json_object('state', turn ->> '$.type') END
        WHERE turn LIKE '{"type":%' AND json_valid(turn);
     UPDATE event SET body = CASE
            WHEN body LIKE '{"type":"turn","turn":{"type":"retrying",%' THEN json_object('type', 'turn', 'turn',
                json_object('state', 'retrying', 'attempt', body -> '$.turn.attempt', 'cause', body -> '$.turn.message',
                    'next_at', body -> '$.turn.next_at'))
            WHEN body LIKE '{"type":"turn",%' THEN json_object('type', 'turn', 'turn',
                json_object('state', body ->> '$.turn.type'))
            WHEN body LIKE '{"type":"message",%"waiting":{"for":"owner"%' THEN json_set(body, '$.message.waiting',
                json_object('type', 'owner', 'cause', body -> '$.message.waiting.reason'))
            WHEN body LIKE '{"type":"message",%' THEN json_set(body, '$.message.waiting',
                json_object('type', body ->> '$.message.waiting.for'))
            ELSE json_set(body, '$.request.questions', json((
                SELECT json_group_array(json_set(json_remove(value, '$.own'), '$.allow_custom',
                    json(iif(json_extract(value, '$.own'), 'true', 'false'))))
                FROM json_each(body, '$.request.questions')))) END
        WHERE part IS NULL AND (body LIKE '{"type":"turn","turn":{"type":%' OR body LIKE
            '{"type":"message",%"waiting":{"for":%' OR body LIKE '{"type":"request",%"questions":[{%') AND json_valid(body);"#,
    // 7: the files of prompts.
    "CREATE TABLE attachment(key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, session TEXT NOT NULL,
        name TEXT NOT NULL, mime TEXT NOT NULL, created_at INTEGER NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
     CREATE INDEX attachment_session ON attachment(session);",
];

/// `known` is the newest schema that this Nexus knows.
pub(super) fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// `version` is the schema of a database that is left as it is; 0: it is empty.
///
/// # Errors
/// It is newer than what this Nexus knows, or no database.
pub(super) fn version(db: &Connection, path: &Path) -> Result<i64, StoreError> {
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known() {
        return Err(newer(path, found));
    }
    Ok(found)
}

fn newer(path: &Path, found: i64) -> StoreError {
    StoreError::Newer {
        path: path.display().to_string(),
        found,
        known: known(),
    }
}

/// Brings the database up to date, each step in a transaction of its own.
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    loop {
        let step = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let found: i64 = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > known() {
            return Err(newer(path, found));
        }
        let Some(sql) = usize::try_from(found).ok().and_then(|n| STEPS.get(n)) else {
            return Ok(());
        };
        step.execute_batch(sql)?;
        step.pragma_update(None, "user_version", found + 1)?;
        step.commit()?;
    }
}
