//! Retired words do not come back: the test reads every text of the project (strings, comments, templates, scripts, documents,
//! the contract) and every public name, and says for each retired word what to write instead. `docs/glossary.md` has the words
//! in use.

use crate::retired_words::{KEPT, NAMES, TABLE};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// All files with texts, in a fixed order. Not: built and foreign things, records of what others wrote, the history.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    const SKIPPED: &[&str] = &[
        "target",
        "builtin",
        "node_modules",
        "web/app/dist",
        "web/app/src/api/schema.d.ts",
        ".tools",
        "fixtures",
        ".git",
        "tests/bench",
        // The contract, which is read in its own place.
        "plugin-host/wit",
        "CHANGELOG.md",
        "tests/repository/words.rs",
        "tests/repository/retired_words.rs",
        "package-lock.json",
        // Of others.
        "LICENSE-APACHE",
        "LICENSE-MIT",
    ];
    const READ: &[&str] = &[
        "rs", "js", "mjs", "ts", "svelte", "html", "css", "md", "wit", "toml", "json", "service", "plist", "sh",
    ];
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries
        .into_iter()
        .filter(|path| !SKIPPED.iter().any(|skipped| path.ends_with(skipped)))
    {
        if path.is_dir() {
            files(&path, into);
        } else if path
            .extension()
            // A file without one is a script or a `Containerfile`.
            .is_none_or(|extension| READ.iter().any(|read| extension == *read))
        {
            into.push(path);
        }
    }
}

/// A word of a text.
struct Word {
    text: String,
    line: usize,
    comment: bool,
    /// Nothing but blanks lies between it and the one before.
    follows: bool,
}

/// What a character belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Text,
    Comment,
}

/// Each character of a script with its kind: a line's comment begins with `mark` after a blank or at the line's beginning.
fn kinds_of_script(source: &str, mark: &str) -> Vec<(char, Kind)> {
    let mut all = Vec::with_capacity(source.len());
    for line in source.split_inclusive('\n') {
        let begins = |at: &usize| {
            line.get(..*at)
                .is_some_and(|before| before.is_empty() || before.ends_with(' '))
        };
        let comment = line
            .match_indices(mark)
            .map(|(at, _)| at)
            .find(begins)
            .unwrap_or(line.len());
        let (code, comment) = line.split_at(comment);
        all.extend(code.chars().map(|c| (c, Kind::Text)));
        all.extend(
            comment
                .chars()
                .map(|c| (if mark.contains(c) { ' ' } else { c }, Kind::Comment)),
        );
    }
    all
}

/// Each character of a Rust file with its kind. What only marks a text (quotes, slashes, escapes) is a blank.
fn kinds(source: &str) -> Vec<(char, Kind)> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut all = Vec::with_capacity(chars.len());
    let mut i = 0;
    while i < chars.len() {
        let before = i.checked_sub(1).map_or(' ', at);
        let raw = at(i) == 'r' && !before.is_alphanumeric() && before != '_';
        let hashes = if raw {
            (1..).take_while(|n| at(i + n) == '#').count()
        } else {
            0
        };
        if at(i) == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                all.push((if matches!(at(i), '/' | '!') { ' ' } else { at(i) }, Kind::Comment));
                i += 1;
            }
        } else if raw && at(i + 1 + hashes) == '"' {
            i += 2 + hashes;
            let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            while i < chars.len() && !chars.get(i..).is_some_and(|rest| rest.starts_with(&end)) {
                all.push((at(i), Kind::Text));
                i += 1;
            }
            i += end.len();
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                if at(i) == '\\' {
                    all.push((' ', Kind::Text));
                    all.push((if at(i + 1) == '\n' { '\n' } else { ' ' }, Kind::Text));
                    i += 2;
                } else {
                    all.push((at(i), Kind::Text));
                    i += 1;
                }
            }
            i += 1;
            all.push(('"', Kind::Code));
        } else if at(i) == '\'' && (at(i + 2) == '\'' || at(i + 1) == '\\') {
            // A character, which may be a quotation mark; a lifetime has no second one.
            i += 2;
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
        } else {
            // A comment or a text goes on over the line's end and the blanks before the next one.
            let last = all.last().map_or(Kind::Code, |(_, kind)| *kind);
            all.push((at(i), if at(i).is_whitespace() { last } else { Kind::Code }));
            i += 1;
        }
    }
    all
}

fn words(all: &[(char, Kind)]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let (mut line, mut apart, mut last) = (1, true, None);
    let mut before = ' ';
    for (at, (c, kind)) in all.iter().enumerate() {
        // The apostrophe of `agent's`, and no quotation mark.
        let apostrophe =
            || *c == '\'' && last == Some(*kind) && all.get(at + 1).is_some_and(|(c, _)| c.is_alphanumeric());
        // `{name}` in a text is code.
        let placeholder = std::mem::replace(&mut before, *c) == '{';
        if c.is_whitespace() || *kind == Kind::Code {
            line += usize::from(*c == '\n');
            apart |= !c.is_whitespace();
            last = None;
        } else if c.is_alphanumeric() || *c == '_' || apostrophe() {
            if last == Some(*kind)
                && let Some(word) = words.last_mut()
            {
                word.text.extend(c.to_lowercase());
            } else {
                words.push(Word {
                    text: if placeholder { "{".to_owned() } else { String::new() } + &c.to_lowercase().to_string(),
                    line,
                    comment: *kind == Kind::Comment,
                    follows: !apart,
                });
            }
            (last, apart) = (Some(*kind), false);
        } else {
            (last, apart) = (None, true);
        }
    }
    words
}

/// The words with which a retired phrase begins.
fn first_words() -> &'static HashSet<&'static str> {
    static FIRST: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        let phrases = TABLE.iter().flat_map(|row| row.retired);
        phrases.filter_map(|phrase| phrase.split(' ').next()).collect()
    });
    &FIRST
}

/// Whether `phrase` begins at the first of `words`.
fn begins(words: &[Word], phrase: &str) -> bool {
    let mut parts = phrase.split(' ').enumerate();
    parts.all(|(n, part)| {
        words
            .get(n)
            .is_some_and(|word| word.text == part && (n == 0 || word.follows))
    })
}

/// Whether the word at `at` is part of one of the phrases.
fn inside(words: &[Word], at: usize, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| {
        let length = phrase.split(' ').count();
        (at.saturating_sub(length - 1)..=at).any(|from| words.get(from..).is_some_and(|words| begins(words, phrase)))
    })
}

/// `path:line: word: what to write` for each retired word of a file.
fn findings(path: &str, source: &str) -> Vec<String> {
    let rust = path.ends_with(".rs");
    let all = if rust {
        kinds(source)
    } else if path.ends_with("js") || path.ends_with(".ts") || path.ends_with(".svelte") {
        kinds_of_script(source, "// ")
    } else if path.ends_with(".sh") || !path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
        kinds_of_script(source, "# ")
    } else {
        // JSON has the end of a line as an escape.
        let source = source.replace("\\n", "  ");
        source.chars().map(|c| (c, Kind::Text)).collect()
    };
    let words = words(&all);
    let mut found = Vec::new();
    for (at, word) in words
        .iter()
        .enumerate()
        .filter(|(_, word)| first_words().contains(word.text.as_str()))
    {
        for row in TABLE.iter().filter(|row| row.comments || !word.comment) {
            let rest = words.get(at..).unwrap_or_default();
            let retired = row.retired.iter().find(|phrase| begins(rest, phrase));
            if let Some(retired) = retired.filter(|_| !inside(&words, at, row.fine)) {
                found.push((word.line, *retired, row.write));
            }
        }
    }
    for (line, text) in source.lines().enumerate().filter(|_| rust) {
        let retired = public_name(text).into_iter().flat_map(retired_parts);
        found.extend(retired.map(|(name, write)| (line + 1, name, write)));
    }
    for name in rust.then(|| names_inside(source)).into_iter().flatten() {
        let declares = |line: &str| {
            line.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == name)
        };
        let line = source.lines().position(declares).unwrap_or_default() + 1;
        let new =
            |found: &[(usize, &str, &str)], word| !found.iter().any(|(at, known, _)| (*at, *known) == (line, word));
        for (word, write) in retired_parts(&name) {
            if new(&found, word) {
                found.push((line, word, write));
            }
        }
    }
    found.retain(|(_, word, _)| !KEPT.iter().any(|(file, kept)| path.starts_with(file) && kept == word));
    found
        .iter()
        .map(|(line, word, write)| format!("{path}:{line}: `{word}`: write {write}"))
        .collect()
}

/// The name that a line declares for others.
fn public_name(line: &str) -> Option<&str> {
    const KEYWORDS: &[&str] = &[
        "async", "const", "enum", "extern", "fn", "mod", "static", "struct", "trait", "type", "unsafe",
    ];
    let line = line.trim_start().strip_prefix("pub")?;
    let line = if line.starts_with('(') {
        line.split_once(')')?.1
    } else {
        line
    };
    let line = line.strip_prefix(' ')?;
    let word = line.split(' ').find(|word| !KEYWORDS.contains(word))?;
    word.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// The variants of public enums with their fields, and the functions of public traits.
fn names_inside(source: &str) -> Vec<String> {
    fn read(tokens: TokenStream, into: &mut Vec<String>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut public = false;
        for (at, token) in tokens.iter().enumerate() {
            let word = token.to_string();
            match token {
                TokenTree::Ident(_) if word == "pub" => public = true,
                // `pub(crate)`
                TokenTree::Group(group) if public && group.delimiter() == Delimiter::Parenthesis => {}
                TokenTree::Ident(_) if public && (word == "enum" || word == "trait") => {
                    let body = tokens.iter().skip(at).find_map(|token| match token {
                        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
                        _ => None,
                    });
                    let body: Vec<TokenTree> = body.into_iter().flatten().collect();
                    if word == "enum" {
                        variants(&body, into);
                    } else {
                        functions(&body, into);
                    }
                    public = false;
                }
                TokenTree::Group(group) => {
                    read(group.stream(), into);
                    public = false;
                }
                _ => public &= word == "unsafe",
            }
        }
    }
    /// What is at the beginning, or after a comma: a variant, or a field of one.
    fn variants(body: &[TokenTree], into: &mut Vec<String>) {
        for one in body.split(|token| token.to_string() == ",") {
            // Attributes are before the name.
            let mut one = one;
            while let [TokenTree::Punct(hash), TokenTree::Group(_), rest @ ..] = one
                && hash.as_char() == '#'
            {
                one = rest;
            }
            let [TokenTree::Ident(name), rest @ ..] = one else {
                continue;
            };
            into.push(name.to_string());
            if let [TokenTree::Group(fields)] = rest
                && fields.delimiter() == Delimiter::Brace
            {
                let fields: Vec<TokenTree> = fields.stream().into_iter().collect();
                variants(&fields, into);
            }
        }
    }
    fn functions(body: &[TokenTree], into: &mut Vec<String>) {
        for pair in body.windows(2) {
            if let [TokenTree::Ident(word), TokenTree::Ident(name)] = pair
                && word == "fn"
            {
                into.push(name.to_string());
            }
        }
    }
    let mut names = Vec::new();
    read(source.parse().unwrap_or_default(), &mut names);
    names
}

/// The retired parts of a name, and what to write.
fn retired_parts(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
    let parts = parts(name).into_iter();
    parts.filter_map(|part| NAMES.iter().find(|(name, _)| *name == part).copied())
}

/// `LastWords`, `last_words` and `LAST_WORDS` are `last` and `words`.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && lower) {
            parts.push(String::new());
        }
        lower = c.is_lowercase();
        parts.last_mut().unwrap().extend(c.to_lowercase().filter(|c| *c != '_'));
    }
    parts
}

#[test]
fn no_text_and_no_public_name_has_a_retired_word() {
    let root = super::sources::root();
    let mut all = Vec::new();
    for folder in [".ci", "docs", "examples", "host", "plugin-api", "plugins", "tests"] {
        files(&root.join(folder), &mut all);
    }
    all.extend(["README.md", "SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(|name| root.join(name)));
    assert!(all.len() > 300, "the sources were not read: {}", all.len());
    let mut wrong = Vec::new();
    for file in all {
        let source = std::fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap();
        wrong.extend(findings(path, &source));
    }
    assert!(wrong.is_empty(), "{} retired words:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn words_are_found_in_texts_comments_and_names_and_nowhere_else() {
    let found = |source: &str| findings("x.rs", source).len();
    assert_eq!(found("let fell = 1;"), 0, "a private name");
    assert_eq!(found("say(\"it fell\")"), 1);
    assert_eq!(found("say(r#\"it \"fell\" \"#)"), 1);
    assert_eq!(found("// it fell\nlet a = '\"'; // and fell again"), 2);
    assert_eq!(
        found("say(\"the plugin was given \\\n    up\")"),
        1,
        "over the end of a line"
    );
    assert_eq!(found("//! It is in\n//! force."), 1);
    assert_eq!(found("// It falls back to the default."), 0, "another meaning");
    assert_eq!(found("say(\"in\", \"force\")"), 0, "two texts");
    assert_eq!(found("pub(crate) async fn it_fell(&self)"), 1);
    assert_eq!(found("    pub HasFell: u8,"), 1);
    assert_eq!(
        found("pub enum E {\n    #[x(a, b)]\n    HasFell {\n it_fell: u8 },\n    Fell(Box<u8>),\n}"),
        3
    );
    assert_eq!(found("enum E { HasFell }"), 0, "private");
    assert_eq!(found("pub(crate) trait T {\n    fn it_fell(&self, fell: u8);\n}"), 1);
    assert_eq!(found("say(\"{fell} {fell:?}\")"), 0, "a variable");
    let script = findings("x.js", "// it was said\nsay('it was said'); // and said\n");
    assert_eq!(script, ["x.js:2: `said`: write reported, message"]);
    let script = findings(".ci/x", "# it was said\nsay 'it was said' # and said\n# built anew\n");
    assert_eq!(
        script,
        [
            ".ci/x:2: `said`: write reported, message",
            ".ci/x:3: `anew`: write again: restarted, reopened, compiled again"
        ]
    );
    assert_eq!(
        findings("openapi.json", r#"{ "description": "The plugin was given\nup" }"#),
        ["openapi.json:1: `given up`: write fail, cancel, drop; restart limit reached"]
    );
    assert_eq!(
        findings("x.html", "<p>Nothing is in force</p>"),
        ["x.html:1: `in force`: write active, applied, takes effect"]
    );
}
