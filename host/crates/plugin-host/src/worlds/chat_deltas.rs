//! The text that comes piece by piece, made safe to show.
//!
//! Problem: whether a joiner, a carriage return or a mark of direction does its ordinary work depends on its neighbours, and
//! a piece ends anywhere. Mechanism: of each part that grows is kept what its last piece ended with
//! ([`nexus_plugin_api::text::Pieces`]); what cannot be judged yet waits for the next piece. Limits: of more parts than
//! [`limits::GROWING_PARTS`] that grow at once, the one that grew longest ago is judged from then on as if it started again;
//! what waits when a part ends without its whole is lost, and was not to be seen anyway.

use crate::truncate;
use nexus_model::chat::{Content, Event, SessionEvent};
use nexus_model::limits;
use nexus_plugin_api::text::Pieces;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct Deltas {
    /// `growing` is by session and part; what grew last stands last.
    growing: VecDeque<((String, String), Pieces)>,
}

impl Deltas {
    pub(crate) fn clean(&mut self, event: &mut SessionEvent) {
        let SessionEvent { session, event } = event;
        match event {
            Event::Delta { part, text, .. } => {
                let piece = std::mem::take(text);
                let clean = self.growing(session, part, |pieces| pieces.next(piece));
                *text = truncate::text(clean, limits::PART_BYTES);
            }
            // The whole, which is clean.
            Event::Part { part } => match (part.closed, &part.content) {
                (false, Content::Text { text } | Content::Reasoning { text }) => {
                    self.growing(session, &part.id, |pieces| *pieces = Pieces::after(text));
                }
                _ => {
                    if let Some(at) = self.at(session, &part.id) {
                        self.growing.remove(at);
                    }
                }
            },
            _ => {}
        }
    }

    fn at(&self, session: &str, part: &str) -> Option<usize> {
        let same = |((of, growing), _): &((String, String), Pieces)| growing == part && of == session;
        self.growing.iter().rposition(same)
    }

    /// Gives what is kept of this part to `with`; it is what grew last from now on.
    fn growing<T>(&mut self, session: &str, part: &str, with: impl FnOnce(&mut Pieces) -> T) -> T {
        // Nearly always it is the one that grew last.
        if let Some((key, pieces)) = self.growing.back_mut()
            && key.1 == part
            && key.0 == session
        {
            return with(pieces);
        }
        let known = self.at(session, part).and_then(|at| self.growing.remove(at));
        let new = || ((session.to_owned(), part.to_owned()), Pieces::default());
        let (key, mut pieces) = known.unwrap_or_else(new);
        let done = with(&mut pieces);
        if self.growing.len() >= limits::GROWING_PARTS {
            self.growing.pop_front();
        }
        self.growing.push_back((key, pieces));
        done
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    fn delta(deltas: &mut Deltas, part: &str, text: &str) -> String {
        let mut event = SessionEvent {
            session: "s".to_owned(),
            event: Event::Delta {
                part: part.to_owned(),
                message: "m".to_owned(),
                revision: 1,
                text: text.to_owned(),
            },
        };
        deltas.clean(&mut event);
        match event.event {
            Event::Delta { text, .. } => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_character_is_judged_by_its_neighbours_in_other_pieces() {
        let mut deltas = Deltas::default();
        assert_eq!(delta(&mut deltas, "p", "👩"), "👩");
        assert_eq!(delta(&mut deltas, "q", "a\u{202e}"), "a⟨U+202E⟩");
        assert_eq!(delta(&mut deltas, "p", "\u{200d}"), "");
        assert_eq!(delta(&mut deltas, "q", "\u{200d}"), "");
        assert_eq!(delta(&mut deltas, "p", "💻\r"), "\u{200d}💻");
        assert_eq!(delta(&mut deltas, "q", "b\u{1b}[2J"), "⟨U+200D⟩b⟨U+001B⟩[2J");
        assert_eq!(delta(&mut deltas, "p", "\nx"), "\nx");
    }

    #[test]
    fn no_more_parts_are_remembered_than_grow() {
        let mut deltas = Deltas::default();
        for n in 0..10 * limits::GROWING_PARTS {
            delta(&mut deltas, &n.to_string(), "x");
        }
        assert_eq!(deltas.growing.len(), limits::GROWING_PARTS);
    }
}
