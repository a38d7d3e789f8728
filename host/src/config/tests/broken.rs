//! What lies outside the file.

use super::read;

/// What lies outside the file and is not fit costs one part, and says which with its place.
#[test]
fn what_this_machine_does_not_give_fails_one_part_and_the_rest_counts() {
    for (text, plugin, fix) in [
        (
            "[plugin.mine]\nsource = \"gone.wasm\"",
            "mine",
            "put a component of this plugin at ",
        ),
        (
            "[plugin.tunnel-bore.secrets]\nsecret = { env = \"NOPE\" }",
            "tunnel-bore",
            "set it where Nexus is started",
        ),
        (
            "[plugin.tunnel-bore.secrets]\nsecret = { file = \"/none/such\" }",
            "tunnel-bore",
            "chmod 600 /none/such",
        ),
        (
            "[tunnel.home]\nplugin = \"tunnel-bore\"\n[plugin.tunnel-bore]\nsource = \"there.wasm\"",
            "tunnel-bore",
            "give it a table of its own",
        ),
        (
            "[chat.main]\nplugin = \"mine\"\n[plugin.mine]\nsource = \"there.wasm\"",
            "mine",
            "put the right component",
        ),
    ] {
        let config = read(text).unwrap_or_else(|report| panic!("{text}: {report}"));
        let broken = &config.broken[plugin];
        assert!(!config.plugins.contains_key(plugin), "{text}");
        assert!(config.plugins.contains_key("auth-local"), "{text}");
        let trouble = &broken.trouble;
        assert_eq!(trouble.part, format!("plugin {plugin}"));
        assert!(trouble.fix.as_ref().unwrap().contains(fix), "{text}: {trouble}");
        assert!(broken.report.contains("nexus.toml:"), "{}", broken.report);
    }
    // At the wrong place it costs that place, and not the one where it belongs.
    let twice =
        "[chat.main]\nplugin = \"mine\"\n[tunnel.home]\nplugin = \"mine\"\n[plugin.mine]\nsource = \"there.wasm\"";
    let config = read(twice).unwrap();
    assert!(config.plugins.contains_key("mine") && config.broken.is_empty());
    let config = read("[chat.main]\nworkspace = \"/none/such\"").unwrap();
    let names: Vec<_> = config.broken.keys().map(String::as_str).collect();
    assert_eq!(names, ["chat-echo", "chat-opencode"]);
    let config = read("[notify]\ncommand = [\"/none/such\"]\nwebhook = \"https://hooks.example.org\"").unwrap();
    assert!(config.notify.unwrap().webhook.is_some());
    assert!(
        config.troubles[0].to_string().contains("notify failed"),
        "{}",
        config.troubles[0]
    );
}
