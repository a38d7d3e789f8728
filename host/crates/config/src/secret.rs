//! Reads what a `[plugin.NAME.secrets]` key names. No message here holds a secret, or a part of one.

use super::authored::SecretSource;
use super::diagnostic::Diagnostic;
use super::read::Located;
use super::resolved::Secret;
use nexus_model::limits;
use std::io::Read as _;
use std::path::{Path, PathBuf};

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
            found => Err(Box::new(source
                .problem(format!("the variable {name} holds no secret"))
                .found(if found.is_some() { "it is empty" } else { "it is not set" })
                .expected("the secret as its value")
                .fix(format!("set it where Nexus is started, or use a file: {{ file = \"path\" }}, not {name}=… in a command line that others can read")))),
        },
        SecretSource::File(written) => {
            let path = absolute(written);
            from_file(&path).map_err(|(found, fix)| {
                let refused = source.problem(format!("the secret file {} is refused", path.display()));
                let expected = "a regular file that only its owner can read, with the secret in it";
                Box::new(refused.found(found).expected(expected).fix(fix))
            })
        }
    }
}

/// (found, fix)
fn from_file(path: &Path) -> Result<Secret, (String, String)> {
    let make = || format!("write the secret into it, then run: chmod 600 {}", path.display());
    // Mode and content come from the same open file: it cannot be exchanged in between.
    let file = super::file::open(path).map_err(|e| (format!("it cannot be opened: {e}"), make()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let meta = file
            .metadata()
            .map_err(|e| (format!("it cannot be looked at: {e}"), make()))?;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let who = if mode & 0o007 != 0 {
                "every user of this machine"
            } else {
                "its whole group"
            };
            return Err((
                format!("mode {mode:03o}: {who} has access"),
                format!(
                    "run: chmod 600 {}\nand change the secret if somebody else may have read it",
                    path.display()
                ),
            ));
        }
    }
    let mut text = String::new();
    file.take(limits::SECRET_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|e| (format!("it cannot be read as text: {e}"), make()))?;
    if text.len() as u64 > limits::SECRET_BYTES {
        return Err((
            format!("more than {} bytes", limits::SECRET_BYTES),
            "name a file that holds the secret alone".to_owned(),
        ));
    }
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(("it is empty".to_owned(), make()));
    }
    Ok(Secret::new(secret))
}
