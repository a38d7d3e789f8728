//! A plugin whose every text holds what a terminal or a reader obeys: nothing of it arrives anywhere.

use super::common::{TUNNEL, WAY, hostile, until_card};
use nexus_tests::browser::Browser;
use nexus_tests::tunnels::action;
use serde_json::Value;

/// A character that moves a cursor, reorders or hides, if there is one. An escape of our own colours is none of a pipe's.
fn acting(text: &str) -> Option<char> {
    let acts = |c: &char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().find(acts)
}

fn strings(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, all)),
        Value::Object(items) => items.iter().for_each(|(key, item)| {
            all.push(key.clone());
            strings(item, all);
        }),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_word_of_a_plugin_acts_on_who_reads_it() {
    let start = hostile(
        &[(TUNNEL, "config.start = \"words\"\nconfig.attack = \"words\"\n")],
        &format!("[chat.main]\nplugin = \"chat-echo\"\n{WAY}"),
    );
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    action(&browser, "hostile", "start").await;
    until_card(&browser, "hostile", &["Failed", "⟨U+202E⟩"]).await;

    // (the words before the flags, those behind them, whether the plugin's words are in it)
    for (before, after, heard) in [
        (vec!["plugin", "info"], vec![TUNNEL], true),
        (vec!["plugin", "list"], vec![], true),
        (vec!["plugin", "check"], vec![TUNNEL], false),
        (vec!["config", "check"], vec![], false),
        (vec!["status"], vec![], true),
        (vec!["tunnel", "list"], vec![], true),
        // One that is open at the first look has nothing to say of what it waited for.
        (vec!["tunnel", "start"], vec!["hostile"], false),
        (vec!["logs"], vec![], true),
        (vec!["doctor"], vec![], false),
    ] {
        let output = start.run(&before, &after, "");
        let said = [output.stdout, output.stderr]
            .map(|text| String::from_utf8(text).unwrap())
            .concat();
        assert_eq!(acting(&said), None, "{before:?}: {said:?}");
        assert!(!heard || said.contains('⟨'), "{before:?} says nothing of it: {said}");
    }
    for json in [
        &["plugin", "info"][..],
        &["plugin", "list"],
        &["status"],
        &["tunnel", "list"],
        &["doctor"],
    ] {
        let named = if *json == ["plugin", "info"] {
            vec!["--json", TUNNEL]
        } else {
            vec!["--json"]
        };
        let output = start.run(json, &named, "");
        let mut all = Vec::new();
        strings(&serde_json::from_slice(&output.stdout).unwrap(), &mut all);
        all.iter()
            .for_each(|text| assert_eq!(acting(text), None, "{json:?}: {text:?}"));
    }
    for page in ["/status", "/log", "/log?plugin=hostile-tunnel"] {
        let text = browser.get(page).await.text().await.unwrap();
        assert!(text.contains("⟨U+202E⟩"), "{page} says nothing of it");
        assert_eq!(acting(&text), None, "{page}: {text:?}");
    }
    for api in ["/api/v1/status", "/api/v1/tunnels", "/api/v1/config"] {
        let mut all = Vec::new();
        strings(&browser.get(api).await.json().await.unwrap(), &mut all);
        all.iter()
            .for_each(|text| assert_eq!(acting(text), None, "{api}: {text:?}"));
    }
    let log = std::fs::read_to_string(start.data_dir().join("logs/nexus.log")).unwrap();
    assert!(log.contains("⟨U+202E⟩"));
    assert_eq!(acting(&log), None);
    assert_eq!(acting(&nexus.output()), None, "{:?}", nexus.output());

    // What it asks for is said by the host, in its own lines.
    let output = start.run(&["plugin", "info"], &[TUNNEL], "");
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said.lines()
            .filter(|line| line.trim() == "Requested permissions:")
            .count(),
        1,
        "{said}"
    );
    assert!(
        said.lines().any(|line| line.starts_with("  run denied-tool: ")),
        "{said}"
    );
}
