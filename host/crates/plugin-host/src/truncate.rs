//! How much of what a plugin says the host keeps, and in which form: here its texts enter, so here they are made safe to
//! show ([`nexus_plugin_api::text`]), once for the journal, the pages, the log and the terminal.
//!
//! A guest's memory has an end, but one string of it can be handed over again and again, and what the host keeps of it
//! goes into the journal, the pages and every browser. So each text is cut to what its place can use, and an id that is
//! too long to be one makes the whole of it worthless. Refusing a long text instead was left out: a tool's output that
//! is too long is no fault of anybody, and losing its beginning helps nobody.

use nexus_model::chat::{AgentRequest, Event, Message, Part, SessionInfo, Snapshot};
use nexus_model::limits;
use nexus_model::time::Millis;
use nexus_plugin_api::text as safe;
use std::borrow::Cow;

/// `NO_ID` says what is wrong with an id that is none.
pub(crate) const NO_ID: &str = "empty, longer than 512 bytes or with invisible characters";

/// `LAST` is the last millisecond of the year 9999: databases and browsers count no further than some date.
const LAST: Millis = 253_402_300_799_999;
/// `LAST_REVISION` leaves room for what the journal makes of it: it doubles and adds. A backend may well count from a
/// time in microseconds.
const LAST_REVISION: u64 = 1 << 61;

/// `text` has at most `most` bytes, with a mark where something was cut off.
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

/// `counted` is for what an owner agrees to, to the letter: how much is not shown is in a last line of its own.
pub(crate) fn counted(t: String, most: usize) -> String {
    let clean = match safe::literal(&t) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => Some(clean),
    };
    let clean = clean.unwrap_or(t);
    let length = clean.len();
    if length <= most {
        return clean;
    }
    let mut shown = text(clean, most);
    let hidden = length.saturating_sub(shown.len());
    shown.push_str(&format!("\n⟨{hidden} more bytes are not shown here⟩"));
    shown
}

/// `shown` has at most `most` bytes, and is clean. It is cut first, for only what is kept is worth looking at; and
/// again, for marks are longer.
fn shown(mut t: String, most: usize, clean: fn(&str) -> Cow<'_, str>) -> String {
    let cut = t.len() > most;
    if cut {
        let end = (0..=most).rev().find(|end| t.is_char_boundary(*end));
        t.truncate(end.unwrap_or_default());
    }
    let cleaned = match clean(&t) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => Some(clean),
    };
    let mut t = cleaned.unwrap_or(t);
    if cut {
        t.push('…');
    }
    t.shrink_to_fit();
    text(t, most)
}

/// `title` is for a title or a name: one line.
pub(crate) fn title(t: String) -> String {
    shown(t, limits::TITLE_BYTES, safe::line)
}

/// `reason` is a sentence that says why: nobody can do anything about an empty one.
pub(crate) fn reason(text: String) -> String {
    let text = sentence(text);
    if text.trim().is_empty() {
        "the plugin did not report a reason".to_owned()
    } else {
        text
    }
}

/// `sentence` is for the operator: some lines of prose.
pub(crate) fn sentence(t: String) -> String {
    shown(t, limits::SENTENCE_BYTES, safe::prose)
}

/// `prose` is what an agent or a model writes.
pub(crate) fn prose(t: String) -> String {
    shown(t, limits::PART_BYTES, safe::prose)
}

/// `literal` is what is meant to the letter: a command, a path, a pattern.
pub(crate) fn literal(t: String, most: usize) -> String {
    shown(t, most, safe::literal)
}

pub(crate) fn time(at: Millis) -> Millis {
    at.min(LAST)
}

/// `count` is a number that is shown: browsers count exactly no further.
pub(crate) fn count(n: u64) -> u64 {
    n.min(1 << 53)
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

/// Tells whether it can be an id. It has to come back to the plugin as it was, so that it cannot be made safe to show:
/// it is, or it is none.
pub(crate) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= limits::ID_BYTES && (id.bytes().all(|b| b.is_ascii_graphic()) || safe::line(id) == id)
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

pub(crate) fn is_request(request: &AgentRequest) -> bool {
    is_id(&request.id) && is_id(&request.requested_by) && request.part.as_deref().is_none_or(is_id)
}

/// Tells whether every id in it is one.
pub(crate) fn is_event(event: &Event) -> bool {
    match event {
        Event::Session { info } => is_session(info),
        Event::SessionRemoved
        | Event::Turn { .. }
        | Event::Todo { .. }
        | Event::Changes { .. }
        | Event::Note { .. } => true,
        Event::Message { message } => is_message(message),
        Event::MessageRemoved { message } => is_id(message),
        Event::Part { part } => is_part(part),
        Event::Delta { part, message, .. } | Event::PartRemoved { part, message } => is_id(part) && is_id(message),
        Event::Request { request } => is_request(request),
        Event::RequestClosed { request } => is_id(request),
        Event::Error { message, .. } => message.as_deref().is_none_or(is_id),
    }
}

/// `snapshot` leaves out what has no proper id, and says how much that is.
pub(crate) fn snapshot(mut snapshot: Snapshot) -> (Snapshot, usize) {
    let all = |s: &Snapshot| s.requests.len() + s.messages.iter().map(|(_, parts)| 1 + parts.len()).sum::<usize>();
    let before = all(&snapshot);
    for (_, parts) in &mut snapshot.messages {
        parts.retain(is_part);
    }
    snapshot.messages.retain(|(message, _)| is_message(message));
    snapshot.requests.retain(is_request);
    let left_out = before - all(&snapshot);
    (snapshot, left_out)
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
    fn a_list_is_cut_at_its_end() {
        let kept = list((0..1_000_000).collect::<Vec<u32>>(), 3);
        assert_eq!(kept, [0, 1, 2]);
        assert!(kept.capacity() < 1_000, "{}", kept.capacity());
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
        assert!(!is_event(&delta("p".repeat(limits::ID_BYTES + 1))));
        for hides in ["p\u{1b}[2J", "p\n", "p\u{202e}", "p\u{200b}", "p\u{9b}"] {
            assert!(!is_event(&delta(hides.to_owned())), "{hides:?}");
        }
        assert!(is_event(&delta("теил-日本".to_owned())));
    }

    #[test]
    fn each_text_is_made_safe_as_what_it_is_and_stays_within_its_place() {
        let hostile = "a\u{1b}[2J\n\u{202e}b".to_owned();
        assert_eq!(title(hostile.clone()), "a⟨U+001B⟩[2J ⟨U+202E⟩b");
        assert_eq!(sentence(hostile.clone()), "a⟨U+001B⟩[2J\n⟨U+202E⟩b");
        assert_eq!(prose("👩\u{200d}💻".to_owned()), "👩\u{200d}💻");
        assert_eq!(literal("\u{440}m\n".to_owned(), 100), "⟨U+0440⟩m\n");
        let grown = title("\u{1}".repeat(limits::TITLE_BYTES));
        assert!(grown.len() <= limits::TITLE_BYTES && grown.ends_with('…'), "{grown}");
        let cut = literal("ä".repeat(100), 21);
        assert_eq!(cut, format!("{}…", "ä".repeat(9)));
    }

    #[test]
    fn times_and_revisions_stay_where_they_can_be_counted() {
        assert_eq!(time(u64::MAX), LAST);
        assert_eq!(time(1_700_000_000_000), 1_700_000_000_000);
        assert!(revision(u64::MAX).checked_mul(2).is_some());
        assert_eq!(revision(1 << 52), 1 << 52);
    }
}
