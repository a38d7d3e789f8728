//! Tool calls as the contract has them.

use crate::content::{Files, Shown, shown};
use crate::file_changes;
use crate::wire::{Location, ToolCall, ToolContent};
use nexus_plugin_api::chat::types::{FileChange, Tool, ToolState};
use serde_json::Value;

/// `OUTPUT` is how many bytes of a call's output are passed on.
const OUTPUT: usize = 1 << 20;
/// `CHANGES` is how many files of a call are passed on; [`ATTACHMENTS`] how many files of its output.
const CHANGES: usize = 256;
const ATTACHMENTS: usize = 64;

/// `Call` is a call as far as it is known.
#[derive(Debug)]
pub struct Call {
    pub call: ToolCall,
    pub part: String,
    pub revision: u64,
    pub started_at: u64,
    pub ended_at: Option<u64>,
    /// `rejected`: the owner did not allow it.
    pub rejected: bool,
    /// `changes` are compared once for each text that the agent sends.
    changes: Vec<FileChange>,
}

/// `ended` tells whether nothing more happens in a call.
pub fn ended(call: &ToolCall) -> bool {
    matches!(call.status.as_deref(), Some("completed" | "failed"))
}

impl Call {
    pub fn new(part: String, now: u64) -> Self {
        Self {
            call: ToolCall::default(),
            part,
            revision: 0,
            started_at: now,
            ended_at: None,
            rejected: false,
            changes: Vec::new(),
        }
    }

    /// Keeps what the agent reports.
    pub fn update(&mut self, update: ToolCall, folder: &str, now: u64) {
        let changed = update.content.is_some() || update.raw_input.is_some();
        self.call.merge(update);
        if self.call.name.is_none() && matches!(self.call.kind.as_deref(), None | Some("other")) {
            self.call.name = self.call.title.clone().filter(|title| is_name(title));
        }
        if changed {
            self.changes = changes(&self.call, folder);
        }
        if ended(&self.call) {
            self.ended_at.get_or_insert(now);
        }
    }

    /// `changes` are those that the call makes, or would make.
    pub fn changes(&self) -> &[FileChange] {
        &self.changes
    }

    /// `tool` is the call as a part's content.
    pub fn tool(&self, files: &mut Files) -> Tool {
        let call = &self.call;
        let failed = call.status.as_deref() == Some("failed");
        let state = match call.status.as_deref() {
            _ if self.rejected && self.ended_at.is_some() => ToolState::Rejected,
            Some("in_progress") => ToolState::Running,
            Some("completed") => ToolState::Completed,
            Some("failed") => ToolState::Failed,
            _ => ToolState::Pending,
        };
        let (mut text, mut attachments) = (String::new(), Vec::new());
        for content in call.content.iter().flatten() {
            let ToolContent::Content { content } = content else {
                continue;
            };
            match serde_json::from_value(content.clone()).map(shown) {
                Ok(Shown::Text(more)) => {
                    if !text.is_empty() && !text.ends_with('\n') {
                        text.push('\n');
                    }
                    text.push_str(&more);
                }
                Ok(Shown::File { mime, base64 }) if attachments.len() < ATTACHMENTS && self.ended_at.is_some() => {
                    attachments.push(files.keep(&self.part, &mime, &base64));
                }
                Ok(Shown::File { .. } | Shown::Nothing) | Err(_) => {}
            }
        }
        if text.is_empty() {
            text = call.raw_output.as_ref().map(output_text).unwrap_or_default();
        }
        let text = Some(cut(text)).filter(|text| !text.is_empty());
        let (output, error) = if failed { (None, text) } else { (text, None) };
        Tool {
            name: name(call),
            title: call.title.clone(),
            state,
            input: call
                .raw_input
                .clone()
                .unwrap_or_else(|| Value::Object(Default::default()))
                .to_string(),
            output,
            error: if state == ToolState::Rejected { None } else { error },
            changes: self.changes.clone(),
            attachments,
            child: None,
            started_at: Some(self.started_at),
            ended_at: self.ended_at,
            ext: Vec::new(),
        }
    }
}

/// `is_name` tells whether the title of a call is the name of its tool, as some agents have it until they know more.
fn is_name(title: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=64).contains(&title.len()) && title.chars().all(plain)
}

/// `name` is the tool's, or what a tool of its kind is called elsewhere.
pub fn name(call: &ToolCall) -> String {
    if let Some(name) = call.name.as_deref().filter(|name| !name.is_empty()) {
        return name.to_owned();
    }
    match call.kind.as_deref() {
        Some("execute") => "bash",
        Some("edit" | "delete" | "move") => "edit",
        Some("fetch") => "webfetch",
        Some("search") => "search",
        Some("read") => "read",
        Some("think") => "think",
        _ => "tool",
    }
    .to_owned()
}

/// `paths` are the files that a call names.
pub fn paths(call: &ToolCall) -> impl Iterator<Item = &str> {
    let locations = call.locations.iter().flatten().map(|Location { path }| path.as_str());
    let diffs = call.content.iter().flatten().filter_map(|content| match content {
        ToolContent::Diff { path, .. } => Some(path.as_str()),
        ToolContent::Content { .. } | ToolContent::Other => None,
    });
    locations.chain(diffs)
}

fn changes(call: &ToolCall, folder: &str) -> Vec<FileChange> {
    let diffs = call.content.iter().flatten().filter_map(|content| match content {
        ToolContent::Diff {
            path,
            old_text,
            new_text,
        } => Some(file_changes::change(path, old_text.as_deref(), new_text, folder)),
        ToolContent::Content { .. } | ToolContent::Other => None,
    });
    let changes: Vec<FileChange> = diffs.take(CHANGES).collect();
    if changes.is_empty() {
        return diff_of_input(call, folder).into_iter().collect();
    }
    changes
}

/// `diff_of_input` is the change that a call has as a diff in its input, as opencode has it in its permission requests.
fn diff_of_input(call: &ToolCall, folder: &str) -> Option<FileChange> {
    let input = call.raw_input.as_ref()?;
    let text = |keys: &[&str]| keys.iter().find_map(|key| input.get(key).and_then(Value::as_str));
    let diff = text(&["diff", "patch"])?;
    let path = text(&["filepath", "filePath", "file_path", "path"]).or_else(|| paths(call).next())?;
    file_changes::of_diff(path, diff, folder)
}

/// `output_text` is what a tool gave back, as its agent has it: the text in it, else JSON.
fn output_text(output: &Value) -> String {
    let inner = ["output", "text", "stdout"].iter().find_map(|key| output.get(key));
    match output.as_str().or(inner.and_then(Value::as_str)) {
        Some(text) => text.to_owned(),
        None if output.is_null() => String::new(),
        None => output.to_string(),
    }
}

fn cut(mut text: String) -> String {
    if text.len() > OUTPUT {
        text.truncate(text.floor_char_boundary(OUTPUT));
        text.push('…');
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use nexus_plugin_api::chat::types::ChangeKind;
    use serde_json::json;

    fn call(updates: &[Value]) -> Call {
        let mut call = Call::new("p".into(), 1);
        for update in updates {
            call.update(serde_json::from_value(update.clone()).unwrap(), "/w", 2);
        }
        call
    }

    #[test]
    fn a_call_has_its_input_output_and_changes() {
        let call = call(&[
            json!({"toolCallId": "c", "title": "Edit a", "kind": "edit", "status": "in_progress", "rawInput": {"path": "a"}}),
            json!({"toolCallId": "c", "status": "completed", "rawOutput": {"output": "unused"}, "content": [
                {"type": "content", "content": {"type": "text", "text": "done"}},
                {"type": "diff", "path": "/w/a", "oldText": "x\n", "newText": "y\n"},
                {"type": "content", "content": {"type": "image", "mimeType": "image/png", "data": "AA=="}},
                {"type": "terminal", "terminalId": "t"}]}),
        ]);
        let tool = call.tool(&mut Files::default());
        assert_eq!(
            (tool.name.as_str(), tool.title.as_deref(), tool.state),
            ("edit", Some("Edit a"), ToolState::Completed)
        );
        assert_eq!(
            (tool.input.as_str(), tool.output.as_deref(), tool.error),
            ("{\"path\":\"a\"}", Some("done"), None)
        );
        assert_eq!((tool.started_at, tool.ended_at), (Some(1), Some(2)));
        assert_eq!(
            (tool.changes[0].path.as_str(), tool.changes[0].kind),
            ("a", ChangeKind::Modified)
        );
        assert_eq!(tool.attachments.len(), 1);
        assert_eq!(paths(&call.call).collect::<Vec<_>>(), ["/w/a"]);
    }

    #[test]
    fn a_call_that_failed_says_why_and_one_that_was_rejected_does_not() {
        let failed = json!({"toolCallId": "c", "kind": "execute", "status": "failed", "rawOutput": "no such file"});
        let mut call = call(&[failed]);
        let tool = call.tool(&mut Files::default());
        assert_eq!(
            (tool.name.as_str(), tool.state, tool.error.as_deref()),
            ("bash", ToolState::Failed, Some("no such file"))
        );
        call.rejected = true;
        let tool = call.tool(&mut Files::default());
        assert_eq!((tool.state, tool.error, tool.output), (ToolState::Rejected, None, None));
    }

    #[test]
    fn an_output_has_a_bound() {
        let long = "é".repeat(OUTPUT);
        let call = call(&[json!({"toolCallId": "c", "name": "x", "status": "completed", "rawOutput": long})]);
        let tool = call.tool(&mut Files::default());
        assert!(tool.output.unwrap().len() <= OUTPUT + 3 && tool.name == "x");
        assert_eq!(output_text(&json!({"exit": 0})), "{\"exit\":0}");
        assert_eq!(output_text(&Value::Null), "");
    }
}
