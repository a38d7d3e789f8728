//! The plugin's configuration, and how the agent is started.

use nexus_plugin_api::process::{Command, OutputMode, Signal, StopStep};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `PROCESS` is the name of the process, and of its program in the manifest.
pub const PROCESS: &str = "acp-agent";

/// `INSTALL` is the fix for a program that is not there.
pub const INSTALL: &str = "install the agent, name its program with `path` under \
                           [plugin.chat-acp.grants.process.acp-agent], and its arguments with `args` under \
                           [plugin.chat-acp.config]";

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default = "title")]
    pub title: String,
    #[serde(default)]
    extra_env: BTreeMap<String, String>,
}

fn title() -> String {
    "ACP agent".to_owned()
}

impl Settings {
    /// `command` starts the agent.
    pub fn command(&self) -> Command {
        let mut command = Command::new(PROCESS)
            .args(self.args.iter().map(|argument| literal(argument)))
            .inherit()
            .stop(vec![StopStep::Signal(Signal::Terminate), StopStep::Wait(3_000)]);
        for (name, value) in &self.extra_env {
            command = command.env(name, literal(value));
        }
        command.0.stdin = true;
        command.0.stdout = OutputMode::Pipe;
        command
    }

    /// `words` is the command as its owner would type it, for a fix.
    pub fn words(&self) -> String {
        let mut words = "the agent's program".to_owned();
        if !self.args.is_empty() {
            words = format!("{words} with the arguments `{}`", self.args.join(" "));
        }
        words
    }
}

/// `literal` is a text in which the host fills nothing in.
fn literal(text: &str) -> String {
    text.replace('{', "{{")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_writes_is_taken_literally() {
        let settings: Settings =
            serde_json::from_str(r#"{"args":["acp","--x={secret:y}"],"extra_env":{"A":"{dir}"}}"#).unwrap();
        let spec = settings.command().0;
        assert_eq!(spec.args, ["acp", "--x={{secret:y}"]);
        assert_eq!(
            spec.env.iter().map(|v| v.value.as_str()).collect::<Vec<_>>(),
            ["{{dir}"]
        );
        assert!(spec.stdin && spec.stdout == OutputMode::Pipe && spec.stderr == OutputMode::Log);
        assert_eq!(settings.title, "ACP agent");
        assert!(settings.words().contains("`acp --x={secret:y}`"));
    }
}
