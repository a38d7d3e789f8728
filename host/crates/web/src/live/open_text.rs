//! Texts that still grow, in blocks: what is complete is rendered while the rest is on its way.
//!
//! Problem: Markdown is a text until its part is closed, and then the whole answer changes its look and its height at once.
//!
//! Mechanism: of each open text the part after its last complete block is kept. Where a piece of it ends a line, the blocks
//! are looked for again; all but the last are complete, for nothing that follows changes them, and go out rendered, in a frame
//! of their own behind the event. The events stay as they are, the same for all who read them.
//!
//! Limits: a reference that is defined below its use, and a footnote, are rendered when the part is closed. A subscription that
//! goes on from a number knows the events only: its open texts stay texts until they are closed.
//!
//! Cost: a block is parsed once for each of its lines, so a block of more than [`OPEN_BLOCK`] bytes is left as a text; the
//! lines of a fenced block are not parsed before its end. Rejected: blocks in the events, which would then differ for each reader.

use super::protocol::Server;
use crate::markdown::{Renderer, complete_blocks};
use nexus_chat::journal::MessageState;
use nexus_model::chat::{Content, Event, Part};
use nexus_model::limits::{OPEN_BLOCK, OPEN_TEXTS};
use std::collections::HashMap;

/// `OpenTexts` are those of the session that is shown, by the ids of their parts.
#[derive(Default)]
pub(super) struct OpenTexts(HashMap<String, OpenText>);

/// What comes after the last complete block.
struct OpenText {
    message: String,
    tail: String,
    revision: u64,
}

fn text(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Text { text } | Content::Reasoning { text } if !part.closed => Some(text),
        _ => None,
    }
}

impl OpenTexts {
    /// Begins with a state, and makes the frames of the blocks that are complete in it.
    pub(super) fn begin(&mut self, session: &str, messages: &[MessageState], renderer: &Renderer) -> Vec<Server> {
        self.0.clear();
        let parts = messages.iter().flat_map(|message| &message.parts);
        parts.filter_map(|part| self.put(session, part, renderer)).collect()
    }

    /// Takes an event that was sent, and makes the frame of the blocks that are complete by it.
    pub(super) fn event(&mut self, session: &str, event: &Event, renderer: &Renderer) -> Option<Server> {
        match event {
            Event::Part { part } => self.put(session, part, renderer),
            Event::Delta {
                part, revision, text, ..
            } => {
                let open = self.0.get_mut(part)?;
                if *revision <= open.revision {
                    return None;
                }
                open.revision = *revision;
                open.tail.push_str(text);
                if open.tail.len() > OPEN_BLOCK {
                    self.0.remove(part);
                    return None;
                }
                if !text.contains('\n') {
                    return None;
                }
                open.frame(session, part, renderer)
            }
            Event::PartRemoved { part, .. } => {
                self.0.remove(part);
                None
            }
            Event::MessageRemoved { message } => {
                self.0.retain(|_, open| open.message != *message);
                None
            }
            _ => None,
        }
    }

    fn put(&mut self, session: &str, part: &Part, renderer: &Renderer) -> Option<Server> {
        self.0.remove(&part.id);
        let tail = text(part)?.to_owned();
        if self.0.len() >= OPEN_TEXTS {
            return None;
        }
        let mut open = OpenText {
            message: part.message.clone(),
            tail,
            revision: part.revision,
        };
        let frame = open.frame(session, &part.id, renderer);
        if open.tail.len() <= OPEN_BLOCK {
            self.0.insert(part.id.clone(), open);
        }
        frame
    }
}

impl OpenText {
    fn frame(&mut self, session: &str, part: &str, renderer: &Renderer) -> Option<Server> {
        let at = complete_blocks(&self.tail)?;
        let html = renderer.html(self.tail.get(..at)?)?.to_string();
        self.tail.drain(..at);
        Some(Server::Blocks {
            session: session.to_owned(),
            part: part.to_owned(),
            html,
            tail: self.tail.clone(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use nexus_model::chat::{Message, Role};

    fn part(id: &str, revision: u64, text: &str, closed: bool) -> Part {
        Part {
            id: id.into(),
            message: "m".into(),
            revision,
            closed,
            content: Content::Text { text: text.into() },
        }
    }

    fn delta(id: &str, revision: u64, text: &str) -> Event {
        Event::Delta {
            message: "m".into(),
            part: id.into(),
            revision,
            text: text.into(),
        }
    }

    /// What a client draws of it: the HTML of the blocks, and the text behind them.
    struct Drawn(String, String);

    impl Drawn {
        fn take(&mut self, event: &Event, blocks: Option<Server>) {
            if let Event::Delta { text, .. } = event {
                self.1.push_str(text);
            }
            if let Some(Server::Blocks { html, tail, .. }) = blocks {
                self.0.push_str(&html);
                self.1 = tail;
            }
        }
    }

    #[test]
    fn a_text_that_grows_is_rendered_block_by_block() {
        let renderer = Renderer::default();
        let state = MessageState {
            message: Message::new("m".into(), Role::Assistant, 1),
            parts: vec![
                part("p", 1, "# One\n\ntwo", false),
                part("done", 1, "# Done\n\nwhole", true),
            ],
        };
        let mut open = OpenTexts::default();
        let begun = open.begin("s", &[state], &renderer);
        let [
            Server::Blocks {
                session,
                part,
                html,
                tail,
            },
        ] = begun.as_slice()
        else {
            panic!("{begun:?}");
        };
        assert_eq!([session, part, html, tail], ["s", "p", "<h3>One</h3>\n", "two"]);
        let mut drawn = Drawn(html.clone(), tail.clone());
        for (revision, text) in [(2, " and"), (3, " more\n"), (4, "\nthree\n"), (5, "\n- four")] {
            let event = delta("p", revision, text);
            drawn.take(&event, open.event("s", &event, &renderer));
        }
        assert_eq!(drawn.0, "<h3>One</h3>\n<p>two and more</p>\n<p>three</p>\n");
        assert_eq!(drawn.1, "- four");
        // What came before is of no use once more.
        assert!(open.event("s", &delta("p", 5, "\n\nagain\n\n"), &renderer).is_none());
    }

    #[test]
    fn what_is_closed_or_removed_grows_no_more() {
        let renderer = Renderer::default();
        let mut open = OpenTexts::default();
        for end in [
            Event::Part {
                part: part("p", 9, "whole", true),
            },
            Event::PartRemoved {
                message: "m".into(),
                part: "p".into(),
            },
            Event::MessageRemoved { message: "m".into() },
        ] {
            open.event(
                "s",
                &Event::Part {
                    part: part("p", 1, "one", false),
                },
                &renderer,
            );
            assert_eq!(open.0.len(), 1);
            open.event("s", &end, &renderer);
            assert!(open.0.is_empty(), "{end:?}");
        }
        // A subscription that goes on from a number never saw its beginning.
        assert!(open.event("s", &delta("unknown", 2, "a\n\nb\n"), &renderer).is_none());
    }

    #[test]
    fn a_block_or_a_number_of_texts_without_an_end_stays_text() {
        let renderer = Renderer::default();
        let mut open = OpenTexts::default();
        for n in 0..2 * OPEN_TEXTS {
            open.event(
                "s",
                &Event::Part {
                    part: part(&n.to_string(), 1, "a", false),
                },
                &renderer,
            );
        }
        assert_eq!(open.0.len(), OPEN_TEXTS);
        open.event("s", &delta("0", 2, &"x".repeat(OPEN_BLOCK)), &renderer);
        assert_eq!(open.0.len(), OPEN_TEXTS - 1);
        assert!(open.event("s", &delta("0", 3, "a\n\nb\n"), &renderer).is_none());
        open.event(
            "s",
            &Event::Part {
                part: part("long", 1, &"x".repeat(OPEN_BLOCK + 1), false),
            },
            &renderer,
        );
        assert!(!open.0.contains_key("long"));
    }
}
