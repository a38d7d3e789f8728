//! opencode's values as values of the contract. No state, no I/O.

use crate::wire;
use nexus_plugin_api::chat::Ext;
use nexus_plugin_api::chat::types::{
    AgentRequest, Attachment, Content, Message, RequestKind, Retry, Role, SessionInfo, SessionRef, Tool, ToolState,
    Turn,
};
use nexus_plugin_api::chat_ext::{ARCHIVED, QUESTIONS, REJECTED_TOOL};
use serde_json::Value;

/// `MAX_OUTPUT` is how many bytes at the end of a command's output are passed on: opencode sends all of it with every
/// update.
pub const MAX_OUTPUT: usize = 64 * 1024;

pub fn session(session: &wire::Session) -> SessionInfo {
    let created_at = wire::millis(session.time.created).unwrap_or_default();
    SessionInfo {
        ref_: SessionRef {
            workspace: session.directory.clone(),
            id: session.id.clone(),
        },
        parent: session.parent.clone(),
        title: title(&session.title),
        created_at,
        updated_at: wire::millis(session.time.updated).unwrap_or(created_at),
        ext: session
            .time
            .archived
            .map(|_| json(ARCHIVED, &true.into()))
            .into_iter()
            .collect(),
    }
}

pub fn message(message: &wire::Message, client_id: Option<String>) -> Message {
    let role = if message.role == "user" {
        Role::User
    } else {
        Role::Assistant
    };
    let created_at = wire::millis(message.time.created).unwrap_or_default();
    let completed_at = match role {
        // A message of the user is whole from the start; opencode gives it no time of completion.
        Role::User => Some(created_at),
        Role::Assistant => wire::millis(message.time.completed),
    };
    let model = message
        .provider_id
        .as_ref()
        .zip(message.model_id.as_ref())
        .map(|(p, m)| format!("{p}/{m}"));
    Message {
        id: message.id.clone(),
        session: message.session.clone(),
        role,
        created_at,
        completed_at,
        error: message
            .error
            .as_ref()
            .map(wire::ErrorInfo::text)
            .or_else(|| aborted_error(message))
            .or_else(|| truncated_error(message)),
        model,
        client_id,
        ext: Vec::new(),
    }
}

/// `aborted_error` is the error of an answer that was stopped while opencode waited for its next attempt: such an
/// answer has neither an error nor a `finish`, which each finished answer has. The text is opencode's own for an answer
/// that was stopped.
fn aborted_error(message: &wire::Message) -> Option<String> {
    let ended = message.role != "user" && message.time.completed.is_some() && message.finish.is_none();
    ended.then(|| "Aborted".to_owned())
}

/// `truncated_error` is the error of an answer that the model's provider truncated at its limit and finished without an
/// error.
fn truncated_error(message: &wire::Message) -> Option<String> {
    let cut = message.finish.as_deref() == Some("length") && message.time.completed.is_some();
    cut.then(|| {
        "This answer was truncated because it reached the output limit of the model. To fix: ask the model to continue."
            .to_owned()
    })
}

/// `content` is what a part shows; `None` for opencode's internal parts.
pub fn content(part: &wire::Part) -> Option<Content> {
    Some(match part.kind.as_str() {
        "text" if part.synthetic => other_content(part),
        "text" => Content::Text(part.text.clone()),
        "reasoning" => Content::Reasoning(part.text.clone()),
        "tool" => match rejection(part) {
            Some(words) => rejected(tool(part), words),
            None => Content::Tool(tool(part)),
        },
        "file" => Content::Attachment(Attachment {
            mime: part.mime.clone(),
            name: part.filename.clone(),
            url: part.url.clone(),
        }),
        "step-start" | "step-finish" | "snapshot" => return None,
        _ => other_content(part),
    })
}

fn other_content(part: &wire::Part) -> Content {
    let mut value = serde_json::Map::from_iter(part.rest.clone());
    if !part.text.is_empty() {
        value.insert("text".to_owned(), Value::String(part.text.clone()));
    }
    let kind = if part.synthetic {
        "synthetic"
    } else {
        part.kind.as_str()
    };
    Content::Other(json(&format!("opencode.{kind}"), &Value::Object(value)))
}

fn tool(part: &wire::Part) -> Tool {
    let state = part.state.clone().unwrap_or_default();
    let output = state.output.clone().or_else(|| text_of(&state.metadata, "output"));
    // opencode calls a command completed however it ended.
    let code = state
        .metadata
        .get("exit")
        .and_then(Value::as_i64)
        .filter(|code| *code != 0);
    Tool {
        name: part.tool.clone(),
        title: state
            .title
            .clone()
            .filter(|t| !t.is_empty())
            .or_else(|| summary_line(&state.input)),
        state: match state.status.as_str() {
            "running" => ToolState::Running,
            "completed" if code.is_some() => ToolState::Failed,
            "completed" => ToolState::Completed,
            "error" => ToolState::Failed,
            _ => ToolState::Pending,
        },
        input: if state.input.is_null() {
            "{}".to_owned()
        } else {
            state.input.to_string()
        },
        output: output.map(|text| tail(&text, MAX_OUTPUT).to_owned()),
        error: state
            .error
            .or_else(|| code.map(|code| format!("The command exited with code {code}."))),
        started_at: wire::millis(state.time.start),
        ended_at: wire::millis(state.time.end),
    }
}

/// `REJECTED` starts opencode's error for a call that was not allowed; [`FEEDBACK`] precedes the owner's text.
const REJECTED: &str = "The user rejected permission to use this specific tool call";
const FEEDBACK: &str = " with the following feedback: ";
const DISMISSED: &str = "The user dismissed this question";

/// `Some`: the owner did not allow this call; the words that the owner gave with that, if any.
fn rejection(part: &wire::Part) -> Option<Option<String>> {
    let state = part.state.as_ref().filter(|s| s.status == "error")?;
    let error = state.error.as_deref()?.trim_start_matches("Error: ");
    if error.starts_with(DISMISSED) {
        return Some(None);
    }
    let rest = error.strip_prefix(REJECTED)?;
    Some(rest.strip_prefix(FEEDBACK).map(str::to_owned))
}

fn rejected(tool: Tool, message: Option<String>) -> Content {
    Content::Other(json(
        REJECTED_TOOL,
        &serde_json::json!({
            "name": tool.name, "title": tool.title, "input": tool.input, "message": message,
            "started_at": tool.started_at, "ended_at": tool.ended_at,
        }),
    ))
}

/// `is_complete` tells whether the part itself says that no more of it will come.
pub fn is_complete(part: &wire::Part) -> bool {
    match part.kind.as_str() {
        "tool" => part
            .state
            .as_ref()
            .is_some_and(|s| s.status == "completed" || s.status == "error"),
        "text" | "reasoning" => part.time.end.is_some(),
        _ => true,
    }
}

/// `summary_line` is one line of a tool's input or of a permission's metadata.
fn summary_line(value: &Value) -> Option<String> {
    [
        "command",
        "filePath",
        "filepath",
        "path",
        "pattern",
        "url",
        "query",
        "description",
    ]
    .into_iter()
    .find_map(|key| text_of(value, key))
    .and_then(|text| text.lines().next().map(str::to_owned))
}

pub(crate) fn text_of(value: &Value, key: &str) -> Option<String> {
    value
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// `tail` is the end of `text`, at most `max` bytes.
fn tail(text: &str, max: usize) -> &str {
    let mut from = text.len().saturating_sub(max);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default()
}

pub fn turn(status: &wire::Status) -> Turn {
    match status.kind.as_str() {
        "idle" => Turn::Idle,
        "retry" => Turn::Retrying(Retry {
            attempt: status.attempt,
            message: status.message.clone(),
            next_at: wire::millis(status.next),
        }),
        _ => Turn::Running,
    }
}

fn json(name: &str, value: &Value) -> Ext {
    Ext {
        name: name.to_owned(),
        value: value.to_string(),
    }
}

/// `question` is a question in the contract's form, and as plain lines for a host that does not know that form.
pub fn question(q: &wire::Question, root: String, part: Option<String>, now: u64) -> AgentRequest {
    let mut lines = Vec::new();
    let mut questions = Vec::new();
    for question in q.questions.as_array().into_iter().flatten() {
        let text = text_of(question, "question").unwrap_or_default();
        let mut choices = Vec::new();
        lines.push(text.clone());
        for option in question.get("options").and_then(Value::as_array).into_iter().flatten() {
            let label = text_of(option, "label").unwrap_or_default();
            let description = text_of(option, "description").unwrap_or_default();
            lines.push(match description.as_str() {
                "" => format!("- {label}"),
                _ => format!("- {label}: {description}"),
            });
            choices.push(serde_json::json!({ "label": label, "description": description }));
        }
        let is = |key: &str, otherwise: bool| question.get(key).and_then(Value::as_bool).unwrap_or(otherwise);
        questions.push(serde_json::json!({
            "header": text_of(question, "header").unwrap_or_default(),
            "text": text,
            "choices": choices,
            "multiple": is("multiple", false),
            // opencode takes words of one's own unless the question says otherwise.
            "own": is("custom", true),
        }));
    }
    AgentRequest {
        id: q.id.clone(),
        session: root,
        requested_by: q.session.clone(),
        kind: RequestKind::Other,
        subject: "question".to_owned(),
        detail: lines.join("\n"),
        always: Vec::new(),
        message: None,
        part,
        created_at: now,
        ext: vec![json(QUESTIONS, &questions.into())],
    }
}

/// `title` is the title of a session; empty while opencode only shows a date, until a model has found a title.
fn title(text: &str) -> String {
    let date = ["New session - ", "Child session - "]
        .iter()
        .find_map(|placeholder| text.strip_prefix(placeholder));
    let is_date = |date: &str| {
        date.len() == 24 && date.ends_with('Z') && date.bytes().all(|b| b.is_ascii_digit() || b"-:.TZ".contains(&b))
    };
    if date.is_some_and(is_date) {
        String::new()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_no_title() {
        assert_eq!(title("New session - 2026-11-22T23:00:50.864Z"), "");
        assert_eq!(title("Child session - 2026-11-22T23:00:50.864Z"), "");
        for given in ["Fix the build", "New session - of parliament", "New session - "] {
            assert_eq!(title(given), given);
        }
    }

    /// The message is as opencode 1.18.33 stores it when `abort` comes between two attempts.
    #[test]
    fn an_answer_that_was_stopped_between_two_attempts_is_called_stopped() {
        let of = |more: &str| {
            let json = format!(r#"{{"id":"m","sessionID":"s","role":"assistant","time":{{"created":1{more}}}"#);
            message(&serde_json::from_str(&json).unwrap(), None).error
        };
        assert_eq!(of(r#","completed":2}"#).as_deref(), Some("Aborted"));
        assert_eq!(of(r#","completed":2},"finish":"stop""#), None);
        assert_eq!(of("}"), None, "it goes on");
    }

    #[test]
    fn a_command_that_ended_badly_says_how() {
        let of = |exit: Value| {
            let part = serde_json::json!({ "id": "p", "messageID": "m", "sessionID": "s", "type": "tool", "tool": "bash",
                "state": { "status": "completed", "input": {}, "output": "", "metadata": { "exit": exit } } });
            let part: wire::Part = serde_json::from_value(part).unwrap();
            let tool = tool(&part);
            (tool.state, tool.error)
        };
        assert_eq!(of(0.into()), (ToolState::Completed, None));
        assert_eq!(of(Value::Null), (ToolState::Completed, None));
        let three = Some("The command exited with code 3.".to_owned());
        assert_eq!(of(3.into()), (ToolState::Failed, three));
    }

    #[test]
    fn an_answer_that_was_cut_off_says_so() {
        let of = |finish: &str, error: &str| {
            let json = format!(
                r#"{{"id":"m","sessionID":"s","role":"assistant","finish":"{finish}","time":{{"created":1,"completed":2}}{error}}}"#
            );
            message(&serde_json::from_str(&json).unwrap(), None).error
        };
        assert!(of("length", "").unwrap().contains("was truncated"));
        assert_eq!(of("stop", ""), None);
        let error = r#","error":{"name":"X","data":{"message":"its own"}}"#;
        assert_eq!(of("length", error).as_deref(), Some("its own"));
    }

    #[test]
    fn the_end_of_a_text_starts_at_a_character() {
        assert_eq!(tail("aé", 1), "");
        assert_eq!(tail("aé", 2), "é");
        assert_eq!(tail("ab", 5), "ab");
    }

    fn ext(request: &AgentRequest, name: &str) -> Value {
        let ext = request.ext.iter().find(|e| e.name == name);
        ext.and_then(|e| serde_json::from_str(&e.value).ok())
            .unwrap_or_default()
    }

    #[test]
    fn a_question_shows_its_choices() {
        let q = serde_json::json!({"id":"que_1","sessionID":"ses_1","questions":[
            {"header":"Colour","question":"Which?","options":[{"label":"Blue","description":"sky"},{"label":"Red"}],"multiple":true,"custom":false},
            {"question":"Why?"}]});
        let asked = question(&serde_json::from_value(q).unwrap(), "ses_1".into(), None, 1);
        assert_eq!(
            ext(&asked, QUESTIONS),
            serde_json::json!([
                {"header":"Colour","text":"Which?","choices":[{"label":"Blue","description":"sky"},{"label":"Red","description":""}],"multiple":true,"own":false},
                {"header":"","text":"Why?","choices":[],"multiple":false,"own":true}])
        );
    }

    #[test]
    fn a_rejected_call_is_called_rejected_with_the_owners_words() {
        let call = |error: &str| {
            let part = serde_json::json!({"id":"p","sessionID":"s","messageID":"m","type":"tool","tool":"bash",
                "state":{"status":"error","input":{"command":"ls"},"error":error}});
            content(&serde_json::from_value(part).unwrap()).unwrap()
        };
        let words = |content: Content| match content {
            Content::Other(e) if e.name == REJECTED_TOOL => {
                serde_json::from_str::<Value>(&e.value).unwrap()["message"].clone()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            words(call("The user rejected permission to use this specific tool call.")),
            Value::Null
        );
        let with = "The user rejected permission to use this specific tool call with the following feedback: use find";
        assert_eq!(words(call(with)), "use find");
        assert_eq!(words(call("The user dismissed this question")), Value::Null);
        assert!(matches!(call("exit 1"), Content::Tool(t) if t.state == ToolState::Failed));
    }

    #[test]
    fn words_of_a_fault_have_no_stack_trace() {
        let fault = |json: &str| serde_json::from_str::<wire::ErrorInfo>(json).unwrap_or_default().text();
        assert_eq!(
            fault(
                r#"{"name":"UnknownError","data":{"message":"ProviderModelNotFoundError: Something is missing: x.\n    at y"}}"#
            ),
            "Something is missing: x."
        );
        assert_eq!(fault(r#"{"_tag":"SessionBusyError"}"#), "SessionBusyError");
        assert_eq!(
            fault(r#"{"name":"APIError","data":{"message":"An Error: it stays"}}"#),
            "An Error: it stays"
        );
    }
}
