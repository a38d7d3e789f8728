//! Where the transcripts of a plugin's sessions are.

use crate::capabilities::host_services::HostServices;
use nexus_model::limits;
use nexus_model::token_bucket::TokenBucket;
use nexus_plugin_traits::Transcripts;
use std::sync::Arc;

/// `TranscriptState` reaches the transcripts of all backends; the plugin's name chooses its own.
pub(in crate::capabilities) struct TranscriptState {
    pub(super) transcripts: Arc<dyn Transcripts>,
    /// `reads` bounds the bytes that the plugin reads, over time.
    pub(super) reads: TokenBucket,
    /// `turn`: one reading at a time, for each may load a session.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl TranscriptState {
    pub(in crate::capabilities) fn new(services: &HostServices) -> Self {
        Self {
            transcripts: Arc::clone(&services.transcripts),
            reads: TokenBucket::new(limits::TRANSCRIPT_READS as f64, limits::TRANSCRIPT_WINDOW),
            turn: tokio::sync::Mutex::default(),
        }
    }
}
