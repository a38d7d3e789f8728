//! What the configuration's file says besides what counts.

use crate::plugin::Kind;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// Seen in the file, and not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Of what was read: what is confirmed must be what was shown.
    pub id: String,
    /// When the file was read.
    pub seen_at: Millis,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum What {
    /// It cannot be used, and nothing of it counts.
    Invalid { why: String },
    Changed {
        /// Can be put into force while Nexus runs, and wait for a confirmation.
        confirm: Vec<Change>,
        /// What a confirmation does.
        effects: Vec<Effect>,
        /// What plugins may do then that they may not now: a sentence each.
        gains: Vec<String>,
        /// What the components in files say of themselves that are others than those in force.
        components: Vec<Component>,
        /// Count from the next start of Nexus on.
        restart: Vec<Change>,
        /// The first list is being put into force.
        applying: bool,
    },
}

impl What {
    /// Whether it says something of this part of the configuration, as `tunnel.main`.
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

/// A component in a file that is another one, or new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// `NAME` of `[plugin.NAME]`.
    pub plugin: String,
    /// None: there was none.
    pub was: Option<Said>,
    pub now: Said,
    /// What it asks to be allowed and did not ask before.
    pub asks: Vec<String>,
    pub asks_no_more: Vec<String>,
    /// It calls itself otherwise, or is of another kind: sentences.
    pub strange: Vec<String>,
    /// Why it would not load: it cannot be confirmed.
    pub unfit: Option<String>,
}

impl Component {
    /// `[plugin.x] becomes tunnel-x 0.2.0 (…), from tunnel-x 0.1.0 (…)`
    pub fn sentence(&self) -> String {
        let was = self.was.as_ref();
        let was = was.map_or_else(|| "is new".to_owned(), |was| format!("was {was}"));
        format!("the component of {} is {}, and {was}", self.plugin, self.now)
    }

    /// What a person has to know besides; the worst first.
    pub fn details(&self) -> Vec<String> {
        let list = |what: &str, of: &[String]| (!of.is_empty()).then(|| format!("{what}: {}", of.join(", ")));
        let unfit = self
            .unfit
            .iter()
            .map(|why| format!("It would not load, so that it cannot be applied: {why}"));
        let asks = list(
            if self.was.is_some() {
                "It asks in addition"
            } else {
                "It asks"
            },
            &self.asks,
        );
        unfit
            .chain(self.strange.iter().cloned())
            .chain(asks)
            .chain(list("It does not ask any more", &self.asks_no_more))
            .collect()
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} ({}, nexus:plugin {})",
            self.name, self.version, self.kind, self.api
        )
    }
}

/// What a component says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub name: String,
    pub kind: Kind,
    pub version: String,
    /// The range of nexus:plugin versions that it was written for.
    pub api: String,
}

/// One key of the file. None: it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `tunnel.main.plugin`
    pub key: String,
    /// As TOML; `…` where it must not be shown, or cannot be shown whole.
    pub was: Option<String>,
    pub now: Option<String>,
    /// Why it could not be put into force.
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// A sentence.
    pub what: String,
    /// Which tunnel it happens to, if any.
    pub tunnel: Option<String>,
    /// Whoever came through that tunnel is cut off.
    pub closes: bool,
}
