//! What a plugin may do that it might not before. A key that goes can widen what it did: whoever confirms must not have to
//! know the manifest.

use crate::apply_plan::path;
use crate::change_texts::CONTENT;
use nexus_config::changes::Change;
use nexus_config::resolved::{Broken, Plugin};
use std::collections::BTreeMap;

/// Tells whether a plugin that could not be loaded has only other content or another place of its secrets now.
pub(super) fn same(plugin: &Plugin, broken: &Broken, changes: &[Change]) -> bool {
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
