//! What the configuration's file has that is not applied yet.

use crate::plugin::Kind;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Pending` describes changes in the configuration file that are not active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pending {
    /// `id` identifies this version of the file. A request to apply it names the id, so that nothing is applied that was
    /// not shown.
    pub id: String,
    /// `seen_at` is the time at which the file was read.
    pub seen_at: Millis,
    /// The state of the file; its keys are in the same object.
    #[serde(flatten)]
    pub what: PendingState,
}

/// `PendingState` is the state of a changed configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PendingState)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PendingState {
    /// `invalid`: the file has errors, and nothing of it is applied.
    Invalid {
        /// `cause` is the report of the errors, as `nexus config check` prints it.
        cause: String,
    },
    /// `changed`: the file differs from the active configuration.
    Changed {
        /// `confirm` are the changes that can be applied while Nexus is running, after a confirmation.
        confirm: Vec<Change>,
        /// `effects` are the effects of applying the changes.
        effects: Vec<Effect>,
        /// `new_permissions` are the permissions that plugins get when the changes are applied, a sentence each.
        new_permissions: Vec<String>,
        /// `components` are the component files that differ from the loaded components.
        components: Vec<Component>,
        /// `restart` are the changes that take effect when Nexus is restarted.
        restart: Vec<Change>,
        /// `applying` is true while the changes in `confirm` are being applied.
        applying: bool,
    },
}

impl PendingState {
    /// Tells whether it says something of this part of the configuration, as `tunnel.main`.
    pub fn names(&self, part: &str) -> bool {
        let of = |change: &Change| {
            change
                .key
                .strip_prefix(part)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        match self {
            Self::Invalid { .. } => false,
            Self::Changed { confirm, restart, .. } => confirm.iter().chain(restart).any(of),
        }
    }
}

/// `ConfigComponent` is a component file that is new or differs from the loaded component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ConfigComponent)]
pub struct Component {
    /// `plugin` is the `NAME` of `[plugin.NAME]` in the configuration.
    pub plugin: String,
    /// `old` is the loaded component. Null: there is none.
    #[schema(required)]
    pub old: Option<ComponentIdentity>,
    /// `new` is the component in the file.
    pub new: ComponentIdentity,
    /// `new_permissions` are the permissions that only the new component requests.
    pub new_permissions: Vec<String>,
    /// `removed_permissions` are the permissions that only the old component requests.
    pub removed_permissions: Vec<String>,
    /// `mismatches` are sentences that say where the name or the kind of the new component differs from what is expected.
    pub mismatches: Vec<String>,
    /// `cause` says why the new component cannot be loaded, and so not applied. Null: it can be loaded.
    #[schema(required)]
    pub cause: Option<String>,
}

impl Component {
    /// `sentence` is a line for people: `[plugin.x] becomes tunnel-x 0.2.0 (…), from tunnel-x 0.1.0 (…)`.
    pub fn sentence(&self) -> String {
        let old = self.old.as_ref();
        let old = old.map_or_else(|| "is new".to_owned(), |old| format!("was {old}"));
        format!("The component of {} is {} and {old}", self.plugin, self.new)
    }

    /// `details` are what a person has to know besides; the worst first.
    pub fn details(&self) -> Vec<String> {
        let list = |what: &str, of: &[String]| (!of.is_empty()).then(|| format!("{what}: {}", of.join(", ")));
        let cause = self
            .cause
            .iter()
            .map(|cause| format!("This component cannot be loaded, so it cannot be applied: {cause}"));
        let requested = list(
            if self.old.is_some() {
                "New permission requests"
            } else {
                "Permission requests"
            },
            &self.new_permissions,
        );
        cause
            .chain(self.mismatches.iter().cloned())
            .chain(requested)
            .chain(list("Dropped permission requests", &self.removed_permissions))
            .collect()
    }
}

impl std::fmt::Display for ComponentIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} ({}, nexus:plugin {})",
            self.name, self.version, self.kind, self.api
        )
    }
}

/// `ComponentIdentity` is the identity of a component, as its manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ComponentIdentity {
    /// `name` is the name in the manifest.
    pub name: String,
    /// `kind` says what the component provides.
    pub kind: Kind,
    /// `version` is the version in the manifest.
    pub version: String,
    /// `api` is the range of versions of the contract (`nexus:plugin`) that the component was written for.
    #[schema(examples("^0.1"))]
    pub api: String,
}

/// `ConfigChange` is a key of the configuration file whose value differs from the active value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ConfigChange)]
pub struct Change {
    /// `key` is the full name of the key, with its tables.
    #[schema(examples("tunnel.main.plugin"))]
    pub key: String,
    /// `old_value` is the active value as TOML. A value that is secret or too long is replaced by `…`. Null: the key has
    /// no active value.
    #[schema(required)]
    pub old_value: Option<String>,
    /// `new_value` is the value in the file, in the same form. Null: the file does not have the key.
    #[schema(required)]
    pub new_value: Option<String>,
    /// `note` describes the change in a sentence if the values cannot be shown, as for a secret.
    #[schema(required)]
    #[serde(default)]
    pub note: Option<String>,
    /// `cause` says why the change could not be applied. Null: it was not tried, or there was no error.
    #[schema(required)]
    pub cause: Option<String>,
    /// `fix` says how to fix it. Null: no fix is known.
    #[schema(required)]
    #[serde(default)]
    pub fix: Option<String>,
}

/// `ConfigEffect` is an effect of applying the changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ConfigEffect)]
pub struct Effect {
    /// `description` describes the effect in a sentence.
    pub description: String,
    /// `tunnel` is the name of the tunnel that is affected. Null: none.
    #[schema(required)]
    pub tunnel: Option<String>,
    /// `disconnects` is true if clients of the tunnel are disconnected.
    pub disconnects: bool,
}
