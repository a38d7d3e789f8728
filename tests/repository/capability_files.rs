//! ARCHITECTURE.md lists the files that name a capability outside of its homes; by the example of `store`, the list is whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a capability has to itself.
const HOMES: [&str; 2] = [
    "host/crates/plugin-host/src/capabilities/store/",
    "host/crates/config/src/grants/store.rs",
];

/// Where capabilities are known at all. The rest of the program knows the host's own database, whose crate has the same name.
const WHERE: [&str; 5] = [
    "plugin-api/src",
    "plugin-api/wit",
    "host/crates/plugin-host/src",
    "host/crates/config/src",
    "host/src/app",
];

/// wasmtime's stores are something else.
const OTHERS: [&str; 4] = ["Store", "StoreContext", "StoreContextMut", "StoreLimits"];

/// The code of a file: without comments, and without the tests below it.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let source = source.split("#[cfg(test)]\n#[allow").next().unwrap_or_default();
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Tells whether code names the capability: by a type or a key of its own, as a module, as an item of the contract, or as the
/// host's port for it.
fn names_it(code: &str) -> bool {
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut at = 0;
    let words = code.split(|c: char| !of_a_word(c)).map(|word| {
        let place = (at, at + word.len());
        at = place.1 + code[place.1..].chars().next().map_or(0, char::len_utf8);
        (word, &code[..place.0], &code[place.1..])
    });
    let list = |before: &str| {
        before
            .rsplit_once('{')
            .is_some_and(|(path, _)| path.ends_with("plugin::"))
    };
    for (word, before, after) in words {
        let own = match word {
            "kv" | "KeyValue" | "StoreRequest" => true,
            "store" => {
                let module = before.ends_with("mod ") || before.ends_with("import ") || before.ends_with("interface ");
                let path = before.ends_with("::") && !after.starts_with('(') || after.starts_with("::");
                let path = path && !before.ends_with("\"nexus::");
                module || path || before.ends_with("nexus:plugin/") || list(before)
            }
            _ if OTHERS.contains(&word) => false,
            _ => word.starts_with("store_") || word.starts_with("Store"),
        };
        if own {
            return true;
        }
    }
    false
}

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs" || end == "wit") {
            all.push(path);
        }
    }
}

/// Files that hold tests alone.
fn is_for_tests(path: &str) -> bool {
    path.contains("/isolation_tests/")
        || path.contains("/tests/")
        || path.ends_with("tests.rs")
        || path.contains("/test_")
}

#[test]
fn a_capability_is_named_outside_of_its_homes_where_the_map_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let map = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let (_, section) = map.split_once("**A capability is a folder.**").unwrap();
    let (section, _) = section.split_once("\n**").unwrap();
    let listed: BTreeSet<String> = section
        .lines()
        .filter(|line| line.starts_with("* ") || line.starts_with("  "))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    let mut all = Vec::new();
    for folder in WHERE {
        files(&root.join(folder), &mut all);
    }
    let named: BTreeSet<String> = all
        .into_iter()
        .filter(|file| names_it(&code(&std::fs::read_to_string(file).unwrap())))
        .map(|file| file.strip_prefix(&root).unwrap().display().to_string())
        .filter(|file| !is_for_tests(file) && !HOMES.iter().any(|home| file.starts_with(home)))
        .collect();
    assert!(
        named == listed,
        "the files that name `store` are not those that ARCHITECTURE.md lists in \"A capability is a folder\". To fix: move what \
         belongs to the capability into its homes, or change the list.\nnot listed: {:?}\nlisted, and do not name it: {:?}",
        named.difference(&listed).collect::<Vec<_>>(),
        listed.difference(&named).collect::<Vec<_>>()
    );
}

#[test]
fn naming_a_capability_is_told_from_the_stores_of_the_engine() {
    for naming in [
        "mod store;",
        "use super::store::state::StoreState;",
        "let quota = limits.store_writes;",
        "pub use nexus::plugin::{secrets, store, types};",
        "\"nexus:plugin/store\": caps::store,",
        "  import store;",
        "kv: store.clone().into(),",
    ] {
        assert!(names_it(naming), "{naming}");
    }
    for other in [
        "let (mut store, meter) = instance_state::store(&engine, &context);",
        "use wasmtime::{Engine, Store, Trap};",
        "store.limiter(|s| s);",
        "self.cut.store(true, Ordering::Relaxed);",
        "nexus_store::lock",
        "(\"nexus::store\", &[\"nexus_store\"])",
        "let restored = 1;",
    ] {
        assert!(!names_it(other), "{other}");
    }
}
