//! A digest over everything that decides the bytes of a first-party component.
//!
//! Of `Cargo.lock` only the packages below the guest count, followed through the lock itself: asking cargo would need the
//! registry, and the whole file would make every guest stale with each update of the host. Packages for other platforms
//! count too, which costs a needless rebuild now and then and never misses one.

use super::toolchain::TARGET;
use anyhow::{Context as _, bail};
use nexus_model::digest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// `PROFILE` is the one that first-party components are built with.
pub const PROFILE: &str = "plugin";
const SDK: &str = "nexus-plugin-api";

/// `sha256` is in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    digest::hex(&digest::sha256(&[bytes]))
}

/// `digest` is that of the plugin in `crate_dir` (relative to `root`), in hexadecimal.
///
/// # Errors
/// A file that cannot be read or is not what cargo would accept.
pub fn digest(root: &Path, crate_dir: &str) -> anyhow::Result<String> {
    let mut text = format!("target {TARGET}\nprofile {PROFILE}\n");
    let mut files = Vec::new();
    for path in ["Cargo.toml", "plugin.toml", "build.rs", "src"] {
        collect(&root.join(crate_dir).join(path), &mut files)?;
    }
    for path in ["Cargo.toml", "wit", "src/lib.rs", "src/guest.rs", "src/guest"] {
        collect(&root.join("plugin-api").join(path), &mut files)?;
    }
    files.sort();
    for file in files {
        let bytes = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let name = file.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
        text.push_str(&format!("file {name} {}\n", sha256(&bytes)));
    }
    let workspace = read(&root.join("Cargo.toml"))?;
    let own = read(&root.join(crate_dir).join("Cargo.toml"))?;
    let sdk = read(&root.join("plugin-api/Cargo.toml"))?;
    for key in ["package", "lints"] {
        text.push_str(&format!(
            "workspace.{key} {}\n",
            shown(at(&workspace, &["workspace", key]))
        ));
    }
    for key in [PROFILE, "release"] {
        text.push_str(&format!("profile.{key} {}\n", shown(at(&workspace, &["profile", key]))));
    }
    for name in names(&own, "dependencies")
        .chain(names(&sdk, "dependencies"))
        .collect::<BTreeSet<_>>()
    {
        text.push_str(&format!(
            "uses {name} {}\n",
            shown(at(&workspace, &["workspace", "dependencies", name]))
        ));
    }
    let lock = read(&root.join("Cargo.lock"))?;
    for line in below(
        &lock,
        at(&own, &["package", "name"])
            .and_then(Value::as_str)
            .unwrap_or(crate_dir),
        &host_only(&sdk),
    )? {
        text.push_str(&line);
        text.push('\n');
    }
    Ok(sha256(text.as_bytes()))
}

fn collect(path: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            collect(&entry?.path(), into)?;
        }
    } else if path.is_file() {
        into.push(path.to_owned());
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    text.parse().with_context(|| format!("{} is not TOML", path.display()))
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(*key))
}

fn shown(value: Option<&Value>) -> String {
    value.map(Value::to_string).unwrap_or_default()
}

fn names<'a>(manifest: &'a Table, key: &str) -> impl Iterator<Item = &'a str> {
    manifest
        .get(key)
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::keys)
        .map(String::as_str)
}

/// `host_only` are the SDK's dependencies that no feature for guests turns on.
fn host_only(sdk: &Table) -> BTreeSet<String> {
    let wanted = |feature: &str| {
        at(sdk, &["features", feature])
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let for_guests: BTreeSet<&str> = ["auth", "chat", "tunnel"]
        .into_iter()
        .flat_map(wanted)
        .filter_map(|entry| entry.as_str()?.strip_prefix("dep:"))
        .collect();
    let optional = |name: &&str| at(sdk, &["dependencies", name, "optional"]).and_then(Value::as_bool) == Some(true);
    names(sdk, "dependencies")
        .filter(optional)
        .filter(|name| !for_guests.contains(name))
        .map(str::to_owned)
        .collect()
}

/// `below` has name, version and checksum of each package below `package`, sorted.
fn below(lock: &Table, package: &str, host_only: &BTreeSet<String>) -> anyhow::Result<BTreeSet<String>> {
    let all: Vec<&Table> = lock
        .get("package")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_table)
        .collect();
    let text = |table: &Table, key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut by_name: BTreeMap<String, Vec<&Table>> = BTreeMap::new();
    for table in &all {
        by_name.entry(text(table, "name")).or_default().push(table);
    }
    let mut lines = BTreeSet::new();
    let mut open = vec![package.to_owned()];
    while let Some(wanted) = open.pop() {
        // `name`, or `name version` where the lock has several, and perhaps the source behind it.
        let mut words = wanted.split(' ');
        let name = words.next().unwrap_or_default();
        let version = words.next();
        let candidates = by_name.get(name).map(Vec::as_slice).unwrap_or_default();
        let found = candidates
            .iter()
            .find(|table| version.is_none_or(|version| text(table, "version") == version));
        let Some(found) = found else {
            bail!("Cargo.lock has no package `{wanted}`: run `cargo check` once")
        };
        if !lines.insert(format!(
            "package {name} {} {}",
            text(found, "version"),
            text(found, "checksum")
        )) {
            continue;
        }
        let dependencies = found
            .get("dependencies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for dependency in dependencies.filter_map(Value::as_str) {
            let of_the_host = name == SDK
                && dependency
                    .split(' ')
                    .next()
                    .is_some_and(|name| host_only.contains(name));
            if !of_the_host {
                open.push(dependency.to_owned());
            }
        }
    }
    Ok(lines)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
[[package]]
name = "guest"
version = "0.1.0"
dependencies = ["nexus-plugin-api", "twice 2.0.0"]
[[package]]
name = "nexus-plugin-api"
version = "0.1.0"
dependencies = ["binder", "engine"]
[[package]]
name = "binder"
version = "1.0.0"
checksum = "bb"
[[package]]
name = "engine"
version = "9.0.0"
checksum = "ee"
[[package]]
name = "twice"
version = "1.0.0"
checksum = "t1"
[[package]]
name = "twice"
version = "2.0.0"
checksum = "t2"
dependencies = ["binder"]
"#;

    fn tree(lock: &str) -> (tempfile::TempDir, String) {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("Cargo.lock", lock);
        put(
            "Cargo.toml",
            "[workspace.dependencies]\ntwice = \"2\"\n[profile.plugin]\nlto = true\n[profile.dev]\ndebug = 1\n",
        );
        put(
            "plugins/guest/Cargo.toml",
            "[package]\nname = \"guest\"\n[dependencies]\ntwice.workspace = true\n",
        );
        put("plugins/guest/src/lib.rs", "// one");
        put(
            "plugin-api/Cargo.toml",
            "[features]\nauth = [\"dep:binder\"]\nhost = [\"dep:engine\"]\n[dependencies]\nbinder = { version = \"1\", optional = true }\nengine = { version = \"9\", optional = true }\n",
        );
        put("plugin-api/src/lib.rs", "");
        put("plugin-api/src/host.rs", "// the host's side");
        put("plugin-api/wit/types.wit", "package x:y;");
        let digest = digest(root.path(), "plugins/guest").unwrap();
        (root, digest)
    }

    #[test]
    fn only_packages_below_the_guest_are_included() {
        let lock: Table = LOCK.parse().unwrap();
        let lines = below(&lock, "guest", &BTreeSet::from(["engine".to_owned()])).unwrap();
        let names: Vec<_> = lines.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
        assert_eq!(names, ["binder", "guest", "nexus-plugin-api", "twice"]);
        assert!(lines.contains("package twice 2.0.0 t2"));
        assert!(
            below(&lock, "nobody", &BTreeSet::new())
                .unwrap_err()
                .to_string()
                .contains("`nobody`")
        );
    }

    #[test]
    fn the_hosts_engine_and_its_side_of_the_contract_are_not_included() {
        let (_, before) = tree(LOCK);
        assert_eq!(tree(&LOCK.replace("\"ee\"", "\"other\"")).1, before);
        assert_eq!(tree(&LOCK.replace("\"t1\"", "\"other\"")).1, before);
        let (root, _) = tree(LOCK);
        std::fs::write(root.path().join("plugin-api/src/host.rs"), "// changed").unwrap();
        assert_eq!(digest(root.path(), "plugins/guest").unwrap(), before);
    }

    #[test]
    fn what_the_bytes_depend_on_is_included() {
        let (_, before) = tree(LOCK);
        assert_ne!(tree(&LOCK.replace("\"bb\"", "\"other\"")).1, before);
        assert_ne!(tree(&LOCK.replace("\"t2\"", "\"other\"")).1, before);
        for (path, from, to) in [
            ("plugins/guest/src/lib.rs", "one", "two"),
            ("plugin-api/wit/types.wit", "x:y", "x:z"),
            ("Cargo.toml", "lto = true", "lto = false"),
            ("Cargo.toml", "twice = \"2\"", "twice = \"2.1\""),
        ] {
            let (root, _) = tree(LOCK);
            let path = root.path().join(path);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace(from, to)).unwrap();
            assert_ne!(
                digest(root.path(), "plugins/guest").unwrap(),
                before,
                "{}",
                path.display()
            );
        }
    }
}
