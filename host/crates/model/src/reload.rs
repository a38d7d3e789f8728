//! What the configuration's file has that is not applied yet.

use crate::plugin::Kind;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Pending` is what the configuration's file says and is not active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pending {
    /// `id` names what was read: what is confirmed must be what was shown.
    pub id: String,
    /// `seen_at` is when the file was read, in milliseconds since the Unix epoch.
    pub seen_at: Millis,
    /// `what` says whether the file can be used, and what of it waits.
    #[serde(flatten)]
    pub what: What,
}

/// The state says whether the file can be used, and what of it waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PendingState)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum What {
    /// The file cannot be used, and none of it takes effect.
    Invalid {
        /// `why` is the errors, as `nexus config check` prints them.
        why: String,
    },
    /// The file says something else than what is active.
    Changed {
        /// `confirm` are the changes that can be applied while Nexus runs, and wait for a confirmation.
        confirm: Vec<Change>,
        /// `effects` are what a confirmation does.
        effects: Vec<Effect>,
        /// `new_permissions` are what plugins may do then that they may not do now: a sentence each.
        new_permissions: Vec<String>,
        /// `components` are what the components in files say of themselves that are others than the active ones.
        components: Vec<Component>,
        /// `restart` are the changes that take effect at the next start of Nexus.
        restart: Vec<Change>,
        /// `applying`: what is in `confirm` is being applied.
        applying: bool,
    },
}

impl What {
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

/// A component is listed where the one in a file is another one than the active one, or new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ConfigComponent)]
pub struct Component {
    /// `plugin` is the `NAME` of `[plugin.NAME]`.
    pub plugin: String,
    /// `was` is the active component. Null: there is none.
    #[schema(required)]
    pub was: Option<ComponentIdentity>,
    /// `now` is the component in the file.
    pub now: ComponentIdentity,
    /// `new_permissions` are those that it requests and did not request before.
    pub new_permissions: Vec<String>,
    /// `removed_permissions` are those that it requested before and does not request any more.
    pub removed_permissions: Vec<String>,
    /// `mismatches` says where it calls itself otherwise, or is of another kind: sentences.
    pub mismatches: Vec<String>,
    /// `load_error` is why it would not load, so that it cannot be confirmed.
    #[schema(required)]
    pub load_error: Option<String>,
}

impl Component {
    /// `sentence` is a line for people: `[plugin.x] becomes tunnel-x 0.2.0 (…), from tunnel-x 0.1.0 (…)`.
    pub fn sentence(&self) -> String {
        let was = self.was.as_ref();
        let was = was.map_or_else(|| "is new".to_owned(), |was| format!("was {was}"));
        format!("The component of {} is {} and {was}", self.plugin, self.now)
    }

    /// `details` are what a person has to know besides; the worst first.
    pub fn details(&self) -> Vec<String> {
        let list = |what: &str, of: &[String]| (!of.is_empty()).then(|| format!("{what}: {}", of.join(", ")));
        let load_error = self
            .load_error
            .iter()
            .map(|why| format!("This component cannot be loaded, so it cannot be applied: {why}"));
        let requested = list(
            if self.was.is_some() {
                "New permission requests"
            } else {
                "Permission requests"
            },
            &self.new_permissions,
        );
        load_error
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

/// These are the words of a component about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ComponentIdentity {
    /// `name` is the one in its manifest.
    pub name: String,
    /// `kind` says what it can serve.
    pub kind: Kind,
    /// `version` is that of its manifest.
    pub version: String,
    /// `api` is the range of nexus:plugin versions that it was written for.
    #[schema(examples("^0.1"))]
    pub api: String,
}

/// A change is a key of the file with another value than the active one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ConfigChange)]
pub struct Change {
    /// `key` is the key with the tables it is in.
    #[schema(examples("tunnel.main.plugin"))]
    pub key: String,
    /// `was` is the active value as TOML; `…` where it must not be shown, or cannot be shown whole. Null: there is
    /// none.
    #[schema(required)]
    pub was: Option<String>,
    /// `now` is the value in the file, as `was`. Null: the key is gone.
    #[schema(required)]
    pub now: Option<String>,
    /// `note` says in a sentence what changed where no value can be shown: the content of a secret.
    #[schema(required)]
    #[serde(default)]
    pub note: Option<String>,
    /// `error` is why it could not be applied.
    #[schema(required)]
    pub error: Option<String>,
}

/// An effect is one thing that a confirmation does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ConfigEffect)]
pub struct Effect {
    /// `what` is a sentence.
    pub what: String,
    /// `tunnel` is the name of the tunnel that it happens to, if any.
    #[schema(required)]
    pub tunnel: Option<String>,
    /// `closes`: a client that came through that tunnel is cut off.
    pub closes: bool,
}
