//! A database that Nexus 0.1.0 wrote.

use super::*;

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
    assert_eq!(question.requests[0].questions[0].choices[1].label, "Red");
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
        assert!(!body.contains("asked"), "{body}");
        let event: Event = serde_json::from_str(&body).unwrap();
        let again: serde_json::Value = serde_json::to_value(&event).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(&body).unwrap());
    }
}

#[tokio::test]
async fn the_account_and_the_settings_of_0_1_0_are_found() {
    let (_folder, store) = written_by_0_1_0();
    let user = store.user_by_account("owner").await.unwrap().unwrap();
    assert!(store.subject(user.id, "auth-local").await.unwrap().is_some());
    let chosen = store.setting("tunnel.home.plugin").await.unwrap().unwrap();
    assert!(String::from_utf8(chosen).unwrap().contains("tunnel-ssh"));
    assert!(store.setting("auth.key").await.unwrap().is_some());
    assert_eq!(store.notes(10).await.unwrap()[0].subject, "tunnel home");
}
