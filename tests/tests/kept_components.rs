//! Plugins that somebody built for a version before run with this one. `tests/components/README.md` says how they are kept.

use nexus_tests::browser::{ACCOUNT, Browser};
use nexus_tests::guests::guest;
use nexus_tests::kept::{self, KEPT, Version, plugin};
use nexus_tests::nexus::Start;
use nexus_tests::tunnels;
use nexus_tests::world::{Conversation, ready};
use serde_json::Value;

/// All versions; the present one after it was written, where that is asked for.
fn versions() -> Vec<Version> {
    match std::env::var("NEXUS_KEEP_COMPONENTS").as_deref() {
        Ok("write") => kept::write(guest),
        Ok(other) => panic!("NEXUS_KEEP_COMPONENTS is {other:?}; the only value is \"write\""),
        Err(_) => {}
    }
    let versions = kept::versions();
    assert!(!versions.is_empty());
    versions
}

/// Why a component of a version cannot be loaded.
fn trouble(version: &Version, name: &str) -> Option<String> {
    let file = version.component(name);
    let facts = plugin("check", &file);
    let text = |key: &str| facts[key].as_str().unwrap_or_default().to_owned();
    if facts["ok"] != Value::Bool(true) {
        return Some(format!(
            "{name} of {} cannot be loaded any more: {}",
            version.name,
            text("cause")
        ));
    }
    if text("contract") != version.name {
        return Some(format!(
            "{name} has the contract {}, and lies in {}",
            text("contract"),
            version.name
        ));
    }
    let locked = version.lock.component.get(name).cloned().unwrap_or_default();
    (text("sha256") != locked).then(|| {
        format!(
            "{name} of {} is not the file of its lock.toml ({locked}): sha256 {}",
            version.name,
            text("sha256")
        )
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_of_each_version_are_loaded_and_run() {
    let versions = versions();
    let troubles: Vec<String> = versions
        .iter()
        .flat_map(|version| KEPT.iter().filter_map(|name| trouble(version, name)))
        .collect();
    assert!(
        troubles.is_empty(),
        "a plugin that was built for an earlier version does not run with this one. To fix: undo what changed in the contract, or \
         give the change a new name or a new minor; while the version is not released, its files can be written again \
         (tests/components/README.md)\n{}",
        troubles.join("\n")
    );
    for version in &versions {
        run(version).await;
    }
}

/// All three of a version in one Nexus: an account is made and logs in, a prompt is answered, a tunnel is opened and closed.
async fn run(version: &Version) {
    let source = |name: &str| format!("[plugin.{name}]\nsource = {:?}\n", version.component(name));
    let config = format!(
        "[auth]\nplugin = \"hostile-auth\"\n[chat.main]\nplugin = \"core-chat\"\n[tunnel.kept]\nplugin = \
         \"hostile-tunnel\"\nallow_plaintext = true\n{}",
        KEPT.map(source).concat()
    );
    let nexus = Start::new().config(config).up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    let stranger = Browser::new(&nexus.url);
    let answer = stranger.log_in(ACCOUNT, "a wrong password").await;
    assert!(
        !answer.status().is_redirection(),
        "{}: {}",
        version.name,
        answer.status()
    );

    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt("one").await;
    chat.until_idle().await;
    assert_eq!(chat.answer(), "user: one", "{}", version.name);

    tunnels::action(&browser, "kept", "start").await;
    let up = tunnels::tunnel(&browser, |t| t["name"] == "kept" && t["state"] == "up").await;
    assert_eq!(up["plugin"], "hostile-tunnel", "{up}");
    tunnels::action(&browser, "kept", "stop").await;
    tunnels::tunnel(&browser, |t| t["name"] == "kept" && t["state"] != "up").await;
}
