//! What the operator says of the backend: restart, stop, another one.

use super::*;
use nexus_model::plugin::PluginState;
use nexus_plugin_traits::CancelReason;

#[tokio::test(start_paused = true)]
async fn a_restart_lets_a_turn_finish_holds_what_comes_meanwhile_and_ends_the_processes() {
    let mut rig = rig();
    let stream = rig.running().await;
    let service = Arc::clone(&rig.service);
    let restarting = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.restart().await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let prompting = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.prompt("s", prompt("paused"), false).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(rig.backend.prompts.lock().unwrap().is_empty() && rig.stopped.lock().unwrap().is_empty());
    rig.backend.has(session_snapshot("s", Turn::Idle));
    stream.send(event("s", Event::Turn { turn: Turn::Idle })).await.unwrap();
    restarting.await.unwrap().unwrap();
    assert_eq!(*rig.stopped.lock().unwrap(), ["chat-opencode"]);
    assert_eq!(rig.journal.now("s").turn, Turn::Idle, "nothing was cut");
    let stream = rig.stream().await;
    stream.send(opened("second", &[])).await.unwrap();
    assert_eq!(prompting.await.unwrap(), Ok(Admission::Admitted), "by the fresh one");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_end_is_cut_and_marked_and_a_stop_lasts() {
    let mut rig = rig();
    let stream = rig.running().await;
    stream.send(event("s", answer())).await.unwrap();
    settle().await;
    rig.service.stop().await.unwrap();
    assert_eq!(*rig.backend.left.lock().unwrap(), [CancelReason::Stop]);
    assert_eq!(rig.service.backend().borrow().phase, Phase::Stopped);
    assert_eq!(rig.journal.now("s").turn, Turn::Interrupted);
    let Err(ChatError::Unavailable(cause)) = rig.service.prompt("s", prompt("c"), false).await else {
        panic!("nobody is there to ask");
    };
    assert!(cause.contains("stopped"), "{cause}");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(rig.streams.try_recv().is_err(), "it stays stopped");
    rig.service.start().await.unwrap();
    let stream = rig.stream().await;
    stream.send(opened("second", &[])).await.unwrap();
    settle().await;
    assert_eq!(rig.service.backend().borrow().phase, Phase::Up);
}

#[tokio::test(start_paused = true)]
async fn an_order_does_not_wait_for_a_full_disk_and_what_was_cut_is_marked_later() {
    let mut rig = rig();
    let _feed = rig.running().await;
    rig.journal.disk_is_full(true);
    let limit = nexus_model::limits::CHAT_DRAIN + 2 * nexus_model::limits::SETTLE;
    tokio::time::timeout(limit, rig.service.stop()).await.unwrap().unwrap();
    assert_eq!(rig.service.backend().borrow().phase, Phase::Stopped);
    assert_eq!(rig.journal.now("s").turn, Turn::Running, "nothing could be written");
    rig.journal.disk_is_full(false);
    rig.backend.has(session_snapshot("s", Turn::Idle));
    rig.service.start().await.unwrap();
    let stream = rig.stream().await;
    stream.send(opened("second", &[])).await.unwrap();
    settle().await;
    assert_ne!(rig.journal.now("s").turn, Turn::Running);
}

#[tokio::test(start_paused = true)]
async fn a_backend_is_replaced_only_where_the_others_program_is_there() {
    let mut rig = rig();
    let _feed = rig.up().await;
    let (other, mut streams) = FakeChat::new("other");
    rig.offers("chat-other", &other);
    *other.availability.lock().unwrap() = Availability::missing("install it");
    let refused = rig.service.swap("chat-other").await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "chat-other cannot replace chat-opencode: other is not installed. Nothing has changed. To fix: install it"
    );
    assert_eq!(rig.service.backend().borrow().phase, Phase::Up);
    assert!(rig.stopped.lock().unwrap().is_empty());

    *other.availability.lock().unwrap() = Availability::ready("2");
    rig.service.swap("chat-other").await.unwrap();
    assert_eq!(*rig.backend.left.lock().unwrap(), [CancelReason::Replace]);
    let stream = next_stream(&mut streams).await;
    stream.send(opened("first", &[])).await.unwrap();
    settle().await;
    assert_eq!(rig.service.backend().borrow().phase, Phase::Up);
    assert_eq!(rig.service.backend().borrow().plugin, "chat-other");
    assert_eq!(*rig.stopped.lock().unwrap(), ["chat-opencode"]);
    // Its sessions can be read, and not continued here.
    assert!(matches!(
        rig.service.prompt("s", prompt("c"), false).await,
        Err(ChatError::Refused(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_fallback_that_is_active_too() {
    let mut rig = rig_with(TestJournal::new(), Availability::missing("install it"));
    let stream = next_stream(&mut rig.echo_streams).await;
    rig.echo.has(session_snapshot("e", Turn::Running));
    stream.send(opened("e1", &["e"])).await.unwrap();
    stream
        .send(event("e", Event::Turn { turn: Turn::Running }))
        .await
        .unwrap();
    stream.send(event("e", answer())).await.unwrap();
    settle().await;
    assert_eq!(rig.journal.now("e").turn, Turn::Running);
    rig.service.stop().await.unwrap();
    assert_eq!(*rig.stopped.lock().unwrap(), ["chat-echo", "chat-opencode"]);
    assert_eq!(rig.echo.status.borrow().state, PluginState::Stopped);
    assert_eq!(rig.journal.now("e").turn, Turn::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_start_and_a_restart_load_a_failed_fallback_again() {
    for restart in [false, true] {
        let mut rig = rig_with(TestJournal::new(), Availability::missing("install it"));
        rig.echo.status.send_modify(|status| {
            status.state = PluginState::Failed {
                cause: "its component is gone".to_owned(),
            };
        });
        tokio::time::sleep(10 * limits::RESTART_MAX).await;
        let Phase::Failed { cause, .. } = rig.phase() else {
            panic!("{:?}", rig.phase());
        };
        assert_eq!(cause, "its component is gone.");
        assert!(rig.echo_streams.try_recv().is_err(), "it does not run by itself");
        // What was wrong is corrected: the fake one starts when it is asked to.
        if restart {
            rig.service.restart().await.unwrap();
        } else {
            rig.service.start().await.unwrap();
        }
        let stream = tokio::time::timeout(2 * limits::RESTART_MAX, rig.echo_streams.recv());
        let stream = stream.await.expect("the fallback runs").unwrap();
        stream.send(opened("e1", &[])).await.unwrap();
        settle().await;
        let status = rig.service.backend().borrow().clone();
        assert_eq!((status.phase, status.plugin.as_str()), (Phase::Up, "chat-echo"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_is_loaded_again_does_not_run_beside_the_backend() {
    let mut rig = rig();
    let _feed = rig.up().await;
    rig.echo.status.send_modify(|status| {
        status.state = PluginState::Failed {
            cause: "its component is gone".to_owned(),
        };
    });
    rig.service.start().await.unwrap();
    settle().await;
    assert_eq!(rig.echo.status.borrow().state, PluginState::Stopped);
    assert!(rig.echo_streams.try_recv().is_err());
    assert_eq!(rig.service.backend().borrow().plugin, "chat-opencode");
}

#[tokio::test(start_paused = true)]
async fn a_swap_is_remembered_and_the_list_of_plugins_follows() {
    let mut rig = rig();
    let _feed = rig.up().await;
    let (other, _feeds) = FakeChat::new("other");
    rig.offers("chat-other", &other);
    assert!(rig.service.plugins().contains(&"chat-other".to_owned()));
    let serving = |rig: &Rig| -> Vec<String> {
        let all = rig.plugins.statuses.subscribe();
        all.borrow().iter().map(|status| status.name.clone()).collect()
    };
    assert_eq!(serving(&rig), ["opencode", "echo"]);
    for refused in ["chat-opencode", "tunnel-x", "nowhere"] {
        let refused = rig.service.swap(refused).await;
        assert!(matches!(refused, Err(ChatError::Refused(_))), "{refused:?}");
    }
    rig.service.swap("chat-other").await.unwrap();
    assert_eq!(serving(&rig), ["opencode", "echo", "other"], "it can be swapped back");
    let place = nexus_registry::chat_place("main");
    let (overrides, catalog) = (&rig.plugins.overrides, &rig.plugins.catalog);
    assert_eq!(
        overrides.plugin(&place, plugin::Kind::Chat, catalog).await,
        "chat-other"
    );
    assert_eq!(rig.service.plugin(), "chat-other");
    rig.service.apply("chat-other").await.unwrap();
    assert_eq!(
        serving(&rig),
        ["opencode", "echo", "other"],
        "with other settings, once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_compiled_is_shown_so_until_it_is() {
    let rig = rig();
    let what = |rig: &Rig| match rig.phase() {
        Phase::Starting { progress } => progress,
        other => panic!("{other:?}"),
    };
    settle().await;
    assert_eq!(what(&rig), "Checking for opencode");
    rig.shelf.compiling.send_replace(vec!["chat-opencode".to_owned()]);
    settle().await;
    assert!(what(&rig).starts_with("Compiling chat-opencode"), "{}", what(&rig));
    rig.shelf.compiling.send_replace(Vec::new());
    settle().await;
    assert_eq!(what(&rig), "Checking for opencode");
}

#[tokio::test(start_paused = true)]
async fn a_backend_hears_that_the_host_ends() {
    let mut rig = rig();
    let stream = rig.up().await;
    rig.service.end().await;
    assert_eq!(*rig.backend.left.lock().unwrap(), [CancelReason::HostEnds]);
    settle().await;
    assert!(stream.is_closed(), "and it is not read on");
}
