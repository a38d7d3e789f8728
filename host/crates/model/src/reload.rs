//! What the configuration's file has that is not applied yet.

use crate::plugin::Kind;
use crate::time::Millis;
use crate::trouble::sentence;
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

    /// Tells whether a change was not applied for a cause that begins with `part`, as `Tunnel main: `.
    pub fn says_not_applied(&self, part: &str) -> bool {
        let of = |change: &Change| change.cause.as_ref().is_some_and(|cause| cause.starts_with(part));
        match self {
            Self::Invalid { .. } => false,
            Self::Changed { confirm, .. } => confirm.iter().any(of),
        }
    }
}

/// `not_applied` says how many of these changes could not be applied, and each cause once. `None`: none has failed.
/// `complete` is done to each fix.
pub fn not_applied(changes: &[Change], complete: impl Fn(&str) -> String) -> Option<String> {
    let failed = || changes.iter().filter(|change| change.cause.is_some());
    let what = match (failed().count(), changes.len()) {
        (0, _) => return None,
        (1, 1) => "This change was not applied:".to_owned(),
        (failed, all) if failed == all => format!("None of these {all} changes were applied:"),
        (1, all) => format!("1 of these {all} changes was not applied:"),
        (failed, all) => format!("{failed} of these {all} changes were not applied:"),
    };
    let mut causes: Vec<String> = Vec::new();
    for change in failed() {
        let fix = change.fix.as_deref().map(&complete);
        let cause = sentence(change.cause.as_deref().unwrap_or_default(), fix.as_deref());
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    // Several are one below the other.
    let between = if causes.len() == 1 { " " } else { "\n" };
    Some(format!("{what}{between}{}", causes.join("\n")))
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
    /// `sentence` is a line for people: `The component of x is tunnel-x 0.2.0 (…) and was tunnel-x 0.1.0 (…).`
    pub fn sentence(&self) -> String {
        let Self { plugin, old, new, .. } = self;
        match old {
            None => format!("The component of {plugin} is {new} and is new."),
            Some(old) if old == new => {
                format!(
                    "The file of {plugin} has changed ({} {}, as before).",
                    new.name, new.version
                )
            }
            Some(old) => format!("The component of {plugin} is {new} and was {old}."),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn change(cause: Option<&str>, fix: Option<&str>) -> Change {
        Change {
            key: "tunnel.main.plugin".to_owned(),
            old_value: None,
            new_value: None,
            note: None,
            cause: cause.map(str::to_owned),
            fix: fix.map(str::to_owned),
        }
    }

    #[test]
    fn what_was_not_applied_is_counted_and_each_cause_is_said_once() {
        let (good, bad) = (
            change(None, None),
            change(Some("Tunnel a: no bore."), Some("install it")),
        );
        let other = change(Some("Tunnel b: no ssh"), None);
        let said =
            |changes: &[&Change]| not_applied(&changes.iter().copied().cloned().collect::<Vec<_>>(), str::to_owned);
        assert_eq!(said(&[&good, &good]), None);
        let cause = "Tunnel a: no bore. To fix: install it";
        assert_eq!(said(&[&bad]), Some(format!("This change was not applied: {cause}")));
        assert_eq!(
            said(&[&bad, &bad]),
            Some(format!("None of these 2 changes were applied: {cause}"))
        );
        assert_eq!(
            said(&[&bad, &good]),
            Some(format!("1 of these 2 changes was not applied: {cause}"))
        );
        assert_eq!(
            said(&[&bad, &other, &bad, &good]),
            Some(format!(
                "3 of these 4 changes were not applied:\n{cause}\nTunnel b: no ssh."
            ))
        );
    }

    #[test]
    fn a_component_that_is_named_as_before_has_only_another_file() {
        let identity = |version: &str| ComponentIdentity {
            name: "tunnel-bore".to_owned(),
            kind: Kind::Tunnel,
            version: version.to_owned(),
            api: "^0.1".to_owned(),
        };
        let said = |old: Option<ComponentIdentity>| {
            let component = Component {
                plugin: "mine".to_owned(),
                old,
                new: identity("0.1.0"),
                new_permissions: Vec::new(),
                removed_permissions: Vec::new(),
                mismatches: Vec::new(),
                cause: None,
            };
            component.sentence()
        };
        assert_eq!(
            said(Some(identity("0.1.0"))),
            "The file of mine has changed (tunnel-bore 0.1.0, as before)."
        );
        assert_eq!(
            said(Some(identity("0.0.9"))),
            "The component of mine is tunnel-bore 0.1.0 (tunnel, nexus:plugin ^0.1) and was tunnel-bore 0.0.9 (tunnel, \
             nexus:plugin ^0.1)."
        );
        assert!(said(None).ends_with("and is new."));
    }
}
