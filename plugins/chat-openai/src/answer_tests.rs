#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::settings::{Settings, tests::authored};
use nexus_plugin_api::sse::Parser;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn answer() -> Answer {
    let server = Settings::try_from(authored("https://llm.example/v1")).unwrap().server;
    let prompt = Prompt {
        session: "s".to_owned(),
        client_id: "c".to_owned(),
        model: "m".to_owned(),
    };
    Answer::new(server, false, &prompt, 1_000)
}

fn chunk(delta: Value, finish: Option<&str>) -> String {
    json!({"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).to_string()
}

/// What the host makes of events: the parts in their order, with their texts, and the message.
#[derive(Debug, Default)]
struct Shown {
    parts: Vec<(String, bool, String, bool)>,
    revisions: BTreeMap<String, u64>,
    message: Option<Message>,
}

impl Shown {
    fn of(events: &[Event]) -> Self {
        let mut shown = Self::default();
        for event in events {
            shown.apply(event);
        }
        shown
    }

    fn newer(&mut self, part: &str, revision: u64) {
        let known = self.revisions.insert(part.to_owned(), revision);
        assert!(known.is_none_or(|known| known < revision), "revisions grow");
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Message(message) => self.message = Some(message.clone()),
            Event::Part(part) => {
                self.newer(&part.id, part.revision);
                let (reasoning, text) = match &part.content {
                    Content::Reasoning(text) => (true, text.clone()),
                    Content::Text(text) => (false, text.clone()),
                    other => panic!("{other:?}"),
                };
                let new = (part.id.clone(), reasoning, text, part.closed);
                match self.parts.iter_mut().find(|known| known.0 == part.id) {
                    Some(known) => *known = new,
                    None => self.parts.push(new),
                }
            }
            Event::Delta(delta) => {
                self.newer(&delta.part, delta.revision);
                let known = self.parts.iter_mut().find(|known| known.0 == delta.part).unwrap();
                assert!(!known.3, "a closed part gets no delta");
                known.2.push_str(&delta.text);
            }
            Event::PartRemoved(removed) => self.parts.retain(|known| known.0 != removed.part),
            other => panic!("{other:?}"),
        }
    }

    fn texts(&self) -> Vec<(bool, &str)> {
        self.parts
            .iter()
            .map(|(_, reasoning, text, _)| (*reasoning, text.as_str()))
            .collect()
    }
}

fn take(answer: &mut Answer, data: &[String]) -> Result<Vec<Event>, Refusal> {
    let mut events = Vec::new();
    for data in data {
        answer.take(data, &mut events)?;
    }
    Ok(events)
}

#[test]
fn reasoning_and_text_are_parts_that_stream_and_close() {
    let mut answer = answer();
    let mut events = take(
        &mut answer,
        &[
            chunk(json!({"role": "assistant", "content": ""}), None),
            chunk(json!({"reasoning_content": "let me "}), None),
            chunk(json!({"reasoning_content": "see"}), None),
            chunk(json!({"content": "It is "}), None),
            chunk(json!({"content": "so"}), None),
            chunk(json!({"content": "."}), None),
            chunk(json!({}), Some("stop")),
            json!({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}).to_string(),
            "[DONE]".to_owned(),
            "ignored".to_owned(),
        ],
    )
    .unwrap();
    let deltas = events.iter().filter(|event| matches!(event, Event::Delta(_))).count();
    assert_eq!(deltas, 2, "what arrives together is one delta: {events:?}");
    assert!(answer.is_done() && answer.ended().is_ok());
    answer.complete(None, 9, &mut events);
    let shown = Shown::of(&events);
    assert_eq!(shown.texts(), [(true, "let me see"), (false, "It is so.")]);
    assert!(shown.parts.iter().all(|part| part.3));
    let message = shown.message.unwrap();
    assert_eq!((message.completed_at, message.error), (Some(9), None));
    assert_eq!(message.model.as_deref(), Some("llm.example/m"));
    assert_eq!(message.usage.map(|usage| (usage.input, usage.output)), Some((4, 2)));
}

#[test]
fn an_answer_that_is_not_streamed_is_read_too() {
    let mut answer = answer();
    let whole =
        json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "all"}, "finish_reason": "stop"}]});
    let mut events = take(&mut answer, &[whole.to_string()]).unwrap();
    assert!(answer.ended().is_ok());
    answer.complete(None, 9, &mut events);
    assert_eq!(Shown::of(&events).texts(), [(false, "all")]);
}

#[test]
fn garbage_costs_nothing_but_itself_until_there_is_nothing_else() {
    let mut answer = answer();
    let data = [
        "{not json".to_owned(),
        chunk(json!({"content": "a"}), None),
        "[]".to_owned(),
        "7".to_owned(),
        String::new(),
    ];
    let events = take(&mut answer, &data).unwrap();
    assert_eq!(Shown::of(&events).texts(), [(false, "a")]);
    let refused = take(&mut answer, &vec!["x".to_owned(); 200]).unwrap_err();
    assert!(
        refused.text.contains("not JSON") && refused.retry.is_none(),
        "{}",
        refused.text
    );
}

#[test]
fn what_was_cut_is_dropped_for_another_attempt_and_kept_after_the_last() {
    let mut answer = answer();
    let mut events = take(
        &mut answer,
        &[
            chunk(json!({"reasoning": "hm"}), None),
            chunk(json!({"content": "half"}), None),
        ],
    )
    .unwrap();
    let cut = answer.ended().unwrap_err();
    assert_eq!(cut.retry, Some(None));
    answer.drop_attempt(&mut events);
    events.extend(take(&mut answer, &[chunk(json!({"content": "whole"}), None)]).unwrap());
    assert_eq!(Shown::of(&events).texts(), [(false, "whole")]);
    answer.complete(Some(cut.text), 9, &mut events);
    let shown = Shown::of(&events);
    assert_eq!(shown.texts(), [(false, "whole")]);
    assert!(shown.message.unwrap().error.unwrap().contains("in the middle"));
}

#[test]
fn an_answer_that_finished_badly_is_said_and_a_stopped_one_is_not() {
    for (finish, word) in [
        ("length", "truncated"),
        ("content_filter", "filter"),
        ("tool_calls", "tool"),
    ] {
        let mut answer = answer();
        let mut events = take(&mut answer, &[chunk(json!({"content": "a"}), Some(finish))]).unwrap();
        answer.complete(None, 9, &mut events);
        assert!(Shown::of(&events).message.unwrap().error.unwrap().contains(word));
    }
    let mut stopped = answer();
    let mut events = take(&mut stopped, &[chunk(json!({"content": "a"}), None)]).unwrap();
    stopped.complete(None, 9, &mut events);
    assert_eq!(Shown::of(&events).message.unwrap().error, None);
    let mut empty = answer();
    let mut events = take(&mut empty, &[chunk(json!({}), Some("stop")), "[DONE]".to_owned()]).unwrap();
    empty.complete(None, 9, &mut events);
    assert!(
        Shown::of(&events)
            .message
            .unwrap()
            .error
            .unwrap()
            .contains("answered nothing")
    );
}

#[test]
fn an_error_amid_the_answer_has_the_servers_words() {
    let mut answer = answer();
    let error = json!({"error": {"message": "the card overheated", "type": "server_error"}}).to_string();
    let refused = take(&mut answer, &[error]).unwrap_err();
    assert!(refused.text.contains("the card overheated"), "{}", refused.text);
    assert_eq!(refused.retry, Some(None));
    let long = json!({"error": {"message": "context length exceeded", "code": "context_length_exceeded"}}).to_string();
    assert_eq!(take(&mut answer, &[long]).unwrap_err().retry, None);
}

#[test]
fn an_answer_without_an_end_is_stopped() {
    let mut answer = answer();
    let text = "x".repeat(64 * 1024);
    let chunks = vec![chunk(json!({"content": text}), None); MOST_BYTES / text.len() + 1];
    let refused = take(&mut answer, &chunks).unwrap_err();
    assert!(
        refused.text.contains("longer than") && refused.retry.is_none(),
        "{}",
        refused.text
    );
}

#[test]
fn of_several_answers_the_first_is_taken() {
    let mut answer = answer();
    let two = json!({"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]})
        .to_string();
    let events = take(&mut answer, &[two]).unwrap();
    assert_eq!(Shown::of(&events).texts(), [(false, "a")]);
}

proptest! {
    /// Whatever a server sends, in whatever pieces: it is read without a panic, and the texts are those of the whole.
    #[test]
    fn any_stream_in_any_pieces_gives_the_same_answer(
        lines in proptest::collection::vec(
            prop_oneof![
                "[a-zé💡 \"\\\\]{0,8}".prop_map(|text| format!("data: {}\n\n", chunk(json!({"content": text}), None))),
                "[a-z]{0,8}".prop_map(|text| format!("data: {}\r\n\r\n", chunk(json!({"reasoning": text}), None))),
                Just(": keep-alive\n\n".to_owned()),
                Just("event: x\nid: 1\nretry: 5\n\n".to_owned()),
                "[ -~]{0,20}".prop_map(|garbage| format!("data: {garbage}\n\n")),
                "data: \\{\"(choices|usage|error|model)\": ?(null|\\[\\]|\\{\\}|7|\\[7\\])\\}\n\n",
            ],
            0..30,
        ),
        cuts in proptest::collection::vec(0usize..4_000, 0..12),
    ) {
        let bytes = format!("\u{feff}{}", lines.concat()).into_bytes();
        let read = |mut cuts: Vec<usize>| {
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let (mut parser, mut answer, mut events, mut from) = (Parser::default(), answer(), Vec::new(), 0);
            let mut refused = None;
            'all: for to in cuts {
                for data in parser.push(&bytes[from..to]) {
                    if let Err(refusal) = answer.take(&data, &mut events) {
                        refused = Some(refusal.text);
                        break 'all;
                    }
                }
                from = to;
            }
            answer.complete(refused, 9, &mut events);
            let shown = Shown::of(&events);
            (shown.parts, shown.message.unwrap().error)
        };
        let cuts = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
        prop_assert_eq!(read(cuts), read(Vec::new()));
    }
}
