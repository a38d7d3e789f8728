#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use serde_json::json;

fn pieces(delta: Value) -> Vec<Piece> {
    serde_json::from_value::<Delta>(delta).unwrap().pieces()
}

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

fn reasoning(text: &str) -> Piece {
    Piece::Reasoning(text.to_owned())
}

#[test]
fn each_servers_words_for_reasoning_and_text_are_read() {
    assert_eq!(pieces(json!({"content": "a"})), [text("a")]);
    assert_eq!(
        pieces(json!({"reasoning_content": "r", "content": null})),
        [reasoning("r")]
    );
    assert_eq!(
        pieces(json!({"reasoning": "r", "content": "a"})),
        [reasoning("r"), text("a")]
    );
    assert_eq!(
        pieces(json!({"reasoning_content": "r", "reasoning": "r"})),
        [reasoning("r")],
        "not twice"
    );
    assert_eq!(pieces(json!({"refusal": "I will not"})), [text("I will not")]);
    let parts =
        json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}, 7]);
    assert_eq!(pieces(json!({"content": parts})), [reasoning("hm"), text("a")]);
    for nothing in [
        json!({}),
        json!({"content": ""}),
        json!({"content": 7, "role": "assistant"}),
        json!({"tool_calls": [{}]}),
    ] {
        assert_eq!(pieces(nothing), []);
    }
}

#[test]
fn what_was_cached_and_reasoned_is_counted_once() {
    let usage = |json: Value| serde_json::from_value::<Usage>(json).unwrap().counted();
    let counted = usage(json!({
        "prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17, "cost": 0.25,
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 5},
    }))
    .unwrap();
    assert_eq!(
        (counted.input, counted.cache_read, counted.output, counted.reasoning),
        (6, 4, 2, 5)
    );
    assert_eq!((counted.cache_write, counted.cost), (0, Some(0.25)));
    let plain = usage(json!({"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": null})).unwrap();
    assert_eq!((plain.input, plain.output, plain.cost), (3, 1, None));
    assert_eq!(usage(json!({})), None);
    // More reasoned than answered: some servers count it apart.
    let apart = usage(
        json!({"prompt_tokens": 3, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 9}}),
    );
    assert_eq!(apart.map(|usage| (usage.output, usage.reasoning)), Some((0, 9)));
}

#[test]
fn an_error_is_read_in_each_of_its_forms() {
    let of = |body: &str| {
        let Fault { code, text } = fault(body.as_bytes());
        (code, text)
    };
    let pair = |code: &str, text: &str| (code.to_owned(), text.to_owned());
    assert_eq!(
        of(r#"{"error":{"message":"no such\n model","type":"invalid_request_error","code":"model_not_found"}}"#),
        pair("model_not_found", "no such model")
    );
    assert_eq!(of(r#"{"error":{"message":"x","code":400,"type":"t"}}"#), pair("t", "x"));
    assert_eq!(
        of(r#"{"error":"model 'x' not found"}"#),
        pair("", "model 'x' not found")
    );
    assert_eq!(
        of(r#"{"object":"error","message":"too long","type":"BadRequestError"}"#),
        pair("BadRequestError", "too long")
    );
    assert_eq!(of(r#"{"detail":"Not Found"}"#), pair("", "Not Found"));
    assert_eq!(
        of(r#"{"detail":[{"loc":["body"]}]}"#),
        pair("", r#"[{"loc":["body"]}]"#)
    );
    assert_eq!(
        of(r#"{"error":{"message":"Provider returned error","metadata":{"raw":"overloaded"}}}"#),
        pair("", "Provider returned error: overloaded")
    );
    assert_eq!(of("busy,\ntry later"), pair("", "busy, try later"));
    assert_eq!(of("No. To fix: run a script"), pair("", "No. to fix: run a script"));
    for nothing in ["", "<html>oops</html>", "{}", "[]", "\u{1}\u{2}"] {
        assert!(of(nothing).1.len() <= 2, "{nothing:?}");
    }
    assert_eq!(of(&"é".repeat(5_000)).1.chars().count(), WORDS + 1);
}
