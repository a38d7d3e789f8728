#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::handle::{CacheLimits, OPEN_ROWS};
use super::*;
use futures::FutureExt as _;
use nexus_model::chat::{
    AgentRequest, BackendConnection, Content, Event, Message, Part, Role, SessionInfo, Snapshot, Tool, ToolState, Turn,
};
use nexus_model::limits::{JOURNAL_BACKLOG, JOURNAL_CACHE};
use nexus_model::time::ManualClock;
use nexus_store::{Store, StoreError};
use nexus_testkit::wait;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

mod after_a_pause;
mod bounds;
mod migration;
mod sessions;

fn info(id: &str, updated_at: u64) -> SessionInfo {
    SessionInfo {
        id: id.into(),
        workspace: "/project".into(),
        parent: None,
        title: "A session".into(),
        created_at: 1,
        updated_at,
        archived: false,
        reverted: None,
        ext: nexus_model::chat::Ext::default(),
    }
}

fn message(id: &str, role: Role, created_at: u64) -> Message {
    Message {
        id: id.into(),
        role,
        created_at,
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
    }
}

fn completed(id: &str, created_at: u64) -> Message {
    Message {
        completed_at: Some(created_at + 1),
        ..message(id, Role::Assistant, created_at)
    }
}

fn text(id: &str, message: &str, revision: u64, closed: bool, text: &str) -> Part {
    Part {
        id: id.into(),
        message: message.into(),
        revision,
        closed,
        content: Content::Text { text: text.into() },
    }
}

fn tool(id: &str, message: &str, revision: u64, state: ToolState) -> Part {
    let tool = Tool {
        name: "bash".into(),
        title: None,
        state,
        input: "{}".into(),
        output: None,
        error: None,
        started_at: None,
        ended_at: None,
        ..Tool::default()
    };
    Part {
        id: id.into(),
        message: message.into(),
        revision,
        closed: false,
        content: Content::Tool(tool),
    }
}

fn delta(part: &str, message: &str, revision: u64, text: &str) -> Event {
    Event::Delta {
        part: part.into(),
        message: message.into(),
        revision,
        text: text.into(),
    }
}

fn request(id: &str) -> AgentRequest {
    AgentRequest {
        id: id.into(),
        requested_by: "s".into(),
        permission: true,
        subject: "bash".into(),
        detail: "ls".into(),
        created_at: 3,
        ..AgentRequest::default()
    }
}

fn part(part: Part) -> Event {
    Event::Part { part }
}

fn msg(message: Message) -> Event {
    Event::Message { message }
}

fn snapshot(messages: Vec<(Message, Vec<Part>)>, turn: Turn) -> Snapshot {
    Snapshot {
        info: info("s", 1),
        messages,
        turn,
        requests: vec![],
        before: None,
    }
}

async fn journal(dir: &std::path::Path) -> Journal {
    let store = Store::open(dir).unwrap();
    Journal::open(store, Arc::new(ManualClock::at(1000))).await.unwrap()
}

/// Everything up to the number that the session has now.
async fn read(journal: &Journal, from: Option<Seq>) -> Vec<Item> {
    let head = journal.state("s").await.unwrap().seq;
    let mut subscription = journal.subscribe("s", from).await.unwrap();
    let mut items = Vec::new();
    while subscription.last() < head || (items.is_empty() && from.is_none()) {
        items.push(subscription.next().await.unwrap());
    }
    items
}

fn fold(mut state: SessionState, items: &[Item]) -> SessionState {
    for item in items {
        match item {
            Item::State(whole) => state = (**whole).clone(),
            Item::Event(entry) => {
                assert_eq!(entry.seq, state.seq + 1, "each, once");
                assert_eq!(serde_json::from_str::<Event>(&entry.json).unwrap(), entry.event);
                state.advance(entry.seq, &entry.event);
                assert_eq!(state.seq, entry.seq, "what is numbered changes something");
            }
        }
    }
    state
}

async fn rows(journal: &Journal) -> i64 {
    journal
        .inner
        .store
        .read(|db| db.query_row("SELECT count(*) FROM event", [], |r| r.get(0)))
        .await
        .unwrap()
}

/// What a well-behaved backend sends: revisions of a part grow, a part that is closed stays closed.
fn backend_events() -> impl Strategy<Value = Vec<Event>> {
    let step = (0u8..12, 0u8..3, 0u8..3, "[a-z]{1,3}");
    proptest::collection::vec(step, 1..60).prop_map(|steps| {
        let mut revision = 0;
        let mut closed = std::collections::HashSet::new();
        let mut events = Vec::new();
        for (kind, m, p, word) in steps {
            revision += 1;
            let (m, p) = (format!("m{m}"), format!("m{m}p{p}"));
            let at = u64::from(m.as_bytes()[1]);
            match kind {
                0 => events.push(msg(message(&m, Role::Assistant, at))),
                1 => events.push(msg(completed(&m, at))),
                2 if !closed.contains(&p) => events.push(part(text(&p, &m, revision, false, &word))),
                3 if closed.insert(p.clone()) => events.push(part(text(&p, &m, revision, true, &word))),
                4 => {
                    closed.remove(&p);
                    events.push(Event::PartRemoved { message: m, part: p });
                }
                5 => {
                    closed.retain(|part| !part.starts_with(&m));
                    events.push(Event::MessageRemoved { message: m });
                }
                6 => events.push(Event::Request { request: request(&p) }),
                7 => events.push(Event::RequestClosed { request: p }),
                8 => events.push(Event::Turn {
                    turn: if m == "m0" { Turn::Idle } else { Turn::Running },
                }),
                _ if !closed.contains(&p) => events.push(delta(&p, &m, revision, &word)),
                _ => {}
            }
        }
        events
    })
}

fn folded(events: &[Event]) -> SessionState {
    let mut state = SessionState::default();
    for event in events {
        state.apply(event);
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn duplicates_and_stale_revisions_change_nothing(events in backend_events(), noise in proptest::collection::vec((0usize..60, 1usize..10), 0..40)) {
        let mut state = SessionState::default();
        for (at, event) in events.iter().enumerate() {
            state.apply(event);
            prop_assert!(!state.apply(event) || matches!(event, Event::Session { .. }), "twice: {event:?}");
            for (_, back) in noise.iter().filter(|(when, _)| *when == at) {
                let Some(old) = at.checked_sub(*back).and_then(|i| events.get(i)) else { continue };
                // one that a removal came after is not stale but new
                let still_there = |m: &str, p: &str| state.message(m).is_some_and(|m| m.parts.iter().any(|x| x.id == p));
                let stale = match old {
                    Event::Part { part } => still_there(&part.message, &part.id),
                    Event::Delta { message, part, .. } => still_there(message, part),
                    _ => false,
                };
                if stale {
                    let newer_removed = events[at - back..=at].iter().any(|e| matches!(e, Event::PartRemoved { .. } | Event::MessageRemoved { .. }));
                    if !newer_removed {
                        prop_assert!(!state.apply(old), "{old:?}");
                    }
                }
            }
        }
        prop_assert_eq!(state, folded(&events));
    }

    #[test]
    fn reconciling_arrives_and_then_rests(ours in backend_events(), theirs in backend_events(), running: bool) {
        let mut state = folded(&ours);
        let theirs = folded(&theirs);
        let messages = theirs.messages.into_iter().map(|m| {
            let parts = m.parts.into_iter().map(|p| Part { revision: 1000 + p.revision * 2, ..p }).collect();
            (m.message, parts)
        }).collect();
        let snapshot = snapshot(messages, if running { Turn::Running } else { Turn::Idle });
        for event in reconcile::reconcile(&state, &snapshot) {
            state.apply(&event);
        }
        prop_assert_eq!(reconcile::reconcile(&state, &snapshot), vec![]);
        for (theirs, parts) in &snapshot.messages {
            let ours = state.message(&theirs.id).unwrap();
            prop_assert_eq!(&ours.message.completed_at, &theirs.completed_at);
            for part in parts {
                prop_assert!(ours.parts.iter().any(|p| p.id == part.id));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn resuming_from_any_number_is_the_same_as_having_been_there(events in backend_events(), chunk in 1usize..7) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let journal = journal(dir.path()).await;
            let mut witness = journal.subscribe("s", None).await.unwrap();
            assert_eq!(witness.next().await, Ok(Item::State(Box::default())));
            for events in events.chunks(chunk) {
                journal.ingest("s", events.to_vec()).await.unwrap();
            }
            let now = journal.state("s").await.unwrap();
            // as it was at each number
            let mut states = vec![SessionState::default()];
            while witness.last() < now.seq {
                let item = witness.next().await.unwrap();
                states.push(fold(states.last().unwrap().clone(), &[item]));
            }
            assert_eq!(states.last(), Some(&now));
            for then in states {
                let items = read(&journal, Some(then.seq).filter(|seq| *seq > 0)).await;
                assert_eq!(fold(then, &items), now);
            }
            drop((journal, witness));
            let journal = super::tests::journal(dir.path()).await;
            assert_eq!(journal.state("s").await.unwrap(), now, "as read from the disk");
        });
    }
}

#[tokio::test]
async fn deltas_of_a_closed_part_are_gone_and_nobody_misses_them() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    let mut events = vec![
        msg(message("m", Role::Assistant, 1)),
        part(text("p", "m", 1, false, "")),
    ];
    events.extend((0..500).map(|n| delta("p", "m", n + 2, "x")));
    journal.ingest("s", events).await.unwrap();
    journal
        .ingest("s", vec![part(text("q", "m", 1, false, "other"))])
        .await
        .unwrap();
    assert_eq!(rows(&journal).await, 503);
    let whole = "x".repeat(500);
    let closing = journal
        .ingest("s", vec![part(text("p", "m", 900, true, &whole))])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(closing.first, 504, "numbers go on");
    // Message, first and last of p, first of q; nobody who streams waits for that.
    nexus_testkit::wait::until_async("the rows of p are gone", async || rows(&journal).await == 4).await;
    // from inside the range: the state, for the events are gone
    let items = read(&journal, Some(100)).await;
    assert_eq!(items, [Item::State(Box::new(journal.state("s").await.unwrap()))]);
    // from its end: what is still there
    let items = read(&journal, Some(502)).await;
    let seqs: Vec<_> = items
        .iter()
        .map(|i| if let Item::Event(e) = i { e.seq } else { 0 })
        .collect();
    assert_eq!(seqs, [503, 504]);
}

#[tokio::test]
async fn a_part_that_never_closes_does_not_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    let open = |n: u64| part(text("p", "m", n, false, &format!("state {n}")));
    for n in 0..4 {
        let events = (n * OPEN_ROWS..(n + 1) * OPEN_ROWS).map(|n| open(n + 1));
        journal.ingest("s", events.collect()).await.unwrap();
    }
    let most = i64::try_from(OPEN_ROWS).unwrap() + 3;
    nexus_testkit::wait::until_async("what is replaced is gone", async || rows(&journal).await <= most).await;
    let state = journal.state("s").await.unwrap();
    assert_eq!(state.seq, 4 * OPEN_ROWS);
    assert_eq!(fold(SessionState::default(), &read(&journal, None).await), state);
    // from inside the range: the state
    assert_eq!(read(&journal, Some(100)).await, [Item::State(Box::new(state))]);
}

#[tokio::test]
async fn a_part_that_grows_without_an_end_is_kept_up_to_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    let piece = "x".repeat(1 << 20);
    for n in 0..20 {
        journal.ingest("s", vec![delta("p", "m", n + 1, &piece)]).await.unwrap();
    }
    assert_eq!(rows(&journal).await, 8, "what is not shown is not kept either");
    // What closes it is whole again.
    journal
        .ingest("s", vec![part(text("p", "m", 99, true, "the end"))])
        .await
        .unwrap();
    let state = journal.state("s").await.unwrap();
    assert!(matches!(&state.messages[0].parts[0].content, Content::Text { text } if text == "the end"));
}

#[tokio::test]
async fn a_reader_who_lags_behind_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    let mut slow = journal.subscribe("s", None).await.unwrap();
    assert!(matches!(slow.next().await, Ok(Item::State(_))));
    for n in 0..4 * JOURNAL_BACKLOG as u64 {
        journal.ingest("s", vec![delta("p", "m", n, "x")]).await.unwrap();
    }
    for seq in 1..=4 * JOURNAL_BACKLOG as u64 {
        let Ok(Item::Event(entry)) = slow.next().await else {
            panic!()
        };
        assert_eq!(entry.seq, seq);
    }
    assert!(slow.next().now_or_never().is_none());
    journal
        .ingest("s", vec![delta("p", "m", 1 << 20, "last")])
        .await
        .unwrap();
    assert!(matches!(slow.next().await, Ok(Item::Event(entry)) if entry.seq == 4 * JOURNAL_BACKLOG as u64 + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_comes_at_any_moment_sees_each_event_once() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    let total: Seq = 600;
    let writer = tokio::spawn({
        let journal = journal.clone();
        async move {
            for n in 0..total {
                journal.ingest("s", vec![delta("p", "m", n, "x")]).await.unwrap();
            }
        }
    });
    let mut readers = Vec::new();
    for late in 0..20u64 {
        let journal = journal.clone();
        readers.push(tokio::spawn(async move {
            let begun = async {
                while journal.look("s", |state| state.seq).await.unwrap() < late * 20 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            wait::within("the journal has enough events", begun).await;
            let from = if late % 2 == 0 { None } else { Some(late * 10) };
            let mut subscription = journal.subscribe("s", from).await.unwrap();
            let mut last = from;
            let mut length = 0;
            while last != Some(total) {
                match subscription.next().await.unwrap() {
                    Item::State(state) => {
                        assert_eq!((last, length), (None, 0));
                        last = Some(state.seq);
                        length = state.seq;
                    }
                    Item::Event(entry) => {
                        assert_eq!(Some(entry.seq - 1), last);
                        last = Some(entry.seq);
                        length += 1;
                    }
                }
            }
            assert_eq!(length + from.unwrap_or(0), total);
        }));
    }
    wait::within("all events are written", writer).await.unwrap();
    for reader in readers {
        wait::within("a reader has seen all events", reader).await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_seen_by_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    journal.ingest("s", vec![delta("p", "m", 1, "a")]).await.unwrap();
    let mut reader = journal.subscribe("s", Some(1)).await.unwrap();
    let cap = |pages: i64| {
        journal.inner.store.write(nexus_store::Durability::Process, move |db| {
            db.pragma_update(None, "max_page_count", pages)
        })
    };
    cap(1).await.unwrap();
    let big = "b".repeat(1_000_000);
    assert!(matches!(
        journal.ingest("s", vec![delta("p", "m", 2, &big)]).await,
        Err(StoreError::ReadOnly(_))
    ));
    assert_eq!(journal.state("s").await.unwrap().seq, 1);
    assert!(reader.next().now_or_never().is_none());
    cap(1 << 20).await.unwrap();
    journal.ingest("s", vec![delta("p", "m", 3, "c")]).await.unwrap();
    assert!(matches!(reader.next().await, Ok(Item::Event(entry)) if entry.seq == 2));
}

#[tokio::test]
async fn a_write_that_was_canceled_half_way_leaves_no_gap() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    let mut reader = journal.subscribe("s", None).await.unwrap();
    reader.next().await.unwrap();
    journal.ingest("s", vec![delta("p", "m", 1, "a")]).await.unwrap();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let mut busy = Box::pin(journal.inner.store.write(nexus_store::Durability::Process, move |_| {
        let _ = wait.recv();
        Ok(())
    }));
    assert!(futures::poll!(&mut busy).is_pending());
    {
        let mut write = Box::pin(journal.ingest("s", vec![delta("p", "m", 2, "b")]));
        assert!(futures::poll!(&mut write).is_pending()); // handed to the writer, which is busy, and not answered
    }
    go.send(()).unwrap();
    busy.await.unwrap();
    journal.ingest("s", vec![delta("p", "m", 3, "c")]).await.unwrap();
    let mut seqs = Vec::new();
    while reader.last() < 3 {
        let Ok(Item::Event(entry)) = reader.next().await else {
            panic!()
        };
        seqs.push(entry.seq);
    }
    assert_eq!(seqs, [1, 2, 3]);
    let state = journal.state("s").await.unwrap();
    assert_eq!(state.messages[0].parts[0].content, Content::Text { text: "abc".into() });
}

#[test]
fn an_error_is_kept_until_the_next_turn_and_shown_once() {
    let said = |text: &str| Event::Error {
        message: None,
        text: text.into(),
    };
    let mut state = SessionState::default();
    assert!(state.apply(&said("no such model")));
    state.apply(&Event::Turn { turn: Turn::Idle });
    assert_eq!(state.error.as_ref().unwrap().text, "no such model");
    state.apply(&Event::Turn { turn: Turn::Running });
    assert_eq!(state.error, None);
    // The session says it, then the message; or the other way round.
    let failed = |id: &str| {
        msg(Message {
            error: Some("wrong key".into()),
            ..message(id, Role::Assistant, 1)
        })
    };
    state.apply(&said("wrong key"));
    state.apply(&failed("a"));
    assert_eq!(state.error, None);
    assert!(!state.apply(&said("wrong key")));
    assert_eq!(state.error, None);
}
