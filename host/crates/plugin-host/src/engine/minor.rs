//! The minor versions of the contract that a host speaks, side by side.
//!
//! Problem: a host that speaks one minor makes each new one a day on which all plugins have to be built again.
//!
//! Mechanism: a component speaks one minor, which is read off the versions of its imports and exports. Its types are compared
//! with that minor's contract, and its exports are called in that minor's types. The host's own code uses the newest one; an
//! older minor turns its values into those of the newest and calls that code, so that below all of them there is one gate.
//! All are in one linker: a name has its version in it. Patch versions of a minor link by themselves.

use super::guest_calls::{AuthGuests, ChatGuests, FindExports, TunnelGuests};
use super::instance_state::InstanceState;
use super::interface_name::Interface;
use nexus_plugin_api::manifest::Kind;
use semver::{Version, VersionReq};
use std::sync::OnceLock;
use wasmparser::types::Types;
use wasmtime::component::Linker;

/// `PACKAGE` is that of the contract.
pub(crate) const PACKAGE: &str = "nexus:plugin";

/// `Minor` is one minor version of the contract: all that the host has to know of it.
pub(crate) struct Minor {
    /// `version` is its newest patch version that the host knows.
    pub(crate) version: Version,
    /// `contract` is a component without a body that imports and exports every interface of it ([`super::contract_check`]).
    pub(crate) contract: &'static [u8],
    /// `types` are those of `contract`, once they were read; `None` within: it is damaged.
    pub(crate) types: OnceLock<Option<Types>>,
    /// `interfaces` are the names of those that a component may import.
    pub(crate) interfaces: fn() -> Vec<&'static str>,
    /// `optional` are the names of those that belong to a kind and need not be there.
    pub(crate) optional: fn(Kind) -> &'static [&'static str],
    /// `link` links all that it has of the host.
    pub(crate) link: fn(&mut Linker<InstanceState>) -> wasmtime::Result<()>,
    /// `tunnel` finds the exports of a tunnel provider.
    pub(crate) tunnel: FindExports<TunnelGuests>,
    /// `chat` finds the exports of a chat backend.
    pub(crate) chat: FindExports<ChatGuests>,
    /// `auth` finds the exports of an auth provider.
    pub(crate) auth: FindExports<AuthGuests>,
}

impl Minor {
    /// Tells whether a version belongs to it, by the rules of semver.
    pub(crate) fn covers(&self, version: &Version) -> bool {
        let ours = &self.version;
        version.major == ours.major && (ours.major > 0 || version.minor == ours.minor)
    }

    /// `name` is `0.2`.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.version.major, self.version.minor)
    }

    /// `has` tells whether an interface is one of this minor's.
    pub(super) fn has(&self, interface: &Interface<'_>) -> bool {
        interface.package == PACKAGE && interface.version.as_ref().is_some_and(|version| self.covers(version))
    }
}

impl PartialEq for Minor {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
    }
}

impl std::fmt::Debug for Minor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Minor({})", self.version)
    }
}

/// `Minors` are those that a host speaks, the newest one first.
#[derive(Clone, Copy)]
pub(crate) struct Minors(pub(crate) &'static [&'static Minor]);

impl Minors {
    pub(crate) fn iter(self) -> impl Iterator<Item = &'static Minor> {
        self.0.iter().copied()
    }

    /// `ranges` is `0.2.x`, or `0.3.x and 0.2.x`.
    pub(crate) fn ranges(self) -> String {
        self.iter()
            .map(|minor| format!("{}.x", minor.name()))
            .collect::<Vec<_>>()
            .join(" and ")
    }

    /// `of_interface` is the minor that an interface of the contract belongs to.
    pub(super) fn of_interface(self, found: &Interface<'_>) -> Option<&'static Minor> {
        self.iter().find(|minor| minor.has(found))
    }

    /// `supports` tells whether a plugin that was written for these versions can be run.
    pub(crate) fn supports(self, versions: &VersionReq) -> bool {
        self.iter().any(|minor| versions.matches(&minor.version))
    }
}
