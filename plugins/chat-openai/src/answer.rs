//! From the stream of an answer to the events of a turn.
//!
//! An [`Answer`] is one message of the assistant. Each attempt at it has parts of its own, so that those of one that broke off can
//! be dropped. It decides and does no I/O.

use crate::refusal::{Asked, Refusal, finished};
use crate::settings::Server;
use crate::wire::{Chunk, Piece, error_text};
use nexus_plugin_api::chat::types::{Content, Delta, Event, Message, Part, PartRef, Role};
use nexus_plugin_api::json;

/// `MOST_BYTES` is how long an answer may be with its reasoning: the host shows no more of a part.
pub const MOST_BYTES: usize = 4 * 1024 * 1024;
/// `MOST_GARBAGE` is how many events of an answer may be no JSON before it fails.
const MOST_GARBAGE: u32 = 100;

/// `Answer` is an answer as far as it came.
#[derive(Debug)]
pub struct Answer {
    server: Server,
    model: String,
    key: bool,
    message: Message,
    /// `revision` grows with every event of a part.
    revision: u64,
    attempt: u32,
    /// `parts` are the ids of this attempt's parts.
    parts: Vec<String>,
    open: Option<Open>,
    bytes: usize,
    garbage: u32,
    finish: Option<String>,
    done: bool,
}

#[derive(Debug)]
struct Open {
    id: String,
    reasoning: bool,
    text: String,
}

/// `Prompt` is what is answered.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub session: String,
    pub client_id: String,
    /// `model` is as the server names it.
    pub model: String,
}

impl Answer {
    /// `new` begins an answer; `now` is in milliseconds since 1970.
    pub fn new(server: Server, key: bool, prompt: &Prompt, now: u64) -> Self {
        let message = Message {
            // The same one, where a crash makes the host send the prompt again: what there was of it is replaced.
            // Behind a word of ours, since the host has ids of its own, and clients choose theirs freely.
            id: format!("answer-{}", prompt.client_id),
            session: prompt.session.clone(),
            role: Role::Assistant,
            created_at: now,
            completed_at: None,
            error: None,
            model: Some(server.model_id(&prompt.model)),
            agent: None,
            usage: None,
            client_id: None,
            ext: Vec::new(),
        };
        Self {
            server,
            key,
            model: prompt.model.clone(),
            message,
            // Above whatever an instance before has reported: it began earlier, and reported less than a thousand a millisecond.
            revision: now.saturating_mul(1000),
            attempt: 1,
            parts: Vec::new(),
            open: None,
            bytes: 0,
            garbage: 0,
            finish: None,
            done: false,
        }
    }

    /// `asked` is what was asked of whom, for words.
    pub fn asked(&self) -> Asked<'_> {
        Asked {
            server: &self.server,
            model: &self.model,
            key: self.key,
        }
    }

    /// `message` is the message as it is now.
    pub fn message(&self) -> Event {
        Event::Message(self.message.clone())
    }

    /// Takes the data of one event of the stream.
    ///
    /// # Errors
    /// The server reports an error, or the answer is too long.
    pub fn take(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), Refusal> {
        if self.done {
            return Ok(());
        }
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let Ok(chunk) = serde_json::from_str::<Chunk>(&json::well_formed_str(data)) else {
            return self.garbage(data);
        };
        if !chunk.error.is_null() {
            return Err(Refusal::of_event(self.asked(), &error_text(&chunk.error)));
        }
        self.usage(&chunk, out);
        // One answer is asked for; of a server that makes several the first is taken.
        for choice in chunk.choices.into_iter().flatten().filter(|choice| choice.index == 0) {
            for piece in choice.delta.iter().flat_map(crate::wire::Delta::pieces) {
                self.piece(piece, out)?;
            }
            if let Some(reason) = choice.finish_reason {
                self.finish = Some(reason);
            }
        }
        Ok(())
    }

    /// Reads over what is no event of an answer.
    fn garbage(&mut self, data: &str) -> Result<(), Refusal> {
        if data.trim().is_empty() {
            return Ok(());
        }
        self.garbage += 1;
        if self.garbage == 1 {
            nexus_plugin_api::log::warn(format!(
                "{} sent an event that is not JSON, which is left out: {} bytes",
                self.server.host,
                data.len()
            ));
        }
        if self.garbage <= MOST_GARBAGE {
            return Ok(());
        }
        Err(Refusal::lasting(
            &format!("{} sends events that are not JSON", self.server.host),
            Some("check that `base_url` in [plugin.chat-openai.config] is the address of an OpenAI-compatible server"),
        ))
    }

    fn usage(&mut self, chunk: &Chunk, out: &mut Vec<Event>) {
        let model = chunk.model.as_deref().filter(|model| !model.is_empty());
        let named = model.map(|model| self.server.model_id(model));
        let usage = chunk.usage.as_ref().and_then(crate::wire::Usage::counted);
        let before = (self.message.model.clone(), self.message.usage);
        self.message.model = named.or(self.message.model.take());
        self.message.usage = usage.or(self.message.usage);
        if before.0 != self.message.model {
            out.push(self.message());
        }
    }

    fn piece(&mut self, piece: Piece, out: &mut Vec<Event>) -> Result<(), Refusal> {
        let (reasoning, text) = match piece {
            Piece::Reasoning(text) => (true, text),
            Piece::Text(text) => (false, text),
        };
        self.bytes += text.len();
        if self.bytes > MOST_BYTES {
            return Err(Refusal::lasting(
                &format!("The answer is longer than {MOST_BYTES} bytes, and was stopped"),
                Some("ask for less at once"),
            ));
        }
        if self.open.as_ref().is_some_and(|open| open.reasoning != reasoning) {
            self.close(out);
        }
        self.revision += 1;
        if let Some(open) = &mut self.open {
            open.text.push_str(&text);
            match out.last_mut() {
                // What arrives together is one delta.
                Some(Event::Delta(delta)) if delta.part == open.id => {
                    delta.revision = self.revision;
                    delta.text.push_str(&text);
                }
                _ => out.push(Event::Delta(Delta {
                    part: open.id.clone(),
                    message: self.message.id.clone(),
                    session: self.message.session.clone(),
                    revision: self.revision,
                    text,
                })),
            }
            return Ok(());
        }
        let id = format!("{}-{}-{:03}", self.message.id, self.attempt, self.parts.len());
        self.parts.push(id.clone());
        let open = Open { id, reasoning, text };
        out.push(self.part(&open, false));
        self.open = Some(open);
        Ok(())
    }

    fn part(&self, open: &Open, closed: bool) -> Event {
        let text = open.text.clone();
        Event::Part(Part {
            id: open.id.clone(),
            message: self.message.id.clone(),
            session: self.message.session.clone(),
            revision: self.revision,
            closed,
            content: if open.reasoning {
                Content::Reasoning(text)
            } else {
                Content::Text(text)
            },
        })
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some(open) = self.open.take() {
            self.revision += 1;
            out.push(self.part(&open, true));
        }
    }

    /// Tells whether the server has sent all of it, so that the rest of the stream need not be waited for.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// `ended` is whether an answer is whole whose stream has ended.
    ///
    /// # Errors
    /// The stream ended in the middle.
    pub fn ended(&self) -> Result<(), Refusal> {
        if self.done || self.finish.is_some() {
            return Ok(());
        }
        let (text, fix) = (
            format!("{} ended the answer in the middle", self.server.host),
            "send the message again, or ask the model to continue",
        );
        let mut refusal = Refusal::lasting(&text, Some(fix));
        refusal.retry = Some(None);
        Err(refusal)
    }

    /// Drops what came of an attempt that failed, for the next one.
    pub fn drop_attempt(&mut self, out: &mut Vec<Event>) {
        for part in std::mem::take(&mut self.parts) {
            out.push(Event::PartRemoved(PartRef {
                session: self.message.session.clone(),
                message: self.message.id.clone(),
                part,
            }));
        }
        self.open = None;
        self.attempt += 1;
        (self.bytes, self.garbage, self.finish, self.done) = (0, 0, None, false);
    }

    /// Ends the answer: `refused` is why it is not whole. An answer that was stopped is as whole as its owner wanted it.
    pub fn complete(&mut self, refused: Option<String>, now: u64, out: &mut Vec<Event>) {
        self.close(out);
        self.message.completed_at = Some(now);
        self.message.error = refused.or_else(|| {
            let words = finished(self.finish.as_deref().unwrap_or_default());
            let empty = self.parts.is_empty() && self.done;
            words.or_else(|| empty.then(|| "The model answered nothing. To fix: send the message again.".to_owned()))
        });
        out.push(self.message());
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
