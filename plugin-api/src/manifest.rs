//! `plugin.toml`: who a plugin is, which keys it reads, and what it asks to be allowed, with a reason for each.
//!
//! It travels inside the component, in the custom section [`crate::MANIFEST_SECTION`], so that a plugin is one file.
//!
//! ```toml
//! name = "tunnel-bore"                # [a-z][a-z0-9-]{1,63}
//! kind = "tunnel"                     # tunnel | chat | auth
//! version = "0.1.0"                   # semver
//! api = "0.1"                         # the range of nexus:plugin versions it was written for
//! description = "…"
//! authors = ["…"]
//! licence = "MIT OR Apache-2.0"
//!
//! [config.server]                     # one table per key of [plugin.NAME.config]
//! type = "string"                     # string | integer | boolean | list (of strings) | table (of strings)
//! default = "bore.pub"                # none and not required: absent
//! required = false
//! secret = false                      # true: not in `config.get`; read as {secret:server}
//! description = "…"
//!
//! [capabilities.process.bore]         # a binary by name
//! reason = "…"
//! inherit-env = false
//! env = ["BORE_SECRET", "BORE_*"]     # the environment variables it sets; {config:KEY}: those named in that table
//!
//! [[capabilities.http]]
//! url = "https://api.example.org"     # scheme and host; {config:KEY} may stand for a key's value
//! reason = "…"
//!
//! [capabilities.store]
//! quota = 1048576                     # bytes
//! reason = "…"
//!
//! [limits]                            # all optional; the host's defaults otherwise
//! memory = 67108864                   # bytes
//! ```

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A checked `plugin.toml`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    pub name: Name,
    pub kind: Kind,
    pub version: Version,
    /// The versions of `nexus:plugin` it was written for.
    pub api: VersionReq,
    pub description: String,
    pub authors: Vec<String>,
    pub licence: String,
    /// The keys of `[plugin.NAME.config]`.
    pub config: BTreeMap<String, ConfigKey>,
    pub capabilities: Capabilities,
    pub limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Auth,
    Chat,
    Tunnel,
}

impl Kind {
    /// The interface that a plugin of this kind must export, without its version.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Auth => "nexus:plugin/auth",
            Self::Chat => "nexus:plugin/chat",
            Self::Tunnel => "nexus:plugin/tunnel",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auth => "auth",
            Self::Chat => "chat",
            Self::Tunnel => "tunnel",
        })
    }
}

/// A plugin's name: `[a-z][a-z0-9-]{1,63}`. Safe as a file name, a TOML key and a part of a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let mut chars = text.chars();
        let fits = (2..=64).contains(&text.len())
            && chars.next().is_some_and(|c| c.is_ascii_lowercase())
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if fits {
            Ok(Self(text))
        } else {
            Err(format!(
                "`{text}` is not a plugin name: 2 to 64 of a-z, 0-9 and -, a letter first"
            ))
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One key of the plugin's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigKey {
    #[serde(rename = "type")]
    pub kind: ValueType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<toml::Value>,
    #[serde(default)]
    pub required: bool,
    /// Given in `[plugin.NAME.secrets]`, not in `.config`; the plugin refers to it and does not read it.
    #[serde(default)]
    pub secret: bool,
    /// Only these values, for a string.
    #[serde(default, rename = "one-of", skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    pub description: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    String,
    Integer,
    Boolean,
    /// Of strings.
    List,
    /// String to string.
    Table,
}

impl ValueType {
    /// Whether a value of the configuration has this type.
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

/// What the plugin asks to be allowed. What it gets is this ∩ the operator's grants.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// By the binary's name.
    #[serde(default)]
    pub process: BTreeMap<String, ProcessRequest>,
    #[serde(default)]
    pub http: Vec<HttpRequest>,
    #[serde(default)]
    pub store: Option<StoreRequest>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessRequest {
    pub reason: String,
    /// Wants to start with the operator's environment.
    #[serde(default, rename = "inherit-env")]
    pub inherit_env: bool,
    /// The environment variables that it sets: `NAME`; `PREFIX_*`; `{config:KEY}` for the names that the operator wrote into
    /// that table. It may set no other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// Scheme and host: `https://api.example.org`, `https://*.example.org`, `{config:KEY}`.
    pub url: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreRequest {
    /// Bytes over all keys and values.
    pub quota: u64,
    pub reason: String,
}

/// What the plugin needs beyond the host's defaults. The operator may set less or more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// Why a text is not a manifest: where, what was found, what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// Starts at 1; none where the problem is no line's.
    pub line: Option<usize>,
    pub message: String,
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "plugin.toml, line {line}: {}", self.message),
            None => write!(f, "plugin.toml: {}", self.message),
        }
    }
}

impl std::error::Error for ManifestError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authored {
    name: Name,
    kind: Kind,
    version: Version,
    api: VersionReq,
    description: String,
    #[serde(default)]
    authors: Vec<String>,
    licence: String,
    #[serde(default)]
    config: BTreeMap<String, ConfigKey>,
    #[serde(default)]
    capabilities: Capabilities,
    #[serde(default)]
    limits: Limits,
}

impl Manifest {
    /// Reads and checks a `plugin.toml`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let a: Authored = toml::from_str(text).map_err(|e| ManifestError {
            line: e
                .span()
                .map(|span| 1 + text.get(..span.start).unwrap_or(text).matches('\n').count()),
            message: e.message().to_owned(),
        })?;
        let refuse = |message: String| Err(ManifestError { line: None, message });
        for (name, key) in &a.config {
            if key.secret && key.default.is_some() {
                return refuse(format!("config.{name}: a secret has no default"));
            }
            if key.secret && key.kind != ValueType::String {
                return refuse(format!("config.{name}: a secret is a string, this says {}", key.kind));
            }
            if let Some(default) = &key.default {
                if key.required {
                    return refuse(format!(
                        "config.{name}: a required key has no default; leave out one of the two"
                    ));
                }
                if !key.kind.admits(default) {
                    return refuse(format!(
                        "config.{name}: the default is {}, expected {}",
                        default.type_str(),
                        key.kind
                    ));
                }
            }
            if !key.one_of.is_empty() && key.kind != ValueType::String {
                return refuse(format!("config.{name}: `one-of` is for strings, this is {}", key.kind));
            }
        }
        let reasons = a
            .capabilities
            .process
            .iter()
            .map(|(n, p)| (format!("process.{n}"), &p.reason));
        let reasons = reasons.chain(
            a.capabilities
                .http
                .iter()
                .map(|h| (format!("http {}", h.url), &h.reason)),
        );
        let reasons = reasons.chain(a.capabilities.store.iter().map(|s| ("store".to_owned(), &s.reason)));
        for (what, reason) in reasons {
            if reason.trim().is_empty() {
                return refuse(format!(
                    "capabilities.{what}: the reason is empty; the operator reads it before granting"
                ));
            }
        }
        Ok(Self {
            name: a.name,
            kind: a.kind,
            version: a.version,
            api: a.api,
            description: a.description,
            authors: a.authors,
            licence: a.licence,
            config: a.config,
            capabilities: a.capabilities,
            limits: a.limits,
        })
    }

    /// Names of the secrets it asks for.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.config
            .iter()
            .filter(|(_, key)| key.secret)
            .map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const BORE: &str = r#"
name = "tunnel-x"
kind = "tunnel"
version = "0.1.0"
api = "0.1"
description = "A tunnel"
licence = "MIT"

[config.server]
type = "string"
default = "x.example"
description = "Where"

[config.token]
type = "string"
secret = true
description = "What the server wants"

[capabilities.process.x]
reason = "It is the tunnel."
"#;

    #[test]
    fn a_manifest_is_read() {
        let m = Manifest::parse(BORE).unwrap();
        assert_eq!((m.name.as_str(), m.kind), ("tunnel-x", Kind::Tunnel));
        assert!(m.api.matches(&Version::new(0, 1, 7)) && !m.api.matches(&Version::new(0, 2, 0)));
        assert_eq!(m.secrets().collect::<Vec<_>>(), ["token"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (from, to, expected) in [
            (
                "kind = \"tunnel\"",
                "kind = \"tunel\"",
                "plugin.toml, line 3: unknown variant `tunel`",
            ),
            (
                "name = \"tunnel-x\"",
                "name = \"../x\"",
                "line 2: `../x` is not a plugin name",
            ),
            (
                "default = \"x.example\"",
                "default = 7",
                "config.server: the default is integer, expected a string",
            ),
            (
                "secret = true",
                "secret = true\ndefault = \"x\"",
                "config.token: a secret has no default",
            ),
            (
                "reason = \"It is the tunnel.\"",
                "reason = \" \"",
                "capabilities.process.x: the reason is empty",
            ),
            ("[config.server]", "[confg.server]", "unknown field `confg`"),
        ] {
            let text = BORE.replace(from, to);
            let error = Manifest::parse(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
