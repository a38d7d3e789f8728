//! A file that is edited while the real services run, on plugins that only note that they are loaded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod notices;
mod rig;
mod unfit;
mod updates;

use nexus_config::resolved::Plugin;
use nexus_model::reload::{self, Pending, PendingState};
use rig::{BEGUN, Rig, manifest, rig, rig_with};
use std::path::{Path, PathBuf};

fn lists(pending: &Pending) -> (Vec<String>, Vec<String>) {
    let PendingState::Changed { confirm, restart, .. } = &pending.what else {
        panic!("{pending:?}");
    };
    let keys = |changes: &[reload::Change]| changes.iter().map(|change| change.key.clone()).collect();
    (keys(confirm), keys(restart))
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_is_given_to_another_plugin_once_that_is_confirmed() {
    let mut rig = rig().await;
    let text = BEGUN.replacen("tunnel-bore", "tunnel-cloudflared", 1);
    let pending = rig.write(&text).await.unwrap();
    assert_eq!(lists(&pending), (vec!["tunnel.main.plugin".to_owned()], vec![]));
    assert_eq!(rig.done(), Vec::<String>::new(), "an edit alone does nothing");
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(rig.done(), ["tunnel main by tunnel-cloudflared"]);
    assert_eq!(*rig.pending.borrow(), None);
}

#[tokio::test(start_paused = true)]
async fn settings_of_a_plugin_concern_whatever_it_serves_and_no_more() {
    let mut rig = rig().await;
    rig.tunnels.swap("spare", "tunnel-cloudflared").await.unwrap();
    rig.done();
    let text = BEGUN.replace("one.example", "two.example");
    let pending = rig.write(&text).await.unwrap();
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(
        rig.done(),
        ["tunnel main by tunnel-bore"],
        "the other one was swapped by command"
    );
    assert_eq!(rig.plugin("tunnel-bore").config["server"], "two.example");

    let text = text.replace("[tunnel.spare]\n", "[tunnel.spare]\nhosts = [\"a.example\"]\n");
    let pending = rig.write(&text).await.unwrap();
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(rig.done(), ["tunnel spare by tunnel-cloudflared"], "and stays swapped");
}

#[tokio::test(start_paused = true)]
async fn what_serves_already_may_be_written_down_and_nothing_is_opened_again() {
    let mut rig = rig().await;
    rig.tunnels.swap("main", "tunnel-cloudflared").await.unwrap();
    rig.chat.swap("chat-opencode").await.unwrap();
    rig.done();
    let text = BEGUN.replacen("tunnel-bore", "tunnel-cloudflared", 1);
    let text = text.replace("chat-echo", "chat-opencode");
    let pending = rig.write(&text).await.unwrap();
    assert_eq!(lists(&pending).0, ["chat.main.plugin", "tunnel.main.plugin"]);
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(rig.done(), Vec::<String>::new());
    assert_eq!(*rig.pending.borrow(), None);
}

/// The chat's fallback, say, is loaded once; another copy of it can be the chat backend.
#[tokio::test(start_paused = true)]
async fn a_fixed_plugin_can_be_chosen_but_not_changed() {
    let mut rig = rig_with(|config| config.chat.fallback = Some("chat-opencode".to_owned())).await;
    let text = BEGUN.replace("chat-echo", "chat-opencode");
    let chosen = rig.changed(&text).await;
    assert_eq!(chosen, (vec!["chat.main.plugin".to_owned()], vec![]));
    let text = format!("{text}[plugin.chat-opencode.limits]\nmemory = \"1 GiB\"\n");
    let (confirm, restart) = rig.changed(&text).await;
    assert_eq!(confirm, Vec::<String>::new());
    assert_eq!(restart, ["chat.main.plugin", "plugin.chat-opencode.limits.memory"]);
}

#[tokio::test(start_paused = true)]
async fn the_filter_of_the_log_takes_effect_at_once() {
    let mut rig = rig().await;
    let text = format!("{BEGUN}[log]\nfilter = \"debug\"\n");
    assert_eq!(rig.write(&text).await, None, "nothing waits for anybody");
    assert_eq!(rig.done(), ["filter debug"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_now_waits_for_the_next_start() {
    let mut rig = rig().await;
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
            "plugin.tunnel-cloudflared.secrets.token.(content)",
            "plugin.tunnel-cloudflared.secrets.token.env",
            "web.listen"
        ]
    );
    let id = rig.pending.borrow().clone().unwrap().id;
    rig.service.apply(&id).await.unwrap();
    assert_eq!(rig.done(), Vec::<String>::new());
    assert!(
        rig.plugin("tunnel-cloudflared").grants.secrets.is_empty(),
        "its children would get the variable"
    );
    let (confirm, restart) = lists(&rig.pending.borrow().clone().unwrap());
    assert_eq!((confirm.len(), restart.len()), (0, 5));
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_as_before_and_says_why() {
    let mut rig = rig().await;
    let text = BEGUN
        .replacen("tunnel-bore", "tunnel-cloudflared", 1)
        .replace("[tunnel.main]", "[plugin.chat-opencode]\n[tunnel.main]");
    let pending = rig.write(&text).await.unwrap();
    rig.loads.fail(Some(("tunnel", "no such program")));
    let error = rig.service.apply(&pending.id).await.unwrap_err().to_string();
    assert!(error.contains(": no such program. "), "{error}");
    let still = rig.pending.borrow().clone().unwrap();
    let PendingState::Changed { confirm, applying, .. } = &still.what else {
        panic!()
    };
    assert_eq!(
        (confirm.len(), applying),
        (1, &false),
        "the rest of it is applied: {confirm:?}"
    );
    assert_eq!(confirm[0].cause.as_ref(), Some(&error));
    rig.loads.fail(None);
    rig.service.apply(&still.id).await.unwrap();
    assert_eq!(*rig.pending.borrow(), None, "and can be tried again");
}

#[tokio::test(start_paused = true)]
async fn settings_that_failed_are_not_what_is_loaded_next() {
    let mut rig = rig().await;
    let pending = rig.write(&BEGUN.replace("one.example", "two.example")).await.unwrap();
    rig.loads.fail(Some(("tunnel", "no")));
    rig.service.apply(&pending.id).await.unwrap_err();
    assert_eq!(rig.plugin("tunnel-bore").config["server"], "one.example");
    rig.put(BEGUN);
    rig.settled().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_applied_in_part_is_pending_whatever_the_file_says() {
    let mut rig = rig().await;
    let pending = rig.write(&BEGUN.replace("one.example", "two.example")).await.unwrap();
    rig.loads.fail(Some(("tunnel spare", "no")));
    rig.service.apply(&pending.id).await.unwrap_err();
    rig.done();
    assert_eq!(
        rig.plugin("tunnel-bore").config["server"],
        "two.example",
        "it serves the other tunnel so"
    );
    let back = rig.write(BEGUN).await.expect("one tunnel has the new setting");
    assert_eq!(lists(&back).0, ["plugin.tunnel-bore.config.server"]);
    rig.loads.fail(None);
    rig.service.apply(&back.id).await.unwrap();
    assert_eq!(rig.done().len(), 2, "both have the old one again");
    assert_eq!(*rig.pending.borrow(), None);
}

#[tokio::test(start_paused = true)]
async fn only_what_was_shown_is_confirmed() {
    let mut rig = rig().await;
    let one = rig
        .write(&BEGUN.replacen("tunnel-bore", "tunnel-cloudflared", 1))
        .await
        .unwrap();
    // Not seen by the service yet.
    rig.put(&BEGUN.replacen("one.example", "evil.example", 1));
    let error = rig.service.apply(&one.id).await.unwrap_err().to_string();
    assert!(error.contains("has changed again"), "{error}");
    assert_eq!(rig.done(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_used_changes_nothing_until_it_is_fixed() {
    let mut rig = rig().await;
    let says = |pending: &Pending, part: &str| matches!(&pending.what, PendingState::Invalid { cause } if cause.contains(part));
    rig.put(&BEGUN.replace("plugin = \"chat-echo\"", "plugin = \"nobody\""));
    let pending = rig
        .pending("the file is invalid", |pending| says(pending, "nobody"))
        .await;
    assert!(says(&pending, "nexus.toml"), "{pending:?}");
    std::fs::remove_file(&rig.file).unwrap();
    rig.pending("the file is missed", |pending| says(pending, "the file was deleted"))
        .await;
    rig.put(BEGUN);
    rig.settled().await;
    assert_eq!(rig.done(), Vec::<String>::new());
}

/// Not every editor writes beside and renames: each piece of the file is read as if it were all of it, and nothing of that is
/// active before the owner confirms it.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_read_half_written_changes_nothing_and_is_read_again_when_it_is_whole() {
    let mut rig = rig().await;
    let whole = BEGUN.replacen("tunnel-bore", "tunnel-cloudflared", 1);
    // Nothing yet, a part that is no TOML, and a part that is a configuration by itself.
    let not_toml = whole.find("\"chat-echo").unwrap() + 4;
    let a_part = whole.find("[tunnel.spare]").unwrap();
    for (cut, invalid) in [(0, true), (not_toml, true), (a_part, false)] {
        let before = rig.pending.borrow().as_ref().map(|pending| pending.id.clone());
        std::fs::write(&rig.file, &whole[..cut]).unwrap();
        rig.pending(&format!("the first {cut} bytes are read"), |now| {
            before.as_ref() != Some(&now.id) && matches!(now.what, PendingState::Invalid { .. }) == invalid
        })
        .await;
        assert_eq!(rig.done(), Vec::<String>::new());
    }
    std::fs::write(&rig.file, &whole).unwrap();
    let pending = rig
        .pending("the whole file is read", |pending| {
            matches!(&pending.what, PendingState::Changed { confirm, .. } if confirm.len() == 1 && confirm[0].key == "tunnel.main.plugin")
        })
        .await;
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(rig.done(), ["tunnel main by tunnel-cloudflared"]);
}

#[tokio::test(start_paused = true)]
async fn the_chat_is_replaced_once_confirmed_but_not_in_another_workspace() {
    let mut rig = rig().await;
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
    let mut rig = rig().await;
    let gone = BEGUN.replace("[tunnel.spare]\nplugin = \"tunnel-bore\"\n", "");
    let text = format!("{gone}[tunnel.third]\nplugin = \"tunnel-cloudflared\"\nautostart = true\n");
    let pending = rig.write(&text).await.unwrap();
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(rig.done(), ["tunnel third by tunnel-cloudflared"]);
    let tunnels: Vec<String> = rig.tunnels.serving().into_keys().collect();
    assert_eq!(tunnels, ["main", "third"]);
    assert_eq!(*rig.pending.borrow(), None);

    let (confirm, restart) = rig
        .changed(&text.replace("autostart = true", "autostart = false"))
        .await;
    assert_eq!((confirm.len(), restart), (0, vec!["tunnel.third.autostart".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_hides_something_waits() {
    let mut rig = rig().await;
    let (confirm, _) = rig.changed(&format!("{BEGUN}[log]\nfilter = \"off\"\n")).await;
    assert_eq!((confirm, rig.done()), (vec!["log.filter".to_owned()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_shown_whole_or_must_not_be_is_not() {
    let mut rig = rig().await;
    let hosts: Vec<String> = (0..60).map(|n| format!("\"host-{n}.example\"")).collect();
    let text = BEGUN.replace(
        "[tunnel.spare]\n",
        &format!(
            "[tunnel.spare]\npublic_check = \"off\"\nhosts = [{}]\n",
            hosts.join(", ")
        ),
    );
    let text = format!("{text}[notify]\nwebhook = \"http://127.0.0.1:1/T0KEN\"\n");
    let pending = rig.write(&text).await.unwrap();
    let (confirm, restart) = lists(&pending);
    assert_eq!(confirm, Vec::<String>::new(), "not a part of the tunnel either");
    assert_eq!(
        restart,
        ["notify.webhook", "tunnel.spare.hosts", "tunnel.spare.public_check"]
    );
    assert!(!format!("{pending:?}").contains("T0KEN"), "{pending:?}");
}

#[tokio::test(start_paused = true)]
async fn a_component_and_a_secret_are_part_of_what_is_confirmed() {
    let mut rig = rig().await;
    let (component, secret) = (rig.dir.join("bore.wasm"), rig.dir.join("secret"));
    std::fs::write(&component, manifest("tunnel-bore")).unwrap();
    let keep = |text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(&secret, text).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    keep("one");
    let text = BEGUN.replacen("tunnel-bore", "bore-too", 1)
        + "[plugin.bore-too]\nsource = \"bore.wasm\"\nconfig.server = \"x\"\n\
           [plugin.tunnel-bore.secrets]\nsecret = { file = \"secret\" }\n";
    let pending = rig.write(&text).await.unwrap();
    let (confirm, _) = lists(&pending);
    assert!(
        confirm.contains(&"plugin.bore-too.(component)".to_owned()),
        "{confirm:?}"
    );
    // Exchanged between the look and the confirmation.
    std::fs::write(&component, manifest("tunnel-ssh")).unwrap();
    let error = rig.service.apply(&pending.id).await.unwrap_err().to_string();
    assert!(error.contains("has changed again"), "{error}");
    std::fs::write(&component, manifest("tunnel-bore")).unwrap();
    rig.pending("the first component is back", |now| now.id == pending.id)
        .await;
    rig.service.apply(&pending.id).await.unwrap();
    rig.done();

    keep("another one");
    let pending = rig.pending("the new secret is noticed", |_| true).await;
    assert_eq!(lists(&pending).0, ["plugin.tunnel-bore.secrets.secret.(content)"]);
    assert!(!format!("{pending:?}").contains("another one"));
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(rig.done(), ["tunnel spare by tunnel-bore"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_next_start_replaces_nothing_now() {
    let mut rig = rig().await;
    let text = BEGUN
        .replacen("tunnel-bore", "tunnel-cloudflared", 1)
        .replace("one.example", "two.example")
        + "[plugin.tunnel-cloudflared.secrets]\ntoken = { env = \"TOKEN\" }\n";
    let pending = rig.write(&text).await.unwrap();
    let (confirm, restart) = lists(&pending);
    assert_eq!(confirm, ["plugin.tunnel-bore.config.server"]);
    assert!(restart.contains(&"tunnel.main.plugin".to_owned()), "{restart:?}");
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(
        rig.done(),
        ["tunnel main by tunnel-bore", "tunnel spare by tunnel-bore"],
        "the active plugin has its new settings until then"
    );
}

#[tokio::test(start_paused = true)]
async fn another_workspace_is_no_plugins_before_the_next_start() {
    let mut rig = rig().await;
    std::fs::create_dir(rig.dir.join("other")).unwrap();
    let text = BEGUN
        .replace("[chat.main]\n", "[chat.main]\nworkspace = \"other\"\n")
        .replace("one.example", "two.example");
    let pending = rig.write(&text).await.unwrap();
    rig.service.apply(&pending.id).await.unwrap();
    let moved = |plugin: &Plugin| {
        let mut places = plugin.grants.processes.values().filter_map(|grant| grant.cwd.clone());
        places.any(|cwd| cwd.ends_with("other"))
    };
    let named = ["auth-local", "chat-echo", "chat-opencode", "tunnel-bore"];
    assert!(!named.iter().any(|name| moved(&rig.plugin(name))));
}

#[tokio::test(start_paused = true)]
async fn new_permissions_are_shown_where_a_key_is_removed_too() {
    let mut rig = rig().await;
    let narrow = "[plugin.chat-opencode.grants.process.opencode]\ninherit_env = false\n";
    let pending = rig.write(&format!("{BEGUN}{narrow}")).await.unwrap();
    rig.service.apply(&pending.id).await.unwrap();
    let pending = rig.write(BEGUN).await.unwrap();
    let PendingState::Changed { new_permissions, .. } = &pending.what else {
        panic!()
    };
    assert_eq!(new_permissions, &["chat-opencode: run opencode with your environment"]);
}
