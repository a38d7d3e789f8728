//! Numbered events.

use nexus_model::chat::Event;
use serde::Serialize;

/// An event's number in its session; the first is 1, and 0 is before all.
pub type Seq = u64;

/// A numbered event. `json` is its JSON text, made once for the database and every subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub seq: Seq,
    pub event: Event,
    #[serde(skip)]
    pub json: Box<str>,
}

/// The first and last number that a call gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub first: Seq,
    pub last: Seq,
}

/// Rows of a part that a later event holds the whole of: those of `part` above `after` and below `before`.
pub(super) struct Trim {
    pub(super) part: String,
    pub(super) after: Seq,
    pub(super) before: Seq,
}

/// The part that an event is about.
pub(super) fn part_of(event: &Event) -> Option<&str> {
    match event {
        Event::Part { part } => Some(&part.id),
        Event::Delta { part, .. } => Some(part),
        _ => None,
    }
}
