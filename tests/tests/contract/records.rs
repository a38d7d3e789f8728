//! What a plugin says in records that have bounds: values of its own (`ext`), what an answer took, and what is in a request.

use super::{broken, connected, health};
use nexus_tests::browser::Browser;
use nexus_tests::nexus::Nexus;
use nexus_tests::world::Conversation;
use serde_json::{Value, json};

const RULES: &str = "rules-chat";

/// A session in which this rule was broken, as the API has it.
async fn session(nexus: &Nexus, browser: &Browser, rule: &str) -> (Conversation, Value) {
    let chat = broken(nexus, browser, rule).await;
    let path = format!("/api/v1/sessions/{}", chat.session);
    let (status, session) = browser.ask("GET", &path, Value::Null).await;
    assert_eq!(status, 200, "{session}");
    assert!(!session.to_string().contains("WRONG"), "{session}");
    (chat, session)
}

fn message<'a>(session: &'a Value, id: &str) -> &'a Value {
    let messages = session["messages"].as_array().unwrap();
    let found = messages.iter().find(|one| one["message"]["id"] == id);
    found.unwrap_or_else(|| panic!("there is no {id}: {session}"))
}

fn part<'a>(session: &'a Value, id: &str) -> &'a Value {
    let parts = message(session, "kept")["parts"].as_array().unwrap();
    let found = parts
        .iter()
        .map(|one| one.get("part").unwrap_or(one))
        .find(|part| part["id"] == id);
    &found.unwrap_or_else(|| panic!("there is no {id}: {session}"))["content"]
}

/// The others go on, and nothing of it is a crash.
async fn goes_on(nexus: &Nexus, browser: &Browser) {
    assert_eq!(broken(nexus, browser, "hello").await.answer(), "done");
    assert_eq!(health(nexus, RULES).await["restarts"], 0);
}

fn logged(nexus: &Nexus, what: &str) {
    let output = nexus.output();
    let mut lines = output.lines().filter(|line| line.contains(&format!("left out {what}")));
    assert!(
        lines.any(|line| line.contains(RULES) && line.contains("This is a bug of the plugin")),
        "{what}: {output}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_a_plugins_own_that_are_none_are_left_out_and_what_they_belong_to_is_kept() {
    let (nexus, browser) = connected(RULES, "").await;
    let (_, session) = session(&nexus, &browser, "ext").await;
    let kept = &message(&session, "kept")["message"]["ext"][RULES];
    let names: Vec<_> = kept.as_object().unwrap().keys().collect();
    assert_eq!(names, ["rules.kept", "rules.nested"], "{kept}");
    assert_eq!(kept["rules.kept"], json!({"a⟨U+202E⟩": [1]}));
    let many = &message(&session, "many")["message"]["ext"][RULES];
    assert_eq!(many.as_object().unwrap().len(), 16, "{many}");
    let costly = &message(&session, "costly")["message"];
    assert!(costly["ext"].is_null(), "{costly}");
    assert_eq!(part(&session, "call")["ext"], json!({RULES: {"rules.kept": 1}}));
    let own = part(&session, "own");
    assert_eq!((&own["name"], &own["value"]), (&json!("rules.own"), &Value::Null));
    let described = &session["info"]["ext"][RULES];
    assert_eq!(described.as_object().unwrap().len(), 3, "{described}");
    for what in [
        "a second value `rules.kept` of a list `ext`",
        "a value whose name is not 1 to 64 of a-z, 0-9, dot, _ and -",
        "the value `rules.broken`: it is not JSON",
        "the value `rules.empty`: it is not JSON",
        "the value `rules.long`: it has ",
        "the value `rules.deep`: it is nested more than 64 deep",
        "the value `rules.deepest`: it is not JSON",
        "24 values of a list `ext`: it has more than 16",
        "the value `n0`: together they cost more than 65536 bytes",
        "the value `n3`: together they cost more than 4096 bytes",
        "the value `rules.own`: it is not JSON",
    ] {
        logged(&nexus, what);
    }
    goes_on(&nexus, &browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_answer_took_is_a_number_or_not_known() {
    let (nexus, browser) = connected(RULES, "").await;
    let (_, session) = session(&nexus, &browser, "usage").await;
    let most = json!(1_u64 << 53);
    for (id, cost) in [
        ("nan", Value::Null),
        ("infinite", Value::Null),
        ("negative", Value::Null),
        ("giant", json!(f64::MAX)),
        ("kept", json!(0.25)),
    ] {
        let usage = &message(&session, id)["message"]["usage"];
        assert_eq!(usage["cost"], cost, "{id}: {usage}");
        for (count, value) in [
            ("input", &most),
            ("output", &json!(0)),
            ("reasoning", &most),
            ("cache_read", &most),
            ("cache_write", &json!(7)),
        ] {
            assert_eq!(&usage[count], value, "{id}, {count}: {usage}");
        }
    }
    assert_eq!(part(&session, "file")["size"], most);
    let change = &part(&session, "call")["changes"][0];
    assert_eq!(change["added_lines"], json!(u32::MAX), "{change}");
    goes_on(&nexus, &browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_allows_what_is_not_shown() {
    let (nexus, browser) = connected(RULES, "").await;
    let (mut chat, session) = session(&nexus, &browser, "permissions").await;
    let request = |id: &str| {
        let requests = session["requests"].as_array().unwrap();
        requests
            .iter()
            .find(|one| one["id"] == id)
            .unwrap_or_else(|| panic!("there is no {id}: {session}"))
    };
    // What cannot all be shown is not offered for good.
    for id in ["patterns", "a long pattern", "an empty pattern"] {
        assert_eq!(request(id)["always"], json!([]), "{id}");
    }
    logged(&nexus, "what `always` allows: it has more than 64 patterns");
    assert_eq!(request("a pattern twice")["always"], json!(["ls *", "rm *"]));
    // What is more, the owner is told of, in the words by which the page keeps it from being allowed.
    for (id, list, most) in [("details", "details", 256), ("changes", "changes", 256)] {
        let request = request(id);
        let kept = request[list].as_array().unwrap().len();
        assert!((most..=most + 1).contains(&kept), "{id}: {kept}");
        let last = request["details"].as_array().unwrap().last().unwrap();
        assert!(
            last["text"]
                .as_str()
                .unwrap()
                .ends_with("more files are not shown here⟩")
                || id == "details",
            "{last}"
        );
        assert!(last["text"].as_str().unwrap().ends_with("not shown here⟩"), "{last}");
    }
    for (id, list, text) in [
        ("a long detail", "details", "text"),
        ("a long change", "changes", "diff"),
    ] {
        let of = request(id)[list].as_array().unwrap();
        assert!(
            of.iter()
                .all(|one| one[text].as_str().unwrap().ends_with("not shown here⟩")),
            "{id}"
        );
        let bytes: usize = of.iter().map(|one| one[text].as_str().unwrap().len()).sum();
        assert!(bytes < 257 << 10, "{id}: {bytes}");
    }
    // A client that answers so all the same allows it once.
    for (id, wanted) in [("patterns", "Once"), ("a pattern twice", "Always")] {
        let answer = json!({"request": id, "answer": {"type": "always"}});
        let failed = chat.request("reply", answer).await;
        assert!(failed.to_string().contains("no longer open"), "{id}: {failed}");
        let counted = broken(&nexus, &browser, &format!("count {id}: Answer::{wanted}")).await;
        assert_eq!(counted.answer(), "done 1", "{id}");
    }
    goes_on(&nexus, &browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_question_can_be_answered_and_each_choice_is_told_apart() {
    let (nexus, browser) = connected(RULES, "").await;
    let (mut chat, session) = session(&nexus, &browser, "questions").await;
    let questions = |id: &str| {
        let requests = session["requests"].as_array().unwrap();
        let found = requests.iter().find(|one| one["id"] == id);
        found.unwrap_or_else(|| panic!("there is no {id}: {session}"))["questions"].clone()
    };
    assert_eq!(questions("questions").as_array().unwrap().len(), 16);
    assert_eq!(questions("choices")[0]["choices"].as_array().unwrap().len(), 64);
    let odd = questions("odd choices")[0]["choices"].clone();
    let labels: Vec<_> = odd.as_array().unwrap().iter().map(|choice| &choice["label"]).collect();
    assert_eq!(labels, ["Red", "Red⟨U+202E⟩", "Blue"]);
    for question in questions("no choice").as_array().unwrap() {
        assert_eq!(
            (&question["choices"], &question["allow_custom"]),
            (&json!([]), &json!(true))
        );
    }
    logged(&nexus, "24 questions of a request: it has more than 16");
    logged(&nexus, "36 choices of a question: there are more than 64");
    logged(&nexus, "4 choices of a question");
    // Without a question, or with a value that is none, a request can be rejected, and by no other word of the contract answered.
    for id in ["no question", "a broken value"] {
        assert!(questions(id).is_null(), "{id}");
        for (answer, says) in [
            (json!({"type": "once"}), "of a kind that only the backend knows"),
            (
                json!({"type": "answers", "answers": []}),
                "of a kind that only the backend knows",
            ),
            (json!({"type": "reject"}), "no longer open"),
        ] {
            let failed = chat.request("reply", json!({"request": id, "answer": answer})).await;
            assert!(failed.to_string().contains(says), "{id}: {failed}");
        }
    }
    goes_on(&nexus, &browser).await;
}
