//! The plugin's configuration, parsed once, and what follows from it: how opencode is started, which version will do.

use crate::client::{AUTHORIZATION, PORT, PROCESS, url};
use crate::permission_rules::Policy;
use nexus_plugin_api::process::{Command, Header, HttpStep, Signal, StopStep, UnlessPresent};
use nexus_plugin_api::version::{VersionRequirement, numbers};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `VERSION` requires the first opencode with `message.part.delta`, without which nothing streams.
const VERSION: VersionRequirement<'static> = VersionRequirement {
    program: "opencode",
    command: "opencode --version",
    minimum: "1.2.1",
    update: "update it with `npm install -g opencode-ai@latest` or `opencode upgrade`",
    other_program: INSTALL,
};
/// `NEXT_MAJOR` is the first major version whose interface this plugin does not know.
const NEXT_MAJOR: u64 = 2;

pub const INSTALL: &str = "run `nexus setup opencode`, or install opencode yourself";

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

/// `RESERVED_ENV` are variables that only this plugin sets: they decide whether the owner is asked.
const RESERVED_ENV: [&str; 3] = [
    "OPENCODE_PERMISSION",
    "OPENCODE_DISABLE_PROJECT_CONFIG",
    "OPENCODE_CONFIG_CONTENT",
];
/// `GUARD` is a plugin for opencode, which asks where opencode itself would not; the file explains it.
const GUARD: &str = include_str!("guard.mjs");
const LOAD_GUARD: &str = r#"{{"plugin":["{file:guard.js}"]}"#;
/// `GUARD_MARKER` is what the guard adds to opencode's `instructions` when it is loaded.
pub const GUARD_MARKER: &str = "/nexus-guard";

/// `workspace_code` is the code in the workspace and in the folders above it that opencode 1.18 runs whatever its
/// settings are. The list is from its configuration service, and each entry was tested. Other keys of these files start
/// nothing.
fn workspace_code() -> UnlessPresent {
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
    /// All of [`Self::errors`].
    pub fn check(&self) -> Result<Hosted, String> {
        let wrong = self.errors();
        if !wrong.is_empty() {
            return Err(format!("[plugin.chat-opencode.config]: {}", wrong.join(" ")));
        }
        Ok(match self.hosted_models.as_str() {
            "allow" => Hosted::Allow,
            "deny" => Hosted::Deny,
            _ => Hosted::Ask,
        })
    }

    /// `errors` has a sentence for each setting that cannot be used: the key, its value and what was expected.
    pub fn errors(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(model) = self.model.as_deref().filter(|m| split_model(m).is_none()) {
            wrong.push(format!(
                "`model` is {model:?}: expected provider/model, as in \"anthropic/claude-sonnet-4\"."
            ));
        }
        wrong.extend(Policy::new(&self.permission).err().unwrap_or_default());
        for name in RESERVED_ENV.iter().filter(|name| self.extra_env.contains_key(**name)) {
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

    /// `policy` is what the agent may do without asking.
    ///
    /// # Errors
    /// What is wrong with `permission`.
    pub fn policy(&self) -> Result<Policy, String> {
        Policy::new(&self.permission).map_err(|wrong| wrong.join(" "))
    }

    /// `summary` describes the settings for the operator.
    pub fn summary(&self) -> String {
        let mut words = self.policy().map_or_else(|why| why, |policy| policy.summary());
        if self.project_config {
            words.push_str("; the workspace's own opencode configuration can run programs without asking");
        }
        words
    }

    /// `server` is the command that starts the server. Equal settings give an equal command, so that a running one is
    /// adopted.
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
                .unless_present(workspace_code())
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
                headers: vec![Header {
                    name: "authorization".to_owned(),
                    value: AUTHORIZATION.to_owned(),
                }],
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
}

/// `version_command` prints the version of opencode.
pub fn version_command() -> Command {
    Command::new(PROCESS).args(["--version"])
}

/// `split_model` splits a model into provider and name; the name may contain slashes.
pub fn split_model(model: &str) -> Option<(&str, &str)> {
    model
        .split_once('/')
        .filter(|(provider, name)| !provider.is_empty() && !name.is_empty())
}

/// `folder_error` is the reason why opencode would not work in this folder.
pub fn folder_error(path: &str) -> Option<String> {
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

/// `version` is the version in the output of `opencode --version`: the last line that is a version, with or without a
/// leading `v`. `Some(Err)`: a version that cannot be used, and the fix.
pub fn version(output: &str) -> Option<Result<String, String>> {
    output.lines().rev().find_map(|line| {
        let text = line.trim();
        let version = text.strip_prefix('v').unwrap_or(text);
        let [major, ..] = numbers(version).filter(|_| !version.contains(char::is_whitespace))?;
        if major < NEXT_MAJOR {
            return Some(VERSION.check(output, Some(version)));
        }
        Some(Err(format!(
            "opencode {version} has another interface than the one this plugin supports (version 1). To fix: install a \
             version 1 with `npm install -g opencode-ai@1`, or use a newer plugin"
        )))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_plugin_api::caps::process::Spec;

    fn variable<'a>(spec: &'a Spec, name: &str) -> Option<&'a str> {
        let variable = spec.env.iter().find(|variable| variable.name == name);
        variable.map(|variable| variable.value.as_str())
    }

    #[test]
    fn versions() {
        assert_eq!(version("1.18.33\n"), Some(Ok("1.18.33".to_owned())));
        assert_eq!(
            version("a warning\nv1.2.1-beta.3\n"),
            Some(Ok("1.2.1-beta.3".to_owned()))
        );
        assert_eq!(version("opencode\n1.x\n1.2 of something"), None);
        assert_eq!(version("1.2.1"), Some(Ok("1.2.1".to_owned())));
        assert!(version("1.2.0").unwrap().unwrap_err().contains("1.2.1 or newer"));
        assert!(version("2.0.0").unwrap().unwrap_err().contains("opencode-ai@1"));
    }

    #[test]
    fn folders_that_opencode_decodes_twice_are_reported() {
        for bad in ["/w/My%20Project", "/w/100%25", "/w/a\\b"] {
            assert!(folder_error(bad).unwrap().contains("rename the folder"), "{bad}");
        }
        for good in ["/w/My Project", "/w/100%", "/w/%x", "/w/héllo#?&"] {
            assert_eq!(folder_error(good), None, "{good}");
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
    fn asking_is_the_default_and_is_not_set_twice() {
        let settings = |json: &str| serde_json::from_str::<Settings>(json).unwrap();
        let env = |json: &str, name: &str| {
            let spec = settings(json).server().0;
            variable(&spec, name).map(str::to_owned)
        };
        let told = env("{}", "OPENCODE_PERMISSION").unwrap();
        assert!(told.starts_with("{{") && told.contains(r#""bash":"ask""#), "{told}");
        assert_eq!(env("{}", "OPENCODE_DISABLE_PROJECT_CONFIG").as_deref(), Some("1"));
        assert_eq!(
            env(r#"{"project_config":true}"#, "OPENCODE_DISABLE_PROJECT_CONFIG"),
            None
        );
        assert!(settings("{}").summary().starts_with("Asks before: commands, edits, "));
        let own = settings(r#"{"project_config":true}"#);
        assert!(own.summary().contains("can run programs without asking"));
        // The guard is there with both, and its braces are its own.
        for settings in [&settings("{}"), &own] {
            let spec = settings.server().0;
            let guard = spec.files.iter().find(|file| file.name == "guard.js").unwrap();
            assert_eq!(guard.content.replace("{{", "{"), GUARD);
            assert_eq!(variable(&spec, "OPENCODE_CONFIG_CONTENT"), Some(LOAD_GUARD));
        }
        assert!(GUARD.contains(GUARD_MARKER));
        // What the workspace may not hold is told to the host, and not with its configuration.
        let absent = settings("{}").server().0.unless_present.unwrap();
        assert!(absent.folders.iter().any(|folder| folder == ".opencode/plugin"));
        assert_eq!(own.server().0.unless_present, None);
        let both = settings(r#"{"extra_env":{"OPENCODE_PERMISSION":"{}"}}"#);
        assert!(both.check().unwrap_err().contains("permission = { bash"));
        let many =
            settings(r#"{"permission":{"shell":"ask","bash":"maybe"},"model":"x","hosted_models":"no"}"#).errors();
        assert_eq!(many.len(), 4, "{many:?}");
        assert!(many.iter().any(|why| why.contains("\"shell\"")), "{many:?}");
    }

    #[test]
    fn the_password_is_never_an_argument_and_braces_of_the_operator_stay_literal() {
        let settings: Settings = serde_json::from_str(r#"{"extra_env":{"A":"{secret:x}"}}"#).unwrap();
        let spec = settings.server().0;
        assert!(spec.args.iter().all(|a| !a.contains("password")));
        assert_eq!(variable(&spec, "A"), Some("{{secret:x}"));
    }
}
