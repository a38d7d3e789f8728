//! What the components in files say of themselves, beside what they said when they were confirmed: two digests tell nobody
//! whether it is the same plugin a version later, or another one under the name that was granted something.

use nexus_config::resolved::{Plugin, Source};
use nexus_model::reload::{Component, ComponentIdentity};
use std::collections::BTreeMap;

/// `LoadErrors` says by plugin why its component would not load.
pub(super) type LoadErrors = BTreeMap<String, String>;

/// `changed` are the plugins whose component is another one than the active one, or new.
pub(super) fn changed<'a>(
    before: &'a BTreeMap<String, Plugin>,
    now: &'a BTreeMap<String, Plugin>,
) -> impl Iterator<Item = (Option<&'a Plugin>, &'a Plugin)> {
    now.values()
        .filter(|plugin| matches!(plugin.source, Source::File(_)))
        .map(|plugin| (before.get(&plugin.name), plugin))
        .filter(|(before, plugin)| before.is_none_or(|before| before.digest != plugin.digest))
}

pub(super) fn components(
    before: &BTreeMap<String, Plugin>,
    now: &BTreeMap<String, Plugin>,
    load_errors: &LoadErrors,
) -> Vec<Component> {
    let all = changed(before, now).map(|(before, plugin)| {
        let asked = before
            .map(|before| before.component.permissions.clone())
            .unwrap_or_default();
        let mut mismatches = Vec::new();
        if let Some(before) = before {
            if before.component.name != plugin.component.name {
                mismatches.push(format!(
                    "Its name is {}; the name of the active component is {}.",
                    plugin.component.name, before.component.name
                ));
            }
            if before.kind != plugin.kind {
                mismatches.push(format!(
                    "This component is a {} plugin; the active component is a {} plugin.",
                    plugin.kind, before.kind
                ));
            }
        }
        Component {
            plugin: plugin.name.clone(),
            old: before.map(identity),
            new: identity(plugin),
            new_permissions: plugin.component.permissions.difference(&asked).cloned().collect(),
            removed_permissions: asked.difference(&plugin.component.permissions).cloned().collect(),
            mismatches,
            cause: load_errors.get(&plugin.name).cloned(),
        }
    });
    all.collect()
}

fn identity(plugin: &Plugin) -> ComponentIdentity {
    ComponentIdentity {
        name: plugin.component.name.clone(),
        kind: plugin.kind,
        version: plugin.component.version.clone(),
        api: plugin.component.api.clone(),
    }
}
