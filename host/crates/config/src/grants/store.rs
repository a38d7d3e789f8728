//! How much a plugin may store.

use super::asked::Asked;
use super::grantable::{Grantable, Lines};
use super::request::Request;
use crate::permission::Permission;
use crate::resolved::Grants;
use crate::toml_reader::Findings;
use nexus_plugin_api::manifest::Manifest;
use std::fmt::Write as _;

pub(super) const STORE: Grantable = Grantable {
    requested,
    granted,
    missing,
    lines,
};

fn requested(manifest: &Manifest) -> Vec<Request> {
    let store = manifest.capabilities.store.iter();
    store
        .map(|store| Request {
            permission: Permission::Store {
                quota: Some(store.quota),
            },
            reason: store.reason.clone(),
            env: Vec::new(),
        })
        .collect()
}

fn granted(grants: &Grants) -> Vec<Permission> {
    let quota = Some(grants.store_quota).filter(|quota| *quota > 0);
    quota
        .map(|quota| Permission::Store { quota: Some(quota) })
        .into_iter()
        .collect()
}

/// Manifest ∩ operator, in bytes.
pub(crate) fn store_quota(asked: &Asked<'_>, findings: &mut Findings) -> u64 {
    match (&asked.manifest.capabilities.store, &asked.table.grants.store_quota) {
        (None, Some(quota)) if quota.value > 0 => {
            findings.push(asked.not_asked(quota, "store", std::iter::empty()));
            0
        }
        (Some(request), Some(quota)) => request.quota.min(quota.value),
        (Some(request), None) if asked.builtin => request.quota,
        _ => 0,
    }
}

/// A smaller quota than it asks for is meant.
fn missing(asked: &Asked<'_>, _: &serde_json::Map<String, serde_json::Value>, grants: &Grants) -> Vec<Permission> {
    match grants.store_quota {
        0 => requested(asked.manifest)
            .into_iter()
            .map(|request| request.permission)
            .collect(),
        _ => Vec::new(),
    }
}

fn lines(lines: &mut Lines<'_>) {
    let there = lines.written("store_quota").cloned();
    let missing = lines.permissions.iter().find_map(|permission| match permission {
        Permission::Store { quota } => *quota,
        _ => None,
    });
    if let Some(quota) = missing {
        let note = lines.note(there.as_ref());
        let _ = writeln!(lines.own, "store_quota = {quota}{note}");
    } else if let Some(there) = there {
        let _ = writeln!(lines.own, "store_quota = {there}");
    }
}
