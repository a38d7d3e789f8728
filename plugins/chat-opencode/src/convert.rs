//! opencode's values as values of the contract. No state, no I/O.

use crate::wire::text_of;
use crate::{attachments, file_changes, wire};
use nexus_plugin_api::chat::Ext;
use nexus_plugin_api::chat::types::{
    AgentRequest, Attachment, Choice, Content, Message, Question, RequestKind, Retry, Role, SessionInfo, SessionRef,
    TodoItem, TodoState, Tool, ToolState, Turn, Usage,
};
use serde_json::Value;

/// `MAX_OUTPUT` is how many bytes at the end of a command's output are passed on: opencode sends all of it with every
/// update.
pub const MAX_OUTPUT: usize = 64 * 1024;

/// `MAX_EXT` is how many bytes the contract has for a value of the plugin's own.
const MAX_EXT: usize = 16 * 1024;
/// `MAX_TODO` is how many items the contract has for a list of what is to be done.
const MAX_TODO: usize = 256;

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
        // opencode has no way to take the time away: 0 is none.
        archived: session.time.archived.is_some_and(|at| at > 0.0),
        reverted: session.revert.as_ref().map(|revert| revert.message.clone()),
        ext: Vec::new(),
    }
}

pub fn message(message: &wire::Message, client_id: Option<String>) -> Message {
    let role = match message.role.as_str() {
        "user" => Role::User,
        _ if message.summarizes() => Role::System,
        _ => Role::Assistant,
    };
    let created_at = wire::millis(message.time.created).unwrap_or_default();
    let completed_at = match role {
        // A message of the user is whole from the start; opencode gives it no time of completion.
        Role::User => Some(created_at),
        Role::Assistant | Role::System => wire::millis(message.time.completed),
    };
    let agent = message.agent.clone().or_else(|| message.mode.clone());
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
        // With a message of the user it is the one that is to answer.
        agent: agent.filter(|agent| role != Role::User && !agent.is_empty()),
        usage: usage(message),
        client_id,
        ext: Vec::new(),
    }
}

/// `usage` is what an answer took; `None` until opencode has counted it.
fn usage(message: &wire::Message) -> Option<Usage> {
    let count = |value: &Value, key: &str| value.get(key).and_then(Value::as_f64).map_or(0, wire::count);
    let tokens = &message.tokens;
    let cache = tokens.get("cache").unwrap_or(&Value::Null);
    let usage = Usage {
        input: count(tokens, "input"),
        output: count(tokens, "output"),
        reasoning: count(tokens, "reasoning"),
        cache_read: count(cache, "read"),
        cache_write: count(cache, "write"),
        cost: message.cost.as_f64(),
    };
    let counted = [
        usage.input,
        usage.output,
        usage.reasoning,
        usage.cache_read,
        usage.cache_write,
    ];
    counted.iter().any(|tokens| *tokens > 0).then_some(usage)
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

/// `content` is what a part shows; `None` for opencode's internal parts. `folder`: where opencode works.
pub fn content(part: &wire::Part, folder: &str) -> Option<Content> {
    Some(match part.kind.as_str() {
        "text" if part.synthetic => other_content(part),
        "text" => Content::Text(part.text.clone()),
        "reasoning" => Content::Reasoning(part.text.clone()),
        "tool" => Content::Tool(tool(part, folder)),
        "file" => Content::Attachment(Attachment {
            id: part
                .url
                .starts_with("data:")
                .then(|| attachments::id(&part.message, &part.id, None)),
            mime: part.mime.clone(),
            name: part.filename.clone(),
            size: attachments::data_size(&part.url),
        }),
        "compaction" => Content::Compacted,
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
    let value = Value::Object(value).to_string();
    Content::Other(Ext {
        name: format!("opencode.{kind}"),
        // A file that was read for the model, as a rule.
        value: if value.len() > MAX_EXT { "{}".to_owned() } else { value },
    })
}

fn tool(part: &wire::Part, folder: &str) -> Tool {
    let rejection = rejection(part);
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
        changes: if state.status == "completed" {
            file_changes::of_call(&state, folder)
        } else {
            Vec::new()
        },
        attachments: attachments::of_call(part),
        child: text_of(&state.metadata, "sessionId").filter(|_| part.tool == "task"),
        state: match state.status.as_str() {
            _ if rejection.is_some() => ToolState::Rejected,
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
        error: match rejection {
            Some(words) => words,
            None => state
                .error
                .or_else(|| code.map(|code| format!("The command exited with code {code}."))),
        },
        started_at: wire::millis(state.time.start),
        ended_at: wire::millis(state.time.end),
        ext: Vec::new(),
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

/// `todo` are the items of a list of what is to be done.
pub fn todo(items: &[wire::Todo]) -> Vec<TodoItem> {
    let items = items.iter().take(MAX_TODO);
    items
        .map(|item| TodoItem {
            text: item.content.clone(),
            state: match item.status.as_str() {
                "in_progress" => TodoState::InProgress,
                "completed" => TodoState::Completed,
                "cancelled" => TodoState::Cancelled,
                _ => TodoState::Pending,
            },
        })
        .collect()
}

/// `question` is a request that asks something.
pub fn question(q: &wire::Question, root: String, part: Option<String>, now: u64) -> AgentRequest {
    let questions = q.questions.as_array().into_iter().flatten().map(|question| {
        let options = question.get("options").and_then(Value::as_array).into_iter().flatten();
        let text = |value: &Value, key: &str| text_of(value, key).unwrap_or_default();
        let is = |key: &str, otherwise: bool| question.get(key).and_then(Value::as_bool).unwrap_or(otherwise);
        Question {
            header: text(question, "header"),
            text: text(question, "question"),
            choices: options
                .map(|option| Choice {
                    label: text(option, "label"),
                    description: text(option, "description"),
                })
                .collect(),
            multiple: is("multiple", false),
            // opencode takes words of one's own unless the question says otherwise.
            allow_custom: is("custom", true),
        }
    });
    AgentRequest {
        id: q.id.clone(),
        session: root,
        requested_by: q.session.clone(),
        kind: RequestKind::Questions(questions.collect()),
        message: None,
        part,
        created_at: now,
        ext: Vec::new(),
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
            let tool = tool(&part, "/w");
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

    #[test]
    fn a_question_has_its_choices() {
        let q = serde_json::json!({"id":"que_1","sessionID":"ses_1","questions":[
            {"header":"Colour","question":"Which?","options":[{"label":"Blue","description":"sky"},{"label":"Red"}],"multiple":true,"custom":false},
            {"question":"Why?"}]});
        let asked = question(&serde_json::from_value(q).unwrap(), "ses_1".into(), None, 1);
        let choice = |label: &str, description: &str| Choice {
            label: label.to_owned(),
            description: description.to_owned(),
        };
        let which = Question {
            header: "Colour".to_owned(),
            text: "Which?".to_owned(),
            choices: vec![choice("Blue", "sky"), choice("Red", "")],
            multiple: true,
            allow_custom: false,
        };
        let why = Question {
            header: String::new(),
            text: "Why?".to_owned(),
            choices: Vec::new(),
            multiple: false,
            allow_custom: true,
        };
        assert_eq!(asked.kind, RequestKind::Questions(vec![which, why]));
    }

    fn part(json: Value) -> Content {
        let mut whole = serde_json::json!({"id":"p","sessionID":"s","messageID":"m"});
        for (key, value) in json.as_object().unwrap() {
            whole[key] = value.clone();
        }
        content(&serde_json::from_value(whole).unwrap(), "/w").unwrap()
    }

    fn call(json: Value) -> Tool {
        match part(json) {
            Content::Tool(tool) => tool,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rejected_call_is_called_rejected_with_the_owners_words() {
        let of = |error: &str| {
            let state = serde_json::json!({"status":"error","input":{"command":"ls"},"error":error});
            let tool = call(serde_json::json!({"type":"tool","tool":"bash","state":state}));
            (tool.state, tool.error)
        };
        let rejected = |words: Option<&str>| (ToolState::Rejected, words.map(str::to_owned));
        assert_eq!(
            of("The user rejected permission to use this specific tool call."),
            rejected(None)
        );
        let with = "The user rejected permission to use this specific tool call with the following feedback: use find";
        assert_eq!(of(with), rejected(Some("use find")));
        assert_eq!(of("The user dismissed this question"), rejected(None));
        assert_eq!(of("exit 1"), (ToolState::Failed, Some("exit 1".to_owned())));
    }

    #[test]
    fn a_task_names_the_session_of_its_sub_agent() {
        let of = |tool: &str| {
            let state =
                serde_json::json!({"status":"running","metadata":{"parentSessionId":"ses_1","sessionId":"ses_2"}});
            call(serde_json::json!({"type":"tool","tool":tool,"state":state})).child
        };
        assert_eq!(of("task").as_deref(), Some("ses_2"));
        assert_eq!(of("x_y"), None, "a server's tool may call anything so");
    }

    #[test]
    fn what_a_call_changed_is_known_when_it_has_ended_well() {
        let of = |status: &str| {
            let metadata = serde_json::json!({"diff":"--- /w/a\n+++ /w/a\n@@ -1 +1 @@\n-a\n+b\n"});
            let state = serde_json::json!({"status":status,"input":{"filePath":"/w/a"},"metadata":metadata});
            call(serde_json::json!({"type":"tool","tool":"edit","state":state})).changes
        };
        let [change] = of("completed").try_into().unwrap();
        assert_eq!(
            (change.path.as_str(), change.added_lines, change.deleted_lines),
            ("a", 1, 1)
        );
        assert_eq!((of("running"), of("error")), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_file_says_its_size_where_it_is_within_its_url() {
        let size = |url: &str| match part(serde_json::json!({"type":"file","mime":"a/b","filename":"x","url":url})) {
            Content::Attachment(attachment) => attachment.size,
            other => panic!("{other:?}"),
        };
        assert_eq!(size("data:text/plain;base64,aGVsbG8gZmlsZQ=="), Some(10));
        assert_eq!(size("data:;base64,"), Some(0));
        assert_eq!(size("data:text/plain,a%20b%C3%A9"), Some(5));
        assert_eq!(size("data:text/plain,%%%"), Some(1));
        for elsewhere in ["file:///w/a.txt", "https://example.org/x", "data:nothing"] {
            assert_eq!(size(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_compaction_is_told_and_its_summary_is_no_answer_of_the_agent() {
        assert_eq!(
            part(serde_json::json!({"type":"compaction","auto":true})),
            Content::Compacted
        );
        let of = |summary: &str| {
            let json = format!(
                r#"{{"id":"m","sessionID":"s","role":"assistant","mode":"compaction"{summary},"time":{{"created":1}}}}"#
            );
            message(&serde_json::from_str(&json).unwrap(), None)
        };
        let summary = of(r#","summary":true"#);
        assert_eq!(
            (summary.role, summary.agent.as_deref()),
            (Role::System, Some("compaction"))
        );
        assert_eq!(of("").role, Role::Assistant);
    }

    #[test]
    fn an_answer_says_who_wrote_it_and_what_it_took() {
        let of = |role: &str, more: &str| {
            let json = format!(r#"{{"id":"m","sessionID":"s","role":"{role}","time":{{"created":1}}{more}}}"#);
            let message = message(&serde_json::from_str(&json).unwrap(), None);
            (message.agent, message.usage)
        };
        let tokens = r#","agent":"plan","mode":"build","cost":0.25,"tokens":{"total":21,"input":10,"output":5,"reasoning":1,"cache":{"read":3,"write":2}}"#;
        let usage = Usage {
            input: 10,
            output: 5,
            reasoning: 1,
            cache_read: 3,
            cache_write: 2,
            cost: Some(0.25),
        };
        assert_eq!(of("assistant", tokens), (Some("plan".to_owned()), Some(usage)));
        let begun =
            r#","mode":"build","cost":0,"tokens":{"input":0,"output":0,"reasoning":0,"cache":{"read":0,"write":0}}"#;
        assert_eq!(of("assistant", begun), (Some("build".to_owned()), None));
        assert_eq!(of("user", r#","agent":"build""#), (None, None));
    }

    #[test]
    fn what_is_long_and_not_shown_is_left_out() {
        let value = |text: String| match part(serde_json::json!({"type":"text","synthetic":true,"text":text})) {
            Content::Other(ext) => (ext.name, ext.value),
            other => panic!("{other:?}"),
        };
        let synthetic = "opencode.synthetic".to_owned();
        assert_eq!(value("a".to_owned()), (synthetic.clone(), r#"{"text":"a"}"#.to_owned()));
        assert_eq!(value("a".repeat(MAX_EXT)), (synthetic, "{}".to_owned()));
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
