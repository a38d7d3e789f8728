//! What was said in a session, for its own backend: one that keeps no history has to tell its model what was said before.

use crate::attachments;
use crate::journal::Journal;
use crate::journal::MessageState;
use futures::future::BoxFuture;
use nexus_model::chat::{Attachment, Content, FileContent, Waiting};
use nexus_model::limits::{PROMPT_ATTACHMENTS, TRANSCRIPT_BYTES, TRANSCRIPT_UTTERANCES};
use nexus_plugin_traits::{TranscriptError, Transcripts, Utterance};

impl Transcripts for Journal {
    fn read<'a>(
        &'a self,
        plugin: &'a str,
        session: &'a str,
        before: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Utterance>, TranscriptError>> {
        Box::pin(async move {
            self.check_owner(plugin, session)?;
            let read = self.look(session, |state| newest(&state.messages, before, limit)).await;
            let read = read.map_err(|error| TranscriptError::Unavailable(format!("Cannot read the session: {error}.")));
            let before = before.unwrap_or_default();
            read?
                .ok_or_else(|| TranscriptError::NotFound(format!("The session {session:?} has no message {before:?}.")))
        })
    }

    fn attachment<'a>(
        &'a self,
        plugin: &'a str,
        session: &'a str,
        id: &'a str,
    ) -> BoxFuture<'a, Result<FileContent, TranscriptError>> {
        Box::pin(async move {
            self.check_owner(plugin, session)?;
            let read = attachments::read(self.store(), session, id).await;
            let read = read.map_err(|error| TranscriptError::Unavailable(format!("Cannot read the file: {error}.")))?;
            let none = || TranscriptError::NotFound(format!("The session {session:?} has no file {id:?}."));
            Ok(read.ok_or_else(none)?.content)
        })
    }
}

impl Journal {
    /// Checks that the session is one of this backend.
    fn check_owner(&self, plugin: &str, session: &str) -> Result<(), TranscriptError> {
        match self.find(session) {
            Some(listed) if listed.backend == plugin => Ok(()),
            _ => Err(TranscriptError::NotFound(format!(
                "The backend {plugin} has no session {session:?}."
            ))),
        }
    }
}

/// `newest` are those before the message `before`; `None`: there is no such message.
fn newest(messages: &[MessageState], before: Option<&str>, limit: u32) -> Option<Vec<Utterance>> {
    let end = match before {
        Some(before) => messages.iter().position(|known| known.message.id == before)?,
        None => messages.len(),
    };
    let (mut left, mut bytes) = (limit.min(TRANSCRIPT_UTTERANCES), TRANSCRIPT_BYTES);
    let mut said = Vec::new();
    for known in messages.iter().take(end).rev() {
        // The owner may still take it back.
        if matches!(known.message.waiting, Some(Waiting::Turn | Waiting::Owner { .. })) {
            continue;
        }
        if left == 0 || bytes == 0 {
            break;
        }
        let (text, attachments) = (text(known, bytes), files(known));
        if text.is_empty() && attachments.is_empty() {
            continue;
        }
        (left, bytes) = (left - 1, bytes - text.len());
        said.push(Utterance {
            message: known.message.id.clone(),
            role: known.message.role,
            client_id: known.message.client_id.clone(),
            text,
            attachments,
            created_at: known.message.created_at,
        });
    }
    said.reverse();
    Some(said)
}

fn files(known: &MessageState) -> Vec<Attachment> {
    let files = known.parts.iter().filter_map(|part| match &part.content {
        Content::Attachment(file) => Some(file.clone()),
        _ => None,
    });
    files.take(PROMPT_ATTACHMENTS).collect()
}

/// `text` has at most `most` bytes: what is more is cut off at its end.
fn text(known: &MessageState, most: usize) -> String {
    let mut all = String::new();
    for part in &known.parts {
        let Content::Text { text } = &part.content else {
            continue;
        };
        for piece in [if all.is_empty() { "" } else { "\n\n" }, text] {
            let fits = piece.floor_char_boundary(most.saturating_sub(all.len()));
            all.push_str(piece.get(..fits).unwrap_or_default());
        }
    }
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_model::chat::{Message, Part, Role};

    fn message(n: u64, role: Role, texts: &[&str]) -> MessageState {
        let id = format!("m{n}");
        let part = |(at, text): (usize, &&str)| Part {
            id: format!("p{at}"),
            message: id.clone(),
            revision: 1,
            closed: true,
            content: Content::Text {
                text: (*text).to_owned(),
            },
        };
        let mut parts: Vec<Part> = texts.iter().enumerate().map(part).collect();
        parts.push(Part {
            id: "r".to_owned(),
            message: id.clone(),
            revision: 1,
            closed: true,
            content: Content::Reasoning { text: "hm".to_owned() },
        });
        MessageState {
            message: Message::new(id.clone(), role, n),
            parts,
        }
    }

    #[test]
    fn the_newest_texts_are_read_in_their_order_and_within_bounds() {
        let long = "x".repeat(TRANSCRIPT_BYTES);
        let all = [
            message(1, Role::User, &["one"]),
            message(2, Role::Assistant, &["two", "and more"]),
            message(3, Role::Assistant, &[]),
            message(4, Role::User, &["three"]),
        ];
        let texts =
            |said: Option<Vec<Utterance>>| said.map(|said| said.into_iter().map(|said| said.text).collect::<Vec<_>>());
        let some = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(texts(newest(&all, None, 9)), some(&["one", "two\n\nand more", "three"]));
        assert_eq!(texts(newest(&all, None, 2)), some(&["two\n\nand more", "three"]));
        assert_eq!(texts(newest(&all, Some("m4"), 1)), some(&["two\n\nand more"]));
        assert_eq!(texts(newest(&all, Some("m1"), 9)), some(&[]));
        assert_eq!(newest(&all, Some("gone"), 9), None);
        // What waits can still be taken back.
        let mut waits = all.to_vec();
        waits.push(message(5, Role::User, &["later"]));
        waits.last_mut().unwrap().message.waiting = Some(Waiting::Turn);
        assert_eq!(texts(newest(&waits, None, 1)), some(&["three"]));
        // A text that is too long is cut, and the newest are there.
        let mut first = all.to_vec();
        first.insert(1, message(9, Role::User, &[&long]));
        let cut = texts(newest(&first, None, 9)).unwrap();
        assert_eq!(cut.len(), 3);
        assert_eq!(cut.iter().map(String::len).sum::<usize>(), TRANSCRIPT_BYTES);
        let many: Vec<_> = (0..2_000).map(|n| message(n, Role::User, &["x"])).collect();
        let read = newest(&many, None, u32::MAX).unwrap();
        assert_eq!(read.len(), TRANSCRIPT_UTTERANCES as usize);
        assert_eq!(read.last().map(|said| said.message.as_str()), Some("m1999"));
    }
}
