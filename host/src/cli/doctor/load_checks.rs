//! Whether each part of a configuration can be loaded as the start of Nexus loads it: read, linked, and asked what it is.
//! Programs are not asked for: they may be installed later, and `nexus doctor` looks for them.

use super::scratch_folder::Scratch;
use crate::app::Foundation;
use nexus_config::resolved::{Config, Tunnel};
use nexus_config::{Report, refused};
use nexus_model::chat::Feature;
use nexus_model::limits;
use nexus_model::plugin::{PluginState, Refusal};
use nexus_model::time::SystemClock;
use nexus_model::trouble::{Trouble, sentence};
use nexus_model::tunnel::Encryption;
use nexus_plugin_traits::{ChatBackend, Supervised, TunnelProvider};
use nexus_store::lock;
use nexus_tunnels::no_tls;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// `Unusable` is what would fail at the start.
#[derive(Debug, Default)]
pub(in crate::cli) struct Unusable {
    /// `troubles` have each the part of the configuration that it is.
    pub(in crate::cli) troubles: Vec<Trouble>,
    /// Settings that their plugin does not take: one report for each plugin, behind its name.
    pub(in crate::cli) refused: Vec<(String, Report)>,
    /// `reported` are the parts whose plugin is in [`Config::broken`], which has the report of it.
    pub(in crate::cli) reported: Vec<String>,
    /// `warnings` tell of what starts and does not do all that is configured: a sentence each, with the fix.
    pub(in crate::cli) warnings: Vec<String>,
}

/// Finds what would fail at the start.
///
/// # Errors
/// Nothing can be loaded on this machine at all.
pub(in crate::cli) fn unloadable(config: Config) -> anyhow::Result<Unusable> {
    let running = lock::holder(&config.data_dir).is_some();
    let scratch = Scratch::make()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let found = runtime.block_on(async {
        let foundation = Foundation::beside(config, Arc::new(SystemClock), &scratch.0)?;
        let found = all(&foundation, running).await;
        foundation.processes.stop_all(None).await;
        anyhow::Ok(found)
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    found
}

/// `running`: what is corrected is started beside what runs.
async fn all(foundation: &Foundation, running: bool) -> Unusable {
    let config = &foundation.config;
    let start = |command: String| if running { command } else { "nexus up".to_owned() };
    let mut found = Unusable::default();
    let mut said = BTreeSet::new();
    let mut note = |part: String, plugin: &str, loaded: Result<(), CannotUse>, command: &str| match loaded {
        Ok(()) => {}
        Err(CannotUse::Refused(refusals)) => {
            if said.insert(plugin.to_owned()) {
                let report = refused(config, plugin, &refusals);
                found.refused.push((plugin.to_owned(), report));
            }
        }
        Err(CannotUse::Plaintext(trouble)) => found.troubles.push(trouble),
        Err(CannotUse::Unloadable(_)) if config.broken.contains_key(plugin) => {
            found.reported.push(format!("{part}: plugin {plugin}"));
        }
        Err(CannotUse::Unloadable(error)) => {
            let trouble = foundation.loader.catalog.unloadable(plugin, command, &error);
            let subject = format!("{part}: {}", trouble.subject);
            found.troubles.push(Trouble { subject, ..trouble });
        }
    };
    let name = &config.auth.plugin;
    let loaded = match foundation.loader.auth(&config.auth.plugin) {
        Err(error) => Err(error.cause().to_owned()),
        Ok(auth) => match tokio::time::timeout(limits::PLUGIN_START, auth.methods()).await {
            Ok(answer) => answer.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err("the plugin does not answer".to_owned()),
        },
    };
    note(
        "auth".to_owned(),
        name,
        loaded.map_err(CannotUse::Unloadable),
        &start("restart Nexus".to_owned()),
    );
    let chats = [Some(&config.chat.plugin), config.chat.fallback.as_ref()];
    let mut warnings = Vec::new();
    for name in chats.into_iter().flatten() {
        let loaded = match foundation.loader.chat(name, None) {
            Ok(chat) => {
                describes(&*chat, async || {
                    warnings.extend(unused_folders(config, name, &*chat));
                    Ok(())
                })
                .await
            }
            Err(error) => Err(CannotUse::Unloadable(error.cause().to_owned())),
        };
        let command = start("nexus chat start".to_owned());
        note(format!("chat {}", config.chat.name), name, loaded, &command);
    }
    for tunnel in config.tunnels.values() {
        let loaded = match foundation.loader.tunnel(&tunnel.plugin, tunnel.process_owner(), None) {
            Ok(provider) => describes(&*provider, async || plaintext(tunnel, &*provider).await).await,
            Err(error) => Err(CannotUse::Unloadable(error.cause().to_owned())),
        };
        let command = start(format!("nexus tunnel start {}", tunnel.name));
        note(format!("tunnel {}", tunnel.name), &tunnel.plugin, loaded, &command);
    }
    Unusable { warnings, ..found }
}

/// `unused_folders` says that the selected chat plugin works in one folder, where the configuration names more. Of its fallback,
/// which only answers meanwhile, it says nothing.
pub(super) fn unused_folders(config: &Config, name: &str, chat: &dyn ChatBackend) -> Option<String> {
    let named = !config.chat.workspaces.others.is_empty() && *name == config.chat.plugin;
    // Only a running instance has told what it has.
    let runs = chat.status().borrow().state == PluginState::Running;
    (named && runs && !chat.features().contains(&Feature::Workspaces)).then(|| {
        let table = &config.chat.name;
        sentence(
            &format!(
                "{name} works in one project folder only, {}, so `workspaces` in [chat.{table}] has no effect",
                config.chat.workspaces.first.display()
            ),
            Some(&format!(
                "remove `workspaces` from [chat.{table}] in the configuration, or choose a plugin there that has project \
                 folders, as chat-opencode"
            )),
        )
    })
}

/// `CannotUse` says why a plugin would not be used.
enum CannotUse {
    /// The cause.
    Unloadable(String),
    /// It cannot use its settings.
    Refused(Vec<Refusal>),
    /// `Plaintext`: it is of no use to this tunnel.
    Plaintext(Trouble),
}

/// Finds a tunnel without TLS whose owner has not agreed to that: each opening would be refused.
pub(super) async fn plaintext_refused(tunnel: &Tunnel, provider: &dyn TunnelProvider) -> Option<Trouble> {
    let descriptor = provider.describe().await.ok()?;
    let refused = descriptor.encryption == Encryption::None && !tunnel.allow_plaintext;
    refused.then(|| no_tls(&tunnel.name, &descriptor.title))
}

async fn plaintext(tunnel: &Tunnel, provider: &dyn TunnelProvider) -> Result<(), CannotUse> {
    plaintext_refused(tunnel, provider)
        .await
        .map_or(Ok(()), |trouble| Err(CannotUse::Plaintext(trouble)))
}

/// Starts the plugin until it has said what it is, and then asks `more` of it.
async fn describes(
    plugin: &(impl Supervised + ?Sized),
    more: impl AsyncFnOnce() -> Result<(), CannotUse>,
) -> Result<(), CannotUse> {
    let mut status = plugin.status();
    plugin.start();
    let settled = status.wait_for(|s| !matches!(s.state, PluginState::Starting | PluginState::Stopped));
    // Its own limit ends it before.
    let settled = tokio::time::timeout(limits::PLUGIN_START * 2, settled).await;
    let state = settled.map(|status| status.map(|status| status.state.clone()));
    let refused = plugin.refused();
    let found = match state {
        Ok(Ok(PluginState::Failed { .. })) if !refused.is_empty() => Err(CannotUse::Refused(refused)),
        Ok(Ok(PluginState::Restarting { cause, .. } | PluginState::Failed { cause })) => {
            Err(CannotUse::Unloadable(cause))
        }
        Ok(Ok(_)) => more().await,
        Ok(Err(_)) | Err(_) => Err(CannotUse::Unloadable("the plugin does not start".to_owned())),
    };
    plugin.stop().await;
    found
}
