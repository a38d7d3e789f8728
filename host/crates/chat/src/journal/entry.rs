//! Numbered events.

use nexus_model::chat::Event;
use serde::Serialize;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// `Seq` is an event's number in its session; the first is 1, and 0 is before all.
pub type Seq = u64;

/// `Entry` is a numbered event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `seq` is the event's number.
    pub seq: Seq,
    /// `event` is what happened.
    pub event: Event,
    /// `json` is the event's JSON text, made once for the database and every subscriber.
    #[serde(skip)]
    pub json: Box<str>,
    /// `shown` is the text that whoever shows events has made of this one: the first subscriber makes it, for all that follow.
    #[serde(skip)]
    pub shown: OnceLock<Arc<str>>,
}

/// `Appended` has the first and last number that a call gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// `first` is the number of the first event that was written.
    pub first: Seq,
    /// `last` is the number of the last event that was written.
    pub last: Seq,
}

/// `Trim` names rows of a part that a later event holds the whole of: those of `part` above `after` and below `before`.
pub(super) struct Trim {
    pub(super) part: String,
    pub(super) after: Seq,
    pub(super) before: Seq,
}

/// `part_of` is the part that an event is about. What a later event of its kind replaces as a whole is a part too, under a
/// name that is no id of a part.
pub(super) fn part_of(event: &Event) -> Option<Cow<'_, str>> {
    match event {
        Event::Part { part } => Some(Cow::Borrowed(&part.id)),
        Event::Delta { part, .. } => Some(Cow::Borrowed(part)),
        Event::Todo { .. } => Some(Cow::Borrowed("\u{0}todo")),
        Event::Changes { .. } => Some(Cow::Borrowed("\u{0}changes")),
        // A plugin notes one value at a time.
        Event::Note { ext } => {
            let (plugin, values) = ext.0.first_key_value()?;
            Some(Cow::Owned(format!(
                "\u{0}note/{plugin}/{}",
                values.first_key_value()?.0
            )))
        }
        _ => None,
    }
}
