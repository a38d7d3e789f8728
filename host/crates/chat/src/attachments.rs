//! The files that users add to prompts.
//!
//! Problem: a prompt may wait for a turn or for its owner, also over a restart of the host, and a phone must not send megabytes
//! again for that. A backend without a history shows no file of a message either.
//!
//! Mechanism: a file is uploaded before its prompt, into the database, under an id of the host's ([`is_own`]); the prompt names
//! it. It is handed to the backend with the prompt, and is read from here whenever a message has that id. Where the backend shows
//! the message under an id of its own, its attachments have ids of the backend's.
//!
//! Limits: [`limits::PROMPT_ATTACHMENTS_BYTES`] for a file and for all of a prompt, [`limits::ATTACHMENTS_BYTES`] for all of
//! them; the oldest go first. A deleted session takes its files with it.
//!
//! Rejected: files beside the database, which no backup has and no transaction covers.

use crate::error::ChatError;
use crate::shared::Shared;
use nexus_model::chat::{Attachment, FileContent, NewAttachment};
use nexus_model::digest::hex;
use nexus_model::limits;
use nexus_model::random::random;
use nexus_model::time::Millis;
use nexus_plugin_traits::Prompt;
use nexus_store::{Durability, Store, StoreError, signed, unsigned};
use rusqlite::{OptionalExtension as _, params};

/// `OWN` begins the ids of files that the host keeps.
const OWN: &str = "upload-";

/// `is_own` tells whether the host keeps the file of this id; others are the backend's.
pub(crate) fn is_own(id: &str) -> bool {
    id.starts_with(OWN)
}

/// Keeps a file for a prompt of a session.
pub(crate) async fn keep(
    store: &Store,
    session: &str,
    name: &str,
    content: FileContent,
    now: Millis,
) -> Result<Attachment, ChatError> {
    if content.data.len() > limits::PROMPT_ATTACHMENTS_BYTES {
        return Err(too_large());
    }
    let id = random::<16>().map_err(|error| ChatError::Unavailable(format!("Cannot keep the file: {error}")))?;
    let kept = Attachment {
        id: Some(format!("{OWN}{}", hex(&id))),
        mime: content.mime,
        name: Some(name.to_owned()),
        size: u64::try_from(content.data.len()).ok(),
    };
    add(store, session, &kept, content.data, now).await?;
    Ok(kept)
}

/// `uploaded` are files that were uploaded for a session, of which the client has said no more than the ids.
pub(crate) async fn uploaded(shared: &Shared, session: &str, ids: &[Attachment]) -> Result<Vec<Attachment>, ChatError> {
    if ids.len() > limits::PROMPT_ATTACHMENTS {
        return Err(ChatError::Refused(format!(
            "A prompt can have {} files at most.",
            limits::PROMPT_ATTACHMENTS
        )));
    }
    let mut all = Vec::with_capacity(ids.len());
    for id in ids.iter().filter_map(|named| named.id.as_deref()) {
        let found = described(shared.journal.store(), session, id).await?;
        all.push(found.ok_or_else(gone)?);
    }
    let bytes = all.iter().filter_map(|kept| kept.size).sum::<u64>();
    if usize::try_from(bytes).is_ok_and(|bytes| bytes <= limits::PROMPT_ATTACHMENTS_BYTES) {
        return Ok(all);
    }
    Err(too_large())
}

/// `contents` are the files of a prompt, to be handed over.
pub(crate) async fn contents(shared: &Shared, session: &str, prompt: &Prompt) -> Result<Vec<NewAttachment>, ChatError> {
    let mut all = Vec::with_capacity(prompt.attachments.len());
    for id in prompt.attachments.iter().filter_map(|kept| kept.id.as_deref()) {
        all.push(read(shared.journal.store(), session, id).await?.ok_or_else(gone)?);
    }
    Ok(all)
}

pub(crate) fn gone() -> ChatError {
    ChatError::NotFound("The file is not there any more. To fix: add it again.".to_owned())
}

fn too_large() -> ChatError {
    ChatError::Refused(format!(
        "The files of a prompt can have {} MiB together at most.",
        limits::PROMPT_ATTACHMENTS_BYTES >> 20
    ))
}

async fn add(store: &Store, session: &str, kept: &Attachment, data: Vec<u8>, now: Millis) -> Result<(), StoreError> {
    let (session, kept) = (session.to_owned(), kept.clone());
    store
        .write(Durability::Synced, move |db| {
            db.prepare_cached(
                "INSERT INTO attachment(id, session, name, mime, created_at, size, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                kept.id,
                session,
                kept.name,
                kept.mime,
                signed(now),
                signed(kept.size.unwrap_or_default()),
                data
            ])?;
            // The sum of this one and all newer ones is within the limit.
            db.prepare_cached(
                "DELETE FROM attachment WHERE key IN (SELECT key FROM (SELECT key, sum(size) OVER (ORDER BY key DESC) AS upto
                    FROM attachment) WHERE upto > ?1)",
            )?
            .execute([signed(limits::ATTACHMENTS_BYTES)])?;
            Ok(())
        })
        .await
}

async fn described(store: &Store, session: &str, id: &str) -> Result<Option<Attachment>, StoreError> {
    let (session, id) = (session.to_owned(), id.to_owned());
    store
        .read(move |db| {
            db.prepare_cached("SELECT id, name, mime, size FROM attachment WHERE id = ?1 AND session = ?2")?
                .query_row([&id, &session], |row| {
                    Ok(Attachment {
                        id: row.get(0)?,
                        name: row.get(1)?,
                        mime: row.get(2)?,
                        size: Some(unsigned(row.get(3)?)),
                    })
                })
                .optional()
        })
        .await
}

pub(crate) async fn read(store: &Store, session: &str, id: &str) -> Result<Option<NewAttachment>, StoreError> {
    let (session, id) = (session.to_owned(), id.to_owned());
    store
        .read(move |db| {
            db.prepare_cached("SELECT name, mime, data FROM attachment WHERE id = ?1 AND session = ?2")?
                .query_row([&id, &session], |row| {
                    Ok(NewAttachment {
                        name: row.get(0)?,
                        content: FileContent {
                            mime: row.get(1)?,
                            data: row.get(2)?,
                        },
                    })
                })
                .optional()
        })
        .await
}

#[cfg(test)]
#[path = "attachments_tests.rs"]
mod tests;
