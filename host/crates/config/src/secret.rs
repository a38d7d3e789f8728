//! Secrets: where a key says that one lies, and reading it from there. No message here holds a secret, or a part of one.

use crate::diagnostic::Diagnostic;
use crate::toml_reader::{Findings, Located, Table};
use nexus_files::bounded;
use nexus_model::limits;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// `Secret` is a value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// `new` hides a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// `reveal` is the value, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// `SecretSource` is where a secret lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretSource {
    Env(String),
    File(String),
}

/// `sources` reads `[plugin.NAME.secrets]`: each name with the place of its secret.
pub(super) fn sources(t: &mut Table<'_, '_>, findings: &mut Findings) -> Vec<(String, Located<SecretSource>)> {
    let mut all = Vec::new();
    for (Located { value: name, .. }, value) in t.values("secrets", findings) {
        let key = value.key.clone();
        let written = value.value.as_table().map(|t| t.iter().collect::<Vec<_>>());
        let source = match written.as_deref() {
            Some([(kind, toml::Value::String(of))]) if !of.is_empty() && kind.as_str() == "env" => {
                Some(SecretSource::Env(of.clone()))
            }
            Some([(kind, toml::Value::String(of))]) if !of.is_empty() && kind.as_str() == "file" => {
                Some(SecretSource::File(of.clone()))
            }
            _ => None,
        };
        match source {
            Some(source) => all.push((name, value.map(|_| source))),
            None => findings.push(
                // The value itself is not shown: it may be the secret.
                Located {
                    value: (),
                    span: value.span.start..value.span.start,
                    key: key.clone(),
                }
                .problem(format!("`{key}` does not say where the secret is"))
                .hide_value()
                .found(match value.value.type_str() {
                    kind @ ("array" | "integer") => format!("an {kind}"),
                    kind => format!("a {kind}"),
                })
                .expected("{ env = \"VARIABLE\" } or { file = \"path\" }")
                .fix(
                    "a secret must not be in this file itself; put it into a file with mode 600 and give the path of \
                    that file",
                ),
            ),
        }
    }
    all
}

/// `read` reads the secret from its place.
///
/// # Errors
/// Why there is no secret, with what to do.
pub(super) fn read(
    source: &Located<SecretSource>,
    absolute: &dyn Fn(&str) -> PathBuf,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, Box<Diagnostic>> {
    match &source.value {
        SecretSource::Env(name) => match env(name) {
            Some(value) if !value.is_empty() => Ok(Secret::new(value)),
            found => Err(Box::new(
                source
                    .problem(format!(
                        "the environment variable {name} is {}",
                        if found.is_some() { "empty" } else { "not set" }
                    ))
                    .fix(
                        "set it in the environment of Nexus (not on a command line, which others can read) and \
                         restart Nexus, or use { file = \"path\" }",
                    ),
            )),
        },
        SecretSource::File(written) => {
            let path = absolute(written);
            from_file(&path).map_err(|Unusable { cause, found, fix }| {
                let refused = source.problem(format!("the secret file {} {cause}", path.display()));
                let expected = "a regular file that only its owner can read, containing the secret";
                let refused = refused.expected(expected).fix(fix);
                Box::new(match found {
                    Some(found) => refused.found(found),
                    None => refused,
                })
            })
        }
    }
}

/// Why a file gives no secret.
struct Unusable {
    /// What follows the path.
    cause: String,
    found: Option<String>,
    fix: String,
}

fn from_file(path: &Path) -> Result<Secret, Unusable> {
    let name = path.display();
    let because = |cause: String| Unusable {
        cause,
        found: None,
        fix: format!("write the secret into it, then run `chmod 600 {name}`"),
    };
    // Mode and content come from the same open file: it cannot be exchanged in between.
    let file = bounded::open(path).map_err(|e| {
        if path.exists() {
            return because(format!("cannot be opened: {e}"));
        }
        Unusable {
            cause: "does not exist".to_owned(),
            found: None,
            fix: format!("create it with the secret as its content, then run `chmod 600 {name}`"),
        }
    })?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let meta = file.metadata().map_err(|e| because(format!("cannot be read: {e}")))?;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let who = if mode & 0o007 != 0 {
                "every user of this machine"
            } else {
                "its whole group"
            };
            return Err(Unusable {
                cause: format!("can be read by {who} (mode {mode:03o})"),
                found: None,
                fix: format!("run `chmod 600 {name}`, and change the secret if another user may have read it"),
            });
        }
    }
    let mut text = String::new();
    file.take(limits::SECRET_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|e| because(format!("cannot be read as text: {e}")))?;
    if text.len() as u64 > limits::SECRET_BYTES {
        return Err(Unusable {
            cause: "is too long".to_owned(),
            found: Some(format!("more than {} bytes", limits::SECRET_BYTES)),
            fix: "use a file that contains only the secret".to_owned(),
        });
    }
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(because("is empty".to_owned()));
    }
    Ok(Secret::new(secret))
}
