//! A database that Nexus 0.1.0 wrote.

use super::*;
use nexus_model::activity::Severity;
use nexus_model::chat::Waiting;

const WRITTEN_BY_0_1_0: &str = include_str!("../testdata/0.1.0.sql");

fn written_by_0_1_0() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.db");
    rusqlite::Connection::open(file)
        .unwrap()
        // A dump has its tables by name, not by what refers to what.
        .execute_batch(&format!("PRAGMA foreign_keys = OFF;\n{WRITTEN_BY_0_1_0}"))
        .unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

async fn journal(store: &Store) -> Journal {
    Journal::open(store.clone(), Arc::new(ManualClock::default()))
        .await
        .unwrap()
}

#[tokio::test]
async fn chats_and_requests_of_0_1_0_are_found() {
    let (_folder, store) = written_by_0_1_0();
    let journal = journal(&store).await;
    let list = journal.roots().borrow().clone();
    let mut titles: Vec<_> = list
        .iter()
        .map(|root| (root.info.title.as_str(), journal.is_unfinished(&root.info.id)))
        .collect();
    titles.sort_unstable();
    assert_eq!(titles, [("Answered", false), ("Question", true), ("Waiting", true)]);
    let id = |title: &str| {
        let row = list.iter().find(|row| row.info.title == title);
        row.unwrap().info.id.clone()
    };

    let answered = journal.state(&id("Answered")).await.unwrap();
    assert_eq!((answered.requests.len(), &answered.turn), (0, &Turn::Idle));
    let tools: Vec<_> = answered
        .parts()
        .filter_map(|part| match &part.content {
            Content::Tool(tool) => Some((tool.name.as_str(), tool.state, tool.error.as_deref())),
            _ => None,
        })
        .collect();
    assert_eq!(
        tools,
        [
            ("bash", ToolState::Completed, None),
            ("write", ToolState::Rejected, Some("not today"))
        ]
    );

    let waiting = journal.state(&id("Waiting")).await.unwrap();
    let request = &waiting.requests[0];
    assert_eq!(
        (request.permission, request.detail.as_str(), &request.requested_by),
        (true, "touch ran", &id("Waiting"))
    );
    assert_eq!((request.always[0].as_str(), request.details.len()), ("touch *", 1));
    assert!(request.part.is_some() && request.created_at > 0);

    let question = journal.state(&id("Question")).await.unwrap();
    let asked = &question.requests[0].questions[0];
    assert_eq!((asked.choices[1].label.as_str(), asked.allow_custom), ("Red", true));
    journal
        .append(
            &id("Question"),
            vec![Event::RequestClosed {
                request: question.requests[0].id.clone(),
            }],
        )
        .await
        .unwrap();
    assert_eq!(journal.state(&id("Question")).await.unwrap().requests, []);
}

#[tokio::test]
async fn every_event_of_0_1_0_is_read_and_written_alike() {
    let (_folder, store) = written_by_0_1_0();
    let bodies: Vec<String> = store
        .read(|db| {
            db.prepare("SELECT body FROM event")?
                .query_map([], |row| row.get(0))?
                .collect()
        })
        .await
        .unwrap();
    assert!(bodies.len() > 40);
    for body in bodies {
        for old in ["asked", r#""turn":{"type""#, r#""waiting":{"for""#, r#""own":"#] {
            assert!(!body.contains(old), "{body}");
        }
        let event: Event = serde_json::from_str(&body).unwrap();
        let mut again: serde_json::Value = serde_json::to_value(&event).unwrap();
        let mut written: serde_json::Value = serde_json::from_str(&body).unwrap();
        // One diff was a text.
        if let Some(diff) = written
            .pointer_mut("/request")
            .and_then(|request| request.as_object_mut()?.remove("change"))
        {
            let changes = again["request"].as_object_mut().unwrap().remove("changes").unwrap();
            assert_eq!(
                (&changes[0]["diff"], changes.as_array().map(Vec::len)),
                (&diff, Some(1))
            );
        }
        assert_eq!(again, written);
    }
}

#[tokio::test]
async fn a_turn_and_a_waiting_prompt_of_0_1_0_keep_their_causes() {
    let folder = tempfile::tempdir().unwrap();
    let old = r#"
        INSERT INTO session(key, id, backend, info, turn, asks, activity) VALUES
            (1001, 'retrying', 'chat-opencode', NULL, '{"type":"retrying","attempt":2,"message":"no answer","next_at":null}', 0, 1),
            (1002, 'running', 'chat-opencode', NULL, '{"type":"running"}', 0, 1);
        INSERT INTO event(session, seq, part, body) VALUES
            (1001, 1, NULL, '{"type":"turn","turn":{"type":"retrying","attempt":2,"message":"no answer","next_at":7}}'),
            (1001, 2, NULL, '{"type":"message","message":{"id":"m","role":"user","created_at":1,"waiting":{"for":"owner","reason":"it was stopped"}}}');"#;
    rusqlite::Connection::open(folder.path().join("nexus.db"))
        .unwrap()
        .execute_batch(&format!("PRAGMA foreign_keys = OFF;\n{WRITTEN_BY_0_1_0}{old}"))
        .unwrap();
    let store = Store::open(folder.path()).unwrap();
    let read = |sql: &'static str| {
        let rows = store.read(move |db| {
            db.prepare(sql)?
                .query_map([], |row| row.get::<_, String>(0))?
                .collect::<Result<Vec<_>, _>>()
        });
        async move { rows.await.unwrap() }
    };
    let turn: Vec<Turn> = read("SELECT turn FROM session WHERE key > 1000 ORDER BY key")
        .await
        .iter()
        .map(|turn| serde_json::from_str(turn).unwrap())
        .collect();
    let retrying = |next_at| Turn::Retrying {
        attempt: 2,
        cause: "no answer".to_owned(),
        next_at,
    };
    assert_eq!(turn, [retrying(None), Turn::Running]);
    let events: Vec<Event> = read("SELECT body FROM event WHERE session > 1000 ORDER BY seq")
        .await
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    assert_eq!(
        events[0],
        Event::Turn {
            turn: retrying(Some(7))
        }
    );
    let Event::Message { message } = &events[1] else {
        panic!("{events:?}");
    };
    let cause = "it was stopped".to_owned();
    assert_eq!(message.waiting, Some(Waiting::Owner { cause, fix: None }));
}

#[tokio::test]
async fn the_account_and_the_settings_of_0_1_0_are_found() {
    let (_folder, store) = written_by_0_1_0();
    let user = store.user_by_account("owner").await.unwrap().unwrap();
    assert!(store.subject(user.id, "auth-local").await.unwrap().is_some());
    let chosen = store.setting("tunnel.home.plugin").await.unwrap().unwrap();
    assert!(String::from_utf8(chosen).unwrap().contains("tunnel-ssh"));
    assert!(store.setting("auth.key").await.unwrap().is_some());
    let note = &store.notes(10).await.unwrap()[0];
    assert_eq!((note.subject.as_str(), note.severity), ("tunnel home", Severity::Ok));
}
