//! How much a plugin may store.

use super::grant_context::GrantContext;
use super::grant_kind::{GrantKind, GrantNotes, PluginTables};
use super::lines::Lines;
use super::request::Request;
use crate::permission::Permission;
use crate::toml_reader::{Findings, Located};
use crate::value_readers::size;
use nexus_model::limits;
use nexus_model::units::exact_size;
use nexus_plugin_api::manifest::Manifest;
use std::fmt::Write as _;

const CAPABILITY: &str = "store";

/// `StoreGrant` is the store of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreGrant {
    /// `quota` is in bytes; 0: no store.
    pub quota: u64,
    /// `writes` is in bytes a minute.
    pub writes: u64,
}

/// No store.
impl Default for StoreGrant {
    fn default() -> Self {
        Self {
            quota: 0,
            writes: limits::STORE_WRITES,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct AuthoredStore {
    quota: Option<Located<u64>>,
    writes: Option<Located<u64>>,
}

impl Permission {
    /// `store` is to keep data, up to a number of bytes; `None`: any number.
    pub fn store(quota: Option<u64>) -> Self {
        Self {
            capability: CAPABILITY,
            target: quota.map(|quota| quota.to_string()).unwrap_or_default(),
            extended: false,
            text: match quota {
                Some(quota) => format!("store up to {}", exact_size(quota)),
                None => "store data".to_owned(),
            },
        }
    }
}

impl GrantKind for StoreGrant {
    type Written = AuthoredStore;

    fn read(tables: &mut PluginTables<'_, '_, '_>, findings: &mut Findings) -> AuthoredStore {
        let (grants, limits) = (&mut tables.grants, &mut tables.limits);
        AuthoredStore {
            quota: grants.as_mut().and_then(|t| size(t, "store_quota", findings)),
            writes: limits.as_mut().and_then(|t| size(t, "store_writes", findings)),
        }
    }

    fn requested(manifest: &Manifest) -> Vec<Request> {
        let store = manifest.capabilities.store.iter();
        store
            .map(|store| Request {
                permission: Permission::store(Some(store.quota)),
                reason: store.reason.clone(),
                optional: store.optional,
                env: Vec::new(),
            })
            .collect()
    }

    fn resolve(written: &AuthoredStore, asked: &GrantContext<'_>, notes: &mut GrantNotes<'_>) -> Self {
        let request = asked.manifest.capabilities.store.as_ref().map(|store| store.quota);
        let quota = match (request, &written.quota) {
            (None, Some(quota)) if quota.value > 0 => {
                let refused = asked.not_asked(quota, CAPABILITY, std::iter::empty());
                notes.findings.push(refused);
                0
            }
            // A smaller quota than it asks for is meant.
            (Some(request), Some(quota)) => request.min(quota.value),
            (Some(request), None) if asked.builtin => request,
            _ => 0,
        };
        if quota == 0 && request.is_some() {
            notes.missing.push(Permission::store(request));
        }
        let writes = written
            .writes
            .as_ref()
            .map_or(limits::STORE_WRITES, |bytes| bytes.value);
        Self { quota, writes }
    }

    fn permissions(&self) -> Vec<Permission> {
        let quota = Some(self.quota).filter(|quota| *quota > 0);
        quota.map(|quota| Permission::store(Some(quota))).into_iter().collect()
    }

    fn lines(&self, lines: &mut Lines<'_>) {
        let there = lines.written("store_quota").cloned();
        let missing = lines.of(CAPABILITY).find(|permission| !permission.target.is_empty());
        if let Some(missing) = missing {
            let note = lines.note(there.as_ref());
            let _ = writeln!(lines.own, "store_quota = {}{note}", missing.target);
        } else if let Some(there) = there {
            let _ = writeln!(lines.own, "store_quota = {there}");
        }
    }
}
