//! A permission request of the agent as one of the contract, and the owner's answer as one of its options.
//!
//! The contract knows once, always and reject. Where the options are these, each at most once, the request is a permission;
//! options of another kind, or two of one kind, are the choices of a question, by their names.
//!
//! What is approved is what was read: all of the call's input that is not in its change stands as a detail. Where neither the
//! input nor the title says what would happen, a detail says so, and the page does not let it be allowed.

use crate::tools::{self, Call};
use crate::wire::PermissionOption;
use nexus_plugin_api::chat::types::{AgentRequest, Answer, Choice, Detail, Path, Permission, Question, RequestKind};
use serde_json::{Map, Value, json};

/// `Waiting` is a request that waits for its answer.
#[derive(Debug)]
pub struct Waiting {
    /// `id` is that of the agent's request.
    pub id: Value,
    pub call: String,
    options: Vec<PermissionOption>,
    question: bool,
}

/// `OPTIONS` is how many options a request may have: as many as a question may have choices.
const OPTIONS: usize = 64;
/// `IN_CHANGE` are inputs that a diff shows.
const IN_CHANGE: [&str; 12] = [
    "content",
    "contents",
    "newString",
    "oldString",
    "new_string",
    "old_string",
    "newText",
    "oldText",
    "new_text",
    "old_text",
    "patch",
    "diff",
];
/// `PATHS` are the keys by which tools name a path.
const PATHS: [&str; 12] = [
    "path",
    "file",
    "filePath",
    "filepath",
    "file_path",
    "absolute_path",
    "directory",
    "dir",
    "cwd",
    "workdir",
    "source",
    "destination",
];
/// `OBEYED` are names of what configures agents, git and shells, and is run by them.
const OBEYED: [&str; 9] = [
    ".git",
    ".opencode",
    "opencode.json",
    "opencode.jsonc",
    ".claude",
    ".gemini",
    ".codex",
    ".mcp.json",
    ".envrc",
];
/// `WORDS` is how many words of a command are checked as paths.
const WORDS: usize = 64;
const UNKNOWN_INPUT: &str = "⟨the input is not shown here⟩";
const UNKNOWN_CHANGE: &str = "⟨the change is not shown here⟩";

const ALLOW_ONCE: &str = "allow_once";
const ALLOW_ALWAYS: &str = "allow_always";
const REJECT_ONCE: &str = "reject_once";
const REJECT_ALWAYS: &str = "reject_always";

/// `Asked` is what the agent asks for.
#[derive(Debug)]
pub struct Asked<'a> {
    /// `id` is the request's, in the contract.
    pub id: String,
    pub session: &'a str,
    /// `folder` is where the session works.
    pub folder: &'a str,
    pub call: &'a Call,
    pub rpc: Value,
    pub options: Vec<PermissionOption>,
    pub now: u64,
}

/// `request` is the request as the host has it, and what is needed for its answer.
///
/// # Errors
/// It has no options that could be shown: a sentence for the agent.
pub fn request(asked: Asked<'_>) -> Result<(AgentRequest, Waiting), String> {
    let Asked {
        id,
        session,
        folder,
        call,
        rpc,
        options,
        now,
    } = asked;
    if options.is_empty() || options.len() > OPTIONS {
        return Err(format!(
            "A permission request must have 1 to {OPTIONS} options; this one has {}.",
            options.len()
        ));
    }
    let question = !are_plain(&options);
    let kind = if question {
        RequestKind::Questions(vec![question_of(call, &options)])
    } else {
        RequestKind::Permission(permission(call, &options, folder))
    };
    let request = AgentRequest {
        id,
        session: session.to_owned(),
        requested_by: session.to_owned(),
        kind,
        message: None,
        part: Some(call.part.clone()),
        created_at: now,
        ext: Vec::new(),
    };
    let waiting = Waiting {
        id: rpc,
        call: call.call.tool_call_id.clone(),
        options,
        question,
    };
    Ok((request, waiting))
}

/// `are_plain` tells whether the options are once, always and reject. Rejecting once and always are one answer to the owner,
/// and the milder one is taken.
fn are_plain(options: &[PermissionOption]) -> bool {
    let count = |kind: &str| options.iter().filter(|option| option.kind == kind).count();
    let known = [ALLOW_ONCE, ALLOW_ALWAYS, REJECT_ONCE, REJECT_ALWAYS];
    options.iter().all(|option| known.contains(&option.kind.as_str()))
        && known.iter().all(|kind| count(kind) <= 1)
        && count(ALLOW_ONCE) == 1
        && count(REJECT_ONCE) + count(REJECT_ALWAYS) > 0
}

fn question_of(call: &Call, options: &[PermissionOption]) -> Question {
    Question {
        header: tools::name(&call.call),
        text: subject_text(call),
        choices: options
            .iter()
            .enumerate()
            .map(|(at, option)| Choice {
                label: label(options, at),
                description: option.kind.replace('_', " "),
            })
            .collect(),
        multiple: false,
        allow_custom: false,
    }
}

/// `label` is an option's name, or what tells it apart: two must not read the same.
fn label(options: &[PermissionOption], at: usize) -> String {
    let Some(option) = options.get(at) else {
        return String::new();
    };
    let name = if option.name.trim().is_empty() {
        &option.option_id
    } else {
        &option.name
    };
    let twice = options.iter().filter(|other| other.name == option.name).count() > 1;
    if twice {
        format!("{name} ({})", at + 1)
    } else {
        name.clone()
    }
}

/// `subject_text` is all that is known of a call, for a question, which has no details.
fn subject_text(call: &Call) -> String {
    let title = call.call.title.clone().unwrap_or_else(|| tools::name(&call.call));
    match call.call.raw_input.as_ref().filter(|input| !input.is_null()) {
        Some(input) => format!("{title}\n\n{input}"),
        None => title,
    }
}

fn permission(call: &Call, options: &[PermissionOption], folder: &str) -> Permission {
    let title = call.call.title.clone().filter(|title| !title.trim().is_empty());
    let empty = Map::new();
    let input = call
        .call
        .raw_input
        .as_ref()
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let command = input
        .get("command")
        .map(value_text)
        .filter(|command| !command.is_empty());
    let detail = command.clone().or_else(|| title.clone()).unwrap_or_default();
    let changes = call.changes().to_vec();
    let seen = !changes.is_empty() && changes.iter().all(|change| change.diff.is_some());
    let mut details = Vec::new();
    let mut add = |name: &str, text: String| {
        details.push(Detail {
            name: name.to_owned(),
            text,
        });
    };
    if let Some(title) = title.as_ref().filter(|title| **title != detail) {
        add("Title", title.clone());
    }
    match &call.call.raw_input {
        Some(Value::Object(_) | Value::Null) | None => {}
        Some(other) => add("Input", other.to_string()),
    }
    for (key, value) in input {
        let text = value_text(value);
        if text != detail && !(seen && IN_CHANGE.contains(&key.as_str())) {
            add(key, text);
        }
    }
    let edits = matches!(call.call.kind.as_deref(), Some("edit" | "delete" | "move")) || !changes.is_empty();
    let says = input.keys().any(|key| !PATHS.contains(&key.as_str()));
    if edits && !seen && !says && call.call.kind.as_deref() != Some("delete") {
        add("Unknown", UNKNOWN_CHANGE.to_owned());
    } else if input.is_empty() && detail.is_empty() {
        add("Unknown", UNKNOWN_INPUT.to_owned());
    }
    let always = options.iter().filter(|option| option.kind == ALLOW_ALWAYS);
    Permission {
        subject: tools::name(&call.call),
        paths: paths(call, input, command.as_deref(), folder),
        detail,
        always: always.map(|option| option.name.clone()).collect(),
        changes,
        details,
        obeyed: OBEYED.map(str::to_owned).into(),
    }
}

fn paths(call: &Call, input: &Map<String, Value>, command: Option<&str>, folder: &str) -> Vec<Path> {
    let mut paths: Vec<Path> = Vec::new();
    let mut add = |path: &str, guessed: bool| {
        let path = Path {
            path: absolute(folder, path),
            new: false,
            guessed,
        };
        if !paths.iter().any(|known| known.path == path.path) {
            paths.push(path);
        }
    };
    tools::paths(&call.call).for_each(|path| add(path, false));
    for (key, value) in input {
        if let Some(path) = value
            .as_str()
            .filter(|path| !path.is_empty() && PATHS.contains(&key.as_str()))
        {
            add(path, false);
        }
    }
    let words = command.unwrap_or_default();
    let words = words.split(|c: char| c.is_whitespace() || "'\"`;|&<>()$={}".contains(c));
    for word in words
        .filter(|word| !word.is_empty() && !word.starts_with('-'))
        .take(WORDS)
    {
        add(word, true);
    }
    paths
}

fn absolute(folder: &str, path: &str) -> String {
    if path.starts_with('/') || path.starts_with("~/") {
        path.to_owned()
    } else {
        format!("{folder}/{path}")
    }
}

fn value_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `cancelled` is the answer to all requests of a turn that the owner stops.
pub fn cancelled() -> Value {
    json!({"outcome": {"outcome": "cancelled"}})
}

impl Waiting {
    fn selected(&self, option: &PermissionOption) -> Value {
        json!({"outcome": {"outcome": "selected", "optionId": option.option_id}})
    }

    fn of_kind(&self, kinds: &[&str]) -> Option<Value> {
        let found = kinds
            .iter()
            .find_map(|kind| self.options.iter().find(|option| option.kind == *kind));
        found.map(|option| self.selected(option))
    }

    /// `answer` is the result for the agent, and whether it is that the owner does not allow the call.
    ///
    /// # Errors
    /// The answer is none to this request: a sentence.
    pub fn answer(&self, answer: &Answer) -> Result<(Value, bool), String> {
        match answer {
            // A question has no option for "no" perhaps; then the agent hears that nobody chose.
            Answer::Reject(_) => Ok((
                self.of_kind(&[REJECT_ONCE, REJECT_ALWAYS]).unwrap_or_else(cancelled),
                true,
            )),
            Answer::Once | Answer::Always if self.question => {
                Err("This request must be answered with one of its choices, or rejected.".to_owned())
            }
            Answer::Once => self
                .of_kind(&[ALLOW_ONCE])
                .map(|result| (result, false))
                .ok_or_else(no_such),
            Answer::Always => self
                .of_kind(&[ALLOW_ALWAYS, ALLOW_ONCE])
                .map(|result| (result, false))
                .ok_or_else(no_such),
            Answer::Other(ext) => Err(format!("{:?} is no answer to this request.", ext.name)),
        }
    }

    /// `chosen` is the same for a question.
    ///
    /// # Errors
    /// The choice is none of it: a sentence.
    pub fn chosen(&self, answers: &[Vec<String>]) -> Result<(Value, bool), String> {
        if !self.question {
            return Err("A permission request must be allowed or rejected; it has no choices.".to_owned());
        }
        let Some(chosen) = answers.first().and_then(|labels| labels.first()) else {
            return Ok((
                self.of_kind(&[REJECT_ONCE, REJECT_ALWAYS]).unwrap_or_else(cancelled),
                true,
            ));
        };
        let at = (0..self.options.len()).find(|at| label(&self.options, *at) == *chosen);
        let option = at.and_then(|at| self.options.get(at)).ok_or_else(no_such)?;
        Ok((self.selected(option), option.kind.starts_with("reject")))
    }
}

fn no_such() -> String {
    "The agent does not offer that answer.".to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use nexus_plugin_api::chat::types::Ext;

    fn asked(call: Value, options: &[(&str, &str, &str)]) -> Result<(AgentRequest, Waiting), String> {
        let mut known = Call::new("part".into(), 1);
        known.update(serde_json::from_value(call).unwrap(), "/w", 1);
        let options = options
            .iter()
            .map(|(id, name, kind)| json!({"optionId": id, "name": name, "kind": kind}));
        request(Asked {
            id: "p1".into(),
            session: "s",
            folder: "/w",
            call: &known,
            rpc: json!(7),
            options: serde_json::from_value(options.collect()).unwrap(),
            now: 1,
        })
    }

    const PLAIN: [(&str, &str, &str); 3] = [
        ("once", "Allow", "allow_once"),
        ("always", "Always allow ls", "allow_always"),
        ("no", "Reject", "reject_once"),
    ];

    fn permission_of(call: Value) -> Permission {
        match asked(call, &PLAIN).unwrap().0.kind {
            RequestKind::Permission(permission) => permission,
            other => panic!("{other:?}"),
        }
    }

    fn option(waiting: &Waiting, answer: Answer) -> Value {
        waiting.answer(&answer).unwrap().0["outcome"]["optionId"].clone()
    }

    #[test]
    fn plain_options_are_once_always_and_reject() {
        let (request, waiting) = asked(
            json!({"toolCallId": "c", "title": "ls", "kind": "execute", "rawInput": {"command": "ls /etc"}}),
            &PLAIN,
        )
        .unwrap();
        let RequestKind::Permission(permission) = request.kind else {
            panic!("{:?}", request.kind)
        };
        assert_eq!(
            (permission.subject.as_str(), permission.detail.as_str()),
            ("bash", "ls /etc")
        );
        assert_eq!(permission.always, ["Always allow ls"]);
        assert!(permission.paths.iter().any(|path| path.path == "/etc" && path.guessed));
        assert_eq!(option(&waiting, Answer::Once), "once");
        assert_eq!(option(&waiting, Answer::Always), "always");
        assert_eq!(option(&waiting, Answer::Reject(None)), "no");
        assert!(
            waiting
                .answer(&Answer::Other(Ext {
                    name: "x".into(),
                    value: "1".into()
                }))
                .is_err()
        );
        assert!(waiting.chosen(&[vec!["Allow".into()]]).is_err());
    }

    #[test]
    fn odd_options_are_choices() {
        let odd = [
            ("a", "Yes", "allow_once"),
            ("b", "Yes, in this folder", "allow_once"),
            ("c", "Yes", "allow_for_a_day"),
            ("d", "", "reject_once"),
        ];
        let (request, waiting) = asked(json!({"toolCallId": "c", "title": "Go?", "rawInput": {"x": 1}}), &odd).unwrap();
        let RequestKind::Questions(questions) = request.kind else {
            panic!("{:?}", request.kind)
        };
        let labels: Vec<_> = questions[0]
            .choices
            .iter()
            .map(|choice| choice.label.as_str())
            .collect();
        assert_eq!(labels, ["Yes (1)", "Yes, in this folder", "Yes (3)", "d"]);
        assert!(questions[0].text.contains("Go?") && questions[0].text.contains("{\"x\":1}"));
        let chosen = |label: &str| waiting.chosen(&[vec![label.to_owned()]]);
        assert_eq!(
            chosen("Yes (3)").unwrap(),
            (json!({"outcome": {"outcome": "selected", "optionId": "c"}}), false)
        );
        assert!(chosen("d").unwrap().1 && chosen("Maybe").is_err());
        assert!(waiting.answer(&Answer::Once).is_err());
        assert_eq!(option(&waiting, Answer::Reject(None)), "d");
        // Nobody chose, and there is no option for that.
        let (_, waiting) = asked(json!({"toolCallId": "c"}), &odd[..3]).unwrap();
        assert_eq!(waiting.answer(&Answer::Reject(None)).unwrap(), (cancelled(), true));
        assert_eq!(waiting.chosen(&[Vec::new()]).unwrap(), (cancelled(), true));
    }

    #[test]
    fn a_request_without_options_or_with_too_many_is_none() {
        assert!(asked(json!({"toolCallId": "c"}), &[]).is_err());
        assert!(asked(json!({"toolCallId": "c"}), &[("a", "A", "allow_once"); OPTIONS + 1]).is_err());
    }

    #[test]
    fn what_is_not_in_the_change_is_a_detail() {
        let call = json!({"toolCallId": "c", "title": "Edit a", "kind": "edit", "locations": [{"path": "/w/a"}],
            "rawInput": {"filePath": "a", "oldString": "x", "replaceAll": true},
            "content": [{"type": "diff", "path": "/w/a", "oldText": "x\n", "newText": "y\n"}]});
        let permission = permission_of(call);
        let details: Vec<_> = permission
            .details
            .iter()
            .map(|d| (d.name.as_str(), d.text.as_str()))
            .collect();
        assert_eq!(details, [("filePath", "a"), ("replaceAll", "true")]);
        assert_eq!(
            permission.paths.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(),
            ["/w/a"]
        );
        assert!(permission.changes[0].diff.is_some());
    }

    #[test]
    fn what_cannot_be_read_cannot_be_allowed() {
        let unknown = |call: Value| {
            let details = permission_of(call).details;
            details.iter().any(|detail| detail.text.ends_with("not shown here⟩"))
        };
        assert!(unknown(json!({"toolCallId": "c"})));
        assert!(unknown(json!({"toolCallId": "c", "title": "Edit a", "kind": "edit"})));
        assert!(unknown(
            json!({"toolCallId": "c", "title": "Edit a", "kind": "edit", "rawInput": {"path": "a"}})
        ));
        assert!(!unknown(
            json!({"toolCallId": "c", "title": "Edit a", "kind": "edit", "rawInput": {"path": "a", "content": "x"}})
        ));
        assert!(!unknown(
            json!({"toolCallId": "c", "title": "rm -r x", "kind": "execute"})
        ));
        assert!(!unknown(
            json!({"toolCallId": "c", "title": "Delete x", "kind": "delete"})
        ));
    }
}
