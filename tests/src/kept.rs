//! The components of released versions, which are kept as files: `tests/components`.

use crate::binary::binary;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `KEPT` are the plugins of `tests/guests` that are kept: one of each kind.
pub const KEPT: [&str; 3] = ["core-chat", "hostile-auth", "hostile-tunnel"];

/// `Lock` is `lock.toml` of a version.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// `released`: the files are what somebody has, and never written again.
    pub released: bool,
    /// `commit` is that of the sources they were built from.
    pub commit: String,
    /// `component` has the SHA-256 of each file, in hexadecimal.
    pub component: BTreeMap<String, String>,
}

/// `Version` is a version with its components.
#[derive(Debug)]
pub struct Version {
    /// `name` is its minor: `0.2`.
    pub name: String,
    folder: PathBuf,
    /// `lock` is its `lock.toml`.
    pub lock: Lock,
}

impl Version {
    /// `component` is the file of a plugin.
    pub fn component(&self, plugin: &str) -> PathBuf {
        self.folder.join(format!("{plugin}.wasm"))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("components")
}

/// `versions` are all that are kept.
///
/// # Panics
/// A folder has no `lock.toml`, or it is not valid.
pub fn versions() -> Vec<Version> {
    let folders = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut versions: Vec<Version> = folders
        .filter(|path| path.is_dir())
        .map(|folder| {
            let lock = std::fs::read_to_string(folder.join("lock.toml"));
            let lock = lock.unwrap_or_else(|error| panic!("{}/lock.toml: {error}", folder.display()));
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            Version {
                name,
                lock: toml::from_str(&lock).unwrap_or_else(|error| panic!("{}: {error}", folder.display())),
                folder,
            }
        })
        .collect();
    versions.sort_by(|one, other| one.name.cmp(&other.name));
    versions
}

/// `plugin` is what `nexus plugin COMMAND FILE --json` answers.
///
/// # Panics
/// It writes no JSON.
pub fn plugin(command: &str, file: &Path) -> Value {
    let output = Command::new(binary())
        .args(["plugin", command, "--json"])
        .arg(file)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Writes the components of the present minor from the present sources. `guest` builds one.
///
/// # Panics
/// The version is released; the sources are not those of a commit; or one cannot be built.
pub fn write(guest: impl Fn(&str) -> PathBuf) {
    let commit = commit();
    let built: Vec<_> = KEPT.into_iter().map(|name| (name, guest(name))).collect();
    let facts: Vec<_> = built.iter().map(|(_, file)| plugin("info", file)).collect();
    let minor = facts[0]["contract"].as_str().unwrap();
    let folder = folder().join(minor);
    if let Some(version) = versions().iter().find(|version| version.name == minor) {
        assert!(
            !version.lock.released,
            "tests/components/{minor} is released: its files stay as they are. What breaks them is to be fixed in Nexus; a new \
             form of the contract is a new minor (CONTRIBUTING.md)"
        );
    }
    std::fs::create_dir_all(&folder).unwrap();
    let mut component = BTreeMap::new();
    for ((name, file), facts) in built.iter().zip(&facts) {
        std::fs::copy(file, folder.join(format!("{name}.wasm"))).unwrap();
        component.insert((*name).to_owned(), facts["sha256"].as_str().unwrap().to_owned());
    }
    let lock = Lock {
        released: false,
        commit,
        component,
    };
    let text = toml::to_string(&lock).unwrap();
    std::fs::write(folder.join("lock.toml"), text).unwrap();
}

/// The commit of what the components are built from.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let changed = git(&["status", "--porcelain", "--", "plugin-api", "tests/guests"]);
    assert!(
        changed.is_empty(),
        "commit these first, so that the lock can name the sources:\n{changed}"
    );
    git(&["rev-parse", "HEAD"]).trim().to_owned()
}
