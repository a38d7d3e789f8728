//! What waits for the owner, and whether opencode keeps to it.
//!
//! Problem: opencode by itself runs commands and edits without asking, and reads what it may do from files that the agent
//! can write: `opencode.json` and `.opencode/` of the workspace, its own configuration, the files of its agents.
//!
//! Mechanism: `OPENCODE_PERMISSION` in its environment, which it merges over every file; the workspace's configuration is
//! not read; and because a rule of an agent, or a clever order of rules (`"bash"`, then `"b*"`), outranks even that, the rules
//! that opencode has made of all of it are read back after its start ([`lax`]). Where one of them lets something through
//! that should wait, opencode is not used, and the reason names the agent and the rule.
//!
//! Limits: a plugin or a tool of opencode's own is code inside of it, and is asked nothing; nor is a program that its
//! configuration starts (an MCP server, a formatter). In the workspace opencode 1.18 loads `.opencode/plugin` whatever it is
//! told, so it is not used where one is there (`settings::own_code`), and an edit of such a file says so where it is asked
//! for ([`warning`]).
//!
//! Rejected: a `permission` of each session, which sub-agents do not inherit.

use nexus_plugin_api::chat_ext::obeyed;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A key of `permission`, what it is called there and in opencode, and what runs when it is `allow`.
const KEYS: [(&str, &str, &str); 7] = [
    // The widest first. The tools of MCP servers have the server's name and an underscore in theirs.
    ("mcp", "*_*", "tools of MCP servers"),
    ("bash", "bash", "commands"),
    ("edit", "edit", "edits"),
    ("webfetch", "webfetch", "reading web pages"),
    ("websearch", "websearch", "web searches"),
    (
        "external_directory",
        "external_directory",
        "files outside of the workspace",
    ),
    ("doom_loop", "doom_loop", "repeating the same call"),
];
/// What needs no question: it reads the workspace, or keeps the agent's own books.
const HARMLESS: [&str; 13] = [
    "read",
    "glob",
    "grep",
    "list",
    "todowrite",
    "todoread",
    "question",
    "plan_enter",
    "plan_exit",
    "task",
    "skill",
    "lsp",
    "codesearch",
];

/// For each key `ask`, `allow` or `deny`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy(BTreeMap<&'static str, String>);

impl Policy {
    /// `ask` where nothing is said.
    ///
    /// # Errors
    /// A sentence for each that is wrong, with the key, what was found and what was expected.
    pub fn new(given: &BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        let names = || KEYS.map(|(key, ..)| key).join(", ");
        let mut policy: BTreeMap<_, _> = KEYS.iter().map(|(key, ..)| (*key, "ask".to_owned())).collect();
        let mut wrong = Vec::new();
        for (key, action) in given {
            let known = policy.iter_mut().find(|(known, _)| *known == key);
            if known.is_none() {
                wrong.push(format!(
                    "`permission` has the unknown key {key:?}; known keys are {}. To fix: correct the name, or remove \
                     it.",
                    names()
                ));
            }
            if !["ask", "allow", "deny"].contains(&action.as_str()) {
                wrong.push(format!(
                    "`permission` has {key} = {action:?}: expected \"ask\", \"allow\" or \"deny\"."
                ));
            }
            if let Some((_, slot)) = known {
                slot.clone_from(action);
            }
        }
        if wrong.is_empty() { Ok(Self(policy)) } else { Err(wrong) }
    }

    fn of(&self, key: &str) -> &str {
        self.0.get(key).map_or("ask", String::as_str)
    }

    /// The value of `OPENCODE_PERMISSION`. opencode takes the last rule that matches, and keeps this order: `*_*` is the first.
    pub fn environment(&self) -> String {
        let rules: Map<String, Value> = KEYS
            .iter()
            .map(|(key, rule, _)| ((*rule).to_owned(), json!(self.of(key))))
            .collect();
        Value::Object(rules).to_string()
    }

    /// What holds, for the operator.
    pub fn words(&self) -> String {
        let parts = [
            ("ask", "Asks before"),
            ("allow", "allowed without asking"),
            ("deny", "denied"),
        ];
        let parts = parts.iter().filter_map(|(action, begin)| {
            // Commands first, and what is less often met last.
            let keys = KEYS.iter().skip(1).chain(KEYS.iter().take(1));
            let words: Vec<_> = keys
                .filter(|(key, ..)| self.of(key) == *action)
                .map(|(.., words)| *words)
                .collect();
            (!words.is_empty()).then(|| format!("{begin}: {}", words.join(", ")))
        });
        parts.collect::<Vec<_>>().join("; ")
    }
}

/// Why opencode would not keep to the policy, by its own answer to `GET /agent`. `None`: it does.
pub fn lax(agents: &Value, policy: &Policy) -> Option<String> {
    let agents = agents.as_array()?;
    agents.iter().find_map(|agent| {
        let name = agent.get("name").and_then(Value::as_str).unwrap_or_default();
        let rules = Rules::of(agent.get("permission").unwrap_or(&Value::Null));
        // The tools that have a name before all others.
        let keys = KEYS.iter().skip(1).chain(KEYS.iter().take(1));
        keys.filter(|(key, ..)| policy.of(key) != "allow")
            .find_map(|(key, _, words)| {
                let rule = if *key == "mcp" {
                    rules.other()
                } else {
                    rules.allows(key)
                }?;
                Some(format!(
                    "opencode's agent `{name}` has its own rule that allows {words} without a permission request \
                 ({rule:?} = \"allow\"). The rule is in opencode's configuration or in the file of that agent. To \
                 fix: remove it there, or allow it for all agents:\n[plugin.chat-opencode.config]\npermission = {{ \
                 {key} = \"allow\" }}"
                ))
            })
    })
}

/// (permission, pattern, action), the last that matches wins.
struct Rules<'a>(Vec<(&'a str, &'a str, &'a str)>);

impl<'a> Rules<'a> {
    fn of(rules: &'a Value) -> Self {
        let text = |rule: &'a Value, key| rule.get(key).and_then(Value::as_str).unwrap_or("*");
        let rules = rules.as_array().map(Vec::as_slice).unwrap_or_default();
        Self(
            rules
                .iter()
                .map(|r| (text(r, "permission"), text(r, "pattern"), text(r, "action")))
                .collect(),
        )
    }

    /// The rule that lets this tool through, for anything.
    fn allows(&self, tool: &str) -> Option<&'a str> {
        let known = self.known_directories();
        for (permission, pattern, action) in self.0.iter().rev().filter(|(p, ..)| matches(p, tool)) {
            if *action == "allow" {
                if tool == "external_directory" && known.contains(pattern) {
                    continue;
                }
                return Some(permission);
            }
            if *pattern == "*" {
                return None;
            }
        }
        None
    }

    /// The rule that lets through a tool that is not of opencode itself.
    fn other(&self) -> Option<&'a str> {
        for (permission, pattern, action) in self.0.iter().rev() {
            let all = *permission == "*" || *permission == "*_*";
            if all && *pattern == "*" && *action != "allow" {
                return None;
            }
            let opencodes_own = HARMLESS.contains(permission) || KEYS.iter().any(|(key, ..)| key == permission);
            if *action == "allow" && !opencodes_own {
                return Some(permission);
            }
        }
        None
    }

    /// Its own folders, as for output that is too long: those of the first block, which no file can write.
    fn known_directories(&self) -> BTreeSet<&'a str> {
        let outside = self.0.iter().filter(|(p, ..)| *p == "external_directory");
        let mut blocks = 0;
        outside
            .map_while(|(_, pattern, _)| {
                blocks += usize::from(*pattern == "*");
                (blocks < 2).then_some(*pattern)
            })
            .filter(|pattern| *pattern != "*")
            .collect()
    }
}

/// opencode's wildcards: `*` is any text, `?` any one character.
fn matches(pattern: &str, text: &str) -> bool {
    let mut chars = pattern.chars();
    match chars.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = chars.as_str();
            text.char_indices()
                .any(|(at, _)| matches(rest, text.get(at..).unwrap_or_default()))
                || matches(rest, "")
        }
        Some('?') => {
            let mut text = text.chars();
            text.next().is_some() && matches(chars.as_str(), text.as_str())
        }
        Some(c) => text.strip_prefix(c).is_some_and(|rest| matches(chars.as_str(), rest)),
    }
}

/// Names, at the end or within a path, of what runs what is written there: opencode's configuration, and git's hooks and
/// its settings. Without regard to case, as some disks are.
pub const OBEYED: [&str; 5] = [
    ".opencode",
    "opencode.json",
    "opencode.jsonc",
    ".config/opencode",
    ".git",
];

/// What an owner has to know before a file is changed that opencode itself, or git, obeys.
pub fn warning(paths: &[String]) -> Option<String> {
    let path = paths.iter().find(|path| obeyed(path, &OBEYED))?;
    Some(format!(
        "{path} is a file that configures opencode or git. Its content may run later without a permission request."
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn policy(given: &[(&str, &str)]) -> Result<Policy, String> {
        Policy::new(&given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
            .map_err(|wrong| wrong.join(" "))
    }

    /// Rules as opencode 1.18.33 gives them for `build`: its own, those of the environment, then `more`.
    fn build(more: &[(&str, &str, &str)]) -> Value {
        let own = [
            ("*", "*", "allow"),
            ("doom_loop", "*", "ask"),
            ("external_directory", "*", "ask"),
            ("external_directory", "/data/tool-output/*", "allow"),
            ("read", "*", "allow"),
            ("read", "*.env", "ask"),
            ("question", "*", "allow"),
        ];
        let told = KEYS.map(|(_, rule, _)| (rule, "*", "ask"));
        let last = [("external_directory", "/data/tool-output/*", "allow")];
        let rules = own.iter().chain(&told).chain(more).chain(&last);
        let rules: Vec<Value> = rules
            .map(|(p, pattern, action)| json!({"permission": p, "pattern": pattern, "action": action}))
            .collect();
        json!([{"name": "build", "permission": rules}])
    }

    #[test]
    fn by_default_everything_that_acts_waits() {
        let policy = policy(&[]).unwrap();
        assert_eq!(
            policy.words(),
            "Asks before: commands, edits, reading web pages, web searches, files outside of the workspace, repeating the same call, tools of MCP servers"
        );
        let told: Value = serde_json::from_str(&policy.environment()).unwrap();
        for rule in [
            "bash",
            "edit",
            "webfetch",
            "websearch",
            "*_*",
            "external_directory",
            "doom_loop",
        ] {
            assert_eq!(told[rule], "ask", "{rule}");
        }
        assert!(policy.environment().starts_with(r#"{"*_*""#), "the widest comes first");
        assert_eq!(lax(&build(&[]), &policy), None);
    }

    #[test]
    fn what_an_agent_or_an_order_of_rules_lets_through_is_found() {
        let policy = policy(&[]).unwrap();
        for (rule, key) in [
            (("bash", "*", "allow"), "bash"),
            (("b*", "*", "allow"), "bash"),
            (("bas?", "git *", "allow"), "bash"),
            (("*", "*", "allow"), "bash"),
            (("edit", "src/*", "allow"), "edit"),
            (("files_write", "*", "allow"), "mcp"),
            (("f*", "*", "allow"), "mcp"),
            (("external_directory", "/*", "allow"), "external_directory"),
        ] {
            let why = lax(&build(&[rule]), &policy).unwrap_or_else(|| panic!("{rule:?}"));
            assert!(
                why.contains("`build`") && why.contains(&format!("{key} = \"allow\"")),
                "{why}"
            );
        }
        for fine in [("read", "*", "allow"), ("bash", "git *", "deny"), ("edit", "*", "ask")] {
            assert_eq!(lax(&build(&[fine]), &policy), None, "{fine:?}");
        }
    }

    #[test]
    fn a_key_relaxes_one_tool_and_says_what_is_given_up() {
        let relaxed = policy(&[("bash", "allow")]).unwrap();
        assert!(relaxed.words().starts_with("Asks before: edits, "));
        assert!(relaxed.words().ends_with("; allowed without asking: commands"));
        assert_eq!(lax(&build(&[("bash", "*", "allow")]), &relaxed), None);
        assert!(lax(&build(&[("edit", "*", "allow")]), &relaxed).is_some());
        let web = policy(&[("webfetch", "allow"), ("websearch", "deny")]).unwrap().words();
        assert!(web.starts_with("Asks before: commands, edits, files"), "{web}");
        assert!(
            web.ends_with("; allowed without asking: reading web pages; denied: web searches"),
            "{web}"
        );
        assert!(policy(&[("shell", "ask")]).unwrap_err().contains("bash, edit"));
        assert!(
            policy(&[("bash", "yes")])
                .unwrap_err()
                .contains("\"ask\", \"allow\" or \"deny\"")
        );
    }

    #[test]
    fn an_edit_of_what_opencode_obeys_carries_a_warning() {
        for path in [
            "opencode.json",
            ".opencode/plugin/x.js",
            "sub/.opencode/agent/build.md",
            "/home/u/.config/opencode/opencode.json",
            ".git/hooks/pre-commit",
            "sub/.GIT/config",
        ] {
            assert!(warning(&[path.to_owned()]).unwrap().contains(path));
        }
        for path in ["src/opencode.rs", ".github/x", "a.opencode", "config/opencode"] {
            assert_eq!(warning(&[path.to_owned()]), None, "{path}");
        }
    }
}
