//! What happened, the last of it. See [`crate::activity_log`].

use crate::database::Store;
use crate::error::StoreError;
use crate::sqlite_integers::{signed, unsigned};
use crate::types::Durability;
use nexus_model::activity::{Note, Severity};
use nexus_model::limits;
use rusqlite::{Row, params};

fn note(row: &Row<'_>) -> rusqlite::Result<Note> {
    let severity: String = row.get(2)?;
    Ok(Note {
        at: unsigned(row.get(0)?),
        subject: row.get(1)?,
        severity: [Severity::Ok, Severity::Warning, Severity::Error]
            .into_iter()
            .find(|known| known.as_str() == severity)
            .unwrap_or(Severity::Inactive),
        text: row.get(3)?,
    })
}

impl Store {
    /// Keeps notes, the oldest first, and forgets those that are too many.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn add_notes(&self, notes: Vec<Note>) -> Result<(), StoreError> {
        self.write(Durability::Process, move |db| {
            {
                let mut insert =
                    db.prepare_cached("INSERT INTO activity(at, subject, severity, text) VALUES (?1, ?2, ?3, ?4)")?;
                for note in &notes {
                    insert.execute(params![
                        signed(note.at),
                        note.subject,
                        note.severity.as_str(),
                        note.text
                    ])?;
                }
            }
            db.prepare_cached("DELETE FROM activity WHERE id <= (SELECT max(id) FROM activity) - ?1")?
                .execute([limits::ACTIVITY_KEPT])?;
            Ok(())
        })
        .await
    }

    /// `notes` are the last `count` notes, the newest first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn notes(&self, count: u32) -> Result<Vec<Note>, StoreError> {
        self.read(move |db| {
            // One that cannot be read costs itself, not all the others.
            Ok(db
                .prepare_cached("SELECT at, subject, severity, text FROM activity ORDER BY id DESC LIMIT ?1")?
                .query_map([count], note)?
                .filter_map(Result::ok)
                .collect())
        })
        .await
    }
}
