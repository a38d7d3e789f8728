//! The streams, and a host that makes of the events what the contract says.

use chat_opencode::folders::Folders;
use chat_opencode::normalize::{Normalizer, Output};
use chat_opencode::stream_event::Envelope;
use nexus_plugin_api::chat::types::{Content, Event, Message, Part, Role, Turn};
use nexus_plugin_api::sse::Parser;
use std::collections::BTreeMap;

pub(crate) const DIRECTORY: &str = "/workspace/demo";
pub(crate) const START: u64 = 1_795_374_000_000;

pub(crate) fn fixture(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

pub(crate) fn envelopes(stream: &str) -> Vec<Envelope> {
    Parser::default()
        .push(stream.as_bytes())
        .iter()
        .map(|data| Envelope::read(data).unwrap())
        .collect()
}

pub(crate) fn normalizer() -> Normalizer {
    Normalizer::new(START, Folders::new(&[], DIRECTORY))
}

/// Applies one.
pub(crate) fn apply_at(normalizer: &mut Normalizer, envelope: Envelope, now: u64) -> Output {
    normalizer.apply(envelope.event, &envelope.directory, now)
}

pub(crate) fn apply(normalizer: &mut Normalizer, envelopes: &[Envelope]) -> Output {
    let mut all = Output::default();
    for (i, envelope) in envelopes.iter().enumerate() {
        assert_eq!(normalizer.unknown_session(envelope), None);
        let out = apply_at(normalizer, envelope.clone(), START + i as u64);
        all.events.extend(out.events);
        all.actions.extend(out.actions);
    }
    all
}

pub(crate) fn play(name: &str) -> Output {
    apply(&mut normalizer(), &envelopes(&fixture(name)))
}

/// `Host` has the state that follows from the events by the rules of the contract alone.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) messages: BTreeMap<String, Message>,
    pub(crate) parts: BTreeMap<String, Part>,
    pub(crate) turns: Vec<(String, Turn)>,
}

impl Host {
    pub(crate) fn see(events: &[Event]) -> Self {
        let mut host = Self::default();
        for event in events {
            match event {
                Event::Message(m) => drop(host.messages.insert(m.id.clone(), m.clone())),
                Event::Part(p) => {
                    if let Some(before) = host.parts.get(&p.id) {
                        assert!(!before.closed, "a snapshot after the part was closed: {p:?}");
                        assert!(before.revision < p.revision);
                    }
                    host.parts.insert(p.id.clone(), p.clone());
                }
                Event::Delta(d) => {
                    let part = host.parts.get_mut(&d.part).expect("a delta of an unknown part");
                    assert!(!part.closed && part.revision < d.revision);
                    part.revision = d.revision;
                    match &mut part.content {
                        Content::Text(t) | Content::Reasoning(t) => t.push_str(&d.text),
                        other => panic!("a delta of {other:?}"),
                    }
                }
                Event::PartRemoved(removed) => {
                    drop(host.parts.remove(&removed.part).expect("an unknown part was removed"));
                }
                Event::Turn(t) => host.turns.push((t.session.clone(), t.turn.clone())),
                _ => {}
            }
        }
        host
    }

    pub(crate) fn texts(&self, role: Role) -> Vec<&str> {
        self.parts
            .values()
            .filter(|p| self.messages[&p.message].role == role)
            .filter_map(|p| {
                if let Content::Text(t) = &p.content {
                    Some(t.as_str())
                } else {
                    None
                }
            })
            .collect()
    }

    /// Checks that each message of the turn is complete, and so are its parts.
    pub(crate) fn assert_settled(&self) {
        assert!(
            self.parts.values().all(|p| p.closed),
            "{:?}",
            self.parts.values().find(|p| !p.closed)
        );
        assert!(self.messages.values().all(|m| m.completed_at.is_some()));
        let mut last = BTreeMap::new();
        for (session, turn) in &self.turns {
            last.insert(session, turn);
        }
        assert!(
            !last.is_empty() && last.values().all(|t| **t == Turn::Idle),
            "{:?}",
            self.turns
        );
    }
}
