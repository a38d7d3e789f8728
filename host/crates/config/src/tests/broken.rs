//! What lies outside the file, and what is too much.

use super::{fs, load, machine, no_env, read, report};
use crate::{APPLY, Overrides, THEN_APPLY, in_table, with_file};

/// What lies outside the file and is not fit costs one part, and says which with its place.
#[test]
fn what_this_machine_does_not_give_fails_one_part_and_the_rest_is_used() {
    for (text, plugin, fix) in [
        (
            "[plugin.mine]\nsource = \"gone.wasm\"",
            "mine",
            "put a component of this plugin at ",
        ),
        (
            "[plugin.tunnel-bore.secrets]\nsecret = { env = \"NOPE\" }",
            "tunnel-bore",
            "set it in the environment of Nexus",
        ),
        (
            "[plugin.tunnel-bore.secrets]\nsecret = { file = \"/none/such\" }",
            "tunnel-bore",
            "chmod 600 /none/such",
        ),
        (
            "[tunnel.home]\nplugin = \"tunnel-bore\"\n[plugin.tunnel-bore]\nsource = \"there.wasm\"",
            "tunnel-bore",
            "give it its own table",
        ),
        (
            "[chat.main]\nplugin = \"mine\"\n[plugin.mine]\nsource = \"there.wasm\"",
            "mine",
            "replace its file with the right component",
        ),
    ] {
        let config = read(text).unwrap_or_else(|report| panic!("{text}: {report}"));
        let broken = &config.broken[plugin];
        assert!(!config.plugins.contains_key(plugin), "{text}");
        assert!(config.plugins.contains_key("auth-local"), "{text}");
        let trouble = &broken.trouble;
        assert_eq!(trouble.subject, format!("plugin {plugin}"));
        assert!(trouble.fix.as_ref().unwrap().contains(fix), "{text}: {trouble}");
        let report = broken.report.as_ref().unwrap();
        assert!(report.contains("nexus.toml:"), "{report}");
        assert!(trouble.cause.contains("nexus.toml:"), "{trouble}");
    }
    // At the wrong place it costs that place, and not the one where it belongs.
    let twice =
        "[chat.main]\nplugin = \"mine\"\n[tunnel.home]\nplugin = \"mine\"\n[plugin.mine]\nsource = \"there.wasm\"";
    let config = read(twice).unwrap();
    assert!(config.plugins.contains_key("mine") && config.broken.is_empty());
    let config = read("[chat.main]\nworkspace = \"/none/such\"").unwrap();
    let names: Vec<_> = config.broken.keys().map(String::as_str).collect();
    assert_eq!(names, ["chat-echo", "chat-opencode"]);
    let unusable = config.chat.unusable.as_ref().unwrap();
    assert!(
        config.broken.values().all(|broken| broken.report.is_none()),
        "once for all: {unusable}"
    );
    let config = read("[notify]\ncommand = [\"/none/such\"]\nwebhook = \"https://hooks.example.org\"").unwrap();
    assert!(config.notify.unwrap().webhook.is_some());
    assert!(
        config.troubles[0].to_string().contains("notify does not work"),
        "{}",
        config.troubles[0]
    );
}

#[test]
fn each_project_folder_that_cannot_be_used_is_reported_once_with_its_line() {
    let text = "[chat.main]\nworkspace = \"/none/first\"\nworkspaces = [\n\"/none/a\", \"/none/a/../a\",\n\"/none/first\",\n\
                \"/none/my b\"]\n[plugin.chat-opencode.limits]\nstreams = 5";
    let config = read(text).unwrap();
    let unusable = config.chat.unusable.as_ref().unwrap();
    for (place, folder) in [(":3:13", "/none/first"), (":5:1", "/none/a"), (":7:1", "'/none/my b'")] {
        assert!(unusable.contains(place), "{place}: {unusable}");
        let fix = format!("fix: run `mkdir -p {folder}`, or correct the path in this line");
        assert!(unusable.contains(&fix), "{unusable}");
    }
    assert_eq!(unusable.matches("found: nothing is there").count(), 3, "{unusable}");
    let file = std::env::temp_dir().join("nexus.toml");
    for plugin in ["chat-opencode", "chat-echo"] {
        let trouble = &config.broken[plugin].trouble;
        let said = format!(
            "The workspace /none/a does not exist: nothing is there ({}:5).",
            file.display()
        );
        assert!(trouble.cause.contains(&said), "{trouble}");
        let fix = format!("run `mkdir -p /none/a`, or correct the path in {}:5", file.display());
        assert!(trouble.fix.as_ref().unwrap().contains(&fix), "{trouble}");
    }
}

#[test]
fn lines_to_paste_say_into_which_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nexus.toml");
    let lines = "[plugin.x.grants.process.x]\npath = \"/x\"\n";
    let text = format!("add these lines to the configuration:\n{lines}");
    let name = file.display();
    let report = with_file(&text, Some(&file));
    assert_eq!(
        report,
        format!(
            "add these lines to {name} (create this file, with `config_version = 1` as its first line), {THEN_APPLY}:\n{lines}"
        )
    );
    std::fs::write(&file, "").unwrap();
    assert_eq!(with_file(&report, Some(&file)), report, "once");
    let named = format!("add these lines to {name}, {THEN_APPLY}:\n{lines}");
    assert_eq!(with_file(&text, Some(&file)), named);
    assert_eq!(with_file(lines, Some(&file)), named);
    assert_eq!(
        with_file(&in_table("tunnel.home", "listen = \"127.0.0.1:0\""), Some(&file)),
        format!("set `listen = \"127.0.0.1:0\"` in the existing table [tunnel.home] in {name}, {THEN_APPLY}")
    );
    assert_eq!(
        with_file(
            &format!("add to the configuration and restart Nexus:\n{lines}"),
            Some(&file)
        ),
        format!("add to {name} and restart Nexus:\n{lines}"),
        "the text tells already what comes after"
    );
    assert_eq!(
        with_file("see [web]", Some(&file)),
        format!("see [web]\nThe configuration file is {name}; after a change, {APPLY}.")
    );
    assert_eq!(
        with_file("run: nexus setup [NAME]", Some(&file)),
        "run: nexus setup [NAME]"
    );
}

#[test]
fn what_a_limit_may_say_has_an_end() {
    for (key, most) in [
        ("streams", 10_000),
        ("processes", 1_000),
        ("cpu_share", 400),
        ("log_lines", 100_000),
    ] {
        let with = |value: u32| format!("[plugin.tunnel-bore.limits]\n{key} = {value}");
        assert!(!report(&with(most)).contains(key), "{}", report(&with(most)));
        let refused = report(&with(most + 1));
        assert!(
            refused.contains(key) && refused.contains(&most.to_string()),
            "{refused}"
        );
    }
}

#[test]
fn the_file_and_a_secret_have_an_end() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.toml");
    fs::write(&path, "#".repeat(2 << 20)).unwrap();
    let refused = load(Some(&path), &Overrides::default(), &machine(&no_env)).unwrap_err();
    assert!(refused.to_string().contains("more than 1048576 bytes"), "{refused}");
    let secret = dir.path().join("secret");
    fs::write(&secret, "s".repeat(70_000)).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let report = report(&format!(
        "[plugin.tunnel-bore.secrets]\nsecret = {{ file = {secret:?} }}"
    ));
    assert!(
        report.contains("more than 65536 bytes") && report.len() < 2_000,
        "{report}"
    );
}

#[test]
#[cfg(unix)]
fn what_others_can_write_is_not_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("bore");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    let text = format!("[plugin.tunnel-bore.grants.process.bore]\npath = {program:?}");
    for (mode, fits) in [(0o755, true), (0o775, false), (0o757, false), (0o777, false)] {
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        let config = read(&text).unwrap();
        assert_eq!(config.plugins.contains_key("tunnel-bore"), fits, "{mode:o}");
        if let Some(broken) = config.broken.get("tunnel-bore") {
            let fix = broken.trouble.fix.as_ref().unwrap();
            assert!(fix.contains("chmod go-w"), "{fix}");
        }
    }
}
