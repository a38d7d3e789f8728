//! How much CPU a plugin gets over time.
//!
//! `limits.cpu` ends a plugin that never returns to the host. One that returns in time, again and again, would keep a core
//! for ever, and the threads that serve everybody with it. So its use is counted over [`limits::CPU_WINDOW`], and beyond
//! its share it is paused between two turns: it gets slower, and nobody else does. Ending it was left out: much work is no
//! fault, and a restart is more of it.

use crate::plugin_stats::Counters;
use nexus_model::limits;
use nexus_model::token_bucket::TokenBucket;
use nexus_model::trouble::sentence;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) struct CpuShare {
    plugin: String,
    /// `share` is in percent of one core.
    share: u32,
    /// `allowance` is in seconds of CPU.
    allowance: TokenBucket,
    counters: Arc<Counters>,
    said: Mutex<Option<Instant>>,
}

impl CpuShare {
    pub(crate) fn new(plugin: &str, share: u32, counters: Arc<Counters>) -> Self {
        let window = limits::CPU_WINDOW;
        Self {
            plugin: plugin.to_owned(),
            share,
            allowance: TokenBucket::new(window.as_secs_f64() * f64::from(share) / 100.0, window),
            counters,
            said: Mutex::default(),
        }
    }

    /// Notes what a turn used, after it.
    pub(crate) fn used(&self, cpu: Duration) {
        self.counters.cpu(cpu);
        self.allowance.used(cpu.as_secs_f64());
    }

    /// `pause` is how long a turn has to wait, asked before it. That it waits is said once in a while.
    pub(crate) fn pause(&self) -> Option<Duration> {
        self.allowance.wait(0.0)?;
        // So that a turn is worth the wake.
        let pause = self.allowance.wait(limits::EPOCH_TICK.as_secs_f64())?;
        self.counters.paused(pause);
        self.say();
        Some(pause)
    }

    fn say(&self) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_some_and(|at| at.elapsed() < limits::CPU_LOGGED) {
            return;
        }
        *said = Some(Instant::now());
        drop(said);
        let (plugin, share) = (&self.plugin, self.share);
        let window = limits::CPU_WINDOW.as_secs();
        let more = if share < limits::PLUGIN_CPU_SHARE_MOST {
            let more = share.saturating_mul(2).min(limits::PLUGIN_CPU_SHARE_MOST);
            let lines = format!("[plugin.{plugin}.limits]\ncpu_share = {more}");
            Some(nexus_config::adding(&lines))
        } else {
            None
        };
        let cause = format!(
            "the plugin used more than its share of CPU, {share} % of a core over {window} s, and is throttled."
        );
        tracing::warn!(plugin, "{}", sentence(&cause, more.as_deref()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_uses_a_whole_core_gets_its_share_of_it() {
        let share = CpuShare::new("demo", 50, Arc::default());
        let begun = Instant::now();
        let turn = Duration::from_millis(10);
        let mut used = Duration::ZERO;
        while begun.elapsed() < Duration::from_secs(600) {
            if let Some(pause) = share.pause() {
                tokio::time::advance(pause).await;
            }
            tokio::time::advance(turn).await;
            share.used(turn);
            used += turn;
        }
        // Thirty seconds at once, and half of the time from then on.
        let most = Duration::from_secs(30 + 300);
        assert!(used <= most + turn * 2 && used >= most - turn * 2, "{used:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peak_is_not_slowed_down() {
        let share = CpuShare::new("demo", 50, Arc::default());
        for _ in 0..10 {
            // Five seconds of nothing but work, as for a long history, and a rest.
            for _ in 0..500 {
                assert_eq!(share.pause(), None);
                tokio::time::advance(Duration::from_millis(10)).await;
                share.used(Duration::from_millis(10));
            }
            tokio::time::advance(Duration::from_secs(10)).await;
        }
    }
}
