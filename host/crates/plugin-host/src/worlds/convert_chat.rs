//! Sessions, messages, parts and requests of a chat backend, as the host has them, and answers back.

use super::convert::sentence;
use super::{convert_ext, request_paths, terminal_text};
use crate::bindings::caps::log::Level;
use crate::bindings::caps::types;
use crate::bindings::chat::exports::nexus::plugin::chat as wit_chat;
use crate::bindings::chat::nexus::plugin::chat_types as wit;
use crate::capabilities::{LogSink, Mask};
use crate::truncate;
use nexus_model::{chat, limits};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// `Speaker` is the plugin that says something: its name stands over what only it has a word for, its secrets are hidden, and
/// what of its words cannot be kept is collected for its log.
pub(crate) struct Speaker<'a> {
    plugin: &'a str,
    pub(super) mask: &'a Mask,
    left_out: Mutex<LeftOut>,
}

/// `LeftOut` is what could not be kept.
#[derive(Default)]
struct LeftOut {
    causes: Vec<String>,
    /// `ids` counts what has no proper id, by what it is: a list of thousands is one line.
    ids: BTreeMap<&'static str, usize>,
}

impl<'a> Speaker<'a> {
    pub(crate) fn new(plugin: &'a str, mask: &'a Mask) -> Self {
        Self {
            plugin,
            mask,
            left_out: Mutex::default(),
        }
    }

    pub(super) fn ext(&self, ext: Vec<types::Ext>) -> chat::Ext {
        self.ext_within(ext, limits::EXT_BYTES)
    }

    pub(super) fn ext_within(&self, ext: Vec<types::Ext>, most: usize) -> chat::Ext {
        if ext.is_empty() {
            return chat::Ext::default();
        }
        let by = (self.plugin, self.mask);
        convert_ext::values(by, ext, most, &mut |cause| self.leave_out(cause))
    }

    /// `left_out` is what could not be kept of what was said so far.
    pub(super) fn left_out(&self) -> Vec<String> {
        let LeftOut { mut causes, ids } =
            std::mem::take(&mut *self.left_out.lock().unwrap_or_else(PoisonError::into_inner));
        let named = |(what, count)| format!("{count} {what}: their ids are {}", truncate::NO_ID);
        causes.extend(ids.into_iter().map(named));
        causes
    }

    /// Logs that among the plugin's own lines, for there they are counted and limited.
    pub(crate) fn log_left_out(&self, log: &LogSink) {
        for what in self.left_out() {
            log.write(Level::Warn, &format!("left out {what}. This is a bug of the plugin"));
        }
    }

    /// Collects that so many of `what` have no proper id.
    pub(super) fn leave_out_ids(&self, count: usize, what: &'static str) {
        if count > 0 {
            let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
            *left_out.ids.entry(what).or_default() += count;
        }
    }

    fn leave_out(&self, what: String) {
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        if left_out.causes.len() < limits::LIST_ENTRIES {
            left_out.causes.push(what);
        }
    }
}

pub(crate) fn session_ref(s: &chat::SessionInfo) -> wit::SessionRef {
    wit::SessionRef {
        workspace: s.workspace.clone(),
        id: s.id.clone(),
    }
}

pub(crate) fn session_info(s: wit::SessionInfo, by: &Speaker<'_>) -> chat::SessionInfo {
    chat::SessionInfo {
        id: s.ref_.id,
        workspace: truncate::sentence(s.ref_.workspace),
        parent: s.parent,
        title: truncate::title(s.title),
        created_at: truncate::time(s.created_at),
        updated_at: truncate::time(s.updated_at),
        archived: s.archived,
        reverted: s.reverted.filter(|message| truncate::is_id(message)),
        ext: by.ext_within(s.ext, limits::SESSION_EXT_BYTES),
    }
}

pub(super) fn message(m: wit::Message, by: &Speaker<'_>) -> chat::Message {
    chat::Message {
        role: match m.role {
            wit::Role::User => chat::Role::User,
            wit::Role::Assistant => chat::Role::Assistant,
            wit::Role::System => chat::Role::System,
        },
        completed_at: m.completed_at.map(truncate::time),
        error: m.error.map(truncate::sentence),
        model: m.model.map(truncate::title),
        agent: m.agent.map(truncate::title),
        usage: m.usage.map(usage),
        client_id: m.client_id,
        ext: by.ext(m.ext),
        ..chat::Message::new(m.id, chat::Role::User, truncate::time(m.created_at))
    }
}

fn usage(u: wit::Usage) -> chat::Usage {
    let tokens = truncate::count;
    chat::Usage {
        input: tokens(u.input),
        output: tokens(u.output),
        reasoning: tokens(u.reasoning),
        cache_read: tokens(u.cache_read),
        cache_write: tokens(u.cache_write),
        cost: u.cost.filter(|cost| cost.is_finite() && *cost >= 0.0),
    }
}

pub(super) fn content(c: wit::Content, by: &Speaker<'_>) -> chat::Content {
    let long = truncate::prose;
    match c {
        wit::Content::Text(text) => chat::Content::Text { text: long(text) },
        wit::Content::Reasoning(text) => chat::Content::Reasoning { text: long(text) },
        wit::Content::Tool(t) => chat::Content::Tool(tool(t, by)),
        wit::Content::Attachment(a) => chat::Content::Attachment(attachment(a)),
        wit::Content::Compacted => chat::Content::Compacted,
        wit::Content::Other(e) => {
            let name = truncate::title(e.name.clone());
            match convert_ext::value(e, by.mask) {
                Ok((name, value)) => chat::Content::Other { name, value },
                Err(cause) => {
                    by.leave_out(cause);
                    let value = serde_json::Value::Null;
                    chat::Content::Other { name, value }
                }
            }
        }
    }
}

fn attachment(a: wit::Attachment) -> chat::Attachment {
    chat::Attachment {
        id: a.id.filter(|id| truncate::is_id(id)),
        mime: truncate::title(a.mime),
        name: a.name.map(truncate::title),
        size: a.size.map(truncate::count),
    }
}

fn tool(t: wit::Tool, by: &Speaker<'_>) -> chat::Tool {
    // As a terminal shows it; what is left of controls is no more than text.
    let shown = |t: String| truncate::prose(terminal_text::text(&t).into_owned());
    chat::Tool {
        name: truncate::title(t.name),
        title: t.title.map(|title| truncate::literal(title, limits::SENTENCE_BYTES)),
        state: match t.state {
            wit::ToolState::Pending => chat::ToolState::Pending,
            wit::ToolState::Running => chat::ToolState::Running,
            wit::ToolState::Completed => chat::ToolState::Completed,
            wit::ToolState::Failed => chat::ToolState::Failed,
            wit::ToolState::Rejected => chat::ToolState::Rejected,
        },
        input: truncate::literal(t.input, limits::PART_BYTES),
        output: t.output.map(shown),
        error: t.error.map(shown),
        started_at: t.started_at.map(truncate::time),
        ended_at: t.ended_at.map(truncate::time),
        changes: changes(t.changes, limits::FILE_CHANGES, limits::CHANGED_PATH_BYTES).0,
        attachments: truncate::list(t.attachments, limits::LIST_ENTRIES)
            .into_iter()
            .map(attachment)
            .collect(),
        child: t.child.filter(|child| truncate::is_id(child)),
        ext: by.ext(t.ext),
    }
}

/// `changes` are at most `most` of them, with [`limits::REQUEST_CHANGE`] of all diffs together; and how many were left out, or
/// have a longer path than is shown.
pub(super) fn changes(all: Vec<wit::FileChange>, most: usize, path: usize) -> (Vec<chat::FileChange>, usize) {
    let more = all.len().saturating_sub(most);
    let more = more + all.iter().take(most).filter(|change| change.path.len() > path).count();
    let mut left = limits::REQUEST_CHANGE;
    let shown = truncate::list(all, most).into_iter().map(|change| {
        let diff = change.diff.map(|diff| truncate::counted(diff, left));
        left = left.saturating_sub(diff.as_ref().map_or(0, String::len));
        chat::FileChange {
            path: truncate::literal(change.path, path),
            kind: match change.kind {
                wit::ChangeKind::Added => chat::ChangeKind::Added,
                wit::ChangeKind::Modified => chat::ChangeKind::Modified,
                wit::ChangeKind::Deleted => chat::ChangeKind::Deleted,
            },
            diff,
            added_lines: change.added_lines,
            deleted_lines: change.deleted_lines,
        }
    });
    (shown.collect(), more)
}

pub(super) fn part(p: wit::Part, by: &Speaker<'_>) -> chat::Part {
    chat::Part {
        id: p.id,
        message: p.message,
        revision: truncate::revision(p.revision),
        closed: p.closed,
        content: content(p.content, by),
    }
}

pub(super) fn request(a: wit::AgentRequest, by: &Speaker<'_>) -> chat::AgentRequest {
    let asked = chat::AgentRequest {
        id: a.id,
        requested_by: a.requested_by,
        message: a.message.map(truncate::sentence),
        part: a.part,
        created_at: truncate::time(a.created_at),
        ext: by.ext(a.ext),
        ..chat::AgentRequest::default()
    };
    match a.kind {
        wit::RequestKind::Permission(p) => permission(p, asked, by),
        wit::RequestKind::Questions(all) => {
            let questions = questions(all, by);
            chat::AgentRequest {
                subject: "question".to_owned(),
                detail: questions.first().map(|first| first.text.clone()).unwrap_or_default(),
                questions,
                ..asked
            }
        }
        wit::RequestKind::Other(ext) => {
            let subject = truncate::title(ext.name.clone());
            let mut own = asked.ext;
            own.put(&by.ext(vec![ext]));
            chat::AgentRequest {
                subject,
                ext: own,
                ..asked
            }
        }
    }
}

fn permission(p: wit::Permission, asked: chat::AgentRequest, by: &Speaker<'_>) -> chat::AgentRequest {
    let mut details = request_paths::shown(p.details);
    let (changes, more) = changes(p.changes, limits::FILE_CHANGES, limits::SENTENCE_BYTES);
    if more > 0 {
        details.push(request_paths::unknown(format!(
            "⟨the changes of {more} more files are not shown here⟩"
        )));
    }
    chat::AgentRequest {
        permission: true,
        subject: truncate::literal(p.subject, limits::TITLE_BYTES),
        detail: truncate::counted(p.detail, limits::REQUEST_DETAIL),
        always: always(p.always, by),
        details,
        changes,
        ..asked
    }
}

/// `always` are the patterns, or none where they cannot all be shown: nobody allows for good what they do not see.
fn always(all: Vec<String>, by: &Speaker<'_>) -> Vec<String> {
    let shown = |pattern: &String| !pattern.is_empty() && pattern.len() <= limits::SENTENCE_BYTES;
    if all.len() > limits::LIST_ENTRIES || !all.iter().all(shown) {
        by.leave_out(format!(
            "what `always` allows: it has more than {} patterns, or one that is empty or has more than {} bytes",
            limits::LIST_ENTRIES,
            limits::SENTENCE_BYTES
        ));
        return Vec::new();
    }
    let mut patterns: Vec<String> = Vec::with_capacity(all.len());
    for pattern in all {
        let pattern = truncate::literal(pattern, limits::SENTENCE_BYTES);
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    patterns
}

/// `choices` are told apart by their labels.
fn choices(all: Vec<wit::Choice>, by: &Speaker<'_>) -> Vec<chat::Choice> {
    let count = all.len();
    let mut choices: Vec<chat::Choice> = Vec::new();
    for choice in all.into_iter().take(limits::REQUEST_CHOICES) {
        let label = truncate::title(choice.label);
        if !label.trim().is_empty() && choices.iter().all(|other| other.label != label) {
            choices.push(chat::Choice {
                label,
                description: truncate::sentence(choice.description),
            });
        }
    }
    if choices.len() < count {
        by.leave_out(format!(
            "{} choices of a question: there are more than {}, or their labels are empty or the same as another's",
            count - choices.len(),
            limits::REQUEST_CHOICES
        ));
    }
    choices
}

fn questions(all: Vec<wit::Question>, by: &Speaker<'_>) -> Vec<chat::Question> {
    let more = all.len().saturating_sub(limits::REQUEST_QUESTIONS);
    if more > 0 {
        by.leave_out(format!(
            "{more} questions of a request: it has more than {}",
            limits::REQUEST_QUESTIONS
        ));
    }
    let question = |q: wit::Question| {
        let choices = choices(q.choices, by);
        chat::Question {
            header: truncate::title(q.header),
            text: truncate::sentence(q.text),
            multiple: q.multiple,
            // Else it could not be answered at all.
            allow_custom: q.allow_custom || choices.is_empty(),
            choices,
        }
    };
    truncate::list(all, limits::REQUEST_QUESTIONS)
        .into_iter()
        .map(question)
        .collect()
}

pub(super) fn turn(t: wit::Turn, mask: &Mask) -> chat::Turn {
    match t {
        wit::Turn::Idle => chat::Turn::Idle,
        wit::Turn::Running => chat::Turn::Running,
        wit::Turn::Retrying(r) => chat::Turn::Retrying {
            attempt: r.attempt,
            cause: sentence(r.message, mask),
            next_at: r.next_at.map(truncate::time),
        },
    }
}

pub(crate) fn snapshot(s: wit::SessionSnapshot, by: &Speaker<'_>) -> chat::Snapshot {
    let messages = s.messages.into_iter();
    let (snapshot, left_out) = truncate::snapshot(chat::Snapshot {
        info: session_info(s.info, by),
        messages: messages
            .map(|m| {
                let parts = m.parts.into_iter().map(|p| part(p, by));
                (message(m.message, by), parts.collect())
            })
            .collect(),
        turn: turn(s.turn, by.mask),
        requests: s.requests.into_iter().map(|r| request(r, by)).collect(),
        before: s.before,
    });
    by.leave_out_ids(left_out, "messages, parts and requests of a session");
    snapshot
}

/// `Reply` is an answer, by the function of the contract that takes it.
#[derive(Debug)]
pub(crate) enum Reply {
    /// `Core`: `chat.reply`.
    Core(wit::Answer),
    /// `Questions`: `questions.answer`.
    Questions(Vec<Vec<String>>),
}

pub(crate) fn reply(a: chat::Answer) -> Reply {
    match a {
        chat::Answer::Once => Reply::Core(wit::Answer::Once),
        chat::Answer::Always => Reply::Core(wit::Answer::Always),
        chat::Answer::Reject { message } => Reply::Core(wit::Answer::Reject(message)),
        chat::Answer::Other { name, value } => Reply::Core(wit::Answer::Other(types::Ext {
            name,
            value: value.to_string(),
        })),
        chat::Answer::Answers { answers } => Reply::Questions(answers),
    }
}

/// `prompt` has the text or the command first, then what the user points at, then the files.
pub(crate) fn prompt(
    p: nexus_plugin_traits::Prompt,
    attachments: Vec<chat::NewAttachment>,
) -> (String, Vec<wit_chat::Input>, wit_chat::Options) {
    let options = wit_chat::Options {
        model: p.options.model,
        agent: p.options.agent,
        variant: p.options.variant,
        consent: p.consent,
    };
    let words = match p.options.command {
        Some(call) => wit_chat::Input::Command(wit_chat::CommandCall {
            name: call.name,
            arguments: call.arguments,
        }),
        None => wit_chat::Input::Text(p.text),
    };
    let files = p.options.files.into_iter().map(wit_chat::Input::File);
    let attachments = attachments.into_iter().map(|attachment| {
        wit_chat::Input::Attachment(wit_chat::NewAttachment {
            name: attachment.name,
            content: wit::FileContent {
                mime: attachment.content.mime,
                data: attachment.content.data,
            },
        })
    });
    let inputs = std::iter::once(words).chain(files).chain(attachments);
    (p.client_id, inputs.collect(), options)
}

pub(crate) fn admission(a: wit_chat::Admission, mask: &Mask) -> chat::Admission {
    match a {
        wit_chat::Admission::Admitted => chat::Admission::Admitted,
        wit_chat::Admission::Duplicate => chat::Admission::Duplicate,
        wit_chat::Admission::Unknown(t) => chat::Admission::Unknown(sentence(t, mask)),
        wit_chat::Admission::Refused(t) => chat::Admission::Refused(sentence(t, mask)),
        wit_chat::Admission::ConsentNeeded(c) => chat::Admission::ConsentNeeded {
            id: truncate::title(c.id),
            text: sentence(c.text, mask),
        },
    }
}

#[cfg(test)]
#[path = "convert_chat_tests.rs"]
mod tests;
