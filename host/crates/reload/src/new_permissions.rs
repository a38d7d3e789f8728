//! What a plugin may do that it might not before. A key that goes can widen what it did: whoever confirms must not have to
//! know the manifest.

use crate::apply_plan::path;
use crate::change_texts::CONTENT;
use nexus_config::changes::Change;
use nexus_config::resolved::{Plugin, UnavailablePlugin};
use std::collections::BTreeMap;

/// Tells whether a plugin that could not be loaded has only other content or another place of its secrets now.
pub(super) fn same(plugin: &Plugin, broken: &UnavailablePlugin, changes: &[Change]) -> bool {
    let only = |change: &Change| match path(change).as_slice() {
        ["plugin", name, "secrets", _, CONTENT] if *name == plugin.name => true,
        ["plugin", name, "secrets", ..] if *name == plugin.name => change.was.is_some() && change.now.is_some(),
        ["plugin", name, ..] => *name != plugin.name,
        ["tunnel" | "chat", ..] => change.now.as_ref().and_then(|now| now.as_str()) != Some(&plugin.name),
        _ => true,
    };
    broken.digest == plugin.digest && changes.iter().all(only)
}

/// `new_permissions` has a sentence for each plugin that has new permissions.
/// `same`: it could not be loaded before, with the grants and the component of now.
pub(super) fn new_permissions(
    before: &BTreeMap<String, Plugin>,
    now: &BTreeMap<String, Plugin>,
    same: impl Fn(&Plugin) -> bool,
) -> Vec<String> {
    let now = now.values();
    let all = now
        .filter(|plugin| before.contains_key(&plugin.name) || !same(plugin))
        .filter_map(|plugin| {
            let had = before
                .get(&plugin.name)
                .map(|plugin| plugin.grants.permissions())
                .unwrap_or_default();
            let new: Vec<String> = plugin
                .grants
                .permissions()
                .iter()
                .filter(|permission| !had.contains(permission))
                .map(ToString::to_string)
                .collect();
            (!new.is_empty()).then(|| format!("{}: {}", plugin.name, new.join(", ")))
        });
    all.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use nexus_model::trouble::Trouble;

    fn change(key: &[&str], was: Option<&str>, now: Option<&str>) -> Change {
        let value = |text: Option<&str>| text.map(|text| toml::Value::String(text.to_owned()));
        Change {
            key: key.iter().map(|part| (*part).to_owned()).collect(),
            was: value(was),
            now: value(now),
        }
    }

    /// A key of the plugin.
    fn of<'a>(key: &[&'a str]) -> Vec<&'a str> {
        [&["plugin", "tunnel-bore"], key].concat()
    }

    #[test]
    fn a_plugin_that_could_not_be_loaded_is_the_same_only_with_its_component_and_its_grants() {
        let dir = tempfile::tempdir().unwrap();
        let config = nexus_testkit::config(dir.path(), "[tunnel.main]\nplugin = \"tunnel-bore\"\n");
        let plugin = &config.plugins["tunnel-bore"];
        let broken = |digest: Option<&str>| UnavailablePlugin {
            digest: digest.map(str::to_owned),
            trouble: Trouble::new("plugin tunnel-bore", "It is gone.", "put it back"),
            report: None,
        };
        let (a, b) = (Some("a"), Some("b"));
        for (change, expected) in [
            // Another content or place of a secret gives it nothing more.
            (change(&of(&["secrets", "token", CONTENT]), a, b), true),
            (change(&of(&["secrets", "token", CONTENT]), None, b), true),
            (change(&of(&["secrets", "token", "file"]), a, b), true),
            (change(&of(&["secrets", "token", "file"]), None, b), false),
            (change(&of(&["secrets", "token", "file"]), a, None), false),
            (change(&of(&["grants", "process", "bore", "path"]), a, b), false),
            (change(&of(&["grants", "process", "bore", "path"]), a, None), false),
            (change(&of(&["config", "server"]), a, b), false),
            // Of others.
            (change(&["plugin", "tunnel-ssh", "grants", "x"], a, b), true),
            (change(&["log", "filter"], a, b), true),
            // It gets a tunnel that it had not.
            (change(&["tunnel", "main", "plugin"], a, Some("tunnel-bore")), false),
            (change(&["tunnel", "main", "plugin"], Some("tunnel-bore"), b), true),
            (change(&["chat", "main", "fallback"], None, Some("tunnel-bore")), false),
        ] {
            assert_eq!(
                same(plugin, &broken(None), std::slice::from_ref(&change)),
                expected,
                "{change:?}"
            );
        }
        assert!(same(plugin, &broken(None), &[]));
        assert!(!same(plugin, &broken(Some("of another component")), &[]));
        let both = [
            change(&["log", "filter"], a, b),
            change(&of(&["grants", "process", "bore", "path"]), a, b),
        ];
        assert!(!same(plugin, &broken(None), &both), "each of them counts");
    }

    #[test]
    fn what_one_that_is_the_same_may_do_is_not_new() {
        let dir = tempfile::tempdir().unwrap();
        let mut now = nexus_testkit::config(dir.path(), "[tunnel.main]\nplugin = \"tunnel-bore\"\n").plugins;
        now.get_mut("tunnel-bore").unwrap().grants.store.quota = 1024;
        let mut before = now.clone();
        before.remove("tunnel-bore");
        let said = new_permissions(&before, &now, |_| false);
        assert!(said.len() == 1 && said[0].starts_with("tunnel-bore: "), "{said:?}");
        assert!(new_permissions(&before, &now, |_| true).is_empty());
        // One that runs is compared with itself, whatever was said of it when it could not be loaded.
        let mut before = now.clone();
        before.get_mut("tunnel-bore").unwrap().grants.store.quota = 0;
        assert_eq!(new_permissions(&before, &now, |_| true), said);
    }
}
