//! The four walks of ARCHITECTURE.md lead through functions that exist, and each calls the next.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeSet;

/// A function of a file: its type, if it has one, its name, the names that its body calls, and those that it passes as values.
struct Function {
    of: Option<String>,
    name: String,
    calls: BTreeSet<Named>,
    values: BTreeSet<Named>,
}

/// What a name is qualified with, if it is, and the name: `pump::run`.
type Named = (Option<String>, String);

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
                let mut function = Function {
                    of: of.map(str::to_owned),
                    name: next,
                    calls: BTreeSet::new(),
                    values: BTreeSet::new(),
                };
                collect(body.stream(), &mut function);
                found.push(function);
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

/// `name(…)`, `.name(…)`, `path::name(…)`, each also as `name::<T>(…)`, and `name!(…)` are calls, also in the arguments of a macro;
/// `path::name` without them is a value. A `fn`, a field and a variable are neither.
fn collect(code: TokenStream, into: &mut Function) {
    let tokens: Vec<TokenTree> = code.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let is = |at: Option<usize>, text: &str| {
            at.and_then(|at| tokens.get(at))
                .is_some_and(|token| token.to_string() == text)
        };
        match token {
            TokenTree::Group(group) => collect(group.stream(), into),
            TokenTree::Ident(name) if !is(at.checked_sub(1), "fn") => {
                let after = after_generics(&tokens, at + 1);
                let called = matches!(tokens.get(after), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
                let of_macro = is(Some(at + 1), "!") && matches!(tokens.get(at + 2), Some(TokenTree::Group(_)));
                let qualified = is(at.checked_sub(1), ":") && is(at.checked_sub(2), ":");
                let before = at.checked_sub(3).filter(|_| qualified).map(|at| tokens[at].to_string());
                if called || of_macro {
                    into.calls.insert((before, name.to_string()));
                } else if qualified {
                    into.values.insert((before, name.to_string()));
                }
            }
            _ => {}
        }
    }
}

/// Behind `::<…>`, if it is there.
fn after_generics(tokens: &[TokenTree], at: usize) -> usize {
    let texts = |n: usize| tokens.get(at + n).map(ToString::to_string).unwrap_or_default();
    if (texts(0).as_str(), texts(1).as_str(), texts(2).as_str()) != (":", ":", "<") {
        return at;
    }
    let mut depth = 0;
    for (more, token) in tokens.iter().enumerate().skip(at + 2) {
        match token.to_string().as_str() {
            "<" => depth += 1,
            ">" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return more + 1;
        }
    }
    at
}

/// Whether a function of `file` can be meant by a name that is qualified so: by its type, its module, or by what says where that is.
fn may_qualify(by: Option<&str>, file: &str, function: &Function) -> bool {
    let module = file.trim_end_matches(".rs").trim_end_matches("/mod").rsplit('/').next();
    by.is_none_or(|by| {
        matches!(by, "Self" | "self" | "super" | "crate") || Some(by) == module || Some(by) == function.of.as_deref()
    })
}

/// What of the numbered steps of a text is not so: each begins with a file and a function in it, `name` or `Type::name`. Without ⇢
/// the step before calls it, or passes it on where the step says "passed as a value".
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
        let passed = step.contains("passed as a value");
        let called = before.as_ref().is_none_or(|before| {
            let is_this = |named: &Named| named.1 == name && may_qualify(named.0.as_deref(), file, &this);
            before.calls.iter().any(is_this) || (passed && before.values.iter().any(is_this))
        });
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
    let root = super::sources::root();
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let walks = text.split("## Four walks").nth(1).expect("the section of the walks");
    assert!(walks.matches("\n1. `").count() == 4, "four walks");
    let found = wrong(walks, |file| {
        std::fs::read_to_string(root.join("host/crates").join(file)).ok()
    });
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

#[test]
fn only_a_call_is_a_call() {
    let code = "fn calls() { one(); x.two(1); a::three::<Vec<u8>>(x); four!(x); f(|| g(vec![five()])) }\n\
                fn names() { fn one() {} let two = x.three; map(a::four); five; b::two() }\n\
                fn one() {} fn two() {} fn three() {} fn four() {} fn five() {}";
    let read = |_: &str| Some(code.to_owned());
    let step =
        |from: &str, to: &str, more: &str| wrong(&format!("1. `a.rs` `{from}` x\n2. `a.rs` `{to}` {more}\n"), read);
    for name in ["one", "two", "three", "four", "five"] {
        assert_eq!(step("calls", name, "x"), Vec::<String>::new(), "{name}");
        assert_eq!(step("names", name, "x").len(), 1, "{name}");
    }
    assert_eq!(step("names", "four", "is passed as a value"), Vec::<String>::new());
    assert_eq!(step("names", "five", "is passed as a value").len(), 1);
}
