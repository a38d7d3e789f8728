//! Every transition and fault, on paused time: pauses pass at once, and how long they were is measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::fakes::{Setup, obey, rig};
use nexus_model::limits;
use nexus_model::plugin::{Availability, PluginState};
use nexus_model::tunnel::{Encryption, TunnelEvent, TunnelState, TunnelStatus};
use nexus_plugin_traits::{CancelReason, FailureKind, RunFailure};
use nexus_testkit::wait;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

fn failure(kind: FailureKind) -> RunFailure {
    RunFailure {
        kind,
        cause: "refused".to_owned(),
        fix: Some("look there".to_owned()),
    }
}

#[tokio::test(start_paused = true)]
async fn it_opens_shows_its_address_and_closes() {
    let mut rig = rig(Setup::default()).await;
    assert_eq!(rig.service.statuses().borrow()[0].state, TunnelState::Off);
    rig.service.open("main").await.unwrap();
    let run = rig.run().await;
    assert!(run.origin.ip().is_loopback() && run.origin.port() != 0);
    assert_eq!(rig.hosts(), ["own.example"]);
    run.up("http://bore.example:4711").await;
    let status = rig.until(|s| s.state == TunnelState::Up { connections: 1 }).await;
    assert_eq!(status.url.as_deref(), Some("http://bore.example:4711"));
    assert_eq!(rig.hosts(), ["own.example", "bore.example:4711"]);
    run.events
        .send(TunnelEvent::Reconnecting("net".to_owned()))
        .await
        .unwrap();
    rig.until(|s| {
        s.state
            == TunnelState::Reconnecting {
                cause: "net".to_owned(),
            }
    })
    .await;
    run.events
        .send(TunnelEvent::Degraded("one of four".to_owned()))
        .await
        .unwrap();
    rig.until(|s| {
        s.state
            == TunnelState::Degraded {
                cause: "one of four".to_owned(),
            }
    })
    .await;

    drop(obey(run));
    rig.service.close("main").await.unwrap();
    let status = rig.service.statuses().borrow()[0].clone();
    assert_eq!((status.state, status.url), (TunnelState::Off, None));
    assert_eq!(rig.listeners(), 0);
    assert_eq!(rig.reaped.load(Ordering::SeqCst), 0, "the plugin closed it itself");
    assert_eq!(rig.wanted("main").await, Some(false));
    assert!(
        rig.service
            .open("other")
            .await
            .unwrap_err()
            .to_string()
            .contains("`other`")
    );
}

#[tokio::test(start_paused = true)]
async fn never_before_an_account_exists() {
    let mut rig = rig(Setup {
        account: false,
        autostart: true,
        ..Setup::default()
    })
    .await;
    rig.until(|s| s.state == TunnelState::WaitingForAccount).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(rig.runs.try_recv().is_err());
    assert_eq!(rig.listeners(), 0);
    rig.service.close("main").await.unwrap();
    rig.until(|s| s.state == TunnelState::Off).await;
    rig.service.open("main").await.unwrap();
    rig.until(|s| s.state == TunnelState::WaitingForAccount).await;
    rig.account.send_replace(true);
    let run = rig.run().await;
    run.up("http://bore.example:1").await;
    rig.until(|s| s.state == TunnelState::Up { connections: 1 }).await;
}

#[tokio::test(start_paused = true)]
async fn plaintext_is_refused_with_the_toml() {
    let mut rig = rig(Setup {
        allow_plaintext: false,
        autostart: true,
        ..Setup::default()
    })
    .await;
    let status = rig.until(|s| matches!(s.state, TunnelState::Failed { .. })).await;
    let TunnelState::Failed { fix, .. } = status.state else {
        panic!()
    };
    assert!(
        fix.unwrap()
            .contains("set `allow_plaintext = true` in the existing table [tunnel.main]")
    );
    assert!(rig.runs.try_recv().is_err() && rig.listeners() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_promised_tls_may_not_give_an_address_without() {
    let setup = Setup {
        encryption: Encryption::Edge,
        allow_plaintext: false,
        autostart: true,
        ..Setup::default()
    };
    let mut rig = rig(setup).await;
    let run = rig.run().await;
    run.events
        .send(TunnelEvent::url("http://plain.example".to_owned()))
        .await
        .unwrap();
    drop(obey(run));
    let status = rig.until(|s| matches!(s.state, TunnelState::Failed { .. })).await;
    assert_eq!(status.url, None);
    assert_eq!(rig.listeners(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_open_opens_again_after_a_restart() {
    let mut again = rig(Setup {
        wanted: [("main".to_owned(), true)].into(),
        ..Setup::default()
    })
    .await;
    let run = again.run().await;
    run.up("http://bore.example:1").await;
    again.until(|s| s.state == TunnelState::Up { connections: 1 }).await;
    drop(obey(run));
    again.service.shutdown().await;
    again.until(|s| s.state == TunnelState::Off).await;
    assert_eq!(again.wanted("main").await, Some(true), "a shutdown forgets nothing");

    let mut never = rig(Setup {
        wanted: [("main".to_owned(), false)].into(),
        ..Setup::default()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(never.runs.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_with_a_growing_pause() {
    let mut rig = rig(Setup {
        autostart: true,
        ..Setup::default()
    })
    .await;
    let mut pauses = Vec::new();
    let port = rig.run().await;
    let origin = port.origin;
    port.end(Err(failure(FailureKind::Retry)));
    for _ in 0..12 {
        let status = rig.until(|s| matches!(s.state, TunnelState::Waiting { .. })).await;
        let TunnelState::Waiting { fix, at, .. } = status.state else {
            panic!()
        };
        assert_eq!(fix.as_deref(), Some("look there"));
        assert!(at > 1_000);
        let since = Instant::now();
        let run = rig.run().await;
        pauses.push(since.elapsed());
        assert_eq!(run.origin, origin, "a process that lives on keeps leading here");
        run.events
            .send(TunnelEvent::Starting("again".to_owned()))
            .await
            .unwrap();
        rig.until(|s| matches!(s.state, TunnelState::Starting { .. })).await;
        run.end(Err(failure(FailureKind::Retry)));
    }
    assert_eq!(pauses[0].as_millis(), limits::RESTART_FIRST.as_millis());
    assert!(
        pauses
            .windows(2)
            .all(|p| p[1] == p[0] * 2 || p[1] == limits::RESTART_MAX),
        "{pauses:?}"
    );
    assert_eq!(pauses.last(), Some(&limits::RESTART_MAX));

    // The operator says "now": that is a new beginning.
    rig.until(|s| matches!(s.state, TunnelState::Waiting { .. })).await;
    rig.service.open("main").await.unwrap();
    rig.run().await.end(Err(failure(FailureKind::Retry)));
    let since = Instant::now();
    let _run = rig.run().await;
    assert_eq!(since.elapsed(), limits::RESTART_FIRST);
}

#[tokio::test(start_paused = true)]
async fn a_long_pause_and_an_end_without_cause_are_waits_and_the_operator_ends_them() {
    let mut rig = rig(Setup {
        autostart: true,
        ..Setup::default()
    })
    .await;
    rig.run().await.end(Err(failure(FailureKind::RetryLater)));
    let since = Instant::now();
    rig.run().await.end(Ok(()));
    assert_eq!(since.elapsed(), limits::RETRY_LATER);
    let status = rig.until(|s| matches!(s.state, TunnelState::Waiting { .. })).await;
    assert!(matches!(status.state, TunnelState::Waiting { cause, .. } if cause.contains("without reporting a reason")));

    rig.run().await.end(Err(failure(FailureKind::RetryLater)));
    rig.until(|s| matches!(&s.state, TunnelState::Waiting { cause, .. } if cause == "refused"))
        .await;
    let since = Instant::now();
    rig.service.open("main").await.unwrap();
    let _run = rig.run().await;
    assert_eq!(since.elapsed(), Duration::ZERO, "`open` means now");
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_waits_for_the_operator() {
    let mut rig = rig(Setup {
        autostart: true,
        ..Setup::default()
    })
    .await;
    rig.run().await.end(Err(failure(FailureKind::Permanent)));
    let status = rig.until(|s| matches!(s.state, TunnelState::Failed { .. })).await;
    assert_eq!(
        status.state,
        TunnelState::Failed {
            cause: "refused".to_owned(),
            fix: Some("look there".to_owned())
        }
    );
    tokio::time::sleep(Duration::from_secs(7200)).await;
    assert!(rig.runs.try_recv().is_err());
    assert_eq!(rig.listeners(), 0);
    rig.service.open("main").await.unwrap();
    let run = rig.run().await;
    run.up("http://bore.example:1").await;
    rig.until(|s| s.state == TunnelState::Up { connections: 1 }).await;
}

#[tokio::test(start_paused = true)]
async fn a_crashed_plugin_adopts_its_process_and_the_address_stays() {
    let mut rig = rig(Setup {
        autostart: true,
        ..Setup::default()
    })
    .await;
    let run = rig.run().await;
    run.up("http://bore.example:1").await;
    rig.until(|s| s.state == TunnelState::Up { connections: 1 }).await;
    let origin = run.origin;
    rig.provider.state(PluginState::Restarting {
        cause: "trap".to_owned(),
        at: 2_000,
    });
    drop(run);
    let status = rig.until(|s| matches!(s.state, TunnelState::Reconnecting { .. })).await;
    assert_eq!(status.url.as_deref(), Some("http://bore.example:1"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(rig.runs.try_recv().is_err(), "not before the plugin is back");
    assert_eq!(rig.hosts(), ["own.example", "bore.example:1"]);
    rig.provider.state(PluginState::Running);
    let run = rig.run().await;
    assert_eq!(run.origin, origin);
    assert_eq!(rig.reaped.load(Ordering::SeqCst), 0);

    // It crashes for good: nothing stays behind.
    rig.provider.state(PluginState::Failed {
        cause: "trap".to_owned(),
    });
    drop(run);
    rig.until(|s| matches!(s.state, TunnelState::Failed { .. })).await;
    assert_eq!((rig.reaped.load(Ordering::SeqCst), rig.listeners()), (1, 0));
    rig.service.open("main").await.unwrap();
    let _run = rig.run().await;
    assert_eq!(
        rig.provider.starts.load(Ordering::SeqCst),
        1,
        "the operator restarts it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_does_not_close_is_ended_from_outside() {
    let mut rig = rig(Setup {
        autostart: true,
        ..Setup::default()
    })
    .await;
    let run = rig.run().await;
    run.up("http://bore.example:1").await;
    rig.until(|s| s.state == TunnelState::Up { connections: 1 }).await;
    let since = Instant::now();
    let (closed, ()) = tokio::join!(rig.service.close("main"), async {
        let mut statuses = rig.service.statuses();
        wait::watched("the tunnel stops", &mut statuses, |all| {
            all[0].state == TunnelState::Stopping
        })
        .await;
    });
    closed.unwrap();
    assert_eq!(since.elapsed(), limits::PLUGIN_CANCEL);
    assert_eq!(rig.service.statuses().borrow()[0].state, TunnelState::Off);
    assert_eq!(
        (
            rig.provider.stops.load(Ordering::SeqCst),
            rig.reaped.load(Ordering::SeqCst)
        ),
        (1, 1)
    );
    assert_eq!(rig.listeners(), 0);
    drop(run);
    rig.service.open("main").await.unwrap();
    let _run = rig.run().await;
    assert_eq!(rig.provider.starts.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn closing_after_a_crash_of_the_plugin_ends_its_process() {
    let mut rig = rig(Setup {
        autostart: true,
        ..Setup::default()
    })
    .await;
    let run = rig.run().await;
    run.up("http://bore.example:1").await;
    rig.until(|s| s.state == TunnelState::Up { connections: 1 }).await;
    rig.provider.state(PluginState::Restarting {
        cause: "trap".to_owned(),
        at: 2_000,
    });
    drop(run);
    rig.until(|s| matches!(s.state, TunnelState::Reconnecting { .. })).await;
    rig.service.close("main").await.unwrap();
    assert_eq!((rig.reaped.load(Ordering::SeqCst), rig.listeners()), (1, 0));
    assert_eq!(rig.service.statuses().borrow()[0].url, None);
}

#[tokio::test(start_paused = true)]
async fn a_missing_program_is_looked_for_again() {
    let mut rig = rig(Setup::default()).await;
    *rig.provider.availability.lock().unwrap() = Availability::missing("cargo install bore-cli");
    rig.service.open("main").await.unwrap();
    let status = rig.until(|s| matches!(s.state, TunnelState::Waiting { .. })).await;
    assert!(matches!(status.state, TunnelState::Waiting { fix: Some(fix), .. } if fix == "cargo install bore-cli"));
    assert!(rig.runs.try_recv().is_err());
    *rig.provider.availability.lock().unwrap() = Availability::ready("0.6");
    let since = Instant::now();
    let _run = rig.run().await;
    assert!(since.elapsed() <= limits::BACKEND_CHECK);
}

#[tokio::test(start_paused = true)]
async fn a_port_in_use_is_reported_and_retried() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let mut rig = rig(Setup {
        listen,
        autostart: true,
        ..Setup::default()
    })
    .await;
    let status = rig.until(|s| matches!(s.state, TunnelState::Waiting { .. })).await;
    assert!(matches!(status.state, TunnelState::Waiting { cause, .. } if cause.contains(&listen.to_string())));
    drop(taken);
    assert_eq!(rig.run().await.origin, listen);
}

#[tokio::test(start_paused = true)]
async fn a_listener_outside_loopback_is_refused() {
    let mut rig = rig(Setup {
        listen: "0.0.0.0:0".parse().unwrap(),
        autostart: true,
        ..Setup::default()
    })
    .await;
    rig.until(|s| matches!(s.state, TunnelState::Failed { .. })).await;
    assert!(rig.runs.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_can_be_added_and_removed_while_others_are_open() {
    let mut rig = rig(Setup::default()).await;
    rig.service.open("main").await.unwrap();
    let first = rig.run().await;
    first.up("http://main.example").await;
    rig.until(|s| s.url.is_some()).await;
    // One of this name was open before it was taken out of the file.
    crate::wanted_tunnels::WantedTunnels::new(rig.store.clone())
        .save("another", true)
        .await
        .unwrap();
    let config = nexus_config::resolved::Tunnel {
        name: "another".to_owned(),
        plugin: "tunnel-y".to_owned(),
        autostart: true,
        ..rig.config()
    };
    rig.service.add(config.clone()).await.unwrap();
    assert_eq!(rig.wanted("another").await, Some(false), "nobody has opened this one");
    let again = rig.service.add(config.clone()).await.unwrap_err().to_string();
    assert!(again.contains("already"), "{again}");
    let none = nexus_config::resolved::Tunnel {
        name: "none".to_owned(),
        plugin: "tunnel-none".to_owned(),
        ..config
    };
    assert!(rig.service.add(none).await.is_err(), "and leaves no trace");
    let run = rig.run().await;
    assert_eq!(run.plugin, "tunnel-y");
    run.up("http://another.example").await;
    let names = |all: &Vec<TunnelStatus>| all.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    let both = wait::watched("both tunnels have an address", &mut rig.statuses, |all| {
        all[0].url.is_some() && all[1].url.is_some()
    });
    assert_eq!(names(&both.await), ["another", "main"]);

    let closed = obey(run);
    rig.service.remove("another").await.unwrap();
    closed.await.unwrap();
    assert_eq!(names(&rig.service.statuses().borrow()), ["main"]);
    assert_eq!((rig.listeners(), first.events.is_closed()), (1, false));
    assert_eq!(
        rig.wanted("another").await,
        Some(false),
        "one of that name does not open by itself"
    );
    assert!(rig.service.remove("another").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_and_came_back_is_counted_until_it_is_closed() {
    let mut rig = rig(Setup::default()).await;
    rig.service.open("main").await.unwrap();
    let run = rig.run().await;
    run.up("http://a.example").await;
    rig.until(|s| s.url.is_some() && s.reconnects == 0).await;
    for lost in 1..=2 {
        run.events
            .send(TunnelEvent::Reconnecting("no answer".to_owned()))
            .await
            .unwrap();
        run.events.send(TunnelEvent::Ready(1)).await.unwrap();
        rig.until(|s| s.reconnects == lost).await;
    }
    run.end(Err(failure(FailureKind::Retry)));
    let run = rig.run().await;
    run.up("http://b.example").await;
    rig.until(|s| s.reconnects == 3).await;
    drop(obey(run));
    rig.service.close("main").await.unwrap();
    assert_eq!(rig.until(|s| s.state == TunnelState::Off).await.reconnects, 0);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_hears_that_the_host_ends_and_its_addresses_are_of_one_kind() {
    let address = |url: &str, private: bool| nexus_model::tunnel::Address {
        url: url.to_owned(),
        private,
    };
    let mut rig = rig(Setup::default()).await;
    rig.service.open("main").await.unwrap();
    let run = rig.run().await;
    let both = vec![
        address("http://bore.example:1", false),
        address("http://10.0.0.7:8080", true),
    ];
    run.events.send(TunnelEvent::Addresses(both.clone())).await.unwrap();
    run.events.send(TunnelEvent::Ready(1)).await.unwrap();
    let status = rig.until(|status| status.addresses.len() == 2).await;
    assert_eq!(
        (status.url.as_deref(), &status.addresses),
        (Some("http://bore.example:1"), &both)
    );
    assert_eq!(status.checked_address(), Some("http://bore.example:1"));
    assert_eq!(rig.hosts(), ["own.example", "bore.example:1", "10.0.0.7:8080"]);
    let closed = obey(run);
    rig.service.shutdown().await;
    assert_eq!(closed.await.unwrap(), CancelReason::HostEnds);
    assert!(rig.service.statuses().borrow()[0].addresses.is_empty());
}

#[tokio::test(start_paused = true)]
async fn addresses_with_and_without_tls_are_refused_together() {
    let mut rig = rig(Setup::default()).await;
    rig.service.open("main").await.unwrap();
    let run = rig.run().await;
    let address = |url: &str| nexus_model::tunnel::Address {
        url: url.to_owned(),
        private: false,
    };
    let mixed = vec![address("https://a.example"), address("http://a.example")];
    run.events.send(TunnelEvent::Addresses(mixed)).await.unwrap();
    drop(obey(run));
    let failed = rig
        .until(|status| matches!(status.state, TunnelState::Failed { .. }))
        .await;
    assert!(
        matches!(&failed.state, TunnelState::Failed { cause, fix: Some(_) } if cause.contains("with and without TLS")),
        "{failed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_with_the_provider_is_shown_until_the_run_goes_on() {
    let mut rig = rig(Setup::default()).await;
    rig.service.open("main").await.unwrap();
    let run = rig.run().await;
    let login = nexus_model::tunnel::ProviderLogin {
        login_url: "https://login.example/".to_owned(),
        code: Some("AB-1".to_owned()),
        expires_at: None,
    };
    for _ in 0..3 {
        run.events.send(TunnelEvent::LoginNeeded(login.clone())).await.unwrap();
    }
    let waits = rig
        .until(|status| matches!(status.state, TunnelState::LoginNeeded(_)))
        .await;
    assert_eq!(waits.state, TunnelState::LoginNeeded(login));
    run.up("http://bore.example:1").await;
    rig.until(|status| matches!(status.state, TunnelState::Up { .. })).await;
    drop(obey(run));
}
