//! The plugin's configuration, parsed once, and what follows from it: how opencode is started, which version will do.

use crate::client::{AUTHORIZATION, PORT, PROCESS, url};
use crate::permission_rules::Policy;
use nexus_plugin_api::process::{Command, HttpStep, Signal, StopStep, UnlessPresent};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `message.part.delta`, without which nothing streams, appeared here.
pub const MIN_VERSION: (u64, u64, u64) = (1, 2, 1);

pub const INSTALL: &str =
    "run `nexus setup opencode` (with the same --data-dir as `nexus up`), or install opencode yourself";

pub const CORRECT: &str = "correct [plugin.chat-opencode.config] in the configuration";

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default = "ask")]
    hosted_models: String,
    #[serde(default)]
    extra_env: BTreeMap<String, String>,
    #[serde(default)]
    permission: BTreeMap<String, String>,
    #[serde(default)]
    project_config: bool,
}

/// What decides whether the owner is asked is told to opencode by this plugin alone.
const OURS: [&str; 3] = [
    "OPENCODE_PERMISSION",
    "OPENCODE_DISABLE_PROJECT_CONFIG",
    "OPENCODE_CONFIG_CONTENT",
];
/// What opencode loads to ask where it would not: see there.
const GUARD: &str = include_str!("guard.mjs");
const LOAD_GUARD: &str = r#"{{"plugin":["{file:guard.js}"]}"#;
/// What the guard writes into opencode's `instructions`: it is loaded.
pub const GUARDED: &str = "/nexus-guard";

/// What opencode 1.18 runs of the folder it works in and of those above it, whatever it is told: found in its configuration
/// service, and tried with each of them. Other keys there start nothing.
fn own_code() -> UnlessPresent {
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    UnlessPresent {
        folders: all(&[".opencode/plugin", ".opencode/plugins"]),
        files: all(&[
            "opencode.json",
            "opencode.jsonc",
            ".opencode/opencode.json",
            ".opencode/opencode.jsonc",
        ]),
        keys: all(&["plugin", "plugins"]),
        above: true,
        // Read as the user's own, in any case.
        home: all(&[".opencode"]),
        or: "set project_config = true under [plugin.chat-opencode.config]; everything in the workspace's opencode \
            configuration (plugins, tools, MCP servers, formatters) then runs without a permission request, and the \
            agent can change that configuration"
            .to_owned(),
    }
}

fn ask() -> String {
    "ask".to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosted {
    Ask,
    Allow,
    Deny,
}

impl Settings {
    /// # Errors
    /// All of [`Self::wrong`].
    pub fn check(&self) -> Result<Hosted, String> {
        let wrong = self.wrong();
        if !wrong.is_empty() {
            return Err(format!("[plugin.chat-opencode.config]: {}", wrong.join(" ")));
        }
        Ok(match self.hosted_models.as_str() {
            "allow" => Hosted::Allow,
            "deny" => Hosted::Deny,
            _ => Hosted::Ask,
        })
    }

    /// A sentence for each thing that cannot be used: the key, what was found and what was expected.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(model) = self.model.as_deref().filter(|m| split_model(m).is_none()) {
            wrong.push(format!(
                "`model` is {model:?}: expected provider/model, as in \"anthropic/claude-sonnet-4\"."
            ));
        }
        wrong.extend(Policy::new(&self.permission).err().unwrap_or_default());
        for name in OURS.iter().filter(|name| self.extra_env.contains_key(**name)) {
            wrong.push(format!(
                "`extra_env` has {name}, which this plugin sets itself. To fix: remove it and use permission = {{ \
                 bash = \"allow\" }} or project_config = true under [plugin.chat-opencode.config]."
            ));
        }
        if !["ask", "allow", "deny"].contains(&self.hosted_models.as_str()) {
            let other = &self.hosted_models;
            wrong.push(format!(
                "`hosted_models` is {other:?}: expected \"ask\", \"allow\" or \"deny\"."
            ));
        }
        wrong
    }

    /// What waits for the owner.
    ///
    /// # Errors
    /// What is wrong with `permission`.
    pub fn policy(&self) -> Result<Policy, String> {
        Policy::new(&self.permission).map_err(|wrong| wrong.join(" "))
    }

    /// What holds, for the operator.
    pub fn words(&self) -> String {
        let mut words = self.policy().map_or_else(|why| why, |policy| policy.words());
        if self.project_config {
            words.push_str("; the workspace's own opencode configuration can run programs without asking");
        }
        words
    }

    /// How the server is started. Equal settings give an equal command, so that a running one is adopted.
    pub fn server(&self) -> Command {
        let mut command = Command::new("opencode")
            .args(["serve", "--hostname", "127.0.0.1", "--port", "{port:http}"])
            .inherit()
            .port(PORT)
            .env("OPENCODE_SERVER_USERNAME", "opencode")
            .env("OPENCODE_SERVER_PASSWORD", "{generated:server-password}")
            .env("OPENCODE_DISABLE_AUTOUPDATE", "1")
            .env(
                "OPENCODE_PERMISSION",
                self.policy()
                    .map(|p| p.environment().replace('{', "{{"))
                    .unwrap_or_default(),
            )
            .file("guard.js", GUARD.replace('{', "{{"))
            .env("OPENCODE_CONFIG_CONTENT", LOAD_GUARD)
            // Each start leaves a library of some megabytes in its temporary directory.
            .env("TMPDIR", "{dir}");
        if !self.project_config {
            command = command
                .unless_present(&own_code())
                .env("OPENCODE_DISABLE_PROJECT_CONFIG", "1");
        }
        for (name, value) in &self.extra_env {
            command = command.env(name, value.replace('{', "{{"));
        }
        command.stop(vec![
            // Ends its tools, which have left the process group.
            StopStep::Http(HttpStep {
                method: "POST".to_owned(),
                url: url("/global/dispose"),
                headers: vec![("authorization".to_owned(), AUTHORIZATION.to_owned())],
                timeout: 3_000,
            }),
            StopStep::Signal(Signal::Terminate),
            StopStep::Wait(2_000),
            // The first one is lost while it installs its own plugins.
            StopStep::Signal(Signal::Terminate),
            StopStep::Wait(3_000),
            StopStep::Signal(Signal::Kill),
        ])
    }

    pub fn version(&self) -> Command {
        Command::new(PROCESS).args(["--version"])
    }
}

/// (provider, model): the model's own name may hold slashes.
pub fn split_model(model: &str) -> Option<(&str, &str)> {
    model
        .split_once('/')
        .filter(|(provider, name)| !provider.is_empty() && !name.is_empty())
}

/// Why opencode would not work in this folder.
pub fn unfit_folder(path: &str) -> Option<String> {
    let decoded = |at: usize| {
        let digits = path.get(at + 1..at + 3);
        digits.is_some_and(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let what = match path.find('\\') {
        Some(_) => "\\",
        None => path
            .match_indices('%')
            .find(|(at, _)| decoded(*at))
            .and_then(|(at, _)| path.get(at..at + 3))?,
    };
    Some(format!(
        "opencode cannot work in the folder {path:?}: it misinterprets {what:?} in a folder name, so every prompt \
         would fail. To fix: rename the folder, then start Nexus there"
    ))
}

/// The version in what `--version` prints: a line that is one, with or without a leading `v`.
pub fn parse_version(output: &str) -> Option<(String, (u64, u64, u64))> {
    output.lines().rev().find_map(|line| {
        let text = line.trim();
        let bare = text.strip_prefix('v').unwrap_or(text);
        let core = bare.split(['-', '+']).next()?;
        let mut numbers = core.split('.').map(str::parse::<u64>);
        let (a, b, c) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        numbers.next().is_none().then(|| (bare.to_owned(), (a, b, c)))
    })
}

/// Why a version will not do. A pre-release counts as its release.
pub fn unsuitable(found: (u64, u64, u64)) -> Option<String> {
    let show = |(a, b, c): (u64, u64, u64)| format!("{a}.{b}.{c}");
    if found < MIN_VERSION {
        return Some(format!(
            "opencode {} is too old: {} or newer is required. To fix: update it with `npm install -g \
             opencode-ai@latest` or `opencode upgrade`",
            show(found),
            show(MIN_VERSION)
        ));
    }
    (found.0 > 1).then(|| {
        format!(
            "opencode {} has another interface than the one this plugin supports (version 1). To fix: install a \
             version 1 with `npm install -g opencode-ai@1`, or use a newer plugin",
            show(found)
        )
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(parse_version("1.18.33\n").unwrap().1, (1, 18, 33));
        assert_eq!(
            parse_version("a warning\nv1.2.1-beta.3\n").unwrap(),
            ("1.2.1-beta.3".to_owned(), (1, 2, 1))
        );
        assert_eq!(parse_version("opencode\n1.2\n1.2.x"), None);
        assert_eq!(unsuitable((1, 2, 1)), None);
        assert_eq!(unsuitable((1, 18, 33)), None);
        assert!(unsuitable((1, 2, 0)).unwrap().contains("1.2.1 or newer"));
        assert!(unsuitable((2, 0, 0)).unwrap().contains("opencode-ai@1"));
    }

    #[test]
    fn folders_that_opencode_decodes_twice_are_told() {
        for bad in ["/w/My%20Project", "/w/100%25", "/w/a\\b"] {
            assert!(unfit_folder(bad).unwrap().contains("rename the folder"), "{bad}");
        }
        for good in ["/w/My Project", "/w/100%", "/w/%x", "/w/héllo#?&"] {
            assert_eq!(unfit_folder(good), None, "{good}");
        }
    }

    #[test]
    fn settings_name_the_key_that_is_wrong() {
        let settings = |json: &str| serde_json::from_str::<Settings>(json).unwrap();
        assert_eq!(settings("{}").check(), Ok(Hosted::Ask));
        assert_eq!(
            settings(r#"{"hosted_models":"deny","model":"a/b/c"}"#).check(),
            Ok(Hosted::Deny)
        );
        assert!(
            settings(r#"{"hosted_models":"yes"}"#)
                .check()
                .unwrap_err()
                .contains("`hosted_models` is \"yes\"")
        );
        assert!(
            settings(r#"{"model":"gpt"}"#)
                .check()
                .unwrap_err()
                .contains("provider/model")
        );
    }

    #[test]
    fn asking_is_the_default_and_is_not_told_twice() {
        let settings = |json: &str| serde_json::from_str::<Settings>(json).unwrap();
        let env = |json: &str, name: &str| {
            let spec = settings(json).server().0;
            spec.env.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
        };
        let told = env("{}", "OPENCODE_PERMISSION").unwrap();
        assert!(told.starts_with("{{") && told.contains(r#""bash":"ask""#), "{told}");
        assert_eq!(env("{}", "OPENCODE_DISABLE_PROJECT_CONFIG").as_deref(), Some("1"));
        assert_eq!(
            env(r#"{"project_config":true}"#, "OPENCODE_DISABLE_PROJECT_CONFIG"),
            None
        );
        assert!(settings("{}").words().starts_with("Asks before: commands, edits, "));
        let own = settings(r#"{"project_config":true}"#);
        assert!(own.words().contains("can run programs without asking"));
        // The guard is there with both, and its braces are its own.
        for settings in [&settings("{}"), &own] {
            let spec = settings.server().0;
            let guard = spec.files.iter().find(|file| file.name == "guard.js").unwrap();
            assert_eq!(guard.content.replace("{{", "{"), GUARD);
            let load = spec.env.iter().find(|(name, _)| name == "OPENCODE_CONFIG_CONTENT");
            assert_eq!(load.unwrap().1, LOAD_GUARD);
        }
        assert!(GUARD.contains(GUARDED));
        // What the workspace may not hold is told to the host, and not with its configuration.
        assert_eq!(settings("{}").server().0.ext.len(), 1);
        assert!(own.server().0.ext.is_empty());
        let both = settings(r#"{"extra_env":{"OPENCODE_PERMISSION":"{}"}}"#);
        assert!(both.check().unwrap_err().contains("permission = { bash"));
        let many =
            settings(r#"{"permission":{"shell":"ask","bash":"maybe"},"model":"x","hosted_models":"no"}"#).wrong();
        assert_eq!(many.len(), 4, "{many:?}");
        assert!(many.iter().any(|why| why.contains("\"shell\"")), "{many:?}");
    }

    #[test]
    fn the_password_is_never_an_argument_and_braces_of_the_operator_stay_literal() {
        let settings: Settings = serde_json::from_str(r#"{"extra_env":{"A":"{secret:x}"}}"#).unwrap();
        let spec = settings.server().0;
        assert!(spec.args.iter().all(|a| !a.contains("password")));
        assert!(spec.env.contains(&("A".to_owned(), "{{secret:x}".to_owned())));
    }
}
