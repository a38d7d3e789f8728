//! Whether a plugin may store data, how much, and how fast.

use crate::capabilities::gate::{Denial, Gate, LimitReached};
use nexus_config::{Permission, adding};
use nexus_model::limits;
use nexus_model::token_bucket::TokenBucket;
use nexus_model::trouble::sentence;
use nexus_model::units::exact_size;

/// `requested` is in bytes, as the manifest asks for it.
fn requested(gate: &Gate) -> Option<u64> {
    gate.manifest().capabilities.store.as_ref().map(|store| store.quota)
}

impl Gate {
    /// `store` is the quota of the store in bytes.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn store(&self) -> Result<u64, Denial> {
        match self.grants().store.quota {
            0 => {
                let quota = requested(self);
                Err(self.deny(&Permission::store(quota), quota.is_some()))
            }
            quota => Ok(quota),
        }
    }

    /// `store_full` refuses with `full`: what the store says.
    pub(crate) fn store_full(&self, full: &str) -> LimitReached {
        self.used_up(match requested(self) {
            Some(most) if most > self.grants().store.quota => {
                let lines = self.lines(&Permission::store(Some(most)));
                sentence(full, Some(&adding(&lines)))
            }
            _ => format!("{full}. Its manifest does not request more, so it must delete something."),
        })
    }

    /// Checks that it may write so much now. `bytes` are those of a key and its value.
    ///
    /// # Errors
    /// It wrote so much in the last minute that it has to wait.
    pub(crate) fn write(&self, writes: &TokenBucket, bytes: usize) -> Result<(), LimitReached> {
        let cost = bytes.saturating_add(limits::STORE_WRITE_COST);
        let Err(wait) = writes.take(cost as f64) else {
            return Ok(());
        };
        let (name, most) = (self.plugin(), self.grants().store.writes);
        let more = most.max(cost as u64).saturating_mul(2);
        let cause = format!(
            "The plugin {name} writes more than {} a minute into its store, its limit. It can write again in {} s.",
            exact_size(most),
            wait.as_secs().saturating_add(1)
        );
        let fix = self.raised("store_writes", &format!("\"{}\"", exact_size(more)));
        Err(self.used_up(sentence(&cause, Some(&fix))))
    }
}

#[cfg(test)]
#[path = "denial_tests.rs"]
mod tests;
