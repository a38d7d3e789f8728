//! Each function of the contract says what it does, and has a plugin that breaks its rules: one that exports it where a plugin is
//! asked, one that asks where the host is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A function of an interface: its name, and its doc comment.
struct Function {
    name: String,
    docs: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All text of the contract.
fn wit() -> String {
    let files = fs::read_dir(root().join("plugin-api/wit")).unwrap();
    let files = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    files.collect::<Vec<_>>().join("\n")
}

/// The functions of each interface.
fn interfaces(wit: &str) -> BTreeMap<String, Vec<Function>> {
    let mut found: BTreeMap<String, Vec<Function>> = BTreeMap::new();
    let (mut interface, mut docs) = (String::new(), String::new());
    for line in wit.lines().map(str::trim) {
        if let Some(named) = line.strip_prefix("interface ") {
            interface = named.trim_end_matches([' ', '{']).to_owned();
            found.entry(interface.clone()).or_default();
        } else if let Some(words) = line.strip_prefix("///") {
            docs.push_str(words.trim_start());
            docs.push('\n');
            continue;
        } else if let Some((name, rest)) = line.split_once(": ")
            && (rest.starts_with("func(") || rest.starts_with("async func("))
        {
            let name = name.trim_start_matches('%').to_owned();
            let docs = docs.clone();
            found.get_mut(&interface).unwrap().push(Function { name, docs });
        }
        docs.clear();
    }
    found
}

/// The interfaces that the worlds import or export (`what`).
fn of_the_worlds<'a>(wit: &'a str, what: &str) -> BTreeSet<&'a str> {
    let lines = wit.lines().map(str::trim);
    lines
        .filter_map(|line| line.strip_prefix(what)?.trim_start().strip_suffix(';'))
        .collect()
}

/// The sources of the plugins that break rules, all in one.
fn guests() -> String {
    let mut text = String::new();
    for guest in ["rules-auth", "rules-chat", "rules-sessions", "rules-tunnel"] {
        let sources = fs::read_dir(root().join("tests/guests").join(guest).join("src")).unwrap();
        for file in sources {
            text += &fs::read_to_string(file.unwrap().path()).unwrap();
        }
    }
    text
}

#[test]
fn each_function_of_the_contract_says_what_it_does() {
    let all = interfaces(&wit());
    assert!(all.values().map(Vec::len).sum::<usize>() > 60, "the contract is read");
    for (interface, functions) in all {
        for Function { name, docs } in functions {
            assert!(
                docs.starts_with(&format!("`{name}` ")),
                "the function {interface}.{name} needs a doc comment that begins with its name in back quotes"
            );
        }
    }
}

#[test]
fn each_interface_that_a_plugin_exports_has_one_that_breaks_its_rules() {
    let (wit, guests) = (wit(), guests());
    let exported: BTreeSet<&str> = guests
        .split("nexus_plugin_api::export_")
        .skip(1)
        .flat_map(|call| {
            // `chat!(Plugin with sessions, history)`: the compiler sees to it that it has all of their functions.
            let call = call.split_once(");").unwrap().0;
            let (kind, optional) = call.split_once('!').unwrap();
            let optional = optional.split_once(" with ").map_or("", |(_, optional)| optional);
            std::iter::once(kind).chain(optional.split(',').map(str::trim))
        })
        .collect();
    for interface in of_the_worlds(&wit, "export ") {
        assert!(
            exported.contains(interface),
            "no plugin of tests/guests/rules-… exports `{interface}`"
        );
    }
}

#[test]
fn each_function_that_the_host_offers_is_asked_against_its_rules() {
    let (wit, guests) = (wit(), guests());
    let all = interfaces(&wit);
    for interface in of_the_worlds(&wit, "import ") {
        for Function { name, .. } in &all[interface] {
            let call = format!("{interface}::{}(", name.replace('-', "_"));
            assert!(
                guests.contains(&call),
                "no plugin of tests/guests/rules-… calls `{call}…)`"
            );
        }
    }
}
