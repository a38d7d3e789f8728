//! What happened, one line each.

use nexus_model::activity::Note;
use nexus_model::time::Millis;

/// `NoteRow` is something that happened.
#[derive(Clone)]
pub(super) struct NoteRow {
    pub(super) at: Millis,
    pub(super) subject: String,
    pub(super) severity: &'static str,
    pub(super) text: String,
}

impl NoteRow {
    pub(super) fn new(note: &Note) -> Self {
        Self {
            at: note.at,
            subject: note.subject.clone(),
            severity: note.severity.as_str(),
            text: note.text.clone(),
        }
    }
}
