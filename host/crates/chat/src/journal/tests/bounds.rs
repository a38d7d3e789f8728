//! A backend that says too much.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::journal::session_state::{FULL, TOO_MANY_REQUESTS};
use nexus_model::chat::{AgentRequest, Content, Message, Part, Role};
use nexus_model::limits::{AGENT_REQUESTS, AGENT_REQUESTS_BYTES, SESSION_BYTES, SESSION_ROW};
use nexus_model::time::ManualClock;
use std::sync::atomic::Ordering;

const MIB: usize = 1 << 20;

async fn journal(dir: &std::path::Path, most: CacheLimits) -> Journal {
    let store = Store::open(dir).unwrap();
    let clock = Arc::new(ManualClock::at(1000));
    Journal::open_with(store, clock, most).await.unwrap()
}

fn message(id: &str) -> Event {
    let message = Message {
        id: id.into(),
        role: Role::Assistant,
        created_at: 1,
        completed_at: None,
        error: None,
        model: None,
        client_id: None,
        interrupted: false,
        agent: None,
        usage: None,
        ext: nexus_model::chat::Ext::default(),
        waiting: None,
        options: nexus_model::chat::PromptOptions::default(),
    };
    Event::Message { message }
}

fn part(id: &str, message: &str, revision: u64, bytes: usize) -> Event {
    let text = "x".repeat(bytes);
    let part = Part {
        id: id.into(),
        message: message.into(),
        revision,
        closed: true,
        content: Content::Text { text },
    };
    Event::Part { part }
}

fn asked(id: usize, bytes: usize) -> Event {
    let request = AgentRequest {
        id: id.to_string(),
        detail: "x".repeat(bytes),
        ..AgentRequest::default()
    };
    Event::Request { request }
}

const WIDE: CacheLimits = CacheLimits {
    written: u64::MAX,
    cached: usize::MAX,
};

#[test]
fn what_a_session_holds_is_counted_and_what_is_taken_away_is_not() {
    let mut state = SessionState::default();
    let delta = Event::Delta {
        part: "c".into(),
        message: "m".into(),
        revision: 1,
        text: "12345".into(),
    };
    let more = Event::Delta {
        part: "c".into(),
        message: "m".into(),
        revision: 2,
        text: "678".into(),
    };
    for (event, bytes) in [
        (message("m"), SESSION_ROW),
        (message("m"), SESSION_ROW),
        (part("a", "m", 1, 100), 2 * SESSION_ROW + 100),
        (part("a", "m", 2, 10), 2 * SESSION_ROW + 10),
        (part("a", "m", 1, 99), 2 * SESSION_ROW + 10),
        (part("b", "unknown", 1, 7), 4 * SESSION_ROW + 17),
        (delta, 5 * SESSION_ROW + 22),
        (more, 5 * SESSION_ROW + 25),
        (
            Event::PartRemoved {
                message: "m".into(),
                part: "a".into(),
            },
            4 * SESSION_ROW + 15,
        ),
        (Event::MessageRemoved { message: "m".into() }, 2 * SESSION_ROW + 7),
        (Event::SessionRemoved, 0),
    ] {
        state.apply(&event);
        assert_eq!(state.bytes, bytes, "{event:?}");
    }
}

#[tokio::test]
async fn a_session_that_is_full_says_so_once_and_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path(), WIDE).await;
    journal.append("s", vec![message("m")]).await.unwrap();
    {
        let live = journal.live("s");
        let mut held = journal.hold(&live).await.unwrap();
        held.state.bytes = SESSION_BYTES - MIB;
    }
    journal.append("s", vec![part("a", "m", 1, MIB / 2)]).await.unwrap();
    let before = journal.state("s").await.unwrap();
    assert_eq!(before.error, None);
    for n in 0..100 {
        let more = vec![part(&format!("p{n}"), "m", 1, MIB), message(&"long".repeat(MIB))];
        journal.append("s", more).await.unwrap();
    }
    let after = journal.state("s").await.unwrap();
    assert_eq!(after.error.unwrap().text, FULL);
    assert!(after.seq <= before.seq + 2, "{} and {}", before.seq, after.seq);
    assert!(after.bytes <= SESSION_BYTES);
    journal.append("t", vec![message("m")]).await.unwrap().unwrap();
}

#[tokio::test]
async fn requests_that_wait_have_a_number_and_a_size() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path(), WIDE).await;
    for n in 0..AGENT_REQUESTS + 20 {
        journal.append("many", vec![asked(n, 1)]).await.unwrap();
    }
    let many = journal.state("many").await.unwrap();
    assert_eq!(
        (many.requests.len(), many.error.unwrap().text.as_str()),
        (AGENT_REQUESTS, TOO_MANY_REQUESTS)
    );
    // One that is answered makes room.
    journal
        .append(
            "many",
            vec![Event::RequestClosed { request: "0".into() }, asked(999, 1)],
        )
        .await
        .unwrap();
    let many = journal.state("many").await.unwrap();
    assert!(many.requests.iter().any(|request| request.id == "999"));
    for n in 0..40 {
        journal.append("large", vec![asked(n, 300_000)]).await.unwrap();
    }
    let large = journal.state("large").await.unwrap();
    assert!(
        large.requests.iter().map(AgentRequest::size).sum::<usize>() <= AGENT_REQUESTS_BYTES
            && large.requests.len() > 10
    );
}

#[tokio::test]
async fn a_database_that_is_full_takes_a_deletion_and_then_more() {
    let dir = tempfile::tempdir().unwrap();
    let most = CacheLimits {
        written: 4 << 20,
        ..WIDE
    };
    let journal = journal(dir.path(), most).await;
    let mut taken = 0;
    let cause = loop {
        let session = format!("s{taken}");
        match journal
            .append(&session, vec![message("m"), part("a", "m", 1, MIB)])
            .await
        {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 20);
    };
    assert!(
        matches!(cause, StoreError::ReadOnly(_)) && cause.to_string().contains("4 MiB"),
        "{cause}"
    );
    assert!(taken >= 2);
    journal.remove("s0").await.unwrap();
    journal.append("new", vec![message("m")]).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_nobody_looks_at_is_not_all_cached() {
    let dir = tempfile::tempdir().unwrap();
    let most = CacheLimits {
        cached: 3 * MIB,
        ..WIDE
    };
    let journal = journal(dir.path(), most).await;
    let held = || {
        let sessions = journal.inner.sessions.lock().unwrap();
        sessions
            .values()
            .map(|live| live.bytes.load(Ordering::Relaxed))
            .sum::<usize>()
    };
    for n in 0..10 {
        let session = format!("s{n}");
        journal.append(&session, vec![part("a", "m", 1, MIB)]).await.unwrap();
        assert!(held() < 5 * MIB, "{}", held());
    }
    // And is there when it is needed.
    assert!(journal.state("s0").await.unwrap().bytes > MIB);
}
