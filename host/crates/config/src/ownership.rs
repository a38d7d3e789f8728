//! Whether others of this machine can write what is obeyed or run: a configuration, a component, a program that a plugin may
//! start. As OpenSSH asks of its keys, and for the same reason: what it says would be theirs.

use crate::diagnostic::Diagnostic;
use crate::toml_reader::Located;
use std::fs::Metadata;
use std::path::Path;

/// `writers` says who besides its owner can write this. In a folder with the sticky bit (as `/tmp`) others cannot
/// replace our file.
#[cfg(unix)]
fn writers(meta: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    let sticky = meta.is_dir() && meta.mode() & 0o1000 != 0;
    match meta.mode() {
        _ if sticky => None,
        mode if mode & 0o002 != 0 => Some("every user of this machine"),
        mode if mode & 0o020 != 0 => Some("its whole group"),
        _ => None,
    }
}

#[cfg(not(unix))]
fn writers(_: &Metadata) -> Option<&'static str> {
    None
}

/// `problem` is that others can write the file that the configuration names `at` this place, and `does` what it is used for.
/// One that is not there is nobody's.
pub(super) fn problem(at: &Located<String>, file: &Path, does: &str) -> Option<Diagnostic> {
    let who = writers(&file.metadata().ok()?)?;
    Some(
        at.problem(format!("{who} can change {}, and {does}", file.display()))
            .fix(format!("run `chmod go-w {}`", file.display())),
    )
}

/// Tells whether a file of `owner` is another user's to one who runs as `me`. What is root's can be changed by root
/// alone, which needs no file for that.
#[cfg(unix)]
pub fn is_of_another(owner: u32, me: u32) -> bool {
    owner != me && owner != 0
}

/// Checks that a configuration is its operator's alone: what is in it is allowed, to plugins and so to whoever can
/// write it. Its folder counts as well, since who writes there can put another file in its place.
///
/// # Errors
/// What is wrong, and the command that corrects it.
#[cfg(unix)]
pub fn is_ours(file: &Path) -> Result<(), (String, String)> {
    use std::os::unix::fs::MetadataExt as _;
    let me = rustix::process::geteuid().as_raw();
    for path in std::iter::once(file).chain(file.parent()) {
        let Ok(meta) = path.metadata() else { continue };
        let shown = path.display();
        if path == file && is_of_another(meta.uid(), me) {
            return Err((
                format!(
                    "{shown} belongs to the user {}, who can change it and grant plugins any permission, but Nexus \
                     runs as {me}",
                    meta.uid()
                ),
                format!("run `chown {me} {shown}`"),
            ));
        }
        if let Some(who) = writers(&meta) {
            return Err((
                format!(
                    "{shown} has mode {:03o}: {who} can change it and grant plugins any permission",
                    meta.mode() & 0o777
                ),
                format!("run `chmod go-w {shown}`"),
            ));
        }
    }
    Ok(())
}

/// Accepts every file: elsewhere there is no mode to check.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn is_ours(_: &Path) -> Result<(), (String, String)> {
    Ok(())
}
