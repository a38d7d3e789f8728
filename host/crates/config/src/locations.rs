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

/// `with_file` completes a text that gives lines to paste: it says into which file, and how that begins where there is none yet.
pub fn with_file(text: &str, file: Option<&Path>) -> String {
    // Each message that does begins with the table.
    let pastes = ["[plugin.", "[tunnel.", "[chat.", "[web]", "[auth]", "[log]", "[notify]"];
    let Some(file) = file.map(Path::to_owned).or_else(default_place) else {
        return text.to_owned();
    };
    if !pastes.iter().any(|table| text.contains(table)) || text.contains(&*file.to_string_lossy()) {
        return text.to_owned();
    }
    let first = if file.exists() {
        String::new()
    } else {
        format!(", which does not exist yet: start it with the line config_version = {CONFIG_VERSION}")
    };
    format!("{}\nAdd these lines to {}{first}", text.trim_end(), file.display())
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
