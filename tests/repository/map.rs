//! The arrows of the map in ARCHITECTURE.md are those of the crates' manifests.

use std::collections::{BTreeMap, BTreeSet};

type Arrows = BTreeMap<String, BTreeSet<String>>;

fn names(list: &str) -> BTreeSet<String> {
    list.split(',').map(|name| name.trim().to_owned()).collect()
}

/// The arrows of a map, and what everybody may use. What leads out of the program is prose.
fn drawn(map: &str) -> (Arrows, BTreeSet<String>) {
    let arrows = map.lines().filter_map(|line| line.split_once(" ──► "));
    let arrows = arrows.filter(|(from, _)| !from.contains(':'));
    let arrows = arrows.map(|(from, to)| (from.trim().to_owned(), names(to))).collect();
    let everybody = map
        .lines()
        .find_map(|line| line.trim().strip_prefix("everybody may use: "));
    (arrows, names(everybody.expect("what everybody may use")))
}

/// The crates of ours that a manifest names, but for tests.
fn used(manifest: &str) -> BTreeSet<String> {
    let mut counts = false;
    let mut used = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            counts = line.ends_with("dependencies]") && !line.contains("dev-");
        } else if let Some(name) = line.strip_prefix("nexus-").filter(|_| counts) {
            let end = name.find(['.', ' ', '=']).unwrap_or(name.len());
            used.insert(name.split_at(end).0.to_owned());
        }
    }
    used
}

/// What of a map is not so. `manifests`: by the crate's name.
fn wrong(map: &str, manifests: &BTreeMap<String, String>) -> Vec<String> {
    let (drawn, everybody) = drawn(map);
    let mut wrong = Vec::new();
    for (name, manifest) in manifests {
        let used: BTreeSet<String> = used(manifest).difference(&everybody).cloned().collect();
        let arrows = drawn.get(name).cloned().unwrap_or_default();
        for missing in used.difference(&arrows) {
            wrong.push(format!("{name} uses {missing}. To fix: add the arrow"));
        }
        for gone in arrows.difference(&used) {
            wrong.push(format!("{name} does not use {gone}. To fix: remove the arrow"));
        }
    }
    let unknown = drawn.keys().chain(&everybody);
    let unknown = unknown.filter(|name| !manifests.contains_key(*name));
    wrong.extend(unknown.map(|name| format!("there is no crate {name}")));
    wrong
}

#[test]
fn the_arrows_of_the_map_are_those_of_the_manifests() {
    let root = super::sources::root();
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let map = text.split("```").nth(1).expect("the map");
    let mut manifests = BTreeMap::new();
    for entry in std::fs::read_dir(root.join("host/crates")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if let Ok(manifest) = std::fs::read_to_string(folder.join("Cargo.toml"))
            && name != "testkit"
        {
            manifests.insert(name, manifest);
        }
    }
    let contract = std::fs::read_to_string(root.join("plugin-api/Cargo.toml")).unwrap();
    manifests.insert("plugin-api".to_owned(), contract);
    assert!(manifests.len() > 15, "{:?}", manifests.keys());
    let found = wrong(map, &manifests);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_arrow_too_many_and_one_too_few_are_found() {
    let manifests = [
        (
            "a",
            "[dependencies]\nnexus-b.workspace = true\nnexus-m = { workspace = true }\n[dev-dependencies]\nnexus-c.workspace = true\n",
        ),
        ("b", "[target.'cfg(unix)'.dependencies]\nnexus-c.workspace = true\n"),
        ("c", ""),
        ("m", ""),
    ];
    let manifests = manifests.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let fine = " host: cli ──► all\n a ──► b\n b ──► c\n everybody may use: m\n";
    assert_eq!(wrong(fine, &manifests), Vec::<String>::new());
    let other = " a ──► b, c\n d ──► c\n everybody may use: m\n";
    assert_eq!(
        wrong(other, &manifests),
        [
            "a does not use c. To fix: remove the arrow",
            "b uses c. To fix: add the arrow",
            "there is no crate d"
        ]
    );
}
