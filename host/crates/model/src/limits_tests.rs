//! `limits.rs` and `docs/limits.md` name the same bounds with the same values; each bound is used, and has a test.

use super::tested::{OWN, TESTED};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Of a duration in milliseconds, of anything else as it is.
type Values = BTreeMap<String, u128>;

fn read(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The files with bounds: the host's, and those of the crate that is published by itself.
const FILES: [&str; 2] = ["src/limits.rs", "../process/src/limits.rs"];

/// The constants of the file, each on one line: `pub const NAME: TYPE = VALUE;`.
fn in_code(source: &str) -> Values {
    let mut values = Values::new();
    for line in source.lines().filter_map(|l| l.strip_prefix("pub const ")) {
        let (name, rest) = line.split_once(": ").unwrap();
        let (_, value) = rest.split_once(" = ").unwrap();
        let value = value
            .strip_suffix(';')
            .unwrap_or_else(|| panic!("{name} takes more than one line"));
        let value = evaluate(value, &values);
        assert!(values.insert(name.to_owned(), value).is_none(), "{name} is there twice");
    }
    values
}

/// As far as it is used there: `secs(2 * 60)`, `64 << 10`, `6 * OTHER + 1_000`; no parentheses within.
fn evaluate(text: &str, known: &Values) -> u128 {
    if let Some(inner) = text.strip_prefix("secs(").and_then(|t| t.strip_suffix(')')) {
        return 1000 * evaluate(inner, known);
    }
    if let Some(inner) = text.strip_prefix("ms(").and_then(|t| t.strip_suffix(')')) {
        return evaluate(inner, known);
    }
    if let Some((left, right)) = text.split_once(" << ") {
        return evaluate(left, known) << evaluate(right, known);
    }
    if let Some((left, right)) = text.split_once(" + ") {
        return evaluate(left, known) + evaluate(right, known);
    }
    if let Some((left, right)) = text.rsplit_once(" / ") {
        return evaluate(left, known) / evaluate(right, known);
    }
    if let Some((left, right)) = text.split_once(" * ") {
        return evaluate(left, known) * evaluate(right, known);
    }
    let name = text.trim();
    known
        .get(name)
        .copied()
        .unwrap_or_else(|| name.replace('_', "").parse().unwrap_or_else(|_| panic!("`{text}`")))
}

/// The first two columns of every table whose first one is a constant: `` | `NAME` | 64 KiB | … ``.
fn in_words(document: &str) -> Values {
    let mut values = Values::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, value, bounds, reached, ..] = cells.as_slice() else {
            continue;
        };
        let Some(name) = name.strip_prefix('`').and_then(|n| n.strip_suffix('`')) else {
            continue;
        };
        assert!(
            !bounds.is_empty() && !reached.is_empty(),
            "{name}: say what it bounds and what happens"
        );
        assert!(
            values.insert(name.to_owned(), amount(value)).is_none(),
            "{name} is there twice"
        );
    }
    values
}

/// `1,000`, `64 KiB`, `1.5 s`, `15 min`.
fn amount(text: &str) -> u128 {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let unit: u128 = match unit {
        "" | "ms" | "bytes" | "%" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "days" => 24 * 3_600_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => panic!("`{text}`: the unit `{other}` is not known here"),
    };
    let number: u128 = number.replace(',', "").parse().unwrap_or_else(|_| panic!("`{text}`"));
    number * unit
}

#[test]
fn the_document_lists_every_bound_with_its_value() {
    let (code, words) = (
        in_code(&FILES.map(read).concat()),
        in_words(&read("../../../docs/limits.md")),
    );
    assert!(code.len() > 50, "the file was not read");
    let mut wrong = Vec::new();
    for (name, value) in &code {
        match words.get(name) {
            None => wrong.push(format!("{name} is in limits.rs and has no row in docs/limits.md")),
            Some(said) if said != value => wrong.push(format!("{name} is {value}, docs/limits.md says {said}")),
            Some(_) => {}
        }
    }
    wrong.extend(
        words
            .keys()
            .filter(|name| !code.contains_key(*name))
            .map(|name| format!("{name} is in docs/limits.md and in no limits.rs")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn values_are_read_as_the_compiler_reads_them() {
    let code = in_code(
        "pub const A: Duration = secs(15 * 60);\npub const B: usize = 64 << 10;\npub const C: u32 = B / 2 + 6 * 10;\n\
         pub const D: Duration = ms(1_500);\npub const E: usize = 4 * 1024 * 1024;\npub const F: usize = B;",
    );
    let values: Vec<u128> = code.into_values().collect();
    assert_eq!(values, [900_000, 65_536, 32_828, 1_500, 4 << 20, 65_536]);
    let words =
        in_words("| `A` | 15 min | x | y |\n| `B` | 64 KiB | x | y |\n| no | 1 | x | y |\n| `C` | 2,000 | x | y |");
    assert_eq!(words.into_values().collect::<Vec<_>>(), [900_000, 65_536, 2_000]);
}

/// The Rust files below these folders of the repository.
fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folders
        .iter()
        .map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// All bounds, and of these the amounts. Those of a manifest are the contract's, which has tests of its own.
fn bounds() -> (Vec<String>, Vec<String>) {
    let sources = FILES.map(read);
    let parts = sources
        .each_ref()
        .map(|source| source.split_once("// ---- Amounts").unwrap());
    let (times, amounts) = (
        parts.map(|(times, _)| times).concat(),
        parts.map(|(_, amounts)| amounts).concat(),
    );
    let names = |text: &str| {
        let names = text.lines().filter_map(|line| line.strip_prefix("pub const "));
        names
            .map(|line| line.split(':').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let amounts = names(&amounts);
    ([names(&times), amounts.clone()].concat(), amounts)
}

#[test]
fn every_bound_is_used() {
    let mut used = BTreeSet::new();
    for (path, text) in sources(&["../../src", ".."]) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let aside = name.starts_with("limits") && path.parent().unwrap().ends_with("src");
        if aside || name.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        // What stands before the tests beside the code.
        let code = text.split("#[cfg(test)]\n#[allow").next().unwrap();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        used.extend(code.flat_map(words).map(str::to_owned));
    }
    let source = FILES.map(read).concat();
    // One may be a part of another.
    let within = |name: &str| source.lines().any(|line| line.contains(&format!("= {name} /")));
    let (all, _) = bounds();
    let idle: Vec<_> = all
        .iter()
        .filter(|name| !used.contains(*name) && !within(name))
        .collect();
    assert!(idle.is_empty(), "nothing is bounded by {idle:?}");
}

#[test]
fn every_amount_has_a_hostile_test_that_is_there() {
    let mut tests = BTreeSet::new();
    for (_, text) in sources(&["../../src", "..", "../../../tests/tests"]) {
        let functions = text.split("fn ").skip(1);
        tests.extend(functions.filter_map(|rest| words(rest).next()).map(str::to_owned));
    }
    let missing: Vec<_> = TESTED.iter().filter(|(_, test)| !tests.contains(*test)).collect();
    assert!(missing.is_empty(), "these tests are not there: {missing:#?}");
    let (all, amounts) = bounds();
    let named: BTreeSet<&str> = TESTED.iter().chain(OWN).map(|(bound, _)| *bound).collect();
    assert_eq!(named.len(), TESTED.len() + OWN.len(), "a bound is there twice");
    let untested: Vec<_> = amounts.iter().filter(|name| !named.contains(name.as_str())).collect();
    assert!(
        untested.is_empty(),
        "write a test that goes beyond it, and name it in limits_tested.rs: {untested:?}"
    );
    let gone: Vec<_> = named
        .iter()
        .filter(|name| !all.iter().any(|one| one == *name))
        .collect();
    assert!(gone.is_empty(), "these are no bounds of limits.rs: {gone:?}");
}
