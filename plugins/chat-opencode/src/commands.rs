//! Commands: prompts that opencode makes of a text with placeholders, its template, and of what the owner writes.
//!
//! Problem: opencode does two things with what comes out, before an agent sees it and without a permission request. What is
//! in !`…` is given to a shell, and each `@path` is read and sent, wherever it is; what the owner has pasted behind a
//! command counts as much as what its author wrote. It puts the owner's text in by JavaScript's `replaceAll`, in which `$'` and its like
//! stand for pieces of the template.
//!
//! Mechanism: a command is not sent where a shell could be run, unless the agent may run commands without asking anyway, or where a
//! path could lead out of the workspace, unless that is so for files outside. This rather refuses too much ([`Command::arguments_error`],
//! [`mentions`]): a text can be sent in other words.
//!
//! Rejected: escaping, for which opencode has no syntax.

use crate::client;
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::commands;
use serde::Deserialize;
use std::collections::BTreeSet;

/// `Command` is an entry of `GET /command`.
#[derive(Debug, Deserialize)]
pub struct Command {
    pub name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    pub agent: Option<String>,
    /// `model` is `provider/model`; it outranks the prompt's.
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    template: String,
    #[serde(default)]
    hints: Vec<String>,
}

/// `SHELL` begins what opencode gives to a shell.
const SHELL: &str = "!`";
/// `PATTERNS` follow a `$` that stands for something in JavaScript's `replaceAll`.
const PATTERNS: [char; 5] = ['`', '\'', '&', '$', '<'];
const PLACEHOLDER: &str = "$ARGUMENTS";

impl Command {
    /// `runs_programs` tells whether opencode runs programs for it before the agent sees anything, without a permission
    /// request: by its template alone, or with anything that follows it.
    pub fn runs_programs(&self) -> bool {
        let at_placeholder = self.template.split('!').skip(1).any(|after| after.starts_with('$'));
        self.template.contains(SHELL) || at_placeholder
    }

    /// `arguments_error` is why a text cannot follow the command: opencode would run what is in it, or could.
    pub fn arguments_error(&self, arguments: &str) -> Option<String> {
        let mut chars = arguments.chars().peekable();
        let mut acts = arguments.contains('`') || (arguments.contains('!') && self.template.contains('`'));
        while let Some(c) = chars.next() {
            let stands = |next: &char| PATTERNS.contains(next) || next.is_ascii_digit();
            acts |= c == '$' && chars.peek().is_some_and(stands);
        }
        acts.then(|| {
            format!(
                "What follows /{} has a character by which opencode would run a part of it as a program without a permission \
                 request (`, a ! or a $). To fix: write it without that character, or as a message without a command.",
                self.name
            )
        })
    }

    /// `paths` are those that opencode may read for the command without a permission request: of its template, and of what
    /// follows it.
    pub fn paths(&self, arguments: &str) -> BTreeSet<String> {
        let whole = self.template.replace(PLACEHOLDER, arguments);
        let mut found = mentions(&format!("{whole}\n{arguments}"));
        // An `@` before a placeholder makes a path of what takes its place.
        if self.template.contains("@$") {
            let words = arguments.split(|c: char| c.is_whitespace() || c == '"' || c == '\'');
            found.extend(words.flat_map(|word| mentions(&format!("@{word}"))));
            found.extend(mentions(&format!("@{}", arguments.trim())));
        }
        found
    }
}

/// `mentions` are the paths behind an `@` in a text, as opencode's own pattern finds them:
/// `(?<![\w\`])@(\.?[^\s\`,.]*(?:\.[^\s\`,.]+)*)`.
pub fn mentions(text: &str) -> BTreeSet<String> {
    let ends = |c: char| c.is_whitespace() || c == '\u{feff}' || c == '`' || c == ',' || c == '.';
    let mut found = BTreeSet::new();
    let mut before = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '`';
        if c == '@' && !before.is_some_and(word) {
            let mut name = String::new();
            let mut left = after;
            if let Some(more) = left.strip_prefix('.') {
                name.push('.');
                left = more;
            }
            loop {
                let length = left.find(ends).unwrap_or(left.len());
                name.push_str(left.get(..length).unwrap_or_default());
                left = left.get(length..).unwrap_or_default();
                match left.strip_prefix('.') {
                    Some(more) if more.chars().next().is_some_and(|c| !ends(c)) => {
                        name.push('.');
                        left = more;
                    }
                    _ => break,
                }
            }
            if !name.is_empty() {
                found.insert(name);
            }
        }
        before = Some(c);
        rest = after;
    }
    found
}

pub async fn all(workspace: &str) -> Result<Vec<Command>, Error> {
    Ok(client::list("/command", workspace).await?)
}

pub fn convert(command: Command) -> commands::Command {
    let arguments = match command.hints.is_empty() {
        true => Some(String::new()),
        // `$ARGUMENTS` says nothing to people.
        false if command.hints.iter().all(|hint| hint.starts_with('$')) => None,
        false => Some(command.hints.join(" ")),
    };
    commands::Command {
        name: command.name,
        description: command.description.unwrap_or_default(),
        arguments,
        ext: Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn command(template: &str) -> Command {
        serde_json::from_value(json!({"name": "c", "template": template, "hints": ["$ARGUMENTS"]})).unwrap()
    }

    #[test]
    fn nothing_runs_without_a_request_because_it_follows_a_command() {
        let plain = command("say $ARGUMENTS");
        for harmless in ["", "HEAD~1", "hello!", "5 $ and $HOME", "a.rs, b.rs"] {
            assert_eq!(plain.arguments_error(harmless), None, "{harmless}");
        }
        for acts in [
            "!`touch x`",
            "`touch x`",
            "x !$'`touch ran`",
            "!$`",
            "$&",
            "$1",
            "$<a>",
            "$$",
        ] {
            assert!(plain.arguments_error(acts).is_some(), "{acts}");
        }
        assert!(command("$ARGUMENTS`touch x`").arguments_error("!").is_some());
        for runs in ["status: !`git status`", "!$ARGUMENTS", "a !$1$2"] {
            assert!(command(runs).runs_programs(), "{runs}");
        }
        assert!(!plain.runs_programs() && !command("Go!").runs_programs());
        assert_eq!(convert(command("x")).arguments, None);
    }

    #[test]
    fn every_path_that_opencode_would_read_is_found() {
        let found = |text: &str| mentions(text).into_iter().collect::<Vec<_>>();
        assert_eq!(found("see @src/main.rs, and @../x."), ["../x", "src/main.rs"]);
        assert_eq!(found("@~/.ssh/id_rsa @/etc/passwd"), ["/etc/passwd", "~/.ssh/id_rsa"]);
        assert_eq!(found("me@example.org `@x`"), Vec::<String>::new());
        assert_eq!(found("(@.env)"), [".env)"]);
        let paths =
            |template: &str, arguments: &str| command(template).paths(arguments).into_iter().collect::<Vec<_>>();
        assert_eq!(paths("read $ARGUMENTS", "@~/x"), ["~/x"]);
        assert_eq!(paths("read @/etc/hosts", ""), ["/etc/hosts"]);
        assert_eq!(paths("read @$ARGUMENTS", "/etc/passwd"), ["/etc/passwd"]);
        assert!(paths("read @$1 and @$2", "a \"/etc/passwd\"").contains(&"/etc/passwd".to_owned()));
        assert!(paths("read @$ARGUMENTS", "../x").contains(&"../x".to_owned()));
    }
}
