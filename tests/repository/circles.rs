//! No file of a crate uses, directly or through others, a file that uses it: the test reads all `use` lines and paths, follows
//! re-exports (`pub use`), leaves out what is for tests only, and names the files of each circle.

use super::sources::{self, Crate};
use std::collections::{BTreeMap, BTreeSet};

impl Crate {
    /// By file: the files that it uses, and one path for each.
    fn uses(&self) -> BTreeMap<&str, BTreeMap<&str, String>> {
        let mut uses: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
        for (module, path) in &self.paths {
            let from = self.modules.get(module).unwrap().file.as_str();
            let to = self.absolute(module, path).and_then(|whole| self.declares(&whole, 0));
            if let Some(to) = to.filter(|to| to.file != from) {
                uses.entry(from)
                    .or_default()
                    .entry(&to.file)
                    .or_insert_with(|| path.join("::"));
            }
        }
        uses
    }

    /// A line for each use inside a circle.
    fn circles(&self) -> Vec<String> {
        let uses = self.uses();
        let mut found = Vec::new();
        for (from, to) in &uses {
            for (to, path) in to {
                let (mut reached, mut next) = (BTreeSet::new(), vec![*to]);
                while let Some(file) = next.pop() {
                    if reached.insert(file) {
                        next.extend(uses.get(file).into_iter().flat_map(BTreeMap::keys));
                    }
                }
                if reached.contains(from) {
                    found.push(format!("{from} uses {to} (`{path}`)"));
                }
            }
        }
        found
    }
}

#[test]
fn no_file_uses_a_file_that_uses_it() {
    let wrong: Vec<String> = sources::all().values().flat_map(Crate::circles).collect();
    assert!(
        wrong.is_empty(),
        "these files use each other in a circle. To fix: move what two files share into a file of its own, as an error into \
         `error.rs`, and name that file directly; lib.rs and mod.rs only declare and re-export.\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_circle_is_found_and_a_reexport_or_a_test_is_none() {
    let circles = |lib: &str, a: &str| {
        let text = |path: &str| match path {
            "x/lib.rs" => Some(lib.to_owned()),
            "x/a.rs" => Some(a.to_owned()),
            "x/b.rs" => Some("pub struct B;".to_owned()),
            _ => None,
        };
        Crate::read("x/lib.rs", &text).circles()
    };
    assert_eq!(
        circles(
            "mod a;\npub struct L;\npub fn f() { a::g() }",
            "use crate::L;\npub fn g() {}"
        ),
        ["x/a.rs uses x/lib.rs (`crate::L`)", "x/lib.rs uses x/a.rs (`a::g`)"]
    );
    let in_macro = "pub fn g() { print!(\"{}\", super::L) }";
    assert_eq!(
        circles("mod a;\npub use a::g;\npub const L: u8 = 1;", in_macro).len(),
        2
    );
    for fine in [
        "use crate::B;",
        "use super::{B as C};",
        "pub(in crate::a) struct D;",
        "// crate::L",
    ] {
        assert_eq!(
            circles("mod a;\nmod b;\npub use a::*;\npub use b::*;\npub struct L;", fine),
            [""; 0],
            "{fine}"
        );
    }
    let tests = "#[cfg(test)]\n#[allow(unused)]\nmod tests { use crate::L; }";
    assert_eq!(circles("mod a;\npub use a::g;\npub struct L;", tests), [""; 0]);
}
