//! How far the loading of the plugins is, in words for whoever waits for it.

use nexus_config::resolved::Config;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// `LoadProgress` counts what is loaded at the start, and knows what is compiled at any time.
pub struct LoadProgress {
    /// `compiling` are the names of the plugins that are compiled just now.
    compiling: watch::Receiver<Vec<String>>,
    /// `total` is how many are loaded at the start.
    total: AtomicUsize,
    done: AtomicUsize,
}

impl LoadProgress {
    /// `compiling` are the names of the plugins that are compiled at each moment: see
    /// [`nexus_plugin_traits::PluginLoader::compiling`].
    pub fn new(compiling: watch::Receiver<Vec<String>>) -> Self {
        Self {
            compiling,
            total: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
        }
    }

    /// Sets how many are loaded at the start, which are the plugins of this configuration: the login's, the chat's and its fallback, the tunnels'.
    pub fn expect(&self, config: &Config) {
        let fallback = usize::from(config.chat.fallback.is_some());
        self.total.store(2 + config.tunnels.len() + fallback, Ordering::Relaxed);
    }

    /// Notes that one of them is not needed.
    pub fn mark_skipped(&self) {
        self.total.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that one of them is loaded.
    pub fn mark_loaded(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns what is to be called when one is loaded, or has failed.
    pub fn begin(self: &Arc<Self>) -> impl FnOnce() + Send + use<> {
        let progress = Arc::clone(self);
        move || progress.mark_loaded()
    }

    /// `text` says what is compiled, where something is: `compiling chat-opencode (2 of 3)`.
    pub fn text(&self) -> Option<String> {
        let compiling = self.compiling.borrow();
        if compiling.is_empty() {
            return None;
        }
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        let count = if done < total {
            format!(" ({} of {total})", done + 1)
        } else {
            String::new()
        };
        Some(format!("compiling {}{count}", compiling.join(" and ")))
    }
}
