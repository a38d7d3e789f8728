//! Events as a backend reports them, for scripts and tests.
#![allow(unreachable_pub)]

use nexus_model::chat::{AgentRequest, Content, Event, Message, Part, Role, Tool, ToolState};
use nexus_model::time::{Clock as _, SystemClock};

pub fn now() -> u64 {
    SystemClock.now()
}

pub fn message(id: &str, role: Role, client_id: Option<String>) -> Event {
    Event::Message {
        message: Message {
            client_id,
            ..Message::new(id.into(), role, now())
        },
    }
}

/// The message of the event is complete: one that is not, in a session without a turn, was interrupted.
pub fn done(mut event: Event) -> Event {
    if let Event::Message { message } = &mut event {
        message.completed_at = Some(now());
    }
    event
}

pub fn part(id: &str, message: &str, revision: u64, closed: bool, content: Content) -> Event {
    Event::Part {
        part: Part {
            id: id.into(),
            message: message.into(),
            revision,
            closed,
            content,
        },
    }
}

pub fn tool(state: ToolState, output: Option<&str>) -> Content {
    Content::Tool(Tool {
        name: "bash".into(),
        title: Some("cargo test --workspace".into()),
        state,
        input: r#"{"command":"cargo test --workspace","timeout":120000}"#.into(),
        output: output.map(Into::into),
        error: None,
        started_at: Some(now()),
        ended_at: None,
        ..Tool::default()
    })
}

pub fn permission(id: &str, session: &str) -> Event {
    Event::Request {
        request: AgentRequest {
            id: id.into(),
            requested_by: session.into(),
            permission: true,
            subject: "bash".into(),
            detail: "git push origin main".into(),
            always: vec!["git push *".into()],
            created_at: now(),
            ..AgentRequest::default()
        },
    }
}
