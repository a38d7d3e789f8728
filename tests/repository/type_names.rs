//! A type's bare name is unique in its crate, or the type is used with its module alone (`tunnel::Status`): who reads `Status`
//! need not look up which one it is. A type is a struct, an enum, a union, a trait or an alias.
//!
//! Not read: tests and examples, whose types nobody else uses; what a macro makes, as the bindings of the contract, which
//! are named there; and types in the body of a function, which nobody sees from outside.

use super::sources::{self, Crate, Module};
use std::collections::BTreeMap;

/// A line for each name that stands for two types of a crate and is used without its module. `crates`: each with the name by
/// which code uses it.
fn wrong(crates: &[(String, &Crate)]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, of) in crates {
        for (double, modules) in doubles(of) {
            let places: Vec<String> = modules
                .iter()
                .map(|module| format!("{} (`{}`)", of.modules[*module].file, path(name, module, double)))
                .collect();
            let mut uses: Vec<String> = modules
                .iter()
                .filter(|module| !of.modules[**module].types[double])
                .map(|module| format!("{}: it is private there, so it has no module", of.modules[*module].file))
                .collect();
            uses.extend(
                crates
                    .iter()
                    .flat_map(|(user, by)| bare(by, user == name, name, of, double)),
            );
            if !uses.is_empty() {
                found.push(format!(
                    "`{double}` is the name of {}. It is used without its module in\n  {}",
                    places.join(" and of "),
                    uses.join("\n  ")
                ));
            }
        }
    }
    found
}

/// The names that more than one module declares, with the modules. Two in one module are one type for each system.
fn doubles(of: &Crate) -> BTreeMap<&str, Vec<&Module>> {
    let mut names: BTreeMap<&str, Vec<&Module>> = BTreeMap::new();
    for (module, declared) in &of.modules {
        for name in declared.types.keys() {
            names.entry(name).or_default().push(module);
        }
    }
    names.retain(|_, modules| modules.len() > 1);
    names
}

/// The imports in `by` of a type `double` of the crate `of`, which is called `name`.
fn bare(by: &Crate, own: bool, name: &str, of: &Crate, double: &str) -> Vec<String> {
    let imports = by
        .imports
        .iter()
        .filter(|(_, path)| path.last().is_some_and(|last| last == double));
    imports
        .filter(|(module, path)| {
            let whole = match path.split_first() {
                Some((first, rest)) if first == name => Some(rest.to_vec()),
                _ if own => of.absolute(module, path),
                _ => None,
            };
            let declares = whole.and_then(|whole| of.declares(&whole, 0));
            declares.is_some_and(|declared| declared.types.contains_key(double))
        })
        .map(|(module, path)| format!("{}: `use {}`", by.modules[module].file, path.join("::")))
        .collect()
}

fn path(name: &str, module: &Module, double: &str) -> String {
    let all = std::iter::once(name).chain(module.iter().map(String::as_str));
    all.chain([double]).collect::<Vec<_>>().join("::")
}

#[test]
fn no_name_stands_for_two_types_of_a_crate() {
    let all = sources::all();
    let crates: Vec<(String, &Crate)> = all.iter().map(|(file, of)| (sources::crate_name(file), of)).collect();
    let found = wrong(&crates);
    assert!(
        found.is_empty(),
        "{} names stand for two types of a crate. To fix: give each a name that tells which one it is (`TunnelStatus`), or \
         import its module and write `tunnel::Status`.\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn a_double_is_found_where_it_is_imported_or_private() {
    let read = |user: &'static str, b: &'static str| {
        move |path: &str| match path {
            "x/lib.rs" => Some("pub mod a;\npub mod b;\nmod c;".to_owned()),
            "x/a.rs" => Some("pub struct S;\nimpl S { type Local = u8; }\nfn f() { struct Body; }".to_owned()),
            "x/b.rs" => Some(b.to_owned()),
            "x/c.rs" => Some(user.to_owned()),
            _ => None,
        }
    };
    let found = |user: &'static str, b: &'static str| {
        let of = Crate::read("x/lib.rs", &read(user, b));
        wrong(&[("x".to_owned(), &of)])
    };
    let double = "pub enum S { A }\nfn f() { struct Body; }";
    assert_eq!(
        found("use crate::a::{S};", double),
        [
            "`S` is the name of x/a.rs (`x::a::S`) and of x/b.rs (`x::b::S`). It is used without its module in\n  x/c.rs: \
             `use crate::a::S`"
        ]
    );
    assert_eq!(found("pub use crate::b::S;", double).len(), 1, "given on");
    assert_eq!(found("", "type S = u8;").len(), 1, "private");
    for fine in [
        "use crate::a; fn f(_: a::S) {}",
        "use crate::a::S as Other;",
        "use std::S;",
        "#[cfg(test)] mod tests { use crate::a::S; }",
    ] {
        assert_eq!(found(fine, double), [""; 0], "{fine}");
    }
    assert_eq!(found("use crate::a::S;", "pub struct T;"), [""; 0], "one");
    let of = Crate::read("x/lib.rs", &read("", double));
    let other = |path: &str| (path == "y/lib.rs").then(|| "use x::a::S;".to_owned());
    let other = Crate::read("y/lib.rs", &other);
    assert_eq!(
        wrong(&[("x".to_owned(), &of), ("y".to_owned(), &other)]).len(),
        1,
        "another crate"
    );
}
