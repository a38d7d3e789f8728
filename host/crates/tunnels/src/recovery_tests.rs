//! Commands, outages, dead connections and names that were made just now: a tunnel recovers, and its state is never an earlier
//! one; on paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::fakes::{Rig, Run, Setup, obey, rig};
use crate::Relocation;
use nexus_model::limits;
use nexus_model::tunnel::{Encryption, Network, PublicCheckResult, TunnelEvent, TunnelState, TunnelStatus};
use nexus_plugin_traits::{FailureKind, RunFailure};
use nexus_testkit::wait;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

const URL: &str = "https://quiet-river.example";
const SERVER: &str = "http://198.51.100.7:4711";

fn failure(kind: FailureKind, message: &str) -> RunFailure {
    RunFailure {
        kind,
        cause: message.to_owned(),
        fix: None,
    }
}

fn state(rig: &Rig) -> TunnelState {
    rig.service.statuses().borrow()[0].state.clone()
}

async fn up(url: &str) -> (Rig, Run) {
    let mut rig = rig(Setup::default()).await;
    rig.service.open("main").await.unwrap();
    let run = rig.run().await;
    run.up(url).await;
    rig.until(|s| s.url.as_deref() == Some(url) && s.state == TunnelState::Up { connections: 1 })
        .await;
    (rig, run)
}

async fn reached(rig: &mut Rig) {
    rig.until(|s| {
        matches!(
            s.public_check.as_ref().map(|r| &r.result),
            Some(PublicCheckResult::Passed { .. })
        )
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_order_is_never_answered_with_what_came_of_an_earlier_one() {
    for kind in [FailureKind::Permanent, FailureKind::RetryLater, FailureKind::Retry] {
        let mut rig = rig(Setup::default()).await;
        rig.service.open("main").await.unwrap();
        rig.run().await.end(Err(failure(kind, "no key")));
        rig.until(|s| matches!(s.state, TunnelState::Failed { .. } | TunnelState::Waiting { .. }))
            .await;
        // Fixed, and opened again: from here on nothing says "no key" any more.
        let mut all = rig.service.statuses();
        rig.service.open("main").await.unwrap();
        let now = state(&rig);
        assert!(matches!(now, TunnelState::Starting { .. }), "{now:?}");
        all.mark_unchanged();
        let run = rig.run().await;
        run.up(SERVER).await;
        let up = |all: &Vec<TunnelStatus>| {
            let state = &all[0].state;
            let of_the_earlier_one = matches!(
                state,
                TunnelState::Failed { .. } | TunnelState::Waiting { .. } | TunnelState::Off
            );
            assert!(!of_the_earlier_one, "{state:?}");
            matches!(state, TunnelState::Up { .. })
        };
        wait::watched("the tunnel is up", &mut all, up).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_ends_after_a_newer_order_says_nothing() {
    let mut rig = rig(Setup::default()).await;
    rig.service.open("main").await.unwrap();
    let old = rig.run().await;
    rig.service.open("main").await.unwrap();
    let mut all = rig.service.statuses();
    all.mark_unchanged();
    old.end(Err(failure(FailureKind::Permanent, "the old one")));
    let new = rig.run().await;
    new.up(SERVER).await;
    let up = |all: &Vec<TunnelStatus>| {
        let state = &all[0].state;
        assert!(!matches!(state, TunnelState::Failed { .. }), "{state:?}");
        matches!(state, TunnelState::Up { .. })
    };
    wait::watched("the tunnel is up", &mut all, up).await;
}

#[tokio::test(start_paused = true)]
async fn a_swap_to_one_whose_next_try_comes_too_late_fails_at_once_with_the_reason() {
    let (mut rig, _old) = up(SERVER).await;
    let begun = Instant::now();
    let service = Arc::clone(&rig.service);
    let swapping = tokio::spawn(async move { service.swap("main", "tunnel-y").await });
    rig.run()
        .await
        .end(Err(failure(FailureKind::RetryLater, "the service answered 500.")));
    let refused = swapping.await.unwrap().unwrap_err().to_string();
    assert!(refused.contains("the service answered 500."), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_swap_to_one_that_is_stuck_for_one_reason_ends_with_it() {
    let (mut rig, _old) = up(SERVER).await;
    let begun = Instant::now();
    let service = Arc::clone(&rig.service);
    let swapping = tokio::spawn(async move { service.swap("main", "tunnel-y").await });
    let new = rig.run().await;
    let cause = "The dashboard has no public hostname for this tunnel.";
    new.events
        .send(TunnelEvent::Reconnecting(cause.to_owned()))
        .await
        .unwrap();
    let closed = obey(new);
    let refused = swapping.await.unwrap().unwrap_err().to_string();
    closed.await.unwrap();
    assert!(refused.contains(cause), "{refused}");
    let took = begun.elapsed();
    assert!(
        took >= limits::COMMAND_STUCK && took < limits::COMMAND_STUCK * 2,
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_proved_dead_is_reopened_and_no_wrong_check_loops() {
    let (mut rig, mut run) = up(SERVER).await;
    let mut pauses = Vec::new();
    for _ in 0..4 {
        reached(&mut rig).await;
        *rig.checker.0.lock().unwrap() = Err("Connection refused".to_owned());
        let since = Instant::now();
        let closed = obey(run);
        let repaired = rig.until(|s| !matches!(s.state, TunnelState::Up { .. })).await;
        assert!(
            matches!(&repaired.state, TunnelState::Reconnecting { cause } | TunnelState::Waiting { cause, .. } if cause.contains("Connection refused")),
            "{repaired:?}"
        );
        pauses.push(since.elapsed());
        closed.await.unwrap();
        *rig.checker.0.lock().unwrap() = Ok(());
        run = rig.run().await;
        run.up(SERVER).await;
        rig.until(|s| s.state == TunnelState::Up { connections: 1 }).await;
    }
    assert!(pauses[0] >= limits::DEAD_EPHEMERAL, "{pauses:?}");
    let last = pauses.pop().unwrap();
    assert!(
        last > limits::REPAIR_FIRST * 3,
        "each comes later than the one before: {last:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_proves_nothing_restarts_nothing() {
    for (network, own, ever) in [
        (Network::Unknown, true, true),
        (Network::Unresolved, true, true),
        // This host is slow, and not the tunnel dead.
        (Network::Answered, false, true),
        // This machine cannot reach its own public address at all.
        (Network::Answered, true, false),
    ] {
        let mut rig = rig(Setup::default()).await;
        if !ever {
            *rig.checker.0.lock().unwrap() = Err("refused".to_owned());
        }
        rig.service.open("main").await.unwrap();
        let run = rig.run().await;
        run.up(SERVER).await;
        if ever {
            reached(&mut rig).await;
        }
        *rig.checker.0.lock().unwrap() = Err("refused".to_owned());
        *rig.checker.2.lock().unwrap() = (network, own);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(
            state(&rig),
            TunnelState::Up { connections: 1 },
            "{network:?} {own} {ever}"
        );
        assert!(!run.events.is_closed());
        let status = rig.service.statuses().borrow()[0].clone();
        assert!(
            matches!(status.public_check.unwrap().result, PublicCheckResult::Failed { .. }),
            "it is reported"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_reconnects_keeps_its_name_while_the_network_is_away_and_not_for_ever_where_it_is_there() {
    let (mut rig, run) = up(URL).await;
    reached(&mut rig).await;
    *rig.checker.0.lock().unwrap() = Err("no route".to_owned());
    *rig.checker.2.lock().unwrap() = (Network::Unknown, true);
    run.events
        .send(TunnelEvent::Reconnecting("no route".to_owned()))
        .await
        .unwrap();
    rig.until(|s| matches!(s.state, TunnelState::Reconnecting { .. })).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!run.events.is_closed(), "its program could come back");
    // The network is back, and its program is not.
    *rig.checker.0.lock().unwrap() = Err("the response was 530".to_owned());
    *rig.checker.2.lock().unwrap() = (Network::Answered, true);
    let since = Instant::now();
    obey(run).await.unwrap();
    assert!(since.elapsed() >= limits::DEAD_RECONNECTING, "{:?}", since.elapsed());
    assert!(since.elapsed() < limits::DEAD_RECONNECTING * 2);
    rig.run().await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_made_just_now_is_neither_asked_for_nor_given_out() {
    let mut rig = rig(Setup {
        encryption: Encryption::Edge,
        ..Setup::default()
    })
    .await;
    let begun = Instant::now();
    rig.service.open("main").await.unwrap();
    let run = rig.run().await;
    run.up(URL).await;
    let status = rig
        .until(|s| s.url.is_some() && s.state == TunnelState::Up { connections: 1 })
        .await;
    assert!(status.url_propagating && status.public_check.is_none());
    let status = rig.until(|s| !s.url_propagating).await;
    assert_eq!(begun.elapsed().as_secs(), limits::NAME_SETTLES.as_secs());
    assert_eq!(status.url.as_deref(), Some(URL));
    reached(&mut rig).await;
    assert!(rig.checker.3.lock().unwrap()[0] - begun >= limits::NAME_SETTLES);
    // The same name again is known by now.
    run.events.send(TunnelEvent::url(URL.to_owned())).await.unwrap();
    run.events.send(TunnelEvent::Ready(2)).await.unwrap();
    assert!(
        !rig.until(|s| s.state == TunnelState::Up { connections: 2 })
            .await
            .url_propagating
    );
    // A server's own name, or digits, are no names that were made.
    for lasting in ["https://bore.example:4711", "https://198.51.100.7"] {
        run.events.send(TunnelEvent::url(lasting.to_owned())).await.unwrap();
        assert!(
            !rig.until(|s| s.url.as_deref() == Some(lasting)).await.url_propagating,
            "{lasting}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_found_is_asked_for_ever_more_rarely() {
    let mut rig = rig(Setup::default()).await;
    *rig.checker.0.lock().unwrap() = Err("failed to lookup address information".to_owned());
    *rig.checker.2.lock().unwrap() = (Network::Unresolved, true);
    rig.service.open("main").await.unwrap();
    let run = rig.run().await;
    run.up(URL).await;
    tokio::time::sleep(Duration::from_secs(1800)).await;
    let asked = rig.checker.3.lock().unwrap().len();
    assert!((5..=12).contains(&asked), "{asked} times in half an hour");
    drop(run);
}

#[tokio::test(start_paused = true)]
async fn a_swap_does_not_ask_for_a_fresh_name_either() {
    let (mut rig, old) = up(SERVER).await;
    let begun = Instant::now();
    let service = Arc::clone(&rig.service);
    let swapping = tokio::spawn(async move { service.swap("main", "tunnel-y").await });
    let new = rig.run().await;
    new.up(URL).await;
    obey(old);
    swapping.await.unwrap().unwrap();
    assert!(begun.elapsed() >= limits::NAME_SETTLES);
    assert_eq!(rig.checker.1.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn clients_of_a_tunnel_with_a_fixed_port_are_notified_before_it_closes() {
    let own = if cfg!(target_os = "linux") {
        "127.0.83.2:0"
    } else {
        "127.0.0.1:0"
    };
    let listen = std::net::TcpListener::bind(own).unwrap().local_addr().unwrap();
    let mut rig = rig(Setup {
        listen,
        ..Setup::default()
    })
    .await;
    rig.service.open("main").await.unwrap();
    let old = rig.run().await;
    old.up(SERVER).await;
    let status = rig.until(|s| s.state == TunnelState::Up { connections: 1 }).await;
    assert!(status.fixed_listen);
    let info = rig.listeners.moved.lock().unwrap().last().unwrap().clone();
    let service = Arc::clone(&rig.service);
    let swapping = tokio::spawn(async move { service.swap("main", "tunnel-y").await });
    let relocation = wait::watched("the clients are told", &mut info.clone(), Option::is_some).await;
    assert_eq!(relocation, Some(Relocation { url: None }));
    assert!(!old.events.is_closed(), "told before");
    obey(old).await.unwrap();
    let new = rig.run().await;
    new.up(SERVER).await;
    let swapped = swapping.await.unwrap().unwrap();
    assert!(swapped.cut);
}
