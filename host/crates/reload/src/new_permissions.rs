//! What a plugin may do that it might not before. A key that goes can widen what it did: whoever confirms must not have to
//! know the manifest.

use nexus_config::resolved::Plugin;
use std::collections::BTreeMap;

/// `new_permissions` has a sentence for each plugin that has new permissions.
pub(super) fn new_permissions(before: &BTreeMap<String, Plugin>, now: &BTreeMap<String, Plugin>) -> Vec<String> {
    let all = now.values().filter_map(|plugin| {
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
