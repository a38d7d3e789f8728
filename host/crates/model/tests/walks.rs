//! The four walks of ARCHITECTURE.md lead through functions that exist, and each calls the next.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::path::Path;

/// A function of a file: its type, if it has one, its name, and each word of its body.
struct Function {
    of: Option<String>,
    name: String,
    body: BTreeSet<String>,
}

/// All functions of a file but those of tests.
fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    read(code.parse().unwrap(), None, &mut found);
    found
}

fn read(code: TokenStream, of: Option<&str>, found: &mut Vec<Function>) {
    let tokens: Vec<TokenTree> = code.into_iter().collect();
    let mut rest = tokens.as_slice();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let next = after.first().map(ToString::to_string).unwrap_or_default();
        let braces = after
            .iter()
            .position(|token| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace));
        let ends = after.iter().position(|token| token.to_string() == ";");
        // What has no body, as in a trait, ends before the next brace.
        let Some(at) = braces.filter(|at| ends.is_none_or(|ends| *at < ends)) else {
            continue;
        };
        let TokenTree::Group(body) = &after[at] else { continue };
        match first.to_string().as_str() {
            "fn" => {
                let mut words = BTreeSet::new();
                collect(body.stream(), &mut words);
                found.push(Function {
                    of: of.map(str::to_owned),
                    name: next,
                    body: words,
                });
            }
            "impl" => read(body.stream(), Some(&of_type(&after[..at])), found),
            "trait" => read(body.stream(), Some(&next), found),
            "mod" if next != "tests" => read(body.stream(), None, found),
            "mod" => {}
            _ => continue,
        }
        rest = &after[at + 1..];
    }
}

/// `Trait<A> for module::Type<B>` is `Type`.
fn of_type(head: &[TokenTree]) -> String {
    let (mut depth, mut name) = (0, String::new());
    for token in head {
        match (token.to_string().as_str(), depth) {
            ("<", _) => depth += 1,
            (">", _) => depth -= 1,
            ("where", 0) => break,
            (word, 0) if matches!(token, TokenTree::Ident(_)) => word.clone_into(&mut name),
            _ => {}
        }
    }
    name
}

fn collect(code: TokenStream, words: &mut BTreeSet<String>) {
    for token in code {
        match token {
            TokenTree::Group(group) => collect(group.stream(), words),
            TokenTree::Ident(word) => {
                words.insert(word.to_string());
            }
            _ => {}
        }
    }
}

/// What of the numbered steps of a text is not so: each begins with a file and a function in it, `name` or `Type::name`. Without ⇢
/// the step before calls it.
fn wrong(text: &str, code: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut before: Option<Function> = None;
    for line in text.lines() {
        let Some((number, step)) = line.split_once(". ").filter(|(n, _)| n.parse::<u8>().is_ok()) else {
            continue;
        };
        let jump = step.starts_with('⇢');
        let mut words = step.split('`');
        let (Some(file), Some(written)) = (words.nth(1), words.nth(1)) else {
            wrong.push(format!("step {number} names no file and function"));
            continue;
        };
        let Some(code) = code(file) else {
            wrong.push(format!(
                "step {number}: there is no {file}. To fix: write where it is now"
            ));
            continue;
        };
        let (of, name) = match written.split_once("::") {
            Some((of, name)) => (Some(of), name),
            None => (None, written),
        };
        let same = |function: &Function| function.name == name && (of.is_none() || function.of.as_deref() == of);
        let mut those: Vec<Function> = functions(&code).into_iter().filter(same).collect();
        if those.len() > 1 {
            wrong.push(format!(
                "step {number}: {file} has several functions {written}. To fix: write the type too"
            ));
        }
        let Some(this) = those.pop() else {
            wrong.push(format!(
                "step {number}: {file} has no function {written}. To fix: write what does it now"
            ));
            before = None;
            continue;
        };
        let called = before.as_ref().is_none_or(|before| before.body.contains(name));
        if number != "1" && !jump && !called {
            wrong.push(format!(
                "step {number}: the step before does not call {written}. To fix: add the step between, or ⇢"
            ));
        }
        before = Some(this);
    }
    wrong
}

#[test]
fn the_walks_lead_through_functions_that_exist() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(crates.join("../../ARCHITECTURE.md")).unwrap();
    let walks = text.split("## Four walks").nth(1).expect("the section of the walks");
    assert!(walks.matches("\n1. `").count() == 4, "four walks");
    let found = wrong(walks, |file| std::fs::read_to_string(crates.join(file)).ok());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_step_without_its_file_or_its_function_is_found() {
    let code = "impl<T> Of<T> for x::Here<T> where T: A { pub async fn here<T>(x: T) { x.there() } }\n\
                fn there() {}\nimpl Other { fn here(); }\n#[cfg(test)] mod tests { fn there() {} }\n\
                impl Other { fn here(&self) {} }";
    let read = |file: &str| (file == "a.rs").then(|| code.to_owned());
    let fine = "1. `a.rs` `Here::here` does it\n2. `a.rs` `there` does it\n3. ⇢ `a.rs` `Other::here` does it\n";
    assert_eq!(wrong(fine, read), Vec::<String>::new());
    let text = "1. `a.rs` `there` does it\n2. `a.rs` `Here::here` does it\n3. `a.rs` `away` does it\n\
                4. `b.rs` `here` does it\n5. ⇢ `a.rs` `here` does it\nno step\n";
    let found = wrong(text, read);
    assert_eq!(found.len(), 4, "{found:?}");
    for (found, what) in found.iter().zip([
        "does not call Here::here",
        "a.rs has no function away",
        "there is no b.rs",
        "several functions here",
    ]) {
        assert!(found.contains(what), "{found}");
    }
}
