//! Whether each part of a configuration can be loaded as the start of Nexus loads it: read, linked, and asked what it is.
//! Programs are not asked for: they may be installed later, and `nexus doctor` looks for them.

use super::plugins::Scratch;
use crate::app::Foundation;
use crate::config::resolved::Config;
use crate::limits;
use crate::model::plugin::State;
use crate::model::trouble::Trouble;
use crate::runtime::port::Supervised;
use crate::time::SystemClock;
use std::sync::Arc;
use std::time::Duration;

/// What would fail at the start, each with the part of the configuration that it is.
///
/// # Errors
/// Nothing can be loaded on this machine at all.
pub(in crate::cli) fn unloadable(config: Config) -> anyhow::Result<Vec<Trouble>> {
    let scratch = Scratch::make()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let found = runtime.block_on(async {
        let foundation = Foundation::beside(config, Arc::new(SystemClock), &scratch.0)?;
        let found = all(&foundation).await;
        foundation.processes.stop_all(None).await;
        anyhow::Ok(found)
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    found
}

async fn all(foundation: &Foundation) -> Vec<Trouble> {
    let config = &foundation.config;
    let mut found = Vec::new();
    let mut note = |part: String, plugin: &str, loaded: anyhow::Result<()>, order: &str| {
        if let Err(error) = loaded {
            let trouble = foundation.unloadable(plugin, order, &error);
            let part = format!("{part}: {}", trouble.part);
            found.push(Trouble { part, ..trouble });
        }
    };
    let name = &config.auth.plugin;
    let loaded = match foundation.auth() {
        Err(error) => Err(error),
        Ok(auth) => match tokio::time::timeout(limits::PLUGIN_START, auth.methods()).await {
            Ok(answer) => answer.map(drop).map_err(anyhow::Error::new),
            Err(_) => Err(anyhow::anyhow!("it gives no answer")),
        },
    };
    note("auth".to_owned(), name, loaded, "nexus up");
    let chats = [Some(&config.chat.plugin), config.chat.fallback.as_ref()];
    for name in chats.into_iter().flatten() {
        let loaded = match foundation.chat(name) {
            Ok(chat) => describes(&*chat).await,
            Err(error) => Err(error),
        };
        note(format!("chat {}", config.chat.name), name, loaded, "nexus up");
    }
    for tunnel in config.tunnels.values() {
        let loaded = match foundation.tunnel(tunnel) {
            Ok(tunnel) => describes(&*tunnel).await,
            Err(error) => Err(error),
        };
        note(format!("tunnel {}", tunnel.name), &tunnel.plugin, loaded, "nexus up");
    }
    found
}

/// Starts the plugin until it has said what it is.
async fn describes(plugin: &(impl Supervised + ?Sized)) -> anyhow::Result<()> {
    let mut status = plugin.status();
    plugin.start();
    let settled = status.wait_for(|s| !matches!(s.state, State::Starting | State::Stopped));
    // Its own limit ends it before.
    let settled = tokio::time::timeout(limits::PLUGIN_START * 2, settled).await;
    let state = settled.map(|status| status.map(|status| status.state.clone()));
    plugin.stop().await;
    match state {
        Ok(Ok(State::Restarting { cause, .. } | State::Failed { cause })) => Err(anyhow::anyhow!(cause)),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(anyhow::anyhow!("it does not come up")),
    }
}
