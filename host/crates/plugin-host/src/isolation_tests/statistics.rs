//! What is counted of a plugin, against what it did.

use super::*;
use nexus_model::plugin::PluginStatistics;
use nexus_plugin_traits::Supervised;

fn statistics(plugin: &(impl Supervised + ?Sized)) -> PluginStatistics {
    plugin.measured().unwrap().statistics()
}

#[tokio::test]
async fn calls_memory_and_cpu_are_those_of_the_plugin() {
    let world = World::new();
    // Takes three pages more than the two it has, and counts to thirty million.
    let body = "(drop (memory.grow (i32.const 3)))
        (loop $l (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 30000000))))
        (i32.const 1100)";
    let tunnel = world.tunnel(&fixtures::tunnel("", body));
    tunnel.describe().await.unwrap();
    let before = statistics(&*tunnel);
    assert_eq!(
        (before.calls, before.errors, before.memory_peak_bytes),
        (1, 0, 2 * 65_536)
    );
    tunnel.check_availability().await.unwrap();
    let after = statistics(&*tunnel);
    assert_eq!((after.calls, after.errors, after.crashes, after.denied), (2, 0, 0, 0));
    assert_eq!(after.memory_peak_bytes, 5 * 65_536);
    assert!(after.cpu_ms > before.cpu_ms && after.cpu_ms < 5_000, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_uses_no_cpu_and_no_answer_in_time_is_an_error() {
    let world = World::new();
    let import = r#"(import "nexus:plugin/clock@0.2.0" "sleep" (func $sleep (param i64)))"#;
    let tunnel = world.tunnel(&fixtures::tunnel(
        import,
        "(call $sleep (i64.const 100000000)) (i32.const 1100)",
    ));
    assert!(matches!(tunnel.check_availability().await, Err(CallError::Timeout(_))));
    let seen = statistics(&*tunnel);
    assert_eq!((seen.calls, seen.errors, seen.crashes), (2, 1, 0));
    assert!(seen.cpu_ms < 1_000, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn crashes_are_counted_over_restarts_and_over_a_swap_away_and_back() {
    let world = World::new();
    let crashes = fixtures::tunnel("", TRAP);
    let tunnel = world.tunnel(&crashes);
    let mut status = tunnel.status();
    for crash in 1..=2 {
        runs(&mut status).await;
        assert!(matches!(tunnel.check_availability().await, Err(CallError::Crashed(_))));
        let seen = statistics(&*tunnel);
        // Each instance was asked what it is, and then what traps.
        assert_eq!((seen.calls, seen.errors, seen.crashes), (crash * 2, crash, crash));
    }
    tunnel.stop().await;
    drop(tunnel);
    let again = world.tunnel(&crashes);
    again.describe().await.unwrap();
    assert_eq!((statistics(&*again).crashes, statistics(&*again).calls), (2, 5));
    // Another place counts for itself.
    let elsewhere = world
        .runtime
        .tunnel(world.load(&crashes), "demo.office".to_owned(), None)
        .unwrap();
    assert_eq!(statistics(&*elsewhere).calls, 0);
}

#[tokio::test]
async fn what_the_gate_refuses_and_what_the_log_drops_is_counted() {
    let world = World::new();
    let text = "(i32.const 64) (i32.const 4)";
    let store = fixtures::asking("store", "get", "i32 i32 i32", text);
    let tunnel = world.tunnel(&store);
    for _ in 0..3 {
        tunnel.check_availability().await.unwrap();
    }
    assert_eq!(statistics(&*tunnel).denied, 3);
    // A secret that may be left out is looked for, not tried.
    let secret = world.runtime.tunnel(
        world.load(&fixtures::asking("secrets", "get", "i32 i32 i32", text)),
        "demo.secret".to_owned(),
        None,
    );
    let secret = secret.unwrap();
    secret.start();
    secret.check_availability().await.unwrap();
    assert_eq!(statistics(&*secret).denied, 0);

    let import = r#"(import "nexus:plugin/log@0.2.0" "write" (func $write (param i32 i32 i32)))"#;
    let body = "(loop $l (call $write (i32.const 1) (i32.const 64) (i32.const 4))
        (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 500))))
        (i32.const 1100)";
    let loud = world.runtime.tunnel(
        world.load(&fixtures::tunnel(import, body)),
        "demo.loud".to_owned(),
        None,
    );
    let loud = loud.unwrap();
    loud.start();
    loud.check_availability().await.unwrap();
    // Ten a second, and it takes less than twenty.
    let dropped = statistics(&*loud).log_dropped;
    assert!((300..=490).contains(&dropped), "{dropped}");
}

#[tokio::test]
async fn each_login_is_part_of_the_statistics_of_its_plugin() {
    let world = World::new();
    let auth = world
        .runtime
        .auth(world.load(&fixtures::auth("(i32.const 1024)")))
        .unwrap();
    for _ in 0..3 {
        auth.methods().await.unwrap();
    }
    let seen = auth.measured().unwrap().statistics();
    assert_eq!((seen.calls, seen.errors, seen.memory_peak_bytes), (3, 0, 2 * 65_536));
    let auth = world.runtime.auth(world.load(&fixtures::auth(SPIN))).unwrap();
    assert!(auth.methods().await.is_err());
    let seen = auth.measured().unwrap().statistics();
    assert_eq!((seen.calls, seen.errors, seen.crashes), (4, 1, 1));
    // The limit of this world is 200 ms, of which a busy machine gives it a part only.
    assert!((10..5_000).contains(&seen.cpu_ms), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn events_are_counted_and_a_connection_that_crashes_is_one_error() {
    let world = World::new();
    let chat = world
        .runtime
        .chat(
            world.load(&fixtures::chat(30, "unreachable")),
            std::path::PathBuf::from("/work").into(),
            None,
        )
        .unwrap();
    chat.start();
    let mut stream = chat.events();
    texts(&mut stream, 30).await;
    closed(&mut stream).await;
    let seen = statistics(&*chat);
    assert_eq!((seen.calls, seen.errors, seen.crashes, seen.events), (2, 1, 1, 30));
}

#[tokio::test]
async fn facts_describe_what_is_granted() {
    let mut world = World::new();
    let program = world.dir.path().join("demo");
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let grants = &mut world.plugin.grants;
    grants.store.quota = 1 << 20;
    grants.http = vec![nexus_config::grants::HttpGrant::parse("https://evil.dev").unwrap()];
    grants.secrets = [("demo".to_owned(), nexus_config::resolved::Secret::new("hush"))].into();
    let grant = nexus_config::grants::ProcessGrant {
        path: Some(program.clone()),
        inherit_env: true,
        cwd: None,
    };
    grants.processes = [("demo".to_owned(), grant)].into();
    let bytes = fixtures::tunnel("", READY);
    let tunnel = world.tunnel(&bytes);
    let measured = tunnel.measured().unwrap();
    let facts = measured.facts();
    let runs = format!("run demo ({}) with your environment", program.display());
    assert_eq!(
        facts.grants,
        [
            runs.as_str(),
            "send requests to https://evil.dev",
            "store up to 1 MiB",
            "read the secret `demo`"
        ]
    );
    assert!(!format!("{facts:?}").contains("hush"));
    assert!(facts.limits.contains(&"8 MiB of memory".to_owned()), "{facts:?}");
    assert!(facts.limits.contains(&"1 process".to_owned()), "{facts:?}");
    assert_eq!((facts.digest.len(), facts.license.as_str()), (64, "MIT"));
    assert!(matches!(facts.source, plugin::Source::File(path) if path.ends_with("plugin.wasm")));
    std::fs::remove_file(&program).unwrap();
    assert_eq!(
        measured.facts().grants[0],
        "run demo (not found on this machine) with your environment"
    );
    assert_eq!(measured.statistics().denied, 0, "looking is no attempt of the plugin");
}
