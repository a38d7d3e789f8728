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
                let key = (session.clone(), part.clone());
                let mut pieces = self.take(&key).unwrap_or_default();
                *text = truncate::text(pieces.next(text), limits::PART_BYTES);
                self.keep(key, pieces);
            }
            // The whole, which is clean.
            Event::Part { part } => {
                let key = (session.clone(), part.id.clone());
                self.take(&key);
                if let (false, Content::Text { text } | Content::Reasoning { text }) = (part.closed, &part.content) {
                    self.keep(key, Pieces::after(text));
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, key: &(String, String)) -> Option<Pieces> {
        let at = self.growing.iter().rposition(|(growing, _)| growing == key)?;
        self.growing.remove(at).map(|(_, pieces)| pieces)
    }

    fn keep(&mut self, key: (String, String), pieces: Pieces) {
        if self.growing.len() >= limits::GROWING_PARTS {
            self.growing.pop_front();
        }
        self.growing.push_back((key, pieces));
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
