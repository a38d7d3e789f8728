//! The journal, for the plugins: they are loaded before it is open, and a command that only looks at them never opens it.

use futures::future::BoxFuture;
use nexus_chat::journal::Journal;
use nexus_model::chat::FileContent;
use nexus_plugin_traits::{TranscriptError, Transcripts, Utterance};
use std::sync::OnceLock;

/// `OpenedJournal` is the journal once it is open.
#[derive(Default)]
pub struct OpenedJournal(OnceLock<Journal>);

impl OpenedJournal {
    /// Takes the journal. It is opened once.
    pub fn open(&self, journal: Journal) {
        // A second one would be of the same database.
        let _ = self.0.set(journal);
    }
}

impl Transcripts for OpenedJournal {
    fn read<'a>(
        &'a self,
        plugin: &'a str,
        session: &'a str,
        before: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Utterance>, TranscriptError>> {
        match self.0.get() {
            Some(journal) => journal.read(plugin, session, before, limit),
            None => Box::pin(async { Err(not_open()) }),
        }
    }

    fn attachment<'a>(
        &'a self,
        plugin: &'a str,
        session: &'a str,
        id: &'a str,
    ) -> BoxFuture<'a, Result<FileContent, TranscriptError>> {
        match self.0.get() {
            Some(journal) => journal.attachment(plugin, session, id),
            None => Box::pin(async { Err(not_open()) }),
        }
    }
}

fn not_open() -> TranscriptError {
    TranscriptError::Unavailable("The journal is not open.".to_owned())
}
