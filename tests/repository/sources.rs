//! Reads the Rust sources of all crates: their modules, what each declares, and the paths in them. What is for tests only
//! is left out, and so is what a macro makes: generated bindings follow the contract.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// `crate::a::b` is `["a", "b"]`.
pub(crate) type Module = Vec<String>;

/// What one module, a file or a `mod name { … }`, declares.
#[derive(Default)]
pub(crate) struct Declared {
    /// The file that it is in.
    pub(crate) file: String,
    names: BTreeSet<String>,
    /// Its structs, enums, unions, traits and type aliases, and whether each is `pub`.
    pub(crate) types: BTreeMap<String, bool>,
    /// By their new name: what `pub use` gives on.
    reexports: BTreeMap<String, Module>,
    /// The modules of `pub use module::*`.
    globs: Vec<Module>,
}

/// The modules of a crate, and all paths in them that begin in this crate.
#[derive(Default)]
pub(crate) struct Crate {
    pub(crate) modules: BTreeMap<Module, Declared>,
    /// Each with the module that it is in, and as it is written.
    pub(crate) paths: Vec<(Module, Vec<String>)>,
    /// What `use` imports under its own name: the module that it is in, and the path as it is written.
    pub(crate) imports: Vec<(Module, Vec<String>)>,
    /// Those of `pub use`: the module, the path, and the name that is given on.
    given_on: Vec<(Module, Vec<String>, String)>,
}

impl Crate {
    /// `text` gives a file's source by its path, from the root file `path` on.
    pub(crate) fn read(path: &str, text: &dyn Fn(&str) -> Option<String>) -> Self {
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
                (
                    "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static",
                    [TokenTree::Ident(name), ..],
                ) => {
                    let declared = self.modules.get_mut(module).unwrap();
                    declared.names.insert(name.to_string());
                    if matches!(word.as_str(), "struct" | "enum" | "union" | "trait" | "type") {
                        *declared.types.entry(name.to_string()).or_default() |= public;
                    }
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
                let declared = self.modules.get(module).unwrap();
                let (file, names, types) = (declared.file.clone(), declared.names.clone(), declared.types.clone());
                self.module(module, &file, group.stream());
                let declared = self.modules.get_mut(module).unwrap();
                (declared.names, declared.types) = (names, types);
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
                if name.is_none() {
                    self.imports.push((module.clone(), path.clone()));
                }
                if public {
                    self.given_on.push((module.clone(), path.clone(), name.unwrap_or(last)));
                }
                self.paths.push((module.clone(), path));
            }
        }
    }

    /// A path from the root of the crate; none: it begins elsewhere, or with a name and not a module.
    pub(crate) fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
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
    pub(crate) fn declares(&self, path: &[String], depth: usize) -> Option<&Declared> {
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
fn folders(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.join("Cargo.toml").is_file() {
            into.push(path);
        }
    }
}

/// The library or program in each crate's `src`, by its root file, which is named from the root of the repository.
pub(crate) fn all() -> BTreeMap<String, Crate> {
    let root = root();
    let mut all = Vec::new();
    for folder in ["", "host/crates", "plugins", "examples"] {
        folders(&root.join(folder), &mut all);
    }
    assert!(all.len() > 20, "the crates were not found: {all:?}");
    let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let names = all.iter().map(|one| one.strip_prefix(&root).unwrap().to_str().unwrap());
    names
        .flat_map(|name| ["lib.rs", "main.rs"].map(|file| format!("{name}/src/{file}")))
        .filter(|file| text(file).is_some())
        .map(|file| (file.clone(), Crate::read(&file, &text)))
        .collect()
}

/// The name by which Rust code uses the crate of a root file: `nexus_model`.
pub(crate) fn crate_name(file: &str) -> String {
    let folder = file.split("/src/").next().unwrap();
    let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let name = manifest.lines().find_map(|line| line.strip_prefix("name = "));
    name.unwrap_or_else(|| panic!("{folder}/Cargo.toml has no name"))
        .trim_matches('"')
        .replace('-', "_")
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}
