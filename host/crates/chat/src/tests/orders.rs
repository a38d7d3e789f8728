//! What the operator says of the backend: restart, stop, another one.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_restart_lets_a_turn_finish_holds_what_comes_meanwhile_and_ends_the_processes() {
    let mut rig = rig();
    let feed = rig.running().await;
    let service = Arc::new(rig.service);
    let restarting = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.restart().await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let prompting = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.prompt("s", prompt("held"), false).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(rig.backend.prompts.lock().unwrap().is_empty() && rig.stopped.lock().unwrap().is_empty());
    rig.backend.has(snapshot("s", Turn::Idle));
    feed.send(event("s", Event::Turn { turn: Turn::Idle })).await.unwrap();
    restarting.await.unwrap().unwrap();
    assert_eq!(*rig.stopped.lock().unwrap(), ["chat-opencode"]);
    assert_eq!(rig.journal.now("s").turn, Turn::Idle, "nothing was cut");
    let feed = rig.feeds.recv().await.unwrap();
    feed.send(epoch("second", &[])).await.unwrap();
    assert_eq!(prompting.await.unwrap(), Ok(Admission::Admitted), "by the fresh one");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_end_is_cut_and_marked_and_a_stop_lasts() {
    let mut rig = rig();
    let _feed = rig.running().await;
    rig.service.stop().await.unwrap();
    assert_eq!(rig.service.status().borrow().phase, Phase::Stopped);
    assert_eq!(rig.journal.now("s").turn, Turn::Interrupted);
    let Err(ChatError::Unavailable(why)) = rig.service.prompt("s", prompt("c"), false).await else {
        panic!("nobody is there to ask");
    };
    assert!(why.contains("stopped"), "{why}");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(rig.feeds.try_recv().is_err(), "it stays stopped");
    rig.service.start_again().await.unwrap();
    let feed = rig.feeds.recv().await.unwrap();
    feed.send(epoch("second", &[])).await.unwrap();
    settle().await;
    assert_eq!(rig.service.status().borrow().phase, Phase::Up);
}

#[tokio::test(start_paused = true)]
async fn an_order_does_not_wait_for_a_full_disk_and_what_was_cut_is_marked_later() {
    let mut rig = rig();
    let _feed = rig.running().await;
    rig.journal.break_for(1000);
    let limit = nexus_model::limits::CHAT_DRAIN + 2 * nexus_model::limits::SETTLE;
    tokio::time::timeout(limit, rig.service.stop()).await.unwrap().unwrap();
    assert_eq!(rig.service.status().borrow().phase, Phase::Stopped);
    assert_eq!(rig.journal.now("s").turn, Turn::Running, "nothing could be written");
    rig.journal.break_for(0);
    rig.backend.has(snapshot("s", Turn::Idle));
    rig.service.start_again().await.unwrap();
    let feed = rig.feeds.recv().await.unwrap();
    feed.send(epoch("second", &[])).await.unwrap();
    settle().await;
    assert_ne!(rig.journal.now("s").turn, Turn::Running);
}

#[tokio::test(start_paused = true)]
async fn another_backend_takes_over_only_where_its_program_is_there() {
    let mut rig = rig();
    let _feed = rig.up().await;
    let (other, mut feeds) = FakeBackend::new("other");
    let next = || Backend {
        plugin: "chat-other".to_owned(),
        backend: Arc::<FakeBackend>::clone(&other),
    };
    *other.availability.lock().unwrap() = Availability::Missing("install it".to_owned());
    let refused = rig.service.swap(next()).await.unwrap_err().to_string();
    assert!(
        refused.contains("install it") && refused.contains("as before"),
        "{refused}"
    );
    assert_eq!(rig.service.status().borrow().phase, Phase::Up);
    assert!(rig.stopped.lock().unwrap().is_empty());

    *other.availability.lock().unwrap() = Availability::Ready("2".to_owned());
    rig.service.swap(next()).await.unwrap();
    let feed = feeds.recv().await.unwrap();
    feed.send(epoch("first", &[])).await.unwrap();
    settle().await;
    assert_eq!(rig.service.status().borrow().phase, Phase::Up);
    assert_eq!(rig.service.status().borrow().plugin, "chat-other");
    assert_eq!(*rig.stopped.lock().unwrap(), ["chat-opencode"]);
    // Its conversations can be read, and not continued here.
    assert!(matches!(
        rig.service.prompt("s", prompt("c"), false).await,
        Err(ChatError::Refused(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_example_that_stands_in_too() {
    let mut rig = rig_with(FakeJournal::new(), Availability::Missing("install it".to_owned()));
    let feed = rig.echo_feeds.recv().await.unwrap();
    rig.echo.has(snapshot("e", Turn::Running));
    feed.send(epoch("e1", &["e"])).await.unwrap();
    feed.send(event("e", Event::Turn { turn: Turn::Running }))
        .await
        .unwrap();
    settle().await;
    assert_eq!(rig.journal.now("e").turn, Turn::Running);
    rig.service.stop().await.unwrap();
    assert_eq!(*rig.stopped.lock().unwrap(), ["chat-echo", "chat-opencode"]);
    assert_eq!(rig.echo.status.borrow().state, plugin::State::Stopped);
    assert_eq!(rig.journal.now("e").turn, Turn::Interrupted);
}
