//! What happened, one line each.

use nexus_model::activity::{Note, Tone};
use nexus_model::time::Millis;

/// `NoteRow` is something that happened.
#[derive(Clone)]
pub(super) struct NoteRow {
    pub(super) at: Millis,
    pub(super) subject: String,
    pub(super) tone: &'static str,
    pub(super) text: String,
}

impl NoteRow {
    pub(super) fn new(note: &Note) -> Self {
        Self {
            at: note.at,
            subject: note.subject.clone(),
            tone: match note.tone {
                Tone::Good => "good",
                Tone::Busy => "busy",
                Tone::Bad => "bad",
                Tone::Off => "off",
            },
            text: note.text.clone(),
        }
    }
}
