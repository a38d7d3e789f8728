//! From the services' words to the protocol's: adds the rendered HTML of closed text.

use super::protocol::{Entry, Rendered, Server, State};
use crate::model::chat::{Content, Event, Part};
use crate::web::markdown::Renderer;
use crate::web::port::SessionState;

fn html(part: &Part, renderer: &Renderer) -> Option<String> {
    match &part.content {
        Content::Text { text } | Content::Reasoning { text } if part.closed => {
            renderer.html(text).map(|html| html.to_string())
        }
        _ => None,
    }
}

/// Yields to other tasks between messages: a long history is a lot of Markdown.
pub(in crate::web) async fn state(session: &str, state: SessionState, renderer: &Renderer) -> Server {
    let mut messages = Vec::with_capacity(state.messages.len());
    for (message, parts) in state.messages {
        let parts = parts
            .into_iter()
            .map(|part| Rendered {
                html: html(&part, renderer),
                part,
            })
            .collect();
        messages.push(Entry { message, parts });
        tokio::task::yield_now().await;
    }
    Server::State(Box::new(State {
        session: session.to_owned(),
        seq: state.seq,
        info: state.info,
        messages,
        turn: state.turn,
        asks: state.asks,
        truncated: state.truncated,
    }))
}

pub(super) fn event(session: &str, prev: u64, seq: u64, event: Event, renderer: &Renderer) -> Server {
    let html = match &event {
        Event::Part { part } => html(part, renderer),
        _ => None,
    };
    Server::Event {
        session: session.to_owned(),
        prev,
        seq,
        event,
        html,
    }
}
