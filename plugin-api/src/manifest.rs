//! `plugin.toml`: who a plugin is, which keys it reads, and what it asks to be allowed, with a reason for each.
//!
//! It travels inside the component, in the custom section [`crate::MANIFEST_SECTION`], so that a plugin is one file.
//!
//! Whoever reads it is about to decide what the plugin may do, so that its words must not be able to pass for the host's:
//! texts are one line each, cleaned ([`text`](crate::text)) and of bounded length; what is meant to the letter
//! (keys, binaries, addresses) is refused where a character of it is not seen.
//!
//! ```toml
//! manifest = 1                        # the version of this format
//! name = "tunnel-bore"                # [a-z][a-z0-9-]{1,63}
//! kind = "tunnel"                     # tunnel | chat | auth
//! version = "0.1.0"                   # semver
//! api = "0.2"                         # the range of nexus:plugin versions it was written for
//! description = "…"
//! authors = ["…"]
//! license = "MIT OR Apache-2.0"       # SPDX
//! homepage = "https://…"              # optional, as `repository`
//! repository = "https://…"
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
//!
//! Each request of a capability may have `optional = true`: the plugin works without it. Which keys a host may not know is in
//! the private module `format`: what describes is ignored, what asks for a permission is not.

mod bounds;
mod config_key;
mod error;
mod format;
mod requests;
mod unknown_key;

use crate::renamed_keys::{OldKey, Renamed, current};
use bounds::{check_count, check_length, clean_line, excerpt, is_visible};
use error::with_suggestion;
use format::{fields, without_unknown, written_format};
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::DeTable;

pub use bounds::{MANIFEST_BYTES, MANIFEST_ENTRIES, MANIFEST_MEMORY, MANIFEST_SENTENCE, MANIFEST_WORD};
pub use config_key::{ConfigKey, ValueType};
pub use error::ManifestError;
pub use format::MANIFEST_FORMAT;
pub use requests::{Capabilities, HttpRequest, Limits, ProcessRequest, StoreRequest};
pub use unknown_key::UnknownKey;

/// `Manifest` is a checked `plugin.toml`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// `format` is the version of the format as it is written. `None`: it is not, and [`MANIFEST_FORMAT`] is read.
    #[serde(rename = "manifest")]
    pub format: Option<u32>,
    /// `name` is what the author calls the plugin; an operator may give it another name.
    pub name: Name,
    /// `kind` is what it serves.
    pub kind: Kind,
    /// `version` is the plugin's own.
    pub version: Version,
    /// `api` are the versions of `nexus:plugin` it was written for.
    pub api: VersionReq,
    /// `description` says in one sentence what the plugin does.
    pub description: String,
    /// `authors` may have addresses in angle brackets.
    pub authors: Vec<String>,
    /// `license` is an SPDX expression.
    pub license: String,
    /// `homepage` is an address for people, if the author names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// `repository` is where the sources are, if the author names that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// `config` are the keys of `[plugin.NAME.config]`.
    pub config: BTreeMap<String, ConfigKey>,
    /// `capabilities` are what it asks to be allowed.
    pub capabilities: Capabilities,
    /// `limits` are what it needs beyond the host's defaults.
    pub limits: Limits,
    /// `old_keys` are keys that are written by their names of the version before.
    #[serde(skip)]
    pub old_keys: Vec<OldKey>,
    /// `ignored` are keys that describe and that this version does not know.
    #[serde(skip)]
    pub ignored: Vec<UnknownKey>,
    /// `unavailable` are optional requests of permissions that this version does not know: the plugin goes without.
    #[serde(skip)]
    pub unavailable: Vec<UnknownKey>,
}

/// `RENAMED` are the keys that have a new name, the old one of which this version still reads.
const RENAMED: [Renamed; 3] = [
    Renamed::key("", "licence", "license"),
    Renamed::key("config.*", "one-of", "one_of"),
    Renamed::key("capabilities.process.*", "inherit-env", "inherit_env"),
];

/// `Kind` is what a plugin serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `Auth` logs people in.
    Auth,
    /// `Chat` is the backend of a chat.
    Chat,
    /// `Tunnel` opens a public address.
    Tunnel,
}

impl Kind {
    /// `interface` is the one that a plugin of this kind must export, without its version.
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

/// `Name` is a plugin's name: `[a-z][a-z0-9-]{1,63}`. It is safe as a file name, a TOML key and a part of a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// `as_str` is the name as it is written.
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
                excerpt(&text)
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

/// Checks the address of a page for people.
fn check_page(url: &str) -> Result<(), String> {
    if !is_visible(check_length("it", url)?) || url.contains(' ') {
        return Err("it has a blank or an invisible character".to_owned());
    }
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    match rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric())) {
        true => Ok(()),
        false => Err("expected https://HOST/…".to_owned()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authored {
    #[serde(default)]
    manifest: Option<u32>,
    name: Name,
    kind: Kind,
    version: Spanned<String>,
    api: Spanned<String>,
    description: String,
    #[serde(default)]
    authors: Vec<String>,
    license: String,
    #[serde(default)]
    homepage: Option<String>,
    #[serde(default)]
    repository: Option<String>,
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
        let line = |at: usize| 1 + text.get(..at).unwrap_or(text).matches('\n').count();
        let located = |e: toml::de::Error| ManifestError {
            line: e.span().map(|span| line(span.start)),
            message: with_suggestion(e.message()),
        };
        let mut written = DeTable::parse(text).map_err(located)?;
        written_format(written.get_ref(), &line)?;
        let unknown = without_unknown(written.get_mut(), fields::<Authored>(), &line)?;
        let a = Authored::deserialize(toml::de::Deserializer::from(written))
            .map_err(|e| located(e).explained_by(&unknown.ignored))?;
        let at = |written: &Spanned<String>, message: String| ManifestError {
            line: Some(line(written.span().start)),
            message,
        };
        let version =
            Version::parse(check_length("the version", a.version.get_ref()).map_err(nowhere)?).map_err(|why| {
                let found = excerpt(a.version.get_ref());
                at(
                    &a.version,
                    format!("its version is not a semver version: found \"{found}\" ({why}), expected e.g. \"0.1.0\""),
                )
            })?;
        let api =
            VersionReq::parse(check_length("the range `api`", a.api.get_ref()).map_err(nowhere)?).map_err(|why| {
                let found = excerpt(a.api.get_ref());
                at(
                    &a.api,
                    format!("`api` is not a range of versions: found \"{found}\" ({why}), expected e.g. \"0.2\""),
                )
            })?;
        let mut manifest = Self {
            format: a.manifest,
            name: a.name,
            kind: a.kind,
            version,
            api,
            description: a.description,
            authors: a.authors,
            license: a.license,
            homepage: a.homepage,
            repository: a.repository,
            config: a.config,
            capabilities: a.capabilities,
            limits: a.limits,
            old_keys: renamed.old,
            ignored: unknown.ignored,
            unavailable: unknown.unavailable,
        };
        manifest.check().map_err(nowhere)?;
        manifest.clean_texts().map_err(nowhere)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        check_count("authors", self.authors.len())?;
        let pages = [("homepage", &self.homepage), ("repository", &self.repository)];
        for (key, page) in pages {
            if let Some(page) = page {
                check_page(page).map_err(|why| format!("{key} = \"{}\": {why}", excerpt(page)))?;
            }
        }
        check_count("config", self.config.len())?;
        for (name, key) in &self.config {
            let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || name.len() > MANIFEST_WORD || !name.chars().all(bare) {
                return Err(format!(
                    "config.{}: a key can only have the characters a-z, A-Z, 0-9, - and _",
                    excerpt(name)
                ));
            }
            key.check().map_err(|why| format!("config.{name}: {why}"))?;
        }
        let asked = &self.capabilities;
        check_count("capabilities.process", asked.process.len())?;
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
                    excerpt(binary)
                ));
            }
        }
        check_count("capabilities.http", asked.http.len())?;
        for request in &asked.http {
            self.check_address(&request.url)
                .map_err(|why| format!("capabilities.http, url = \"{}\": {why}", excerpt(&request.url)))?;
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

    /// Checks the form of an address, and that what it names is there. What a host takes for an address is checked by
    /// the host.
    fn check_address(&self, url: &str) -> Result<(), String> {
        if !is_visible(check_length("it", url)?) {
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
        let http = ["http://", "https://", "http+unix://"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        if !http && !url.starts_with("{config:") {
            return Err("expected https://HOST, https://*.DOMAIN, http+unix://%2FPATH or {config:KEY}".to_owned());
        }
        Ok(())
    }

    /// Cleans what a person reads of it.
    fn clean_texts(&mut self) -> Result<(), String> {
        let asked = &mut self.capabilities;
        let runs = asked.process.iter_mut();
        let runs = runs.map(|(name, request)| (format!("capabilities.process.{name}"), &mut request.reason));
        let calls = asked.http.iter_mut();
        let calls = calls.map(|request| (format!("capabilities.http {}", request.url), &mut request.reason));
        let keeps = asked.store.iter_mut();
        let keeps = keeps.map(|request| ("capabilities.store".to_owned(), &mut request.reason));
        for (what, reason) in runs.chain(calls).chain(keeps) {
            clean_line(reason, &format!("the reason of {what}"), MANIFEST_SENTENCE)?;
            if reason.trim().is_empty() {
                return Err(format!(
                    "{what}: the reason is empty; the operator reads it before granting the permission"
                ));
            }
        }
        for (name, key) in &mut self.config {
            clean_line(
                &mut key.description,
                &format!("the description of config.{name}"),
                MANIFEST_SENTENCE,
            )?;
        }
        clean_line(&mut self.description, "the description", MANIFEST_SENTENCE)?;
        clean_line(&mut self.license, "the license", MANIFEST_WORD)?;
        for author in &mut self.authors {
            clean_line(author, "an author", MANIFEST_WORD)?;
        }
        Ok(())
    }

    /// `secrets` are the names of the secrets it asks for.
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
