//! What a backend says after a pause, against what the journal has.

use super::*;

#[tokio::test]
async fn a_new_connection_may_begin_its_revisions_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    journal
        .ingest(
            "s",
            vec![part(text("p", "m", 40, false, "Hello")), delta("p", "m", 41, " wor")],
        )
        .await
        .unwrap();
    assert_eq!(
        journal.ingest("s", vec![delta("p", "m", 41, " wor")]).await.unwrap(),
        None,
        "known"
    );
    journal.open_connection();
    // the backend is up again and has less; the answer is still running
    let theirs = (message("m", Role::Assistant, 0), vec![text("p", "m", 1, false, "")]);
    journal.reconcile(snapshot(vec![theirs], Turn::Running)).await.unwrap();
    journal.ingest("s", vec![delta("p", "m", 2, "ld")]).await.unwrap();
    let state = journal.state("s").await.unwrap();
    assert_eq!(
        state.messages[0].parts[0].content,
        Content::Text {
            text: "Hello world".into()
        }
    );
    // the answer was dropped: a correction of ours, and then the backend knows better after all
    let theirs = (message("m", Role::Assistant, 0), vec![text("p", "m", 2, false, "")]);
    journal.reconcile(snapshot(vec![theirs], Turn::Idle)).await.unwrap();
    let state = journal.state("s").await.unwrap();
    assert!(state.messages[0].message.interrupted && state.messages[0].parts[0].closed);
    assert_eq!(state.turn, Turn::Interrupted);
    journal
        .ingest("s", vec![part(text("p", "m", 3, true, "Hello world!"))])
        .await
        .unwrap();
    let state = journal.state("s").await.unwrap();
    assert_eq!(
        state.messages[0].parts[0].content,
        Content::Text {
            text: "Hello world!".into()
        }
    );
}

#[tokio::test]
async fn an_answer_that_the_backend_lost_is_kept_and_marked() {
    let dir = tempfile::tempdir().unwrap();
    {
        let journal = journal(dir.path()).await;
        let events = vec![
            Event::Session { info: info("s", 1) },
            msg(message("u", Role::User, 1)),
            msg(message("a", Role::Assistant, 2)),
            part(text("t", "a", 1, false, "")),
            delta("t", "a", 2, "The answer is"),
            part(tool("r", "a", 1, ToolState::Running)),
            Event::Request { request: request("k") },
            Event::Turn { turn: Turn::Running },
        ];
        journal.ingest("s", events).await.unwrap();
    } // nexus dies
    let journal = journal(dir.path()).await;
    assert_eq!(journal.unfinished(), ["s"]);
    journal.open_connection();
    let lost = || {
        let user = (message("u", Role::User, 1), vec![]);
        let parts = vec![text("t", "a", 1, false, ""), tool("r", "a", 1, ToolState::Running)];
        vec![user, (message("a", Role::Assistant, 2), parts)]
    };
    journal.reconcile(snapshot(lost(), Turn::Idle)).await.unwrap();
    let state = journal.state("s").await.unwrap();
    let answer = &state.messages[1];
    assert!(answer.message.interrupted);
    assert_eq!(
        answer.parts[0].content,
        Content::Text {
            text: "The answer is".into()
        }
    );
    assert!(answer.parts.iter().all(|part| part.closed));
    let Content::Tool(ended) = &answer.parts[1].content else {
        panic!()
    };
    assert_eq!(
        (ended.state, ended.error.as_deref()),
        (ToolState::Failed, Some("interrupted"))
    );
    assert!(state.requests.is_empty());
    assert_eq!(state.turn, Turn::Interrupted);
    assert!(journal.unfinished().is_empty());
    assert_eq!(
        journal.reconcile(snapshot(lost(), Turn::Idle)).await.unwrap(),
        None,
        "once"
    );
}

#[tokio::test]
async fn a_turn_that_still_runs_is_not_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    let events = vec![
        msg(message("a", Role::Assistant, 2)),
        delta("t", "a", 2, "Still"),
        Event::Turn { turn: Turn::Running },
    ];
    journal.ingest("s", events).await.unwrap();
    journal.open_connection();
    let theirs = vec![(message("a", Role::Assistant, 2), vec![text("t", "a", 1, false, "")])];
    journal.reconcile(snapshot(theirs, Turn::Running)).await.unwrap();
    let state = journal.state("s").await.unwrap();
    assert_eq!(state.turn, Turn::Running);
    assert!(!state.messages[0].message.interrupted && !state.messages[0].parts[0].closed);
    let connection = BackendConnection {
        id: "e".into(),
        version: "1".into(),
        running: vec![("s".into(), Turn::Running)],
        requests: vec![],
    };
    assert_eq!(journal.settle("s", &connection).await.unwrap(), None);
    let idle = BackendConnection {
        running: vec![],
        ..connection
    };
    journal.settle("s", &idle).await.unwrap();
    let state = journal.state("s").await.unwrap();
    assert_eq!(state.turn, Turn::Interrupted);
    assert!(state.messages[0].message.interrupted && state.messages[0].parts[0].closed);
}

#[tokio::test]
async fn what_ended_while_we_were_away_is_as_the_backend_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    let events = vec![
        msg(message("u", Role::User, 1)),
        msg(message("a", Role::Assistant, 2)),
        delta("t", "a", 2, "Par"),
        part(text("dead", "a", 1, false, "a try before")),
        msg(completed("gone", 1)),
        Event::Turn { turn: Turn::Running },
    ];
    journal.ingest("s", events).await.unwrap();
    journal.open_connection();
    let theirs = vec![
        (message("u", Role::User, 1), vec![]),
        (completed("a", 2), vec![text("t", "a", 1, true, "Partial no more")]),
    ];
    journal.reconcile(snapshot(theirs, Turn::Idle)).await.unwrap();
    let state = journal.state("s").await.unwrap();
    assert_eq!(state.turn, Turn::Idle);
    let ids: Vec<_> = state.messages.iter().map(|m| m.message.id.as_str()).collect();
    assert_eq!(ids, ["u", "a"]);
    assert_eq!(state.messages[1].parts.len(), 1);
    assert_eq!(
        state.messages[1].parts[0].content,
        Content::Text {
            text: "Partial no more".into()
        }
    );
}

#[tokio::test]
async fn an_answer_that_an_old_snapshot_called_interrupted_streams_on() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    // Taken between the prompt and the beginning of its turn.
    let theirs = (message("m", Role::Assistant, 0), vec![text("p", "m", 1, false, "")]);
    journal.reconcile(snapshot(vec![theirs], Turn::Idle)).await.unwrap();
    let state = journal.state("s").await.unwrap();
    assert!(state.messages[0].message.interrupted && state.messages[0].parts[0].closed);
    let turn = |turn| Event::Turn { turn };
    let events = vec![
        turn(Turn::Running),
        msg(message("m", Role::Assistant, 0)),
        part(text("p", "m", 1, false, "")),
        delta("p", "m", 2, "it goes"),
        delta("p", "m", 3, " on"),
    ];
    journal.ingest("s", events).await.unwrap();
    let state = journal.state("s").await.unwrap();
    let last = &state.messages[0];
    assert!(!last.message.interrupted && !last.parts[0].closed);
    assert_eq!(
        last.parts[0].content,
        Content::Text {
            text: "it goes on".into()
        }
    );
}
