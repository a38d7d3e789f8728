//! `plugin.toml`: who a plugin is, which keys it reads, and what it asks to be allowed, with a reason for each.
//!
//! It travels inside the component, in the custom section [`crate::MANIFEST_SECTION`], so that a plugin is one file.
//!
//! Whoever reads it is about to decide what the plugin may do, so that its words must not be able to pass for the host's:
//! texts are one line each, cleaned ([`text`]) and of bounded length; what is meant to the letter
//! (keys, binaries, addresses) is refused where a character of it is not seen.
//!
//! ```toml
//! name = "tunnel-bore"                # [a-z][a-z0-9-]{1,63}
//! kind = "tunnel"                     # tunnel | chat | auth
//! version = "0.1.0"                   # semver
//! api = "0.1"                         # the range of nexus:plugin versions it was written for
//! description = "…"
//! authors = ["…"]
//! license = "MIT OR Apache-2.0"       # SPDX
//!
//! [config.server]                     # one table per key of [plugin.NAME.config]
//! type = "string"                     # string | integer | boolean | list (of strings) | table (of strings)
//! default = "bore.pub"                # none and not required: absent
//! required = false
//! one_of = ["…"]                      # for a string: only these
//! secret = false                      # true: not in `config.get`; read as {secret:server}
//! description = "…"
//!
//! [capabilities.process.bore]         # a binary by its file name
//! reason = "…"
//! inherit_env = false                 # true: with the operator's environment
//! env = ["BORE_SECRET", "BORE_*"]     # the environment variables it sets; {config:KEY}: those named in that table
//!
//! [[capabilities.http]]
//! url = "https://api.example.org"     # scheme and host; https://*.example.org; {config:KEY} stands for a key's value
//! reason = "…"
//!
//! [capabilities.store]
//! quota = 1048576                     # bytes
//! reason = "…"
//!
//! [limits]                            # all optional; the host's defaults otherwise
//! memory = 67108864                   # bytes
//! ```

use crate::renamed_keys::{OldKey, Renamed, current};
use crate::text;
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::Spanned;

/// Bytes of the whole text.
pub const MANIFEST_BYTES: usize = 64 * 1024;
/// Bytes of a description, or of a reason.
pub const MANIFEST_SENTENCE: usize = 1024;
/// Bytes of a name, a version, a license, an author, an address.
pub const MANIFEST_WORD: usize = 256;
/// Entries of each list and table: authors, keys, their values, binaries, addresses.
pub const MANIFEST_ENTRIES: usize = 64;
/// What a component of 32 bits can address.
pub const MANIFEST_MEMORY: u64 = 4 << 30;

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
    pub license: String,
    /// The keys of `[plugin.NAME.config]`.
    pub config: BTreeMap<String, ConfigKey>,
    pub capabilities: Capabilities,
    pub limits: Limits,
    /// Keys that are written by their names of the version before.
    #[serde(skip)]
    pub old_keys: Vec<OldKey>,
}

/// The keys that have a new name, the old one of which this version still reads.
const RENAMED: [Renamed; 3] = [
    Renamed::key("", "licence", "license"),
    Renamed::key("config.*", "one-of", "one_of"),
    Renamed::key("capabilities.process.*", "inherit-env", "inherit_env"),
];

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
                "`{}` is not a plugin name: 2 to 64 characters of a-z, 0-9 and -, starting with a letter",
                shown(&text)
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    pub description: String,
}

impl ConfigKey {
    fn check(&self) -> Result<(), String> {
        if self.secret && self.default.is_some() {
            return Err("a secret cannot have a default".to_owned());
        }
        if self.secret && self.kind != ValueType::String {
            return Err(format!("a secret must be a string, but this is {}", self.kind));
        }
        few("one_of", self.one_of.len())?;
        if !self.one_of.is_empty() && self.kind != ValueType::String {
            return Err(format!("`one_of` is for strings, this is {}", self.kind));
        }
        if let Some(hides) = self
            .one_of
            .iter()
            .find(|value| value.len() > MANIFEST_WORD || !seen(value))
        {
            return Err(format!(
                "`one_of` has \"{}\": expected at most {MANIFEST_WORD} bytes without invisible characters",
                shown(hides)
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
                shown(value),
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
            Some(hides) => Err(format!("the default has an invisible character: \"{}\"", shown(hides))),
            None => Ok(()),
        }
    }
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
    #[serde(default)]
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

/// Some of it, for a message: in one line, each character seen.
fn shown(found: &str) -> String {
    let cut: String = found.chars().take(80).collect();
    let cut = if cut.len() < found.len() { cut + "…" } else { cut };
    text::line(&cut).into_owned()
}

/// One line, and nothing in it that is taken for something else.
fn seen(value: &str) -> bool {
    !value.contains(['\n', '\t']) && text::literal(value) == value
}

fn few(what: &str, count: usize) -> Result<(), String> {
    if count > MANIFEST_ENTRIES {
        return Err(format!("{what} has {count} entries; the limit is {MANIFEST_ENTRIES}"));
    }
    Ok(())
}

fn word<'a>(what: &str, value: &'a str) -> Result<&'a str, String> {
    if value.len() > MANIFEST_WORD {
        return Err(format!(
            "{what} has {} bytes; the limit is {MANIFEST_WORD}",
            value.len()
        ));
    }
    Ok(value)
}

fn one_line(value: &mut String, what: &str, most: usize) -> Result<(), String> {
    if value.len() > most {
        return Err(format!("{what} has {} bytes; the limit is {most}", value.len()));
    }
    if let std::borrow::Cow::Owned(clean) = text::line(value) {
        *value = clean;
    }
    Ok(())
}

/// What the reader of TOML says, with the key that was probably meant.
fn explained(message: &str) -> String {
    let message = text::line(message);
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return message.into_owned();
    };
    let mut names = rest.split('`').step_by(2);
    let found = names.next().unwrap_or_default();
    let near = names
        .map(|name| (strsim::damerau_levenshtein(found, name), name))
        .filter(|(distance, _)| *distance <= 2)
        .min();
    match near {
        Some((_, near)) => format!("{message}. Did you mean `{near}`?"),
        None => message.into_owned(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authored {
    name: Name,
    kind: Kind,
    version: Spanned<String>,
    api: Spanned<String>,
    description: String,
    #[serde(default)]
    authors: Vec<String>,
    license: String,
    #[serde(default)]
    config: BTreeMap<String, ConfigKey>,
    #[serde(default)]
    capabilities: Capabilities,
    #[serde(default)]
    limits: Limits,
}

impl Manifest {
    /// Reads, checks and cleans a `plugin.toml`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line where it is one line's.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let nowhere = |message: String| ManifestError { line: None, message };
        if text.len() > MANIFEST_BYTES {
            return Err(nowhere(format!(
                "it has {} bytes; the limit is {MANIFEST_BYTES}",
                text.len()
            )));
        }
        let renamed = current(text, &RENAMED);
        if let Some(both) = renamed.old.iter().find(|key| key.both) {
            return Err(ManifestError {
                line: Some(both.line),
                message: both.to_string(),
            });
        }
        let text = renamed.text.as_ref();
        let line = |at: usize| Some(1 + text.get(..at).unwrap_or(text).matches('\n').count());
        let a: Authored = toml::from_str(text).map_err(|e| ManifestError {
            line: e.span().and_then(|span| line(span.start)),
            message: explained(e.message()),
        })?;
        let at = |written: &Spanned<String>, message: String| ManifestError {
            line: line(written.span().start),
            message,
        };
        let version = Version::parse(word("the version", a.version.get_ref()).map_err(nowhere)?).map_err(|why| {
            let found = shown(a.version.get_ref());
            at(
                &a.version,
                format!("its version is not a semver version: found \"{found}\" ({why}), expected e.g. \"0.1.0\""),
            )
        })?;
        let api = VersionReq::parse(word("the range `api`", a.api.get_ref()).map_err(nowhere)?).map_err(|why| {
            let found = shown(a.api.get_ref());
            at(
                &a.api,
                format!("`api` is not a range of versions: found \"{found}\" ({why}), expected e.g. \"0.1\""),
            )
        })?;
        let mut manifest = Self {
            name: a.name,
            kind: a.kind,
            version,
            api,
            description: a.description,
            authors: a.authors,
            license: a.license,
            config: a.config,
            capabilities: a.capabilities,
            limits: a.limits,
            old_keys: renamed.old,
        };
        manifest.check().map_err(nowhere)?;
        manifest.clean().map_err(nowhere)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        few("authors", self.authors.len())?;
        few("config", self.config.len())?;
        for (name, key) in &self.config {
            let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || name.len() > MANIFEST_WORD || !name.chars().all(bare) {
                return Err(format!(
                    "config.{}: a key can only have the characters a-z, A-Z, 0-9, - and _",
                    shown(name)
                ));
            }
            key.check().map_err(|why| format!("config.{name}: {why}"))?;
        }
        let asked = &self.capabilities;
        few("capabilities.process", asked.process.len())?;
        for binary in asked.process.keys() {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
            if binary.is_empty()
                || binary.len() > MANIFEST_WORD
                || !binary.chars().all(plain)
                || binary.starts_with(['.', '-'])
            {
                return Err(format!(
                    "capabilities.process.\"{}\": expected the file name of a binary, without a path: letters, digits \
                     and . _ + -",
                    shown(binary)
                ));
            }
        }
        few("capabilities.http", asked.http.len())?;
        for request in &asked.http {
            self.check_address(&request.url)
                .map_err(|why| format!("capabilities.http, url = \"{}\": {why}", shown(&request.url)))?;
        }
        if asked.store.as_ref().is_some_and(|store| store.quota == 0) {
            return Err("capabilities.store: a quota of 0 bytes stores nothing; remove the table".to_owned());
        }
        match self.limits.memory {
            Some(memory) if memory == 0 || memory > MANIFEST_MEMORY => Err(format!(
                "limits.memory: {memory} bytes; expected 1 to {MANIFEST_MEMORY}, the most that a component can address"
            )),
            _ => Ok(()),
        }
    }

    /// Its form, and that what it names is there. What a host takes for an address is checked by the host.
    fn check_address(&self, url: &str) -> Result<(), String> {
        if !seen(word("it", url)?) {
            return Err("it has an invisible character".to_owned());
        }
        let mut rest = url;
        while let Some((_, after)) = rest.split_once('{') {
            let (name, after) = after
                .strip_prefix("config:")
                .and_then(|after| after.split_once('}'))
                .ok_or("the only placeholder is {config:KEY}")?;
            rest = after;
            match self.config.get(name) {
                Some(key) if key.secret => return Err(format!("{{config:{name}}} is a secret, not an address")),
                Some(key) if key.kind != ValueType::String => {
                    return Err(format!("{{config:{name}}} is {}, expected a string", key.kind));
                }
                Some(_) => {}
                None => return Err(format!("there is no [config.{name}]; add it, or correct the name")),
            }
        }
        let http = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        if !http && !url.starts_with("{config:") {
            return Err("expected https://HOST, https://*.DOMAIN or {config:KEY}".to_owned());
        }
        Ok(())
    }

    /// What a person reads of it.
    fn clean(&mut self) -> Result<(), String> {
        let asked = &mut self.capabilities;
        let runs = asked.process.iter_mut();
        let runs = runs.map(|(name, request)| (format!("capabilities.process.{name}"), &mut request.reason));
        let calls = asked.http.iter_mut();
        let calls = calls.map(|request| (format!("capabilities.http {}", request.url), &mut request.reason));
        let keeps = asked.store.iter_mut();
        let keeps = keeps.map(|request| ("capabilities.store".to_owned(), &mut request.reason));
        for (what, reason) in runs.chain(calls).chain(keeps) {
            one_line(reason, &format!("the reason of {what}"), MANIFEST_SENTENCE)?;
            if reason.trim().is_empty() {
                return Err(format!(
                    "{what}: the reason is empty; the operator reads it before granting the permission"
                ));
            }
        }
        for (name, key) in &mut self.config {
            one_line(
                &mut key.description,
                &format!("the description of config.{name}"),
                MANIFEST_SENTENCE,
            )?;
        }
        one_line(&mut self.description, "the description", MANIFEST_SENTENCE)?;
        one_line(&mut self.license, "the license", MANIFEST_WORD)?;
        for author in &mut self.authors {
            one_line(author, "an author", MANIFEST_WORD)?;
        }
        Ok(())
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
#[path = "manifest_tests.rs"]
mod tests;
