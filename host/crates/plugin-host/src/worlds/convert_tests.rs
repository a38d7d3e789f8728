#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use nexus_model::tunnel::TunnelEvent;

/// Everything that a text of a plugin might try, and how it is shown as a line and as prose.
const HOSTILE: &str = "a\u{1b}]0;t\u{7}\u{9b}2J\u{202e}b\u{200b}\nc";
const LINE: &str = "a⟨U+001B⟩]0;t⟨U+0007⟩⟨U+009B⟩2J⟨U+202E⟩b⟨U+200B⟩ c";
const PROSE: &str = "a⟨U+001B⟩]0;t⟨U+0007⟩⟨U+009B⟩2J⟨U+202E⟩b⟨U+200B⟩\nc";

fn text() -> String {
    HOSTILE.to_owned()
}

fn asked(detail: &str) -> wit::AgentRequest {
    wit::AgentRequest {
        id: "a".to_owned(),
        session: "s".to_owned(),
        requested_by: "s".to_owned(),
        kind: wit::RequestKind::Permission,
        subject: text(),
        detail: detail.to_owned(),
        always: vec![text()],
        message: Some(text()),
        part: None,
        created_at: 1,
        ext: Vec::new(),
    }
}

#[test]
fn what_is_asked_is_shown_to_the_letter() {
    let shown = request(asked("ls \u{202e}#; fr- mr\u{202c}; echo a\u{200b}b\u{a0}c; \u{440}m"));
    assert_eq!(
        shown.detail,
        "ls ⟨U+202E⟩#; fr- mr⟨U+202C⟩; echo a⟨U+200B⟩b⟨U+00A0⟩c; ⟨U+0440⟩m"
    );
    assert_eq!(shown.subject, PROSE);
    assert_eq!(shown.always, [PROSE]);
    assert_eq!(shown.message.as_deref(), Some(PROSE));
    assert_eq!(
        request(asked("git commit -m '修复（测试）👩\u{200d}💻'")).detail,
        "git commit -m '修复（测试）👩\u{200d}💻'"
    );
}

#[test]
fn no_text_of_a_plugin_keeps_what_a_terminal_or_a_reader_obeys() {
    let session = wit::SessionInfo {
        ref_: wit::SessionRef {
            workspace: text(),
            id: "s".to_owned(),
        },
        parent: None,
        title: text(),
        created_at: 1,
        updated_at: 1,
        ext: Vec::new(),
    };
    assert_eq!(session_info(session).title, LINE);
    let spoken = format!(
        "{:?}{:?}",
        failure_of(),
        availability(types::Availability::Missing(text()), &Mask::default())
    );
    let spoken = format!("{spoken}{:?}", content(wit::Content::Text(text())));
    let spoken = format!(
        "{spoken}{:?}",
        tunnel_event(wit_tunnel::Event::Degraded(text()), &Mask::default())
    );
    let spoken = format!(
        "{spoken}{:?}",
        tunnel_event(wit_tunnel::Event::Url(text()), &Mask::default())
    );
    // `Debug` escapes what is left.
    assert!(!spoken.contains("\\u{") && spoken.contains("⟨U+202E⟩"), "{spoken}");
}

fn failure_of() -> nexus_plugin_traits::RunFailure {
    let failed = types::Failure {
        kind: types::FailureKind::Permanent,
        message: text(),
        hint: Some(text()),
    };
    failure(failed, &Mask::default())
}

#[test]
fn a_secret_of_the_plugin_is_in_nothing_that_it_answers() {
    use nexus_config::resolved::Secret;
    let given = std::collections::BTreeMap::from([("key".to_owned(), Secret::new("s3cr3t-value"))]);
    let mask = &Mask::of(&given, &std::sync::Arc::default(), "p");
    // The first where the text is cut: half of it would be as bad.
    let edge = format!("{}s3cr3t-value", "x".repeat(limits::SENTENCE_BYTES - 4));
    for said in ["it was refused: s3cr3t-value".to_owned(), edge] {
        let said = || said.clone();
        let turn = wit::TurnState {
            session: "s".to_owned(),
            turn: wit::Turn::Retrying(wit::Retry {
                attempt: 1,
                message: said(),
                next_at: None,
            }),
        };
        let shown = [
            format!("{:?}", availability(types::Availability::Ready(said()), mask)),
            format!("{:?}", availability(types::Availability::Missing(said()), mask)),
            format!("{:?}", availability(types::Availability::Unsuitable(said()), mask)),
            format!(
                "{:?}",
                failure(
                    types::Failure {
                        kind: types::FailureKind::Retry,
                        message: said(),
                        hint: Some(said())
                    },
                    mask
                )
            ),
            format!("{:?}", tunnel_event(wit_tunnel::Event::Starting(said()), mask)),
            format!("{:?}", tunnel_event(wit_tunnel::Event::Degraded(said()), mask)),
            format!("{:?}", tunnel_event(wit_tunnel::Event::Reconnecting(said()), mask)),
            format!("{:?}", backend_event(wit::Event::Starting(said()), mask)),
            format!("{:?}", backend_event(wit::Event::Error((None, said())), mask)),
            format!("{:?}", backend_event(wit::Event::Turn(turn), mask)),
            format!("{:?}", admission(wit_chat::Admission::Refused(said()), mask)),
            format!("{:?}", admission(wit_chat::Admission::Unknown(said()), mask)),
        ];
        for shown in shown {
            assert!(!shown.contains("s3cr"), "{shown}");
        }
    }
}

#[test]
fn what_goes_no_further_is_named() {
    let turn = |session: &str| {
        wit::Event::Turn(wit::TurnState {
            session: session.to_owned(),
            turn: wit::Turn::Idle,
        })
    };
    let mask = &Mask::default();
    assert!(backend_event(turn("s"), mask).is_ok());
    for id in ["", "s\u{1b}[2J", "s\n", &"s".repeat(600)] {
        assert_eq!(
            backend_event(turn(id), mask).err(),
            Some(SkippedEvent::NoId("turn")),
            "{id:?}"
        );
    }
    assert_eq!(
        backend_event(wit::Event::Error((None, text())), mask).err(),
        Some(SkippedEvent::Error(PROSE.to_owned()))
    );
    let other = types::Ext {
        name: text(),
        value: String::new(),
    };
    assert_eq!(
        backend_event(wit::Event::Other(other), mask).err(),
        Some(SkippedEvent::Unknown(LINE.to_owned()))
    );
}

fn described(title: &str, header: Option<&str>) -> Result<tunnel::Descriptor, nexus_plugin_traits::CallError> {
    let descriptor = wit_tunnel::Descriptor {
        title: title.to_owned(),
        url: wit_tunnel::UrlKind::Stable,
        encryption: wit_tunnel::Encryption::Edge,
        event_streams: true,
        client_address_header: header.map(str::to_owned),
        ext: Vec::new(),
    };
    tunnel_descriptor(descriptor, "tunnel-x")
}

#[test]
fn a_descriptor_is_checked() {
    let good = described(" ", Some("CF-Connecting-IP")).unwrap();
    assert_eq!(
        (good.title.as_str(), good.client_address_header.as_deref()),
        ("tunnel-x", Some("cf-connecting-ip"))
    );
    let long = "x".repeat(100_000);
    for header in [
        "not a header\r\nX: y",
        "",
        "cookie",
        "Authorization",
        "sec-fetch-site",
        &long,
    ] {
        let said = described("t", Some(header)).unwrap_err().to_string();
        assert!(
            said.contains("a bug of the plugin") && said.len() < 1000 && !said.contains('\r'),
            "{said}"
        );
    }
}

fn asked_with(detail: &str, ext: &[(&str, String)]) -> chat::AgentRequest {
    let ext = ext.iter().map(|(name, value)| types::Ext {
        name: (*name).to_owned(),
        value: value.clone(),
    });
    request(wit::AgentRequest {
        id: "a".to_owned(),
        session: "s".to_owned(),
        requested_by: "s".to_owned(),
        kind: wit::RequestKind::Permission,
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
    let seen = asked_with("ls \u{202e}#; fr- mr", &[change("-a\n+\u{200b}b\n")]);
    assert_eq!(seen.detail, "ls ⟨U+202E⟩#; fr- mr");
    assert_eq!(seen.always, ["*⟨U+202E⟩"]);
    assert_eq!(seen.change.as_deref(), Some("-a\n+⟨U+200B⟩b\n"));
    let seen = asked_with(
        &"x".repeat(limits::REQUEST_DETAIL + 5),
        &[change(&"y".repeat(limits::REQUEST_CHANGE + 5))],
    );
    for (shown, most) in [
        (seen.detail, limits::REQUEST_DETAIL),
        (seen.change.unwrap(), limits::REQUEST_CHANGE),
    ] {
        assert!(shown.len() < most + 100 && shown.ends_with("more bytes are not shown here⟩"));
    }
    // Not as the contract says: as if it were not there.
    assert_eq!(asked_with("x", &[(CHANGE, "--- a".to_owned())]).change, None);
}

#[test]
fn details_are_cleaned_and_what_is_left_out_is_marked() {
    let details = |json: String| asked_with("x", &[(DETAILS, json)]).details;
    let one = details(r#"[{"name":"In the folder\u202e","text":"a\r\nb"}]"#.to_owned());
    assert_eq!(
        (one[0].name.as_str(), one[0].text.as_str()),
        ("In the folder⟨U+202E⟩", "a⟨U+000D⟩\nb")
    );
    let long = "x".repeat(limits::REQUEST_DETAILS_BYTES);
    let cut = details(serde_json::json!([{"name": "a", "text": long}, {"name": "b", "text": "more"}]).to_string());
    assert!(cut[1].text.ends_with("more bytes are not shown here⟩"), "{:?}", cut[1]);
    assert!(cut.iter().map(|d| d.text.len()).sum::<usize>() < limits::REQUEST_DETAILS_BYTES + 100);
    let many = vec![r#"{"name":"n","text":"t"}"#; limits::REQUEST_DETAILS + 2].join(",");
    let many = details(format!("[{many}]"));
    assert_eq!(many.len(), limits::REQUEST_DETAILS + 1);
    assert!(many[limits::REQUEST_DETAILS].text.ends_with("not shown here⟩"));
    assert!(details("{}".to_owned())[0].text.ends_with("not shown here⟩"));
    assert!(asked_with("x", &[]).details.is_empty());
}

#[test]
fn questions_come_typed_and_within_bounds() {
    let one = r#"{"header":"H","text":"Which?","choices":[{"label":"A\u202e","description":"d"}],"multiple":true,"own":false}"#;
    let seen = asked_with("x", &[(QUESTIONS, format!("[{one}]"))]).questions;
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (
            seen[0].choices[0].label.as_str(),
            seen[0].multiple,
            seen[0].allow_custom
        ),
        ("A⟨U+202E⟩", true, false)
    );
    let many = format!("[{}]", vec![one; limits::REQUEST_QUESTIONS + 3].join(","));
    assert_eq!(
        asked_with("x", &[(QUESTIONS, many)]).questions.len(),
        limits::REQUEST_QUESTIONS
    );
    let choices = vec![r#"{"label":"A"}"#; limits::REQUEST_CHOICES + 3].join(",");
    let wide = asked_with("x", &[(QUESTIONS, format!(r#"[{{"choices":[{choices}]}}]"#))]).questions;
    assert_eq!(wide[0].choices.len(), limits::REQUEST_CHOICES);
    assert!(asked_with("x", &[(QUESTIONS, "{}".to_owned())]).questions.is_empty());
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
    let call =
        other(r#"{"name":"bash","title":"ls","input":"{\"command\":\"ls\"}","message":"use find","ended_at":2}"#);
    let chat::Content::Tool(call) = call else {
        panic!("{call:?}");
    };
    assert_eq!(
        (call.state, call.error.as_deref(), call.ended_at),
        (chat::ToolState::Rejected, Some("use find"), Some(2))
    );
    assert!(matches!(other("{}"), chat::Content::Other { .. }));
}

#[test]
fn lists_and_texts_of_a_plugin_have_ends() {
    let long = || "x".repeat(2 * limits::PART_BYTES);
    let seen = request(wit::AgentRequest {
        always: vec!["x".repeat(2 * limits::SENTENCE_BYTES); 2 * limits::LIST_ENTRIES],
        ..asked("x")
    });
    assert_eq!(seen.always.len(), limits::LIST_ENTRIES);
    assert!(seen.always.iter().all(|text| text.len() <= limits::SENTENCE_BYTES));
    let chat::Content::Text { text } = content(wit::Content::Text(long())) else {
        panic!("it is a text")
    };
    assert!(text.len() <= limits::PART_BYTES, "{}", text.len());
    let Some(TunnelEvent::Url(url)) =
        tunnel_event(wit_tunnel::Event::Url(format!("https://{}", long())), &Mask::default())
    else {
        panic!("it is an address")
    };
    assert!(url.len() <= limits::URL_BYTES, "{}", url.len());
    assert!(tunnel::public_address(&url).is_err(), "cut, it leads nowhere");
}

#[test]
fn what_a_connection_opens_with_has_an_end() {
    let turn = |n: usize| wit::TurnState {
        session: format!("s{n}"),
        turn: wit::Turn::Running,
    };
    let many = 2 * limits::OPEN_SESSIONS;
    let opened = connection(
        wit::BackendConnection {
            id: "e".to_owned(),
            version: "1".to_owned(),
            running: (0..many).map(turn).collect(),
            requests: (0..many).map(|_| asked("x")).collect(),
        },
        &Mask::default(),
    );
    assert_eq!(opened.running.len(), limits::OPEN_SESSIONS);
    assert_eq!(opened.requests.len(), limits::OPEN_SESSIONS);
}
