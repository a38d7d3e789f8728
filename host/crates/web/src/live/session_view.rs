//! From the services' words to the protocol's: the newest part of a session, long outputs truncated, closed text rendered.
//!
//! Problem: a session has no length that it cannot exceed, and a phone's link may carry 64 KB/s. Whole, ten megabytes
//! would be sent, and sent again after each break, and nothing would be seen before the end.
//!
//! Mechanism: a frame holds the newest messages up to [`HISTORY_FRAME`] bytes; what is older is asked for by a cursor.
//! What is long within a message is cut to its beginning and its end, and asked for by its part. A text that still grows is
//! never cut: what follows is appended to it.

use super::protocol::{MessageWithParts, Rendered, Server, SessionFrame};
use crate::markdown::Renderer;
use nexus_chat::journal::{Entry, MessageState, SessionState};
use nexus_model::chat::{AgentRequest, Content, Event, Message, Part};
use nexus_model::limits::{AGENT_REQUESTS_FRAME, HISTORY_FRAME, TEXT_SHOWN, TOOL_SHOWN};
use serde_json::Value;
use std::sync::Arc;

/// `AROUND` is about how many bytes a message has besides its text.
const AROUND: usize = 300;

fn html(part: &Part, renderer: &Renderer) -> Option<String> {
    match &part.content {
        Content::Text { text } | Content::Reasoning { text } if part.closed => {
            renderer.html(text).map(|html| html.to_string())
        }
        _ => None,
    }
}

/// `whole` is the part, not truncated.
pub(crate) fn whole(part: Part, renderer: &Renderer) -> Rendered {
    Rendered {
        html: html(&part, renderer),
        part,
        truncated_bytes: None,
    }
}

fn shown(part: Part, renderer: &Renderer) -> Rendered {
    let (part, truncated_bytes) = truncated(part);
    Rendered {
        html: html(&part, renderer),
        part,
        truncated_bytes,
    }
}

/// Truncates what is long; also returns how many bytes are missing.
fn truncated(mut part: Part) -> (Part, Option<usize>) {
    let mut missing = 0;
    match &mut part.content {
        Content::Text { text } | Content::Reasoning { text } if part.closed => {
            missing += head(text, TEXT_SHOWN);
        }
        Content::Text { .. } | Content::Reasoning { .. } => {}
        Content::Tool(tool) => {
            missing += json(&mut tool.input);
            for text in [&mut tool.output, &mut tool.error].into_iter().flatten() {
                missing += middle(text, TOOL_SHOWN);
            }
            for change in &mut tool.changes {
                missing += change.diff.as_mut().map_or(0, |diff| head(diff, TEXT_SHOWN));
            }
        }
        Content::Attachment { .. } | Content::Compacted => {}
        // It is bounded where it comes in.
        Content::Other { .. } => {}
    }
    (part, (missing > 0).then_some(missing))
}

/// Keeps the beginning.
fn head(text: &mut String, most: usize) -> usize {
    if text.len() <= most {
        return 0;
    }
    let at = text.floor_char_boundary(most);
    let missing = text.len() - at;
    text.truncate(at);
    missing
}

/// Keeps the beginning and the end.
fn middle(text: &mut String, most: usize) -> usize {
    if text.len() <= most {
        return 0;
    }
    let (from, to) = (
        text.floor_char_boundary(most / 2),
        text.ceil_char_boundary(text.len() - most / 2),
    );
    let missing = to - from;
    text.replace_range(from..to, &format!("\n… {} KB omitted …\n", missing.div_ceil(1024)));
    missing
}

/// Cuts the texts in JSON, so that it stays JSON.
fn json(text: &mut String) -> usize {
    if text.len() <= TOOL_SHOWN {
        return 0;
    }
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        return middle(text, TOOL_SHOWN);
    };
    let mut missing = strings(&mut value, TOOL_SHOWN / 2);
    *text = value.to_string();
    if text.len() > 4 * TOOL_SHOWN {
        missing += middle(text, TOOL_SHOWN);
    }
    missing
}

fn strings(value: &mut Value, most: usize) -> usize {
    match value {
        Value::String(text) => middle(text, most),
        Value::Array(items) => items.iter_mut().map(|item| strings(item, most)).sum(),
        Value::Object(fields) => fields.values_mut().map(|field| strings(field, most)).sum(),
        _ => 0,
    }
}

fn size(message: &Message, parts: &[Rendered]) -> usize {
    let part = |part: &Rendered| {
        let event = Event::Part {
            part: part.part.clone(),
        };
        AROUND + event.size() + part.html.as_ref().map_or(0, String::len)
    };
    AROUND + message.size() + parts.iter().map(part).sum::<usize>()
}

/// `newest` are the messages that fit into a frame, at least one; and the cursor of what is before them.
async fn newest(messages: Vec<MessageState>, renderer: &Renderer) -> (Vec<MessageWithParts>, Option<String>) {
    let (mut entries, mut bytes, mut older) = (Vec::new(), 0, false);
    for MessageState { message, parts } in messages.into_iter().rev() {
        let parts: Vec<Rendered> = parts.into_iter().map(|part| shown(part, renderer)).collect();
        bytes += size(&message, &parts);
        if bytes > HISTORY_FRAME && !entries.is_empty() {
            older = true;
            break;
        }
        entries.push(MessageWithParts { message, parts });
        // A long history is a lot of Markdown: others have their turn.
        tokio::task::yield_now().await;
    }
    entries.reverse();
    let before = entries.first().filter(|_| older).map(|entry| cursor(&entry.message));
    (entries, before)
}

/// `cursor` stands for a message by its time too, for where the message itself is gone meanwhile.
fn cursor(message: &Message) -> String {
    format!("{}.{}", message.created_at, message.id)
}

/// `position` is how many of `messages` are before what a cursor stands for.
fn position(messages: &[MessageState], before: &str) -> usize {
    let (time, id) = before.split_once('.').unwrap_or((before, ""));
    let exact = messages.iter().position(|known| known.message.id == id);
    let time: u64 = time.parse().unwrap_or(0);
    exact.unwrap_or_else(|| messages.partition_point(|known| known.message.created_at < time))
}

/// Makes the frame of a session; `None`: the session was deleted.
pub(crate) async fn state(session: &str, state: SessionState, renderer: &Renderer) -> Option<Server> {
    let info = state.info?;
    let (messages, before) = newest(state.messages, renderer).await;
    Some(Server::State(Box::new(SessionFrame {
        session: session.to_owned(),
        seq: state.seq,
        info,
        messages,
        turn: state.turn,
        requests: state.requests,
        todo: state.todo,
        changes: state.changes,
        notes: state.notes,
        error: state.error,
        before,
    })))
}

/// Takes the requests out that have no room in a first frame; one always has.
pub(super) fn later_requests(state: &mut SessionState) -> Vec<AgentRequest> {
    let mut bytes = 0;
    let fit = state.requests.iter().take_while(|request| {
        bytes += request.size();
        bytes <= AGENT_REQUESTS_FRAME
    });
    let fit = fit.count().max(1).min(state.requests.len());
    state.requests.split_off(fit)
}

pub(crate) async fn older(session: &str, state: SessionState, before: &str, renderer: &Renderer) -> Server {
    let mut messages = state.messages;
    messages.truncate(position(&messages, before));
    let (messages, before) = newest(messages, renderer).await;
    Server::Older {
        session: session.to_owned(),
        messages,
        before,
    }
}

/// `event` is the frame `event` as text. Subscribers that have missed nothing get the same one, which is made once.
pub(super) fn event(
    session: &str,
    prev: u64,
    entry: &Entry,
    renderer: &Renderer,
) -> Result<Arc<str>, serde_json::Error> {
    let made = || match &entry.event {
        Event::Part { part } => rendered(session, prev, entry.seq, part.clone(), renderer),
        _ => plain(session, prev, entry),
    };
    if prev.checked_add(1) != Some(entry.seq) {
        return made();
    }
    match entry.shown.get() {
        Some(text) => Ok(Arc::clone(text)),
        None => made().map(|text| Arc::clone(entry.shown.get_or_init(|| text))),
    }
}

/// An event that is shown as it was written: its JSON is there.
fn plain(session: &str, prev: u64, entry: &Entry) -> Result<Arc<str>, serde_json::Error> {
    let session = serde_json::to_string(session)?;
    let Entry { seq, json, .. } = entry;
    Ok(format!(r#"{{"type":"event","session":{session},"prev":{prev},"seq":{seq},"event":{json}}}"#).into())
}

fn rendered(
    session: &str,
    prev: u64,
    seq: u64,
    part: Part,
    renderer: &Renderer,
) -> Result<Arc<str>, serde_json::Error> {
    let Rendered {
        part,
        html,
        truncated_bytes,
    } = shown(part, renderer);
    let frame = Server::Event {
        session: session.to_owned(),
        prev,
        seq,
        event: Event::Part { part },
        html,
        truncated_bytes,
    };
    serde_json::to_string(&frame).map(Into::into)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use nexus_model::chat::{Role, SessionInfo, Tool, ToolState};

    fn message(n: u64, content: Content, closed: bool) -> MessageState {
        let message = Message::new(format!("m{n}"), Role::Assistant, n);
        let part = Part {
            id: format!("p{n}"),
            message: message.id.clone(),
            revision: 1,
            closed,
            content,
        };
        MessageState {
            message,
            parts: vec![part],
        }
    }

    #[test]
    fn an_event_is_the_frame_of_the_protocol_and_made_once_for_all_that_missed_nothing() {
        let renderer = Renderer::default();
        let part = message(1, Content::Text { text: "*a*".into() }, true).parts.remove(0);
        let delta = Event::Delta {
            part: "p".into(),
            message: "m".into(),
            revision: 3,
            text: "a \"quote\"\n\u{202e}".into(),
        };
        for event in [delta, Event::Part { part }, Event::SessionRemoved] {
            let json = serde_json::to_string(&event).unwrap().into_boxed_str();
            let entry = Entry {
                seq: 7,
                event: event.clone(),
                json,
                shown: std::sync::OnceLock::new(),
            };
            for (prev, made_once) in [(6, true), (2, false)] {
                let text = super::event("s\"x", prev, &entry, &renderer).unwrap();
                let html = matches!(event, Event::Part { .. }).then(|| "<p><em>a</em></p>\n".to_owned());
                let frame = Server::Event {
                    session: "s\"x".to_owned(),
                    prev,
                    seq: 7,
                    event: event.clone(),
                    html,
                    truncated_bytes: None,
                };
                let read: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(read, serde_json::to_value(&frame).unwrap());
                let again = super::event("s\"x", prev, &entry, &renderer).unwrap();
                assert_eq!(Arc::ptr_eq(&text, &again), made_once);
            }
        }
    }

    fn tool(output: &str, input: &str) -> Content {
        Content::Tool(Tool {
            name: "bash".into(),
            title: None,
            state: ToolState::Completed,
            input: input.into(),
            output: Some(output.into()),
            error: None,
            started_at: None,
            ended_at: None,
            ..Tool::default()
        })
    }

    fn session(messages: Vec<MessageState>) -> SessionState {
        let info = SessionInfo {
            id: "s".into(),
            workspace: String::new(),
            parent: None,
            title: String::new(),
            created_at: 0,
            updated_at: 0,
            archived: false,
            reverted: None,
            ext: nexus_model::chat::Ext::default(),
        };
        let mut state = SessionState::default();
        (state.seq, state.info, state.messages) = (7, Some(info), messages);
        state
    }

    #[test]
    fn a_first_frame_has_room_for_one_request_and_the_others_follow() {
        let request = |n: usize, bytes: usize| AgentRequest {
            id: n.to_string(),
            detail: "x".repeat(bytes),
            ..AgentRequest::default()
        };
        for (bytes, here) in [(300_000, 1), (AGENT_REQUESTS_FRAME / 4, 4), (1, 20)] {
            let mut state = session(Vec::new());
            state.requests = (0..20).map(|n| request(n, bytes)).collect();
            let all = state.requests.clone();
            let later = later_requests(&mut state);
            assert_eq!(state.requests.len(), here);
            assert_eq!([state.requests, later].concat(), all, "in their order");
        }
        assert!(later_requests(&mut session(Vec::new())).is_empty());
    }

    #[tokio::test]
    async fn ten_megabytes_come_in_frames_of_a_bounded_size_newest_first_and_nothing_is_left_out() {
        let output = "a line of output, é\n".repeat(2_500);
        let all: Vec<_> = (0..200).map(|n| message(n, tool(&output, "{}"), true)).collect();
        let renderer = Renderer::default();
        let Some(Server::State(first)) = state("s", session(all.clone()), &renderer).await else {
            panic!("a state")
        };
        assert_eq!(first.messages.last().unwrap().message.id, "m199");
        assert!(first.messages.last().unwrap().parts[0].truncated_bytes.unwrap() > 40_000);
        let mut ids: Vec<String> = first.messages.iter().map(|m| m.message.id.clone()).collect();
        let mut before = first.before.clone();
        assert!(serde_json::to_string(&first).unwrap().len() < 2 * HISTORY_FRAME);
        while let Some(cursor) = before {
            let frame = older("s", session(all.clone()), &cursor, &renderer).await;
            assert!(serde_json::to_string(&frame).unwrap().len() < 2 * HISTORY_FRAME);
            let Server::Older {
                messages, before: next, ..
            } = frame
            else {
                panic!("older ones")
            };
            ids.splice(0..0, messages.iter().map(|m| m.message.id.clone()));
            before = next;
        }
        assert_eq!(ids, (0..200).map(|n| format!("m{n}")).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_cursor_whose_message_is_gone_leads_to_its_time() {
        let text = |n: u64| message(n, Content::Text { text: "x".into() }, true);
        let state = session((0..5).map(text).collect());
        let Server::Older { messages, before, .. } = older("s", state, "3.gone", &Renderer::default()).await else {
            panic!("older ones")
        };
        assert_eq!((messages.len(), before), (3, None));
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let content = serde_json::json!({"path": "a.txt", "text": "é".repeat(50_000)}).to_string();
        let MessageState { parts, .. } = message(1, tool("short", &content), true);
        let (part, missing) = truncated(parts[0].clone());
        let Content::Tool(tool) = &part.content else {
            panic!("a tool")
        };
        let input: Value = serde_json::from_str(&tool.input).unwrap();
        assert_eq!(
            (input["path"].as_str(), tool.output.as_deref()),
            (Some("a.txt"), Some("short"))
        );
        assert!(
            tool.input.len() < TOOL_SHOWN && missing.unwrap() > 90_000,
            "{missing:?}"
        );
        // Many short texts, and no JSON at all.
        for input in [serde_json::json!(vec!["x"; 50_000]).to_string(), "{".repeat(50_000)] {
            let MessageState { parts, .. } = message(1, self::tool("", &input), true);
            let (part, missing) = truncated(parts[0].clone());
            let Content::Tool(tool) = &part.content else {
                panic!("a tool")
            };
            assert!(tool.input.len() < 2 * TOOL_SHOWN && missing.is_some());
        }
        let long = Content::Text {
            text: "é".repeat(TEXT_SHOWN),
        };
        let MessageState { parts, .. } = message(1, long.clone(), true);
        assert_eq!(truncated(parts[0].clone()).1, Some(TEXT_SHOWN));
        // What grows is whole: the next delta is appended to it.
        let MessageState { parts, .. } = message(1, long, false);
        assert_eq!(truncated(parts[0].clone()), (parts[0].clone(), None));
    }
}
