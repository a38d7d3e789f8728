//! What a plugin says that the contract has no word for: kept and passed on, and acted on by nobody here.

use crate::limits::{SESSION_NOTES, SESSION_NOTES_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// `Ext` are values of a plugin's own, by the plugin's name and then by theirs: `{"chat-opencode": {"opencode.share":
/// "https://…"}}`. Nexus keeps them and does not act on them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Ext(pub BTreeMap<String, BTreeMap<String, Value>>);

impl Ext {
    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `of` are values of one plugin; without values, there is no plugin in it either.
    pub fn of(plugin: &str, values: BTreeMap<String, Value>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        Self(BTreeMap::from([(plugin.to_owned(), values)]))
    }

    /// `count` is how many values there are.
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// `size` is about what they cost to hold, in bytes.
    pub fn size(&self) -> usize {
        let values = self.0.values().flatten();
        values.map(|(name, value)| EACH + name.len() + size(value)).sum()
    }

    /// Puts these beside, or in the place of, what is there. False: all of them were there already.
    pub fn put(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for (plugin, values) in &other.0 {
            let own = self.0.entry(plugin.clone()).or_default();
            for (name, value) in values {
                if own.get(name) != Some(value) {
                    own.insert(name.clone(), value.clone());
                    changed = true;
                }
            }
        }
        changed
    }

    /// `with` are these with others beside, or in the place of, them. `None`: more than is kept of one session, or tunnel.
    pub fn with(&self, other: &Self) -> Option<Self> {
        let mut all = self.clone();
        all.put(other);
        (all.count() <= SESSION_NOTES && all.size() <= SESSION_NOTES_BYTES).then_some(all)
    }
}

/// `EACH` is about what a value costs in memory besides its text: `[[],[]]` is short to write and long to hold.
const EACH: usize = 96;

/// `size` is about what a value costs to hold, in bytes; as text it is not longer. It goes as deep as the value does, which a
/// parser has bounded.
pub(super) fn size(value: &Value) -> usize {
    let within = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(all) => all.iter().map(size).sum(),
        Value::Object(all) => all.iter().map(|(name, value)| EACH + name.len() + size(value)).sum(),
    };
    EACH + within
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(plugin: &str, name: &str, value: Value) -> Ext {
        Ext::of(plugin, BTreeMap::from([(name.to_owned(), value)]))
    }

    #[test]
    fn values_stand_under_the_plugin_and_replace_those_of_their_name() {
        let mut all = of("a", "x", json!(1));
        assert!(all.put(&of("a", "y", json!([true]))) && all.put(&of("b", "x", json!("z"))));
        assert!(!all.put(&of("a", "x", json!(1))));
        assert!(all.put(&of("a", "x", json!(2))));
        assert_eq!(
            serde_json::to_value(&all).unwrap_or_default(),
            json!({"a": {"x": 2, "y": [true]}, "b": {"x": "z"}})
        );
        assert!(Ext::of("a", BTreeMap::new()).is_empty());
    }

    #[test]
    fn a_value_costs_what_it_takes_to_hold_however_short_its_text_is() {
        let value = json!({"list": ["some text", {"deep": "more text"}], "n": 1.5});
        assert!(size(&value) > value.to_string().len());
        let nested = Value::Array(vec![json!([]); 1000]);
        assert!(size(&nested) >= 1000 * size_of::<Value>(), "{}", size(&nested));
        assert!(of("a", "name", value.clone()).size() > size(&value));
    }
}
