#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;

fn asked(detail: &str, ext: &[(&str, String)]) -> chat::Ask {
    let ext = ext.iter().map(|(name, value)| types::Ext {
        name: (*name).to_owned(),
        value: value.clone(),
    });
    ask(wit::Ask {
        id: "a".to_owned(),
        session: "s".to_owned(),
        asked_by: "s".to_owned(),
        kind: wit::AskKind::Permission,
        subject: "edit".to_owned(),
        detail: detail.to_owned(),
        always: vec!["*\u{202e}".to_owned()],
        message: None,
        part: None,
        created_at: 1,
        ext: ext.collect(),
    })
}

#[test]
fn what_is_agreed_to_is_seen_as_it_is_and_has_a_bound() {
    let change = |diff: &str| (CHANGE, serde_json::Value::from(diff).to_string());
    let seen = asked("ls \u{202e}#; fr- mr", &[change("-a\n+\u{200b}b\n")]);
    assert_eq!(seen.detail, "ls ⟨U+202E⟩#; fr- mr");
    assert_eq!(seen.always, ["*⟨U+202E⟩"]);
    assert_eq!(seen.change.as_deref(), Some("-a\n+⟨U+200B⟩b\n"));
    let seen = asked(
        &"x".repeat(limits::ASK_DETAIL + 5),
        &[change(&"y".repeat(limits::ASK_CHANGE + 5))],
    );
    for (shown, most) in [
        (seen.detail, limits::ASK_DETAIL),
        (seen.change.unwrap(), limits::ASK_CHANGE),
    ] {
        assert!(shown.len() < most + 100 && shown.ends_with("more bytes are not shown here⟩"));
    }
    // Not as the contract says: as if it were not there.
    assert_eq!(asked("x", &[(CHANGE, "--- a".to_owned())]).change, None);
}

#[test]
fn questions_come_typed_and_within_bounds() {
    let one = r#"{"header":"H","text":"Which?","choices":[{"label":"A\u202e","description":"d"}],"multiple":true,"own":false}"#;
    let seen = asked("x", &[(QUESTIONS, format!("[{one}]"))]).questions;
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].choices[0].label.as_str(), seen[0].multiple, seen[0].own),
        ("A⟨U+202E⟩", true, false)
    );
    let many = format!("[{}]", vec![one; limits::ASK_QUESTIONS + 3].join(","));
    assert_eq!(asked("x", &[(QUESTIONS, many)]).questions.len(), limits::ASK_QUESTIONS);
    let choices = vec![r#"{"label":"A"}"#; limits::ASK_CHOICES + 3].join(",");
    let wide = asked("x", &[(QUESTIONS, format!(r#"[{{"choices":[{choices}]}}]"#))]).questions;
    assert_eq!(wide[0].choices.len(), limits::ASK_CHOICES);
    assert!(asked("x", &[(QUESTIONS, "{}".to_owned())]).questions.is_empty());
    let answers = answer(chat::Answer::Answers {
        answers: vec![vec!["A".to_owned()], vec![]],
    });
    let wit::Answer::Other(ext) = answers else {
        panic!("{answers:?}");
    };
    assert_eq!((ext.name.as_str(), ext.value.as_str()), (ANSWERS, r#"[["A"],[]]"#));
}

#[test]
fn a_call_that_was_not_allowed_is_rejected() {
    let other = |value: &str| {
        content(wit::Content::Other(types::Ext {
            name: REJECTED_TOOL.to_owned(),
            value: value.to_owned(),
        }))
    };
    let call = other(r#"{"name":"bash","title":"ls","input":"{\"command\":\"ls\"}","words":"use find","ended_at":2}"#);
    let chat::Content::Tool(call) = call else {
        panic!("{call:?}");
    };
    assert_eq!(
        (call.state, call.error.as_deref(), call.ended_at),
        (chat::ToolState::Rejected, Some("use find"), Some(2))
    );
    assert!(matches!(other("{}"), chat::Content::Other { .. }));
}
