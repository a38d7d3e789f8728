//! The service at work alone: an edited file is shown, and nothing of it happens before it is confirmed.
#![allow(clippy::unwrap_used)]

use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_config::resolved::{Config, Plugin, Tunnel};
use nexus_model::activity::Unkept;
use nexus_model::time::SystemClock;
use nexus_reload::{ActivePlugins, Host, ReloadService};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A host that only notes which plugin its chat is given to.
struct Noting {
    folder: tempfile::TempDir,
    chat: Mutex<String>,
}

impl Host for Noting {
    fn read(&self) -> Result<Config, String> {
        nexus_testkit::read_config(self.folder.path()).map_err(|report| report.to_string())
    }
    fn would_load(&self, _: &Plugin) -> Result<(), String> {
        Ok(())
    }
    fn file_says(&self, _: &Config) {}
    fn serving(&self) -> ActivePlugins {
        ActivePlugins {
            chat: self.chat.lock().unwrap().clone(),
            chat_name: "main".to_owned(),
            ..ActivePlugins::default()
        }
    }
    fn log_filter(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn plugins(&self, _: BTreeMap<String, Plugin>) {}
    fn tunnel(&self, _: Tunnel) -> BoxFuture<'_, Result<(), String>> {
        async { Ok(()) }.boxed()
    }
    fn remove_tunnel<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), String>> {
        async { Ok(()) }.boxed()
    }
    fn chat(&self, plugin: String) -> BoxFuture<'_, Result<(), String>> {
        *self.chat.lock().unwrap() = plugin;
        async { Ok(()) }.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn an_edited_file_waits_for_its_confirmation() {
    let (folder, chat) = (tempfile::tempdir().unwrap(), Mutex::new("chat-echo".to_owned()));
    let config = nexus_testkit::config(folder.path(), "[chat.main]\nplugin = \"chat-echo\"\n");
    let file = folder.path().join("nexus.toml");
    let host = Arc::new(Noting { folder, chat });
    let told = Arc::<Noting>::clone(&host);
    let (activity, clock) = (Arc::new(Unkept), Arc::new(SystemClock));
    let service = ReloadService::start(Some(file.clone()), &config, told, activity, clock).unwrap();

    std::fs::write(file, "config_version = 1\n[chat.main]\nplugin = \"chat-opencode\"\n").unwrap();
    let mut pending = service.pending();
    let shown = pending.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert_eq!(*host.chat.lock().unwrap(), "chat-echo");
    service.apply(&shown.id).await.unwrap();
    assert_eq!(*host.chat.lock().unwrap(), "chat-opencode");
}
