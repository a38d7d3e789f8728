//! How much a plugin may read of its transcripts.

use crate::capabilities::gate::{Gate, LimitReached};
use nexus_model::limits;
use nexus_model::token_bucket::TokenBucket;
use nexus_model::units::exact_size;

impl Gate {
    /// Checks that it may read once more now, and counts that.
    ///
    /// # Errors
    /// It read so much in the last minute that it has to wait.
    pub(crate) fn another_reading(&self, reads: &TokenBucket) -> Result<(), LimitReached> {
        let Err(wait) = reads.take(limits::TRANSCRIPT_COST as f64) else {
            return Ok(());
        };
        Err(self.used_up(format!(
            "The plugin {} reads more than {} of transcripts within {} s, the fixed limit. It can read again in {} s.",
            self.plugin(),
            exact_size(limits::TRANSCRIPT_READS),
            limits::TRANSCRIPT_WINDOW.as_secs(),
            wait.as_secs() + 1
        )))
    }
}

#[cfg(test)]
#[path = "denial_tests.rs"]
mod tests;
