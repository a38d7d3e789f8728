//! What the backend is asked for, and what is never made up or brought back.

use super::*;

fn titled(title: &str) -> SessionInfo {
    SessionInfo {
        title: title.to_owned(),
        ..session_info("s")
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_chat_stays_deleted_whatever_is_still_reported_of_it() {
    let mut rig = rig();
    let stream = rig.up().await;
    rig.service.delete("s").await.unwrap();
    let before = rig.journal.written();
    // The rest of its turn, its name, the backend's list, a new connection.
    stream.send(event("s", Event::Turn { turn: Turn::Idle })).await.unwrap();
    stream
        .send(event(
            "s",
            Event::Session {
                info: session_info("s"),
            },
        ))
        .await
        .unwrap();
    rig.backend.listed.lock().unwrap().push(session_info("s"));
    stream.send(closed(false)).await.unwrap();
    stream.send(opened("e2", &["s"])).await.unwrap();
    settle().await;
    drop(rig.service.opened("s"));
    settle().await;
    assert_eq!(rig.journal.written(), before);
    assert!(rig.service.sessions().borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_chat_that_is_deleted_while_it_is_read_stays_deleted() {
    let mut rig = rig();
    let stream = rig.up().await;
    rig.backend.gate.forget_permits(1000);
    tokio::time::sleep(limits::READ_AGAIN * 2).await;
    drop(rig.service.opened("s"));
    stream.send(event("s", delta(1, "a"))).await.unwrap();
    settle().await;
    rig.service.delete("s").await.unwrap();
    rig.backend.gate.add_permits(10);
    settle().await;
    assert!(rig.service.sessions().borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_chat_is_made_up_from_reports_of_one() {
    let mut rig = rig();
    let stream = rig.up().await;
    let before = rig.journal.written();
    stream
        .send(event("ghost", Event::Turn { turn: Turn::Idle }))
        .await
        .unwrap();
    stream.send(event("ghost", delta(1, "a"))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.journal.written(), before);
    // The backend shows it after all: then it is what the backend says.
    rig.backend.has(session_snapshot("ghost", Turn::Idle));
    stream.send(event("ghost", delta(2, "b"))).await.unwrap();
    settle().await;
    assert!(rig.service.knows("ghost"));
    assert_eq!(rig.text("ghost"), "b");
}

#[tokio::test(start_paused = true)]
async fn a_chat_that_is_opened_is_read_again_and_one_that_runs_is_not() {
    let mut rig = rig();
    let stream = rig.up().await;
    let reads = |rig: &Rig| rig.backend.reads.lock().unwrap().len();
    let before = reads(&rig);
    rig.service.opened("s").await;
    assert_eq!(reads(&rig), before, "it was read a moment ago");
    tokio::time::sleep(limits::READ_AGAIN * 2).await;
    rig.service.opened("s").await;
    assert_eq!(reads(&rig), before + 1);
    stream
        .send(event("s", Event::Turn { turn: Turn::Running }))
        .await
        .unwrap();
    tokio::time::sleep(limits::READ_AGAIN * 2).await;
    rig.service.opened("s").await;
    assert_eq!(reads(&rig), before + 1);
    // One that nobody listed is found by its name.
    rig.backend.has(session_snapshot("old", Turn::Idle));
    rig.service.opened("old").await;
    assert!(rig.service.knows("old"));
    rig.service.opened("nowhere").await;
    assert!(!rig.service.knows("nowhere"));
    // And the list.
    rig.backend.listed.lock().unwrap().push(session_info("elsewhere"));
    tokio::time::sleep(limits::READ_AGAIN * 2).await;
    rig.service.list_opened();
    settle().await;
    assert!(rig.service.knows("elsewhere"));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_fails_no_other_chat() {
    let mut rig = rig();
    let stream = rig.up().await;
    rig.backend.has(session_snapshot("t", Turn::Idle));
    stream
        .send(event(
            "t",
            Event::Session {
                info: session_info("t"),
            },
        ))
        .await
        .unwrap();
    settle().await;
    rig.journal.damage("s");
    stream.send(event("s", delta(1, "a"))).await.unwrap();
    stream.send(event("t", delta(1, "b"))).await.unwrap();
    settle().await;
    assert_eq!(rig.text("t"), "b");
    let cause = rig.service.prompt("s", prompt("c"), false).await;
    assert!(
        matches!(&cause, Err(ChatError::Refused(cause)) if cause.contains("cannot read")),
        "{cause:?}"
    );
    assert_eq!(
        rig.service.prompt("t", prompt("c"), false).await,
        Ok(Admission::Admitted)
    );
}

#[tokio::test(start_paused = true)]
async fn on_a_full_disk_a_prompt_is_refused_at_once() {
    let mut rig = rig();
    let stream = rig.up().await;
    rig.journal.disk_is_full(true);
    // The stream is held back with a message that a prompt could be.
    stream.send(event("s", shown("earlier"))).await.unwrap();
    settle().await;
    let prompt = rig.service.prompt("s", prompt("c"), false);
    let answer = tokio::time::timeout(Duration::from_millis(100), prompt)
        .await
        .expect("at once");
    assert!(
        matches!(&answer, Err(ChatError::Unavailable(cause)) if cause.contains("full")),
        "{answer:?}"
    );
    assert!(rig.backend.prompts.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_use_is_not_kept_up_to_date_for_ever() {
    let mut rig = rig();
    let stream = rig.up().await;
    for n in 0..2 * limits::LIVE_SESSIONS {
        let id = format!("s{n}");
        rig.backend.has(session_snapshot(&id, Turn::Idle));
        stream
            .send(event(
                &id,
                Event::Session {
                    info: session_info(&id),
                },
            ))
            .await
            .unwrap();
        settle().await;
    }
    let before = rig.backend.reads.lock().unwrap().len();
    stream.send(closed(false)).await.unwrap();
    stream.send(opened("e2", &[])).await.unwrap();
    settle().await;
    assert_eq!(rig.backend.reads.lock().unwrap().len(), before, "nobody looks at them");
}

#[tokio::test(start_paused = true)]
async fn a_title_that_a_person_chose_is_kept_against_one_that_is_made_meanwhile() {
    let mut rig = rig();
    let stream = rig.up().await;
    rig.service.rename("s", "Mine").await.unwrap();
    stream
        .send(event(
            "s",
            Event::Session {
                info: titled("Made up"),
            },
        ))
        .await
        .unwrap();
    settle().await;
    assert_eq!(rig.service.sessions().borrow()[0].info.title, "Mine");
    assert_eq!(*rig.backend.titles.lock().unwrap(), ["Mine", "Mine"]);
    // Long after, another's name counts.
    tokio::time::sleep(limits::RENAME_KEPT * 2).await;
    stream
        .send(event(
            "s",
            Event::Session {
                info: titled("Another's"),
            },
        ))
        .await
        .unwrap();
    settle().await;
    assert_eq!(rig.service.sessions().borrow()[0].info.title, "Another's");
}
