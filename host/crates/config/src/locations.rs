//! Where the configuration lies, and which path a written one means.

use crate::version::CONFIG_VERSION;
use std::path::{Component, Path, PathBuf};

/// `xdg` is a base directory of the user: the variable where it is absolute, else its place below the home directory.
pub(crate) fn xdg(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p: &PathBuf| p.is_absolute())
    };
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))
}

/// `default_place` is where the configuration lies when none is named: `nexus/nexus.toml` in the user's configuration home.
pub fn default_place() -> Option<PathBuf> {
    Some(xdg("XDG_CONFIG_HOME", ".config")?.join("nexus/nexus.toml"))
}

/// `in_table` is a fix that sets a key of a table which the configuration has already: its header, pasted again, would be an error.
pub fn in_table(table: &str, line: &str) -> String {
    format!("set `{line}` in the existing table [{table}] in the configuration")
}

/// `APPLY` is what a change of the configuration waits for.
pub const APPLY: &str = "choose Apply on the status page or restart Nexus";
/// `THEN_APPLY` is the same behind the change.
pub const THEN_APPLY: &str = "then choose Apply on the status page or restart Nexus";

/// `adding` is a fix that adds lines to the configuration.
pub fn adding(lines: &str) -> String {
    format!("add these lines to the configuration, {THEN_APPLY}:\n{lines}")
}

/// `with_file` completes a text that gives lines for the configuration: it names the file, and how that begins where there is
/// none yet, and how the lines become active.
pub fn with_file(text: &str, file: Option<&Path>) -> String {
    // Each message that does names the table.
    let pastes = [
        "[plugin.",
        "[tunnel.",
        "[chat.",
        "[web]",
        "[auth]",
        "[log]",
        "[metrics]",
        "[notify]",
    ];
    let Some(file) = file.map(Path::to_owned).or_else(default_place) else {
        return text.to_owned();
    };
    if !pastes.iter().any(|table| text.contains(table)) || text.contains(&*file.to_string_lossy()) {
        return text.to_owned();
    }
    let mut name = file.display().to_string();
    if !file.exists() {
        name.push_str(&format!(
            " (create this file, with `config_version = {CONFIG_VERSION}` as its first line)"
        ));
    }
    // Whoever wrote the text may have said already what comes after.
    let known = ["on the status page", "estart Nexus", "then run"];
    let then = match known.iter().any(|then| text.contains(then)) {
        true => String::new(),
        false => format!(", {THEN_APPLY}"),
    };
    for place in ["to the configuration", "in the configuration"] {
        let (preposition, _) = place.split_once(' ').unwrap_or_default();
        if text.contains(place) {
            return text.replacen(place, &format!("{preposition} {name}{then}"), 1);
        }
    }
    match text.strip_prefix('[') {
        Some(_) => format!("add these lines to {name}{then}:\n{text}"),
        // As a plugin of others may say it.
        None => {
            let then = if then.is_empty() {
                then
            } else {
                format!("; after a change, {APPLY}")
            };
            format!("{}\nThe configuration file is {name}{then}.", text.trim_end())
        }
    }
}

/// `default_file` is the file that is used when none is named, if it exists.
///
/// Never one in the current directory: that is the workspace, where the agent writes, and a file of its making could
/// grant a plugin anything at the next start.
pub fn default_file() -> Option<PathBuf> {
    default_place().filter(|p| p.exists())
}

/// `absolute` is `path` from `base` on, without `.` and `..`, and without asking the disk: a path that does not exist yet has one too.
pub(crate) fn absolute(base: &Path, path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}
