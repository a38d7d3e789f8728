//! No file of a crate uses, directly or through others, a file that uses it: the test reads all `use` lines and paths, follows
//! re-exports (`pub use`), leaves out what is for tests only, and names the files of each circle.

#![allow(clippy::unwrap_used, clippy::panic)]

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// `crate::a::b` is `["a", "b"]`.
type Module = Vec<String>;

/// What one module, a file or a `mod name { … }`, declares.
#[derive(Default)]
struct Declared {
    /// The file that it is in.
    file: String,
    names: BTreeSet<String>,
    /// By their new name: what `pub use` gives on.
    reexports: BTreeMap<String, Module>,
    /// The modules of `pub use module::*`.
    globs: Vec<Module>,
}

/// The modules of a crate, and all paths in them that begin in this crate.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<Module, Declared>,
    /// Each with the module that it is in, and as it is written.
    paths: Vec<(Module, Vec<String>)>,
    /// Those of `pub use`: the module, the path, and the name that is given on.
    given_on: Vec<(Module, Vec<String>, String)>,
}

impl Crate {
    /// `text` gives a file's source by its path, from the root file `path` on.
    fn read(path: &str, text: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut this = Self::default();
        this.file(
            Vec::new(),
            path,
            path.rsplit_once('/').map_or("", |(folder, _)| folder),
            text,
        );
        for (module, path, name) in std::mem::take(&mut this.given_on) {
            let Some(whole) = this.absolute(&module, &path) else {
                continue;
            };
            let declared = this.modules.get_mut(&module).unwrap();
            if name == "*" {
                declared.globs.push(whole);
            } else {
                declared.reexports.insert(name, whole);
            }
        }
        this
    }

    /// `folder`: where the files of the module's children are.
    fn file(&mut self, module: Module, path: &str, folder: &str, text: &dyn Fn(&str) -> Option<String>) {
        let source = text(path).unwrap_or_else(|| panic!("{path} cannot be read"));
        let tokens: TokenStream = source.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        for (name, at) in self.module(&module, path, tokens) {
            let child = [module.clone(), vec![name.clone()]].concat();
            let own = path.rsplit_once('/').map_or("", |(own, _)| own);
            match at {
                Some(at) => self.file(child, &format!("{own}/{at}"), own, text),
                None => {
                    let (flat, nested) = (format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs"));
                    let found = if text(&flat).is_some() { flat } else { nested };
                    self.file(child, &found, &format!("{folder}/{name}"), text);
                }
            }
        }
    }

    /// Reads the items of a module. Returns its children in other files, each with its `#[path]`.
    fn module(&mut self, module: &Module, file: &str, tokens: TokenStream) -> Vec<(String, Option<String>)> {
        let declared = self.modules.entry(module.clone()).or_default();
        file.clone_into(&mut declared.file);
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut children, mut at, mut path, mut public) = (Vec::new(), 0, None, false);
        while let Some(token) = tokens.get(at) {
            let rest = tokens.get(at + 1..).unwrap_or_default();
            let word = token.to_string();
            at += 1;
            match (word.as_str(), rest) {
                ("#", [TokenTree::Group(attribute), ..]) => {
                    at += 1;
                    let attribute = attribute.stream().to_string();
                    if for_tests(&attribute) {
                        at += item(tokens.get(at..).unwrap_or_default());
                    } else if let Some(written) = attribute.strip_prefix("path = ") {
                        path = Some(written.trim_matches('"').to_owned());
                    }
                    continue;
                }
                ("pub", _) => {
                    let scope = |next: &TokenTree| matches!(next, TokenTree::Group(g) if g.delimiter() == Delimiter::Parenthesis);
                    at += usize::from(rest.first().is_some_and(scope));
                    public = true;
                    continue;
                }
                ("mod", [TokenTree::Ident(name), TokenTree::Group(body), ..]) => {
                    let child = [module.clone(), vec![name.to_string()]].concat();
                    self.module(&child, file, body.stream());
                    at += 2;
                }
                ("mod", [TokenTree::Ident(name), ..]) => {
                    children.push((name.to_string(), path.take()));
                    at += 1;
                }
                ("use", _) => {
                    let end = rest
                        .iter()
                        .position(|token| token.to_string() == ";")
                        .unwrap_or(rest.len());
                    self.used(module, rest.get(..end).unwrap_or_default(), &[], public);
                    at += end;
                }
                ("fn" | "struct" | "enum" | "trait" | "type" | "const" | "static", [TokenTree::Ident(name), ..]) => {
                    let declared = self.modules.get_mut(module).unwrap();
                    declared.names.insert(name.to_string());
                    at += 1;
                }
                _ => at += self.path(module, tokens.get(at - 1..).unwrap_or_default()),
            }
            public = false;
        }
        children
    }

    /// Notes the path at the beginning of `tokens`. Returns how many tokens more than one belong to it. A group is read.
    fn path(&mut self, module: &Module, tokens: &[TokenTree]) -> usize {
        match tokens {
            [TokenTree::Group(group), ..] => {
                // What is declared in a body is no name of the module.
                let before = self.modules.get(module).map(|declared| declared.names.clone());
                let file = self.modules.get(module).unwrap().file.clone();
                self.module(module, &file, group.stream());
                self.modules.get_mut(module).unwrap().names = before.unwrap_or_default();
                0
            }
            [TokenTree::Ident(first), rest @ ..] => {
                let mut path = vec![first.to_string()];
                let mut rest = rest;
                while let [
                    TokenTree::Punct(one),
                    TokenTree::Punct(two),
                    TokenTree::Ident(next),
                    more @ ..,
                ] = rest
                    && (one.as_char(), two.as_char()) == (':', ':')
                {
                    path.push(next.to_string());
                    rest = more;
                }
                let taken = (path.len() - 1) * 3;
                if path.len() > 1 {
                    self.paths.push((module.clone(), path));
                }
                taken
            }
            _ => 0,
        }
    }

    /// Notes what a `use` names. `prefix`: what is written before its braces.
    fn used(&mut self, module: &Module, tokens: &[TokenTree], prefix: &[String], public: bool) {
        for tree in tokens.split(|token| token.to_string() == ",") {
            let mut path = prefix.to_vec();
            let mut name = None;
            for (at, token) in tree.iter().enumerate() {
                match token {
                    TokenTree::Group(group) => {
                        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                        self.used(module, &inner, &path, public);
                        path.clear();
                    }
                    TokenTree::Ident(word) if word == "as" => {
                        name = tree.get(at + 1).map(ToString::to_string);
                        break;
                    }
                    TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                    TokenTree::Ident(word) => path.push(word.to_string()),
                    TokenTree::Punct(star) if star.as_char() == '*' => name = Some("*".to_owned()),
                    _ => {}
                }
            }
            if let Some(last) = path.last().cloned() {
                if public {
                    self.given_on.push((module.clone(), path.clone(), name.unwrap_or(last)));
                }
                self.paths.push((module.clone(), path));
            }
        }
    }

    /// A path from the root of the crate; none: it begins elsewhere, or with a name and not a module.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let from = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => {
                let supers = path.iter().take_while(|part| *part == "super").count();
                let above = module.get(..module.len().checked_sub(supers)?)?;
                return Some([above, path.get(supers..)?].concat());
            }
            _ => {
                let child = [module.clone(), vec![first.clone()]].concat();
                self.modules.contains_key(&child).then_some(child)?
            }
        };
        Some([from, rest.to_vec()].concat())
    }

    /// The module in which what a path names is declared.
    fn declares(&self, path: &[String], depth: usize) -> Option<&Declared> {
        let length = (0..=path.len())
            .rev()
            .find(|n| self.modules.contains_key(path.get(..*n).unwrap_or_default()))?;
        let module = self.modules.get(path.get(..length)?)?;
        let Some((name, rest)) = path.get(length..)?.split_first().filter(|_| depth < 8) else {
            return Some(module);
        };
        if module.names.contains(name) {
            return Some(module);
        }
        if let Some(target) = module.reexports.get(name) {
            return self.declares(&[target.as_slice(), rest].concat(), depth + 1);
        }
        let through = module.globs.iter().find_map(|glob| {
            let target = [glob.as_slice(), path.get(length..)?].concat();
            let child = self.modules.contains_key(target.get(..=glob.len())?);
            let known = |at: &Declared| at.names.contains(name) || at.reexports.contains_key(name);
            let known = child || self.modules.get(glob).is_some_and(known);
            known.then(|| self.declares(&target, depth + 1)).flatten()
        });
        through.or(Some(module))
    }

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

/// `cfg(test)`, `cfg(all(test, unix))` and the like.
fn for_tests(attribute: &str) -> bool {
    let words: Vec<&str> = attribute.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    words.first() == Some(&"cfg") && words.contains(&"test") && !words.contains(&"not")
}

/// How many tokens belong to the item at the beginning.
fn item(tokens: &[TokenTree]) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        other => other.to_string() == ";",
    };
    tokens.iter().position(ends).map_or(tokens.len(), |end| end + 1)
}

/// The folders in `folder` that hold a crate.
fn crates(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.join("Cargo.toml").is_file() {
            into.push(path);
        }
    }
}

#[test]
fn no_file_uses_a_file_that_uses_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../..")
        .canonicalize()
        .unwrap();
    let mut all = Vec::new();
    for folder in ["", "host/crates", "plugins", "examples"] {
        crates(&root.join(folder), &mut all);
    }
    all.sort();
    assert!(all.len() > 20, "the crates were not found: {all:?}");
    let mut wrong = Vec::new();
    for one in all {
        let name = one.strip_prefix(&root).unwrap().to_str().unwrap();
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let roots = ["lib.rs", "main.rs"].map(|file| format!("{name}/src/{file}"));
        for file in roots.iter().filter(|file| text(file).is_some()) {
            wrong.extend(Crate::read(file, &text).circles());
        }
    }
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
