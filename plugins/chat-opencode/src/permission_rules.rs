//! What waits for the owner, and whether opencode keeps to it.
//!
//! Problem: opencode by itself runs commands and edits without asking, and reads what it may do from files that the agent
//! can write: `opencode.json` and `.opencode/` of the workspace, its own configuration, the files of its agents.
//!
//! Mechanism: `OPENCODE_PERMISSION` in its environment, which it merges over every file; the workspace's configuration is
//! not read; and because a rule of an agent, or a clever order of rules (`"bash"`, then `"b*"`), outranks even that, the rules
//! that opencode has made of all of it are read back after its start ([`permissive_rule`]). Where one of them lets something through
//! that should wait, opencode is not used, and the reason names the agent and the rule.
//!
//! Limits: a plugin or a tool of opencode's own is code inside of it, and is asked nothing; nor is a program that its
//! configuration starts (an MCP server, a formatter). In the workspace opencode 1.18 loads `.opencode/plugin` whatever it is
//! told, so it is not used where one is there (`settings::workspace_code`), and an edit of such a file says so where it is asked
//! for ([`warning`]).
//!
//! Rejected: a `permission` of each session, which sub-agents do not inherit.

use crate::wildcard::matches;
use nexus_plugin_api::paths::path_contains_name;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// `KEYS` are the keys of `permission`: their names there and in opencode, and what runs without asking when one is
/// `allow`.
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
/// `SAFE_TOOLS` are the tools that need no permission request: they read the workspace, or the agent's own data.
const SAFE_TOOLS: [&str; 13] = [
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

/// `Policy` has `ask`, `allow` or `deny` for each key.
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

    fn action(&self, key: &str) -> &str {
        self.0.get(key).map_or("ask", String::as_str)
    }

    /// `allows` tells whether what a key stands for runs without a permission request.
    pub fn allows(&self, key: &str) -> bool {
        self.action(key) == "allow"
    }

    /// `environment` is the value of `OPENCODE_PERMISSION`. opencode uses the last rule that matches and keeps this
    /// order, so `*_*` is first.
    pub fn environment(&self) -> String {
        let rules: Map<String, Value> = KEYS
            .iter()
            .map(|(key, rule, _)| ((*rule).to_owned(), json!(self.action(key))))
            .collect();
        Value::Object(rules).to_string()
    }

    /// `summary` describes the policy for the operator.
    pub fn summary(&self) -> String {
        let parts = [
            ("ask", "Asks before"),
            ("allow", "allowed without asking"),
            ("deny", "denied"),
        ];
        let parts = parts.iter().filter_map(|(action, begin)| {
            // Commands first, and what is less often met last.
            let keys = KEYS.iter().skip(1).chain(KEYS.iter().take(1));
            let words: Vec<_> = keys
                .filter(|(key, ..)| self.action(key) == *action)
                .map(|(.., words)| *words)
                .collect();
            (!words.is_empty()).then(|| format!("{begin}: {}", words.join(", ")))
        });
        parts.collect::<Vec<_>>().join("; ")
    }
}

/// `permissive_rule` is the reason why opencode would not follow the policy, from its response to `GET /agent`. `None`:
/// it follows the policy.
pub fn permissive_rule(agents: &Value, policy: &Policy) -> Option<String> {
    let agents = agents.as_array()?;
    agents.iter().find_map(|agent| {
        let name = agent.get("name").and_then(Value::as_str).unwrap_or_default();
        let rules = Rules::of(agent.get("permission").unwrap_or(&Value::Null));
        // The tools that have a name before all others.
        let keys = KEYS.iter().skip(1).chain(KEYS.iter().take(1));
        keys.filter(|(key, ..)| policy.action(key) != "allow")
            .find_map(|(key, _, words)| {
                let rule = if *key == "mcp" {
                    rules.allows_unknown_tools()
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

/// `Rules` are (permission, pattern, action); the last rule that matches decides.
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

    /// `allows` is the rule that allows some use of this tool.
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

    /// `allows_unknown_tools` is the rule that allows a tool that is not part of opencode.
    fn allows_unknown_tools(&self) -> Option<&'a str> {
        for (permission, pattern, action) in self.0.iter().rev() {
            let all = *permission == "*" || *permission == "*_*";
            if all && *pattern == "*" && *action != "allow" {
                return None;
            }
            let opencodes_own = SAFE_TOOLS.contains(permission) || KEYS.iter().any(|(key, ..)| key == permission);
            if *action == "allow" && !opencodes_own {
                return Some(permission);
            }
        }
        None
    }

    /// `known_directories` are opencode's own folders, such as the one for output that is too long: those of the first
    /// block, which no file can change.
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

/// `CONFIGURATION_FILES` are names, at the end of a path or within it, of files whose content is run: opencode's
/// configuration, and git's hooks and settings. Case does not matter, because some file systems ignore it.
pub const CONFIGURATION_FILES: [&str; 5] = [
    ".opencode",
    "opencode.json",
    "opencode.jsonc",
    ".config/opencode",
    ".git",
];

/// `warning` is shown to the owner before a file that configures opencode or git is changed.
pub fn warning(paths: &[String]) -> Option<String> {
    let path = paths
        .iter()
        .find(|path| path_contains_name(path, &CONFIGURATION_FILES))?;
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

    /// `build` are rules as opencode 1.18.33 reports them for the agent `build`: its own, those of the environment,
    /// then `more`.
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
            policy.summary(),
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
        assert_eq!(permissive_rule(&build(&[]), &policy), None);
    }

    #[test]
    fn what_an_agent_or_an_order_of_rules_lets_through_is_found() {
        let policy = policy(&[]).unwrap();
        for (rule, key) in [
            (("bash", "*", "allow"), "bash"),
            (("b*", "*", "allow"), "bash"),
            (("bas?", "git *", "allow"), "bash"),
            // To opencode this is `bash` with or without more words.
            (("bash *", "*", "allow"), "bash"),
            (("*", "*", "allow"), "bash"),
            (("edit", "src/*", "allow"), "edit"),
            (("files_write", "*", "allow"), "mcp"),
            (("f*", "*", "allow"), "mcp"),
            (("external_directory", "/*", "allow"), "external_directory"),
        ] {
            let why = permissive_rule(&build(&[rule]), &policy).unwrap_or_else(|| panic!("{rule:?}"));
            assert!(
                why.contains("`build`") && why.contains(&format!("{key} = \"allow\"")),
                "{why}"
            );
        }
        for fine in [("read", "*", "allow"), ("bash", "git *", "deny"), ("edit", "*", "ask")] {
            assert_eq!(permissive_rule(&build(&[fine]), &policy), None, "{fine:?}");
        }
    }

    #[test]
    fn a_key_relaxes_one_tool_and_that_is_shown() {
        let relaxed = policy(&[("bash", "allow")]).unwrap();
        assert!(relaxed.summary().starts_with("Asks before: edits, "));
        assert!(relaxed.summary().ends_with("; allowed without asking: commands"));
        assert_eq!(permissive_rule(&build(&[("bash", "*", "allow")]), &relaxed), None);
        assert!(permissive_rule(&build(&[("edit", "*", "allow")]), &relaxed).is_some());
        let web = policy(&[("webfetch", "allow"), ("websearch", "deny")])
            .unwrap()
            .summary();
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
