//! One turn: the answer to a prompt, as the agent reports it, as events of the contract.
//!
//! An answer is one message. Its text, its reasoning and its tool calls are parts in the order in which they came: a text ends
//! where something else begins.

use crate::content::{Files, Shown, shown};
use crate::tools::Call;
use crate::wire::{Block, Chunk, Cost, PlanEntry, ToolCall, Usage};
use nexus_plugin_api::chat::types::{
    self, Content, Delta, Event, Message, Part, Role, TodoItem, TodoList, TodoState, TurnState,
};

/// `TEXT` is how many bytes of one text are kept, and passed on: what the host shows of a part.
const TEXT: usize = 4 << 20;
/// `CALLS` is how many calls of a turn are remembered; the oldest that have ended go first.
const CALLS: usize = 64;
/// `TODO` is how many entries of a plan are passed on.
const TODO: usize = 256;

/// `Turn` is the last turn of a chat, whether it runs or has ended: an agent may report something late.
#[derive(Debug)]
pub struct Turn {
    session: String,
    folder: String,
    message: Message,
    parts: u32,
    open: Option<OpenText>,
    calls: Vec<Call>,
    running: bool,
    /// `cancelled`: the owner has stopped it; it runs until the agent says so.
    cancelled: bool,
}

#[derive(Debug)]
struct OpenText {
    part: String,
    kind: Kind,
    /// `message_id` is the agent's: another one begins another text.
    message_id: Option<String>,
    revision: u64,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
}

/// `End` is how a turn ended.
#[derive(Debug, Default)]
pub struct End {
    /// `error` is what the owner reads, where it is no good end.
    pub error: Option<String>,
    pub usage: Option<Usage>,
    /// `cost` is what this turn took, in US dollars.
    pub cost: Option<f64>,
}

/// `stopped` is what the owner reads where an answer ended for a reason that is none of theirs.
pub fn stopped(reason: &str) -> Option<String> {
    let why = match reason {
        "end_turn" | "cancelled" => return None,
        "max_tokens" => "The answer is not complete: it reached the most tokens that the model may write.",
        "max_turn_requests" => {
            "The answer is not complete: the agent reached the most requests to its model that it makes for one message. \
             Send a message to let it continue."
        }
        "refusal" => "The agent refused to go on. It does not remember this message.",
        other => {
            return Some(format!(
                "The agent ended its answer for a reason that is not known here: {other:?}."
            ));
        }
    };
    Some(why.to_owned())
}

impl Turn {
    /// Begins a turn. `id` is the message's, unique in the session.
    pub fn begin(session: &str, folder: &str, id: String, now: u64) -> (Self, Vec<Event>) {
        let turn = Self {
            session: session.to_owned(),
            folder: folder.to_owned(),
            message: Message {
                id,
                session: session.to_owned(),
                role: Role::Assistant,
                created_at: now,
                completed_at: None,
                error: None,
                model: None,
                agent: None,
                usage: None,
                client_id: None,
                ext: Vec::new(),
            },
            parts: 0,
            open: None,
            calls: Vec::new(),
            running: true,
            cancelled: false,
        };
        let events = vec![turn.state(), turn.message()];
        (turn, events)
    }

    /// `began` is when it began.
    pub fn began(&self) -> u64 {
        self.message.created_at
    }

    pub fn running(&self) -> bool {
        self.running
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    pub fn cancel(&mut self) {
        self.cancelled = true;
    }

    fn state(&self) -> Event {
        Event::Turn(TurnState {
            session: self.session.clone(),
            turn: if self.running {
                types::Turn::Running
            } else {
                types::Turn::Idle
            },
        })
    }

    fn message(&self) -> Event {
        Event::Message(self.message.clone())
    }

    /// Says who answers: the model and the mode of the agent.
    pub fn by(&mut self, model: Option<String>, agent: Option<String>) -> Vec<Event> {
        if (&self.message.model, &self.message.agent) == (&model, &agent) {
            return Vec::new();
        }
        (self.message.model, self.message.agent) = (model, agent);
        vec![self.message()]
    }

    pub fn text(&mut self, chunk: Chunk, files: &mut Files) -> Vec<Event> {
        self.chunk(Kind::Text, chunk, files)
    }

    pub fn reasoning(&mut self, chunk: Chunk, files: &mut Files) -> Vec<Event> {
        self.chunk(Kind::Reasoning, chunk, files)
    }

    fn chunk(&mut self, kind: Kind, chunk: Chunk, files: &mut Files) -> Vec<Event> {
        let streamed = matches!(chunk.content, Block::Text { .. });
        match shown(chunk.content) {
            Shown::Text(text) if text.is_empty() => Vec::new(),
            Shown::Text(text) => {
                // What is no piece of a stream is a paragraph of its own.
                let text = if streamed { text } else { format!("\n\n{text}\n\n") };
                self.append(kind, chunk.message_id, &text)
            }
            Shown::File { mime, base64 } => {
                let mut events = self.close();
                let part = self.next_part();
                let attachment = files.keep(&part, &mime, &base64);
                events.push(self.part(part, 1, true, Content::Attachment(attachment)));
                events
            }
            Shown::Nothing => Vec::new(),
        }
    }

    fn append(&mut self, kind: Kind, message_id: Option<String>, text: &str) -> Vec<Event> {
        let goes_on = |open: &OpenText| open.kind == kind && (message_id.is_none() || open.message_id == message_id);
        let mut events = Vec::new();
        if self.open.as_ref().is_some_and(|open| !goes_on(open)) {
            events = self.close();
        }
        let Some(open) = &mut self.open else {
            let part = self.next_part();
            let open = OpenText {
                part: part.clone(),
                kind,
                message_id,
                revision: 1,
                text: cut(text, TEXT).to_owned(),
            };
            let content = open.content();
            self.open = Some(open);
            events.push(self.part(part, 1, !self.running, content));
            return events;
        };
        let text = cut(text, TEXT.saturating_sub(open.text.len()));
        if text.is_empty() {
            return events;
        }
        open.text.push_str(text);
        open.revision += 1;
        let (part, revision) = (open.part.clone(), open.revision);
        if self.running {
            events.push(Event::Delta(Delta {
                part,
                message: self.message.id.clone(),
                session: self.session.clone(),
                revision,
                text: text.to_owned(),
            }));
        } else {
            // Late: the part is closed already.
            let content = open.content();
            events.push(self.part(part, revision, true, content));
        }
        events
    }

    /// Closes the text that is open.
    fn close(&mut self) -> Vec<Event> {
        let Some(open) = self.open.take() else {
            return Vec::new();
        };
        if !self.running {
            return Vec::new();
        }
        let (part, content) = (open.part.clone(), open.content());
        vec![self.part(part, open.revision + 1, true, content)]
    }

    fn next_part(&mut self) -> String {
        self.parts += 1;
        format!("{}-{:06}", self.message.id, self.parts)
    }

    fn part(&self, id: String, revision: u64, closed: bool, content: Content) -> Event {
        Event::Part(Part {
            id,
            message: self.message.id.clone(),
            session: self.session.clone(),
            revision,
            closed,
            content,
        })
    }

    /// Takes what is reported of a tool call.
    pub fn tool(&mut self, update: ToolCall, files: &mut Files, now: u64) -> Vec<Event> {
        let id = update.tool_call_id.clone();
        let known = self.calls.iter().position(|call| call.call.tool_call_id == id);
        let mut events = Vec::new();
        let at = match known {
            Some(at) => at,
            None => {
                events = self.close();
                if self.calls.len() >= CALLS {
                    let ended = self.calls.iter().position(|call| call.ended_at.is_some());
                    self.calls.remove(ended.unwrap_or(0));
                }
                let mut call = Call::new(self.next_part(), now);
                call.call.tool_call_id = id;
                self.calls.push(call);
                self.calls.len() - 1
            }
        };
        if let Some(call) = self.calls.get_mut(at) {
            call.update(update, &self.folder, now);
        }
        events.extend(self.tool_part(at, files));
        events
    }

    fn tool_part(&mut self, at: usize, files: &mut Files) -> Option<Event> {
        let call = self.calls.get_mut(at)?;
        call.revision += 1;
        let (part, revision) = (call.part.clone(), call.revision);
        let closed = call.ended_at.is_some() || !self.running;
        let tool = call.tool(files);
        Some(self.part(part, revision, closed, Content::Tool(tool)))
    }

    /// `call` is a call that was reported.
    pub fn call(&self, id: &str) -> Option<&Call> {
        self.calls.iter().find(|call| call.call.tool_call_id == id)
    }

    /// Notes that the owner did not allow a call, which the agent reports as one that failed.
    pub fn reject(&mut self, id: &str) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.call.tool_call_id == id) {
            call.rejected = true;
        }
    }

    /// Ends the turn.
    pub fn end(&mut self, end: End, files: &mut Files, now: u64) -> Vec<Event> {
        if !self.running {
            return Vec::new();
        }
        let mut events = self.close();
        for at in 0..self.calls.len() {
            let Some(call) = self.calls.get_mut(at).filter(|call| call.ended_at.is_none()) else {
                continue;
            };
            // Nobody will say how it ended.
            call.call.status = Some("failed".to_owned());
            call.ended_at = Some(now);
            events.extend(self.tool_part(at, files));
        }
        self.running = false;
        self.message.completed_at = Some(now);
        self.message.error = end.error;
        let usage = end.usage.unwrap_or_default();
        self.message.usage = Some(types::Usage {
            input: usage.input_tokens,
            output: usage.output_tokens,
            reasoning: usage.thought_tokens,
            cache_read: usage.cached_read_tokens,
            cache_write: usage.cached_write_tokens,
            cost: end.cost,
        })
        .filter(|usage| usage.input + usage.output > 0 || usage.cost.is_some());
        events.push(self.message());
        events.push(self.state());
        events
    }
}

impl OpenText {
    fn content(&self) -> Content {
        match self.kind {
            Kind::Text => Content::Text(self.text.clone()),
            Kind::Reasoning => Content::Reasoning(self.text.clone()),
        }
    }
}

fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// `todo` is a plan as what the agent has set itself to do.
pub fn todo(session: &str, entries: Vec<PlanEntry>) -> Event {
    let items = entries.into_iter().take(TODO).map(|entry| TodoItem {
        text: entry.content,
        state: match entry.status.as_str() {
            "in_progress" => TodoState::InProgress,
            "completed" => TodoState::Completed,
            _ => TodoState::Pending,
        },
    });
    Event::Todo(TodoList {
        session: session.to_owned(),
        items: items.collect(),
    })
}

/// `note` is a sentence of this plugin, as a message of its own. `id` is the message's.
pub fn note(session: &str, id: String, text: &str, now: u64) -> Vec<Event> {
    let part = Part {
        id: format!("{id}-000001"),
        message: id.clone(),
        session: session.to_owned(),
        revision: 1,
        closed: true,
        content: Content::Text(text.to_owned()),
    };
    let message = Message {
        id,
        session: session.to_owned(),
        role: Role::System,
        created_at: now,
        completed_at: Some(now),
        error: None,
        model: None,
        agent: None,
        usage: None,
        client_id: None,
        ext: Vec::new(),
    };
    vec![Event::Message(message), Event::Part(part)]
}

/// `Spent` is what a session of the agent has cost so far; an agent says the sum.
#[derive(Debug, Default)]
pub struct Spent {
    all: Option<f64>,
    before: f64,
}

impl Spent {
    pub fn update(&mut self, cost: Option<Cost>) {
        if let Some(cost) = cost.filter(|cost| cost.currency == "USD" && cost.amount.is_finite()) {
            self.all = Some(cost.amount);
        }
    }

    /// `since` is what was spent since it was asked last.
    pub fn since(&mut self) -> Option<f64> {
        let all = self.all?;
        let spent = (all - self.before).max(0.0);
        self.before = all;
        Some(spent)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use nexus_plugin_api::chat::types::ToolState;
    use serde_json::{Value, json};

    fn begun() -> (Turn, Files) {
        let (turn, events) = Turn::begin("s", "/w", "m".into(), 1);
        assert!(matches!(events.as_slice(), [Event::Turn(_), Event::Message(_)]));
        (turn, Files::default())
    }

    fn chunk(text: &str, message_id: Option<&str>) -> Chunk {
        serde_json::from_value(json!({"content": {"type": "text", "text": text}, "messageId": message_id})).unwrap()
    }

    fn call(value: Value) -> ToolCall {
        serde_json::from_value(value).unwrap()
    }

    fn words(events: &[Event]) -> Vec<String> {
        let word = |event: &Event| match event {
            Event::Part(part) => {
                let content = match &part.content {
                    Content::Text(text) => format!("text {text}"),
                    Content::Reasoning(text) => format!("reasoning {text}"),
                    Content::Tool(tool) => format!("tool {:?}", tool.state),
                    Content::Attachment(file) => format!("file {}", file.mime),
                    other => panic!("{other:?}"),
                };
                let end = if part.closed { " closed" } else { "" };
                format!(
                    "{} {content} r{}{end}",
                    part.id.trim_start_matches("m-00000"),
                    part.revision
                )
            }
            Event::Delta(delta) => format!(
                "{} + {} r{}",
                delta.part.trim_start_matches("m-00000"),
                delta.text,
                delta.revision
            ),
            Event::Message(message) => format!("message {:?} {:?}", message.completed_at, message.error),
            Event::Turn(state) => format!("{:?}", state.turn),
            other => panic!("{other:?}"),
        };
        events.iter().map(word).collect()
    }

    #[test]
    fn an_answer_is_parts_in_their_order() {
        let (mut turn, mut files) = begun();
        let mut events = turn.reasoning(chunk("hm", None), &mut files);
        events.extend(turn.text(chunk("a", None), &mut files));
        events.extend(turn.text(chunk("b", None), &mut files));
        events.extend(turn.tool(call(json!({"toolCallId": "c", "status": "in_progress"})), &mut files, 2));
        events.extend(turn.text(chunk("c", None), &mut files));
        events.extend(turn.tool(call(json!({"toolCallId": "c", "status": "completed"})), &mut files, 3));
        events.extend(turn.text(chunk("d", None), &mut files));
        events.extend(turn.end(End::default(), &mut files, 4));
        assert_eq!(
            words(&events),
            [
                "1 reasoning hm r1",
                "1 reasoning hm r2 closed",
                "2 text a r1",
                "2 + b r2",
                "2 text ab r3 closed",
                "3 tool ToolState::Running r1",
                "4 text c r1",
                "3 tool ToolState::Completed r2 closed",
                "4 + d r2",
                "4 text cd r3 closed",
                "message Some(4) None",
                "Turn::Idle",
            ]
        );
        assert!(turn.end(End::default(), &mut files, 5).is_empty(), "a turn ends once");
    }

    #[test]
    fn another_message_of_the_agent_is_another_text() {
        let (mut turn, mut files) = begun();
        let mut events = turn.text(chunk("a", Some("1")), &mut files);
        events.extend(turn.text(chunk("b", Some("2")), &mut files));
        events.extend(turn.text(chunk("", Some("3")), &mut files));
        assert_eq!(words(&events), ["1 text a r1", "1 text a r2 closed", "2 text b r1"]);
    }

    #[test]
    fn what_comes_late_is_still_shown() {
        let (mut turn, mut files) = begun();
        turn.text(chunk("a", None), &mut files);
        turn.tool(call(json!({"toolCallId": "c"})), &mut files, 2);
        let ended = turn.end(End::default(), &mut files, 3);
        assert_eq!(
            words(&ended),
            [
                "2 tool ToolState::Failed r2 closed",
                "message Some(3) None",
                "Turn::Idle"
            ]
        );
        assert_eq!(words(&turn.text(chunk("x", None), &mut files)), ["3 text x r1 closed"]);
        assert_eq!(words(&turn.text(chunk("y", None), &mut files)), ["3 text xy r2 closed"]);
        let late = turn.tool(call(json!({"toolCallId": "c", "status": "completed"})), &mut files, 4);
        assert_eq!(words(&late), ["2 tool ToolState::Completed r3 closed"]);
    }

    #[test]
    fn a_call_that_was_not_allowed_is_rejected() {
        let (mut turn, mut files) = begun();
        turn.tool(call(json!({"toolCallId": "c", "status": "pending"})), &mut files, 2);
        turn.reject("c");
        let events = turn.tool(
            call(json!({"toolCallId": "c", "status": "failed", "rawOutput": "no"})),
            &mut files,
            3,
        );
        assert!(
            matches!(&events[0], Event::Part(Part { content: Content::Tool(tool), .. }) if tool.state == ToolState::Rejected)
        );
    }

    #[test]
    fn ends_have_words_and_what_they_took() {
        assert_eq!(stopped("end_turn"), None);
        assert_eq!(stopped("cancelled"), None);
        for reason in ["max_tokens", "max_turn_requests", "refusal", "bored"] {
            assert!(stopped(reason).is_some(), "{reason}");
        }
        let mut spent = Spent::default();
        assert_eq!(spent.since(), None);
        let cost = |amount: f64, currency: &str| {
            Some(Cost {
                amount,
                currency: currency.to_owned(),
            })
        };
        spent.update(cost(0.5, "USD"));
        spent.update(cost(9.0, "EUR"));
        assert_eq!(spent.since(), Some(0.5));
        spent.update(cost(0.75, "USD"));
        let (mut turn, mut files) = begun();
        let end = End {
            error: stopped("refusal"),
            usage: serde_json::from_value(json!({"inputTokens": 3, "outputTokens": 4, "thoughtTokens": null})).unwrap(),
            cost: spent.since(),
        };
        let events = turn.end(end, &mut files, 9);
        let Event::Message(message) = &events[0] else {
            panic!("{events:?}")
        };
        let usage = message.usage.as_ref().unwrap();
        assert_eq!((usage.input, usage.output, usage.cost), (3, 4, Some(0.25)));
        assert!(message.error.as_deref().unwrap().contains("refused"));
    }

    #[test]
    fn a_text_and_the_calls_have_bounds() {
        let (mut turn, mut files) = begun();
        let piece = "é".repeat(1 << 20);
        for _ in 0..4 {
            turn.text(chunk(&piece, None), &mut files);
        }
        assert_eq!(turn.open.as_ref().unwrap().text.len(), TEXT);
        for n in 0..2 * CALLS {
            let status = if n % 2 == 0 { "completed" } else { "pending" };
            turn.tool(
                call(json!({"toolCallId": format!("{n}"), "status": status})),
                &mut files,
                1,
            );
        }
        assert!(turn.calls.len() <= CALLS && turn.call("1").is_some() && turn.call("0").is_none());
    }

    #[test]
    fn a_plan_is_what_the_agent_has_set_itself_to_do() {
        let entries = json!([{"content": "a", "status": "completed", "priority": "high"}, {"content": "b", "status": "in_progress"}, {"content": "c"}]);
        let Event::Todo(list) = todo("s", serde_json::from_value(entries).unwrap()) else {
            panic!()
        };
        let states: Vec<_> = list.items.iter().map(|item| item.state).collect();
        assert_eq!(
            states,
            [TodoState::Completed, TodoState::InProgress, TodoState::Pending]
        );
    }
}
