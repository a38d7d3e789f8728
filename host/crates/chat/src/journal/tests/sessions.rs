//! Sessions as a whole: listed, out of use, deleted, and with a row that cannot be read.

use super::*;

#[tokio::test]
async fn deleting_a_session_reaches_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    journal
        .ingest(
            "s",
            vec![Event::Session { info: info("s", 1) }, delta("p", "m", 1, "a")],
        )
        .await
        .unwrap();
    let mut there = journal.subscribe("s", Some(2)).await.unwrap();
    let mut far_behind = journal.subscribe("s", Some(1)).await.unwrap();
    let list = journal.roots();
    assert_eq!(list.borrow().len(), 1);
    journal.append("s", vec![Event::SessionRemoved]).await.unwrap();
    assert!(matches!(there.next().await, Ok(Item::Event(entry)) if entry.event == Event::SessionRemoved));
    assert_eq!(there.next().await, Err(Ended::Removed));
    assert_eq!(far_behind.next().await, Err(Ended::Removed));
    assert_eq!(rows(&journal).await, 0);
    assert!(list.borrow().is_empty());
    let gone = SessionState {
        seq: 3,
        removed: true,
        ..SessionState::default()
    };
    assert_eq!(journal.state("s").await.unwrap(), gone);
}

#[tokio::test]
async fn the_list_is_in_order_of_activity_and_survives() {
    let dir = tempfile::tempdir().unwrap();
    let order = |journal: &Journal| -> Vec<String> {
        journal
            .roots()
            .borrow()
            .iter()
            .map(|row| format!("{}@{}", row.info.id, row.backend))
            .collect()
    };
    {
        let journal = journal(dir.path()).await.of_backend("opencode");
        for (id, updated) in [("a", 10), ("b", 30), ("c", 20)] {
            journal
                .ingest(
                    id,
                    vec![Event::Session {
                        info: info(id, updated),
                    }],
                )
                .await
                .unwrap();
        }
        journal
            .of_backend("echo")
            .ingest("d", vec![Event::Session { info: info("d", 5) }])
            .await
            .unwrap();
        assert_eq!(order(&journal), ["b@opencode", "c@opencode", "a@opencode", "d@echo"]);
        let mut changes = journal.roots();
        changes.mark_unchanged();
        journal.ingest("a", vec![delta("p", "m", 1, "x")]).await.unwrap();
        assert!(!changes.has_changed().unwrap(), "not for each token");
        journal
            .ingest("a", vec![Event::Turn { turn: Turn::Running }])
            .await
            .unwrap();
        assert!(changes.has_changed().unwrap());
    }
    let journal = journal(dir.path()).await;
    assert_eq!(order(&journal), ["a@opencode", "b@opencode", "c@opencode", "d@echo"]);
    assert_eq!((journal.running("opencode"), journal.is_unfinished("a")), (1, true));
}

#[tokio::test]
async fn sessions_out_of_use_leave_the_memory_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    let mut reader = journal.subscribe("s0", None).await.unwrap();
    reader.next().await.unwrap();
    for n in 0..3 * JOURNAL_CACHE {
        journal
            .ingest(&format!("s{n}"), vec![delta("p", "m", 1, "x")])
            .await
            .unwrap();
    }
    assert!(journal.inner.sessions.lock().unwrap().len() <= JOURNAL_CACHE + 1);
    journal.ingest("s0", vec![delta("p", "m", 2, "y")]).await.unwrap();
    for seq in 1..=2 {
        assert!(matches!(reader.next().await, Ok(Item::Event(entry)) if entry.seq == seq));
    }
    journal.ingest("s1", vec![delta("p", "m", 2, "y")]).await.unwrap();
    let state = journal.state("s1").await.unwrap();
    assert_eq!(state.messages[0].parts[0].content, Content::Text { text: "xy".into() });
}

#[tokio::test]
async fn a_deleted_session_is_not_brought_back_and_its_numbers_go_on_when_it_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    journal.create(info("s", 1)).await.unwrap();
    journal
        .append("s", vec![msg(message("m", Role::User, 2))])
        .await
        .unwrap();
    let last = journal.state("s").await.unwrap().seq;
    journal.remove("s").await.unwrap();
    assert!(journal.is_removed("s"));
    let late = |journal: Journal| async move {
        let events = || vec![Event::Session { info: info("s", 3) }, msg(message("n", Role::User, 4))];
        assert_eq!(journal.ingest("s", events()).await.unwrap(), None);
        assert_eq!(journal.append("s", events()).await.unwrap(), None);
        assert_eq!(
            journal.reconcile(snapshot(Vec::new(), Turn::Running)).await.unwrap(),
            None
        );
        assert!(journal.roots().borrow().is_empty());
    };
    late(journal.clone()).await;
    // Also for the next run of the host.
    drop(journal);
    let journal = self::journal(dir.path()).await;
    assert!(journal.is_removed("s"));
    late(journal.clone()).await;
    let made = journal.create(info("s", 5)).await.unwrap().unwrap();
    assert!(made.first > last + 1, "{made:?} after {last}");
    assert!(!journal.is_removed("s") && journal.roots().borrow().len() == 1);
    journal
        .append("s", vec![msg(message("o", Role::User, 6))])
        .await
        .unwrap();
    drop(journal);
    let journal = self::journal(dir.path()).await;
    let state = journal.state("s").await.unwrap();
    assert_eq!((state.removed, state.messages.len()), (false, 1));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_its_session_alone_which_can_still_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    for id in ["bad", "good"] {
        journal.create(info(id, 1)).await.unwrap();
        journal
            .append(id, vec![msg(message("m", Role::User, 2))])
            .await
            .unwrap();
    }
    let spoil = |db: &rusqlite::Connection| {
        db.execute(
            "UPDATE event SET body = '{\"type\":\"of_tomorrow\"}' WHERE session = (SELECT key FROM session WHERE id = 'bad')",
            [],
        )?;
        db.execute("UPDATE session SET info = '{}', turn = '{}' WHERE id = 'bad'", [])
    };
    journal
        .inner
        .store
        .write(nexus_store::Durability::Synced, spoil)
        .await
        .unwrap();
    drop(journal);
    let journal = self::journal(dir.path()).await;
    assert_eq!(journal.roots().borrow().len(), 2, "it is listed");
    let error = journal.state("bad").await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Database(cause) if cause.contains("bad")),
        "{error}"
    );
    assert_eq!(journal.state("good").await.unwrap().messages.len(), 1);
    journal.remove("bad").await.unwrap();
    assert!(journal.is_removed("bad") && journal.roots().borrow().len() == 1);
    assert_eq!(
        journal
            .append("bad", vec![Event::Turn { turn: Turn::Running }])
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_backend_without_a_title_does_not_take_away_the_one_that_people_saw() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    journal.create(info("s", 1)).await.unwrap();
    let nameless = SessionInfo {
        title: String::new(),
        ..info("s", 1)
    };
    assert_eq!(
        journal
            .ingest("s", vec![Event::Session { info: nameless }])
            .await
            .unwrap(),
        None
    );
    assert_eq!(journal.state("s").await.unwrap().info.unwrap().title, "A session");
}

#[tokio::test]
async fn deleted_sessions_are_remembered_up_to_their_number_the_last_ones() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path()).await;
    let store = &journal.inner.store;
    let most = i64::try_from(nexus_model::limits::REMOVED_SESSIONS).unwrap();
    store
        .write(nexus_store::Durability::Process, move |db| {
            let mut insert = db.prepare("INSERT INTO removed(id, seq) VALUES ('old-' || ?1, 1)")?;
            (0..most + 50).try_for_each(|n| insert.execute([n]).map(|_| ()))
        })
        .await
        .unwrap();
    journal
        .ingest("s", vec![Event::Session { info: info("s", 1) }])
        .await
        .unwrap();
    journal.ingest("s", vec![Event::SessionRemoved]).await.unwrap();
    let (count, oldest, newest): (i64, i64, i64) = store
        .read(|db| {
            db.query_row(
                "SELECT count(*), count(*) FILTER (WHERE id = 'old-0'), count(*) FILTER (WHERE id = 's') FROM removed",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
        })
        .await
        .unwrap();
    assert_eq!((count, oldest, newest), (most, 0, 1));
}
