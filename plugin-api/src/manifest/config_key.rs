//! `[config.KEY]`: a key of the plugin's configuration, its type and what it may be.

use super::bounds::{MANIFEST_WORD, check_count, excerpt, is_visible};
use crate::text;
use serde::{Deserialize, Serialize};

/// `ConfigKey` is one key of the plugin's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigKey {
    /// `kind` is the type of its value: `type` in the file.
    #[serde(rename = "type")]
    pub kind: ValueType,
    /// `default` is its value where the operator writes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<toml::Value>,
    /// `required`: the operator has to write it.
    #[serde(default)]
    pub required: bool,
    /// `secret`: it is given in `[plugin.NAME.secrets]`, not in `.config`; the plugin refers to it and does not read
    /// it.
    #[serde(default)]
    pub secret: bool,
    /// `one_of` are the only values, for a string; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    /// `description` says what it is for.
    pub description: String,
}

impl ConfigKey {
    /// Checks that its fields fit each other.
    ///
    /// # Errors
    /// Which of them do not.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.secret && self.default.is_some() {
            return Err("a secret cannot have a default".to_owned());
        }
        if self.secret && self.kind != ValueType::String {
            return Err(format!("a secret must be a string, but this is {}", self.kind));
        }
        check_count("one_of", self.one_of.len())?;
        if !self.one_of.is_empty() && self.kind != ValueType::String {
            return Err(format!("`one_of` is for strings, this is {}", self.kind));
        }
        if let Some(hides) = self
            .one_of
            .iter()
            .find(|value| value.len() > MANIFEST_WORD || !is_visible(value))
        {
            return Err(format!(
                "`one_of` has \"{}\": expected at most {MANIFEST_WORD} bytes without invisible characters",
                excerpt(hides)
            ));
        }
        let Some(default) = &self.default else { return Ok(()) };
        if self.required {
            return Err("a required key cannot have a default; remove one of the two".to_owned());
        }
        if !self.kind.admits(default) {
            return Err(format!("the default is {}, expected {}", default.type_str(), self.kind));
        }
        let allowed = |value: &str| self.one_of.is_empty() || self.one_of.iter().any(|one| one == value);
        if let Some(value) = default.as_str().filter(|value| !allowed(value)) {
            return Err(format!(
                "the default \"{}\" is none of `one_of`: {}",
                excerpt(value),
                self.one_of.join(", ")
            ));
        }
        let texts: Vec<&str> = match default {
            toml::Value::Array(items) => items.iter().filter_map(toml::Value::as_str).collect(),
            toml::Value::Table(items) => items
                .iter()
                .flat_map(|(key, value)| [Some(key.as_str()), value.as_str()])
                .flatten()
                .collect(),
            other => other.as_str().into_iter().collect(),
        };
        match texts.iter().find(|value| text::prose(value) != **value) {
            Some(hides) => Err(format!(
                "the default has an invisible character: \"{}\"",
                excerpt(hides)
            )),
            None => Ok(()),
        }
    }
}

/// `ValueType` is the type of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// `String` is a text.
    String,
    /// `Integer` is a whole number of 64 bits.
    Integer,
    /// `Boolean` is true or false.
    Boolean,
    /// `List` is one of strings.
    List,
    /// `Table` has strings by name.
    Table,
}

impl ValueType {
    /// Tells whether a value of the configuration has this type.
    pub fn admits(self, value: &toml::Value) -> bool {
        use toml::Value;
        match (self, value) {
            (Self::String, Value::String(_))
            | (Self::Integer, Value::Integer(_))
            | (Self::Boolean, Value::Boolean(_)) => true,
            (Self::List, Value::Array(items)) => items.iter().all(Value::is_str),
            (Self::Table, Value::Table(items)) => items.values().all(Value::is_str),
            _ => false,
        }
    }
}

impl std::fmt::Display for ValueType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Boolean => "true or false",
            Self::List => "a list of strings",
            Self::Table => "a table of strings",
        })
    }
}
