//! What a plugin may do that it might not before. A key that goes can widen what it did: whoever confirms must not have to
//! know the manifest.

use nexus_config::grant_words;
use nexus_config::resolved::{Grants, Plugin};
use std::collections::{BTreeMap, BTreeSet};

/// A sentence for each plugin that has new permissions.
pub(super) fn new_permissions(before: &BTreeMap<String, Plugin>, now: &BTreeMap<String, Plugin>) -> Vec<String> {
    let all = now.values().filter_map(|plugin| {
        let had = before
            .get(&plugin.name)
            .map(|plugin| may(&plugin.grants))
            .unwrap_or_default();
        let new: Vec<String> = may(&plugin.grants)
            .into_iter()
            .filter(|may| !had.contains(may))
            .collect();
        (!new.is_empty()).then(|| format!("{}: {}", plugin.name, new.join(", ")))
    });
    all.collect()
}

fn may(grants: &Grants) -> BTreeSet<String> {
    let place = |name: &str| Some(grants.processes.get(name)?.path.as_ref()?.display().to_string());
    grant_words::all(grants, &place).into_iter().collect()
}
