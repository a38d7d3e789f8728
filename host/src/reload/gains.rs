//! What a plugin may do that it might not before. A key that goes can widen what it did: whoever confirms must not have to
//! know the manifest.

use nexus_config::resolved::{Grants, Plugin};
use std::collections::{BTreeMap, BTreeSet};

/// A sentence for each plugin that gains something.
pub(super) fn gains(before: &BTreeMap<String, Plugin>, now: &BTreeMap<String, Plugin>) -> Vec<String> {
    let all = now.values().filter_map(|plugin| {
        let had = before
            .get(&plugin.name)
            .map(|plugin| may(&plugin.grants))
            .unwrap_or_default();
        let new: Vec<String> = may(&plugin.grants)
            .into_iter()
            .filter(|may| !had.contains(may))
            .collect();
        (!new.is_empty()).then(|| format!("{} may {}", plugin.name, new.join(", ")))
    });
    all.collect()
}

fn may(grants: &Grants) -> BTreeSet<String> {
    let runs = grants.processes.iter().map(|(name, grant)| {
        let place = grant
            .path
            .as_ref()
            .map(|path| format!(" ({})", path.display()))
            .unwrap_or_default();
        let environment = if grant.inherit_env {
            " with your environment"
        } else {
            ""
        };
        format!("run {name}{place}{environment}")
    });
    let asks = grants.http.iter().map(|grant| {
        let port = grant.port.map(|port| format!(":{port}")).unwrap_or_default();
        let private = if grant.private {
            ", also in your own network"
        } else {
            ""
        };
        format!("ask {}://{}{port}{private}", grant.scheme, grant.host)
    });
    let keeps = (grants.store_quota > 0).then(|| format!("keep {} bytes", grants.store_quota));
    let reads = grants.secrets.keys().map(|name| format!("read the secret {name}"));
    runs.chain(asks).chain(keeps).chain(reads).collect()
}
