//! What an event says of a whole session: its name, and what of it was taken back.

use super::{Action, Normalizer, Output};
use crate::{convert, wire};
use nexus_plugin_api::chat::types::{Event, MessageRef, PartRef};

/// `RENAME_WINDOW` is how many milliseconds after a rename a title from opencode is ignored: a model was already
/// creating it.
const RENAME_WINDOW: u64 = 60_000;

impl Normalizer {
    /// `named` remembers the title that the owner gave a session.
    pub fn named(&mut self, session: &str, title: &str, now: u64) {
        self.names.insert(session.to_owned(), (title.to_owned(), now));
    }

    /// `reverted` are the events for the messages of a session after some were reverted, or after the revert was
    /// undone.
    pub fn reverted(&mut self, messages: Vec<wire::WithParts>, revert: Option<&wire::Revert>) -> Vec<Event> {
        let mut events = Vec::new();
        let mut stands = messages.clone();
        if let Some(revert) = revert {
            revert.apply(&mut stands);
            let gone = messages
                .iter()
                .filter(|m| !stands.iter().any(|s| s.info.id == m.info.id));
            events.extend(gone.map(|m| {
                Event::MessageRemoved(MessageRef {
                    session: m.info.session.clone(),
                    message: m.info.id.clone(),
                })
            }));
            if let Some((part, last)) = revert
                .part
                .as_ref()
                .zip(messages.iter().find(|m| m.info.id == revert.message))
            {
                let gone = last.parts.iter().skip_while(|p| p.id != *part);
                events.extend(gone.map(|p| {
                    Event::PartRemoved(PartRef {
                        session: p.session.clone(),
                        message: p.message.clone(),
                        part: p.id.clone(),
                    })
                }));
            }
        } else {
            for message in &stands {
                events.push(Event::Message(convert::message(&message.info, None)));
                events.extend(
                    message
                        .parts
                        .iter()
                        .filter_map(|p| self.snapshot_part(p, &message.info))
                        .map(Event::Part),
                );
            }
        }
        events
    }

    pub(super) fn session(&mut self, session: &wire::Session, now: u64, out: &mut Output) {
        let mut info = convert::session(session);
        if let Some((title, at)) = self.names.get(&session.id) {
            if now.saturating_sub(*at) > RENAME_WINDOW {
                self.names.remove(&session.id);
            } else if *title != info.title {
                info.title.clone_from(title);
                out.actions.push(Action::Rename {
                    session: session.id.clone(),
                    title: title.clone(),
                });
            }
        }
        let before = match &session.revert {
            Some(revert) => self.reverts.insert(session.id.clone(), revert.clone()),
            None => self.reverts.remove(&session.id),
        };
        if before != session.revert {
            out.actions.push(Action::Reverted {
                session: session.id.clone(),
                revert: session.revert.clone(),
            });
        }
        if self.sessions.get(&session.id) != Some(&info) {
            self.learn(info.clone());
            out.events.push(Event::Session(info));
        }
        self.tell_changes(&session.id, out);
    }
}
