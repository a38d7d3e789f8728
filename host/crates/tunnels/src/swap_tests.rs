//! Another plugin replaces the current one, or fails to, on paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::fakes::{Rig, Run, Setup, obey, rig};
use crate::{OriginSecret, Swapped, TunnelError};
use nexus_config::resolved;
use nexus_model::tunnel::Step;
use nexus_model::tunnel::{Encryption, TunnelEvent, TunnelState};
use nexus_plugin_traits::{CancelReason, FailureKind, RunFailure};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const OLD: &str = "http://old.example";

/// An open tunnel `main` of the plugin `tunnel-x`.
async fn open() -> (Rig, Run) {
    opened(Setup::default()).await
}

async fn opened(setup: Setup) -> (Rig, Run) {
    let old = if setup.encryption == Encryption::None {
        OLD
    } else {
        "https://old.example"
    };
    let mut rig = rig(setup).await;
    rig.service.open("main").await.unwrap();
    let run = rig.run().await;
    run.up(old).await;
    rig.until(|s| s.url.as_deref() == Some(old) && s.state == TunnelState::Up { connections: 1 })
        .await;
    (rig, run)
}

fn swap(rig: &Rig, plugin: &str) -> JoinHandle<Result<Swapped, TunnelError>> {
    let (service, plugin) = (Arc::clone(&rig.service), plugin.to_owned());
    tokio::spawn(async move { service.swap("main", &plugin).await })
}

#[tokio::test(start_paused = true)]
async fn the_old_one_serves_until_the_new_one_is_proved_and_then_drains() {
    let (mut rig, old) = open().await;
    *rig.checker.0.lock().unwrap() = Err("nobody there".to_owned());
    let swapping = swap(&rig, "tunnel-y");
    let new = rig.run().await;
    assert_eq!(new.plugin, "tunnel-y");
    assert_ne!(new.origin, old.origin, "each has a listener of its own");
    rig.until(|s| matches!(s.swap.as_ref().unwrap().step, Step::Opening { .. }))
        .await;
    new.up("http://new.example").await;
    let probing = rig
        .until(|s| matches!(s.swap.as_ref().unwrap().step, Step::Checking { .. }))
        .await;
    assert_eq!(
        (probing.plugin.as_str(), probing.url.as_deref()),
        ("tunnel-x", Some("http://old.example"))
    );
    assert_eq!(rig.listeners(), 2);

    *rig.checker.0.lock().unwrap() = Ok(());
    let draining = rig
        .until(|s| matches!(s.swap.as_ref().unwrap().step, Step::Draining { .. }))
        .await;
    assert_eq!(
        (draining.plugin.as_str(), draining.url.as_deref()),
        ("tunnel-y", Some("http://new.example"))
    );
    let closed = obey(old);
    let swapped = swapping.await.unwrap().unwrap();
    assert_eq!(closed.await.unwrap(), CancelReason::Replace);
    assert_eq!(
        (swapped.url.as_deref(), swapped.kept),
        (Some("http://new.example"), true)
    );
    let status = rig.service.statuses().borrow()[0].clone();
    assert_eq!((status.state, status.swap), (TunnelState::Up { connections: 1 }, None));
    assert_eq!(rig.listeners(), 1);
    assert_eq!(rig.serving(), ["tunnel-y"]);
    assert_eq!(rig.chosen().await, "tunnel-y");

    let closed = obey(new);
    rig.service.close("main").await.unwrap();
    assert_eq!(closed.await.unwrap(), CancelReason::Stop);
    assert_eq!(rig.listeners(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_open_changes_nothing() {
    let (mut rig, old) = open().await;
    let swapping = swap(&rig, "tunnel-y");
    rig.run().await.end(Err(RunFailure {
        kind: FailureKind::Permanent,
        cause: "no such account".to_owned(),
        fix: Some("make one".to_owned()),
    }));
    let refused = swapping.await.unwrap().unwrap_err().to_string();
    assert!(
        refused.contains("no such account") && refused.contains("make one"),
        "{refused}"
    );
    let status = rig.service.statuses().borrow()[0].clone();
    assert_eq!(
        (status.plugin.as_str(), &status.state),
        ("tunnel-x", &TunnelState::Up { connections: 1 })
    );
    assert!(
        matches!(status.swap.unwrap().step, Step::Failed { .. }),
        "and the page says so"
    );
    assert_eq!(rig.serving(), ["tunnel-x"]);
    assert_eq!((rig.listeners(), old.events.is_closed()), (1, false));
    assert_eq!(rig.chosen().await, "tunnel-x");

    let refused = rig.service.swap("main", "tunnel-none").await.unwrap_err().to_string();
    assert!(refused.contains("no tunnel plugin `tunnel-none`"), "{refused}");
    let same = rig.service.swap("main", "tunnel-x").await.unwrap_err().to_string();
    assert!(same.contains("already"), "{same}");
    assert!(matches!(
        rig.service.swap("other", "tunnel-y").await,
        Err(TunnelError::Unknown(..))
    ));
}

#[tokio::test(start_paused = true)]
async fn one_that_leads_elsewhere_changes_nothing() {
    let (mut rig, old) = open().await;
    *rig.checker.0.lock().unwrap() = Err("something else answers there".to_owned());
    let begun = Instant::now();
    let swapping = swap(&rig, "tunnel-y");
    let new = rig.run().await;
    new.up("http://elsewhere.example").await;
    let closed = obey(new);
    let refused = swapping.await.unwrap().unwrap_err().to_string();
    assert_eq!(closed.await.unwrap(), CancelReason::Stop, "nothing is in its place");
    assert!(
        refused.contains("the public check of http://elsewhere.example failed: something else answers there")
            && refused.contains("tunnel-y could not replace tunnel-x: ")
            && refused.contains(" tunnel-x stays active. To fix: ")
            && refused.contains("set `public_check = \"off\"` in the existing table [tunnel.main]"),
        "{refused}"
    );
    assert!(
        begun.elapsed() >= nexus_model::limits::SWAP_CHECK,
        "a new name takes its time"
    );
    assert!(rig.checker.1.load(Ordering::SeqCst) > 10);
    assert_eq!((rig.listeners(), old.events.is_closed()), (1, false));
    assert_eq!(
        rig.service.statuses().borrow()[0].url.as_deref(),
        Some("http://old.example")
    );
}

#[tokio::test(start_paused = true)]
async fn a_swap_to_a_plugin_that_stays_silent_ends() {
    let (mut rig, old) = open().await;
    let swapping = swap(&rig, "tunnel-y");
    let new = rig.run().await;
    new.events
        .send(TunnelEvent::Starting("dialling".to_owned()))
        .await
        .unwrap();
    let closed = obey(new);
    let refused = swapping.await.unwrap().unwrap_err().to_string();
    closed.await.unwrap();
    assert!(refused.contains("dialling"), "{refused}");
    assert!(!old.events.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_closed_tunnel_is_simply_served_by_another_from_then_on() {
    let mut rig = rig(Setup::default()).await;
    let swapped = rig.service.swap("main", "tunnel-y").await.unwrap();
    assert_eq!(swapped.url, None);
    assert!(rig.runs.try_recv().is_err());
    rig.service.open("main").await.unwrap();
    assert_eq!(rig.run().await.plugin, "tunnel-y");
    assert_eq!(rig.until(|_| true).await.plugin, "tunnel-y");
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_ends_both() {
    let (mut rig, old) = open().await;
    let swapping = swap(&rig, "tunnel-y");
    let new = rig.run().await;
    let closed = [obey(old), obey(new)];
    rig.service.close("main").await.unwrap();
    assert!(
        swapping
            .await
            .unwrap()
            .unwrap_err()
            .to_string()
            .contains("closed in the meantime")
    );
    for closed in closed {
        closed.await.unwrap();
    }
    assert_eq!(
        (rig.listeners(), rig.until(|_| true).await.state),
        (0, TunnelState::Off)
    );
}

#[tokio::test(start_paused = true)]
async fn one_swap_at_a_time() {
    let (mut rig, _old) = open().await;
    let _swapping = swap(&rig, "tunnel-y");
    rig.run().await;
    let busy = rig.service.swap("main", "tunnel-z").await.unwrap_err().to_string();
    assert!(busy.contains("is being replaced"), "{busy}");
}

#[tokio::test(start_paused = true)]
async fn where_the_listener_has_a_fixed_port_the_old_one_goes_first_and_comes_back() {
    // Free between two uses, so at an address where no other test takes any free port.
    let own = if cfg!(target_os = "linux") {
        "127.0.83.1:0"
    } else {
        "127.0.0.1:0"
    };
    let free = std::net::TcpListener::bind(own).unwrap().local_addr().unwrap();
    let (mut rig, old) = opened(Setup {
        listen: free,
        ..Setup::default()
    })
    .await;
    let closed = obey(old);
    let swapping = swap(&rig, "tunnel-y");
    let new = rig.run().await;
    closed.await.unwrap();
    assert_eq!((new.plugin.as_str(), new.origin), ("tunnel-y", free));
    new.end(Err(RunFailure {
        kind: FailureKind::Permanent,
        cause: "no".to_owned(),
        fix: None,
    }));
    assert!(swapping.await.unwrap().is_err());
    let again = rig.run().await;
    assert_eq!((again.plugin.as_str(), again.origin), ("tunnel-x", free));
}

#[tokio::test(start_paused = true)]
async fn other_settings_of_the_same_plugin_take_the_place_of_the_old_ones_or_leave_them() {
    let (mut rig, old) = open().await;
    let config = resolved::Tunnel {
        hosts: vec!["new.example".to_owned()],
        ..rig.config()
    };
    let reopen = |rig: &Rig| {
        let (service, config) = (Arc::clone(&rig.service), config.clone());
        tokio::spawn(async move { service.reopen(config).await })
    };
    let closed = obey(old);
    let reopening = reopen(&rig);
    let refused = rig.run().await;
    closed
        .await
        .expect("the old one is gone before its processes are led by another");
    refused.end(Err(RunFailure {
        kind: FailureKind::Permanent,
        cause: "no such server".to_owned(),
        fix: None,
    }));
    let error = reopening.await.unwrap().unwrap_err().to_string();
    assert!(
        error.contains("did not open with its new settings; the old settings are active again: no such server"),
        "{error}"
    );
    let again = rig.run().await;
    again.up(OLD).await;
    rig.until(|s| s.url.as_deref() == Some(OLD)).await;

    let closed = obey(again);
    let reopening = reopen(&rig);
    let new = rig.run().await;
    new.up("http://again.example").await;
    let swapped = reopening.await.unwrap().unwrap();
    closed.await.unwrap();
    assert_eq!(swapped.url.as_deref(), Some("http://again.example"));
    assert_eq!(rig.hosts(), ["new.example", "again.example"]);
    assert_eq!(
        rig.serving(),
        ["tunnel-x"],
        "neither the one that failed nor the one that was replaced"
    );
    assert_eq!(rig.service.serving()["main"], "tunnel-x");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_for_want_of_tls_leaves_the_tunnel_wanted() {
    let (mut rig, old) = opened(Setup {
        encryption: Encryption::Edge,
        allow_plaintext: false,
        ..Setup::default()
    })
    .await;
    // The fakes' other plugins have no TLS.
    let refused = rig.service.swap("main", "tunnel-y").await.unwrap_err().to_string();
    assert!(refused.contains("allow_plaintext = true"), "{refused}");
    assert_eq!(rig.wanted("main").await, Some(true), "it opens again after a restart");
    assert!(rig.runs.try_recv().is_err() && !old.events.is_closed());
}

#[test]
fn only_this_hosts_own_nonces_are_answered() {
    let (secret, other) = (OriginSecret::random(), OriginSecret::random());
    let nonce = secret.nonce().unwrap();
    assert_eq!(secret.answer(&nonce), secret.answer(&nonce));
    assert!(secret.answer(&nonce).is_some_and(|answer| answer.len() == 64));
    assert_eq!(other.answer(&nonce), None, "another listener does not answer for it");
    for foreign in ["", ".", "x", &nonce[1..], &format!("{nonce}0")] {
        assert_eq!(secret.answer(foreign), None, "{foreign}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_while_the_old_one_is_closed_for_the_new_one_opens_no_second_one() {
    let (mut rig, old) = open().await;
    let closed = obey(old);
    let config = rig.config();
    let (service, again) = (Arc::clone(&rig.service), config.clone());
    let reopening = tokio::spawn(async move { service.reopen(again).await });
    let new = rig.run().await;
    closed.await.unwrap();
    rig.service.open("main").await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(rig.runs.try_recv().is_err(), "both would lead the same processes");
    new.up("http://again.example").await;
    reopening.await.unwrap().unwrap();
    rig.until(|s| s.url.as_deref() == Some("http://again.example")).await;
    assert_eq!(rig.listeners(), 1);
}
