//! A file that is edited while a host that only notes what it is told runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::cli::Components;
use crate::config::{Machine, Overrides, load};
use crate::time::ManualClock;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

struct Told {
    file: PathBuf,
    dir: PathBuf,
    done: Mutex<Vec<String>>,
    fails: Mutex<Option<String>>,
    loaded: Mutex<BTreeMap<String, Plugin>>,
    serving: Mutex<Serving>,
}

fn read(file: &Path, dir: &Path) -> Result<Config, String> {
    let machine = Machine {
        cwd: dir.to_owned(),
        data_home: Some(dir.to_owned()),
        env: &|name| (name == "TOKEN").then(|| "s3cret".to_owned()),
        plugins: &Components::shipped(),
    };
    load(Some(file), &Overrides::default(), &machine).map_err(|report| report.to_string())
}

impl Told {
    fn note(&self, what: String) -> BoxFuture<'_, Result<(), String>> {
        self.done.lock().unwrap().push(what);
        let failure = self.fails.lock().unwrap().clone();
        Box::pin(async move { failure.map_or(Ok(()), Err) })
    }
}

impl Host for Told {
    fn read(&self) -> Result<Config, String> {
        read(&self.file, &self.dir)
    }
    fn file_says(&self, _: &Config) {}
    fn serving(&self) -> Serving {
        self.serving.lock().unwrap().clone()
    }
    fn log_filter(&self, filter: &str) -> Result<(), String> {
        self.done.lock().unwrap().push(format!("filter {filter}"));
        Ok(())
    }
    fn plugins(&self, plugins: BTreeMap<String, Plugin>) {
        *self.loaded.lock().unwrap() = plugins;
    }
    fn tunnel(&self, tunnel: Tunnel) -> BoxFuture<'_, Result<(), String>> {
        self.note(format!(
            "tunnel {} by {} {:?}",
            tunnel.name, tunnel.plugin, tunnel.hosts
        ))
    }
    fn remove_tunnel<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), String>> {
        self.note(format!("no tunnel {name}"))
    }
    fn chat(&self, plugin: String) -> BoxFuture<'_, Result<(), String>> {
        self.note(format!("chat by {plugin}"))
    }
}

struct Silent;

impl Activity for Silent {
    fn note(&self, _: &str, _: Tone, _: &str) {}
}

struct Rig {
    service: ReloadService,
    told: Arc<Told>,
    pending: watch::Receiver<Option<Pending>>,
    _dir: tempfile::TempDir,
}

const BEGUN: &str = "config-version = 1\n[chat.main]\nplugin = \"chat-echo\"\n[tunnel.main]\nplugin = \"tunnel-bore\"\n\
                     [tunnel.spare]\nplugin = \"tunnel-bore\"\n[plugin.tunnel-bore.config]\nserver = \"one.example\"\n";

fn rig() -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nexus.toml");
    std::fs::write(&file, BEGUN).unwrap();
    let config = read(&file, dir.path()).unwrap();
    let tunnels = config.tunnels.values();
    let serving = Serving {
        tunnels: tunnels
            .map(|tunnel| (tunnel.name.clone(), tunnel.plugin.clone()))
            .collect(),
        chat: config.chat.plugin.clone(),
        chat_name: "main".to_owned(),
        fixed: ["auth-local".to_owned()].into(),
    };
    let told = Arc::new(Told {
        file: file.clone(),
        dir: dir.path().to_owned(),
        done: Mutex::default(),
        fails: Mutex::default(),
        loaded: Mutex::default(),
        serving: Mutex::new(serving),
    });
    let clock = Arc::new(ManualClock::at(7));
    let service = ReloadService::start(Some(file), &config, Arc::<Told>::clone(&told), Arc::new(Silent), clock);
    Rig {
        pending: service.pending(),
        service,
        told,
        _dir: dir,
    }
}

impl Rig {
    async fn write(&mut self, text: &str) -> Option<Pending> {
        std::fs::write(&self.told.file, text).unwrap();
        let want = id(text);
        let read = self
            .pending
            .wait_for(|pending| pending.as_ref().is_some_and(|pending| pending.id == want));
        let read = tokio::time::timeout(Duration::from_secs(60), read).await;
        read.ok().map(|pending| pending.unwrap().clone().unwrap())
    }

    /// `(key → now)` of what waits for a confirmation, and of what waits for the next start.
    async fn changed(&mut self, text: &str) -> (Vec<String>, Vec<String>) {
        lists(&self.write(text).await.expect("something is pending"))
    }

    fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.told.done.lock().unwrap())
    }
}

fn lists(pending: &Pending) -> (Vec<String>, Vec<String>) {
    let What::Changed { confirm, restart, .. } = &pending.what else {
        panic!("{pending:?}");
    };
    let keys = |changes: &[reload::Change]| changes.iter().map(|change| change.key.clone()).collect();
    (keys(confirm), keys(restart))
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_is_given_to_another_plugin_once_that_is_confirmed() {
    let mut rig = rig();
    let text = BEGUN.replacen("tunnel-bore", "tunnel-cloudflared", 1);
    let pending = rig.write(&text).await.unwrap();
    assert_eq!(lists(&pending), (vec!["tunnel.main.plugin".to_owned()], vec![]));
    assert_eq!(rig.done(), Vec::<String>::new(), "an edit alone does nothing");
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(rig.done(), ["tunnel main by tunnel-cloudflared []"]);
    assert_eq!(*rig.pending.borrow(), None);
}

#[tokio::test(start_paused = true)]
async fn settings_of_a_plugin_concern_whatever_it_serves_and_no_more() {
    let mut rig = rig();
    rig.told
        .serving
        .lock()
        .unwrap()
        .tunnels
        .insert("spare".to_owned(), "tunnel-ssh".to_owned());
    let text = BEGUN.replace("one.example", "two.example");
    let pending = rig.write(&text).await.unwrap();
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(
        rig.done(),
        ["tunnel main by tunnel-bore []"],
        "the other one was swapped by command"
    );
    let loaded = rig.told.loaded.lock().unwrap().clone();
    assert_eq!(loaded["tunnel-bore"].config["server"], "two.example");

    let text = text.replace("[tunnel.spare]\n", "[tunnel.spare]\nhosts = [\"a.example\"]\n");
    let pending = rig.write(&text).await.unwrap();
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(
        rig.done(),
        ["tunnel spare by tunnel-ssh [\"a.example\"]"],
        "and stays swapped"
    );
}

#[tokio::test(start_paused = true)]
async fn the_filter_of_the_log_counts_at_once() {
    let mut rig = rig();
    let text = format!("{BEGUN}[log]\nfilter = \"debug\"\n");
    assert_eq!(rig.write(&text).await, None, "nothing waits for anybody");
    assert_eq!(rig.done(), ["filter debug"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_now_waits_for_the_next_start() {
    let mut rig = rig();
    let added = "[plugin.tunnel-ssh.config]\nservice = \"localhost.run\"\n\
                 [web]\nlisten = \"127.0.0.1:1\"\n[auth]\nlockout = \"1h\"\n[metrics]\n\
                 [plugin.tunnel-cloudflared.secrets]\ntoken = { env = \"TOKEN\" }\n";
    let (confirm, restart) = rig.changed(&format!("{BEGUN}{added}")).await;
    assert_eq!(
        confirm,
        ["plugin.tunnel-ssh.config.service"],
        "serves nobody yet, and can be swapped to"
    );
    assert_eq!(
        restart,
        [
            "auth.lockout",
            "metrics",
            "plugin.tunnel-cloudflared.secrets.token.env",
            "web.listen"
        ]
    );
    let id = rig.pending.borrow().clone().unwrap().id;
    rig.service.apply(&id).await.unwrap();
    assert_eq!(rig.done(), Vec::<String>::new());
    let loaded = rig.told.loaded.lock().unwrap().clone();
    assert!(
        loaded["tunnel-cloudflared"].grants.secrets.is_empty(),
        "its children would get the variable"
    );
    let (confirm, restart) = lists(&rig.pending.borrow().clone().unwrap());
    assert_eq!((confirm.len(), restart.len()), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_as_before_and_says_why() {
    let mut rig = rig();
    let text = BEGUN
        .replacen("tunnel-bore", "tunnel-cloudflared", 1)
        .replace("[tunnel.main]", "[plugin.chat-opencode]\n[tunnel.main]");
    let pending = rig.write(&text).await.unwrap();
    *rig.told.fails.lock().unwrap() = Some("no such program".to_owned());
    let error = rig.service.apply(&pending.id).await.unwrap_err().to_string();
    assert_eq!(error, "no such program");
    let still = rig.pending.borrow().clone().unwrap();
    let What::Changed { confirm, applying, .. } = &still.what else {
        panic!()
    };
    assert_eq!(
        (confirm.len(), applying),
        (1, &false),
        "the rest of it is in force: {confirm:?}"
    );
    assert_eq!(confirm[0].error.as_deref(), Some("no such program"));
    *rig.told.fails.lock().unwrap() = None;
    rig.service.apply(&still.id).await.unwrap();
    assert_eq!(*rig.pending.borrow(), None, "and can be tried again");
}

#[tokio::test(start_paused = true)]
async fn only_what_was_shown_is_confirmed() {
    let mut rig = rig();
    let one = rig
        .write(&BEGUN.replacen("tunnel-bore", "tunnel-cloudflared", 1))
        .await
        .unwrap();
    let other = rig.write(&BEGUN.replacen("tunnel-bore", "tunnel-ssh", 1)).await;
    assert!(other.is_none() || other.unwrap().id != one.id);
    let error = rig.service.apply(&one.id).await.unwrap_err().to_string();
    assert!(error.contains("says something else by now"), "{error}");
    assert_eq!(rig.done(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_used_changes_nothing_until_it_is_mended() {
    let mut rig = rig();
    let invalid = |pending: &Option<Pending>| match pending.as_ref().map(|pending| &pending.what) {
        Some(What::Invalid { why }) => Some(why.clone()),
        _ => None,
    };
    std::fs::write(
        &rig.told.file,
        BEGUN.replace("plugin = \"chat-echo\"", "plugin = \"nobody\""),
    )
    .unwrap();
    rig.pending
        .wait_for(|pending| invalid(pending).is_some())
        .await
        .unwrap();
    let why = invalid(&rig.pending.borrow()).unwrap();
    assert!(why.contains("nobody") && why.contains("nexus.toml"), "{why}");
    std::fs::remove_file(&rig.told.file).unwrap();
    let gone = |pending: &Option<Pending>| invalid(pending).is_some_and(|why| why.contains("the file is gone"));
    rig.pending.wait_for(gone).await.unwrap();
    std::fs::write(&rig.told.file, BEGUN).unwrap();
    rig.pending.wait_for(Option::is_none).await.unwrap();
    assert_eq!(rig.done(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn another_chat_takes_over_once_confirmed_but_not_in_another_workspace() {
    let mut rig = rig();
    let other = BEGUN.replace("chat-echo", "chat-opencode");
    let moved = other.replace("[chat.main]\n", "[chat.main]\nworkspace = \".\"\n");
    let (confirm, restart) = rig.changed(&moved).await;
    assert_eq!((confirm.len(), restart.len()), (0, 2), "{restart:?}");
    let pending = rig.write(&other).await.unwrap();
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(rig.done(), ["chat by chat-opencode"]);
}

#[tokio::test(start_paused = true)]
async fn tunnels_come_and_go() {
    let mut rig = rig();
    let gone = BEGUN.replace("[tunnel.spare]\nplugin = \"tunnel-bore\"\n", "");
    let text = format!("{gone}[tunnel.third]\nplugin = \"tunnel-cloudflared\"\nautostart = true\n");
    let pending = rig.write(&text).await.unwrap();
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(rig.done(), ["no tunnel spare", "tunnel third by tunnel-cloudflared []"]);
    assert_eq!(*rig.pending.borrow(), None);

    let (confirm, restart) = rig
        .changed(&text.replace("autostart = true", "autostart = false"))
        .await;
    assert_eq!((confirm.len(), restart), (0, vec!["tunnel.third.autostart".to_owned()]));
}
