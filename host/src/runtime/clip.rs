//! How much of what a plugin says the host keeps.
//!
//! A guest's memory has an end, but one string of it can be handed over again and again, and what the host keeps of it
//! goes into the journal, the pages and every browser. So each text is cut to what its place can use, and an id that is
//! too long to be one makes the whole of it worthless. Refusing a long text instead was left out: a tool's output that
//! is too long is no fault of anybody, and losing its beginning helps nobody.

use crate::model::chat::{Ask, Event, Message, Part, SessionInfo, Snapshot};
use crate::time::Millis;

/// Bytes of an id: of a session, a message, a part, an ask; of a subject.
pub(crate) const ID: usize = 512;
/// Bytes of a title or a name.
pub(crate) const TITLE: usize = 512;
/// Bytes of an address; one that was cut is none, for the mark is in it.
pub(crate) const URL: usize = 2 * 1024;
/// Bytes of a sentence for the operator, with the lines to paste.
pub(crate) const SENTENCE: usize = 8 * 1024;
/// Bytes of what an agent or a model writes in one part.
pub(crate) const TEXT: usize = 4 * 1024 * 1024;
/// Entries of a list that people read.
pub(crate) const ENTRIES: usize = 64;
/// Sessions that may run, and asks that may wait, when a connection opens.
pub(crate) const OPEN: usize = 1000;

/// The last millisecond of the year 9999: databases and browsers count no further than some date.
const LAST: Millis = 253_402_300_799_999;
/// With room for what the journal makes of it: it doubles and adds. A backend may well count from a time in microseconds.
const LAST_REVISION: u64 = 1 << 61;

/// At most `most` bytes, with a mark where something was cut off.
pub(crate) fn text(mut text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let mut end = most.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push('…');
    // The guest's megabytes are not to be kept for the sake of a line.
    text.shrink_to_fit();
    text
}

/// As [`text`], for what an owner agrees to: how much is not shown stands in a last line of its own.
pub(crate) fn counted(t: String, most: usize) -> String {
    let length = t.len();
    if length <= most {
        return t;
    }
    let mut shown = text(t, most);
    let hidden = length.saturating_sub(shown.len());
    shown.push_str(&format!("\n⟨{hidden} more bytes are not shown here⟩"));
    shown
}

pub(crate) fn title(t: String) -> String {
    text(t, TITLE)
}

pub(crate) fn sentence(t: String) -> String {
    text(t, SENTENCE)
}

pub(crate) fn time(at: Millis) -> Millis {
    at.min(LAST)
}

pub(crate) fn revision(n: u64) -> u64 {
    n.min(LAST_REVISION)
}

pub(crate) fn list<T>(mut list: Vec<T>, most: usize) -> Vec<T> {
    if list.len() > most {
        list.truncate(most);
        list.shrink_to_fit();
    }
    list
}

pub(crate) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID
}

pub(crate) fn is_session(info: &SessionInfo) -> bool {
    is_id(&info.id) && info.parent.as_deref().is_none_or(is_id)
}

fn is_message(message: &Message) -> bool {
    is_id(&message.id) && message.client_id.as_deref().is_none_or(is_id)
}

fn is_part(part: &Part) -> bool {
    is_id(&part.id) && is_id(&part.message)
}

pub(crate) fn is_ask(ask: &Ask) -> bool {
    is_id(&ask.id) && is_id(&ask.asked_by) && ask.part.as_deref().is_none_or(is_id)
}

/// Whether every id in it is one.
pub(crate) fn is_event(event: &Event) -> bool {
    match event {
        Event::Session { info } => is_session(info),
        Event::SessionRemoved | Event::Turn { .. } => true,
        Event::Message { message } => is_message(message),
        Event::MessageRemoved { message } => is_id(message),
        Event::Part { part } => is_part(part),
        Event::Delta { part, message, .. } | Event::PartRemoved { part, message } => is_id(part) && is_id(message),
        Event::Asked { ask } => is_ask(ask),
        Event::AskClosed { ask } => is_id(ask),
        Event::Error { message, .. } => message.as_deref().is_none_or(is_id),
    }
}

/// Without what has no proper id.
pub(crate) fn snapshot(mut snapshot: Snapshot) -> Snapshot {
    for (_, parts) in &mut snapshot.messages {
        parts.retain(is_part);
    }
    snapshot.messages.retain(|(message, _)| is_message(message));
    snapshot.asks.retain(is_ask);
    snapshot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_gives_its_memory_back() {
        assert_eq!(text("as it is".to_owned(), 8), "as it is");
        assert_eq!(text("äöüß".to_owned(), 7), "äö…");
        let cut = text("x".repeat(1 << 20), 100);
        assert_eq!(cut.len(), 100);
        assert!(cut.capacity() < 200, "{}", cut.capacity());
    }

    #[test]
    fn what_is_agreed_to_says_how_much_of_it_is_not_shown() {
        assert_eq!(counted("ls".to_owned(), 8), "ls");
        let cut = counted("x".repeat(100_000), 1000);
        assert!(
            cut.ends_with("…\n⟨99000 more bytes are not shown here⟩"),
            "{}",
            &cut[980..]
        );
    }

    #[test]
    fn an_event_needs_proper_ids() {
        let delta = |part: String| Event::Delta {
            part,
            message: "m".to_owned(),
            revision: 1,
            text: "t".to_owned(),
        };
        assert!(is_event(&delta("p".to_owned())));
        assert!(!is_event(&delta(String::new())));
        assert!(!is_event(&delta("p".repeat(ID + 1))));
    }

    #[test]
    fn times_and_revisions_stay_where_they_can_be_counted() {
        assert_eq!(time(u64::MAX), LAST);
        assert_eq!(time(1_700_000_000_000), 1_700_000_000_000);
        assert!(revision(u64::MAX).checked_mul(2).is_some());
        assert_eq!(revision(1 << 52), 1 << 52);
    }
}
