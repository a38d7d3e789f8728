//! Every promise of isolation, with a plugin that tries to break it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod crash_causes;
mod statistics;

use crate::{Loaded, Runtime, test_runtime};
use nexus_config::resolved::{Plugin, Source};
use nexus_model::limits;
use nexus_model::plugin::{self, Availability, PluginState, PluginStatus};
use nexus_plugin_traits::auth::Context;
use nexus_plugin_traits::{BackendEvent, BackendEvents, CallError, TunnelProvider};
use nexus_testkit::components as fixtures;
use nexus_testkit::wait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

struct World {
    dir: tempfile::TempDir,
    runtime: Arc<Runtime>,
    plugin: Plugin,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::new(test_runtime::options(dir.path()));
        let plugin = test_runtime::plugin(Source::Builtin);
        Self {
            runtime: runtime.unwrap(),
            plugin,
            dir,
        }
    }

    fn load(&self, bytes: &[u8]) -> Loaded {
        let file = self.dir.path().join("plugin.wasm");
        std::fs::write(&file, bytes).unwrap();
        let plugin = Plugin {
            source: Source::File(file),
            digest: None,
            component: Default::default(),
            ..self.plugin.clone()
        };
        self.runtime.load(&plugin, None).unwrap()
    }

    fn tunnel(&self, bytes: &[u8]) -> Arc<dyn TunnelProvider> {
        let tunnel = self.runtime.tunnel(self.load(bytes), "demo.home".to_owned(), None);
        let tunnel = tunnel.unwrap();
        tunnel.start();
        tunnel
    }
}

async fn runs(status: &mut watch::Receiver<PluginStatus>) {
    wait::watched("the plugin runs", status, |s| s.state == PluginState::Running).await;
}

const READY: &str = "(i32.const 1100)";
const TRAP: &str = "unreachable";
const SPIN: &str = "(loop $l (br $l)) unreachable";
/// Takes memory until it is refused, and then aborts.
const BOMB: &str = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";

#[tokio::test]
async fn a_plugin_answers() {
    let world = World::new();
    let tunnel = world.tunnel(&fixtures::tunnel("", READY));
    assert_eq!(tunnel.check_availability().await, Ok(Availability::ready("")));
    assert!(!tunnel.describe().await.unwrap().stable_url);
    assert_eq!(tunnel.status().borrow().state, PluginState::Running);
    tunnel.stop().await;
    assert_eq!(tunnel.status().borrow().state, PluginState::Stopped);
    assert!(
        matches!(tunnel.check_availability().await, Err(CallError::Unavailable(cause)) if cause.contains("stopped"))
    );
    tunnel.start();
    assert!(tunnel.check_availability().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_crashes_is_restarted_until_the_limit_is_reached() {
    let world = World::new();
    let tunnel = world.tunnel(&fixtures::tunnel("", TRAP));
    let mut status = tunnel.status();
    for crash in 1..=limits::RESTART_BUDGET {
        runs(&mut status).await;
        let Err(CallError::Crashed(cause)) = tunnel.check_availability().await else {
            panic!("it should have crashed")
        };
        assert!(cause.contains("trap"), "{cause}");
        let seen = tunnel.status().borrow().clone();
        assert_eq!(seen.restarts, crash);
        assert_eq!(seen.last_failure.unwrap().cause, cause);
    }
    runs(&mut status).await;
    assert!(matches!(tunnel.check_availability().await, Err(CallError::Crashed(_))));
    assert!(matches!(&tunnel.status().borrow().state, PluginState::Failed { cause } if cause.contains("trap")));
    assert!(
        matches!(tunnel.check_availability().await, Err(CallError::Unavailable(cause)) if cause.contains("restart limit"))
    );
    tunnel.start();
    runs(&mut status).await;
}

#[tokio::test]
async fn a_plugin_that_spins_is_ended_and_holds_nobody_up() {
    let world = World::new();
    let spins = world.tunnel(&fixtures::tunnel("", SPIN));
    let other = world.tunnel(&fixtures::tunnel("", READY));
    other.check_availability().await.unwrap();
    let spinning = tokio::spawn({
        let spins = Arc::clone(&spins);
        async move { spins.check_availability().await }
    });
    // In a task: what tokio is given to block on gets its turn only after 61 of those, the tasks are equal.
    let calling = tokio::spawn(async move {
        let mut calls = 0;
        while !spinning.is_finished() {
            other.check_availability().await.unwrap();
            calls += 1;
            tokio::task::yield_now().await;
        }
        (calls, spinning)
    });
    let (calls, spinning) = wait::within("the plugin that spins is ended", calling).await.unwrap();
    let ended = spinning.await.unwrap();
    assert!(
        calls > 1,
        "on one thread, the other plugin was answered {calls} times; {ended:?}"
    );
    let Err(CallError::Crashed(cause)) = ended else {
        panic!("it should have been ended")
    };
    assert!(cause.contains("200 ms of CPU"), "{cause}");
}

#[tokio::test]
async fn calling_the_host_gives_no_new_budget() {
    let world = World::new();
    let import = r#"(import "nexus:plugin/clock@0.2.0" "now" (func $now (result i64)))"#;
    let tunnel = world.tunnel(&fixtures::tunnel(
        import,
        "(loop $l (drop (call $now)) (br $l)) unreachable",
    ));
    assert!(matches!(tunnel.check_availability().await, Err(CallError::Crashed(cause)) if cause.contains("CPU")));
}

#[tokio::test]
async fn a_plugin_does_not_die_of_age() {
    let mut world = World::new();
    world.plugin.limits.cpu = Duration::from_millis(400);
    // Works until 50 ms have passed by the clock of the host.
    let import = r#"(import "nexus:plugin/clock@0.2.0" "now" (func $now (result i64)))"#;
    let body = "(global.set $end (i64.add (call $now) (i64.const 50)))
        (loop $l (br_if $l (i64.lt_u (call $now) (global.get $end)))) (i32.const 1100)";
    let tunnel = fixtures::tunnel(
        import,
        &format!("{body}) (global $end (mut i64) (i64.const 0)) (func (result i32) (i32.const 0)"),
    );
    let tunnel = world.tunnel(&tunnel);
    for _ in 0..20 {
        tunnel.check_availability().await.unwrap();
    }
    assert_eq!(tunnel.status().borrow().restarts, 0);
}

#[tokio::test]
async fn a_spinning_plugin_is_stopped_from_outside() {
    let mut world = World::new();
    world.plugin.limits.cpu = Duration::from_secs(3600);
    let tunnel = world.tunnel(&fixtures::tunnel("", SPIN));
    let call = tokio::spawn({
        let tunnel = Arc::clone(&tunnel);
        async move { tunnel.check_availability().await }
    });
    let spins = async || tunnel.measured().unwrap().statistics().cpu_ms >= 20;
    wait::until_async("the plugin spins", spins).await;
    // Its CPU alone would let it spin for an hour.
    wait::within("the plugin is stopped", tunnel.stop()).await;
    assert!(matches!(call.await.unwrap(), Err(CallError::Unavailable(_))));
}

#[tokio::test]
async fn memory_has_an_end() {
    let world = World::new();
    let tunnel = world.tunnel(&fixtures::tunnel("", BOMB));
    let Err(CallError::Crashed(cause)) = tunnel.check_availability().await else {
        panic!("it should have crashed")
    };
    assert!(
        cause.contains("bytes of memory") && cause.contains("8388608"),
        "{cause}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_and_the_instance_lives() {
    let world = World::new();
    let import = r#"(import "nexus:plugin/clock@0.2.0" "sleep" (func $sleep (param i64)))"#;
    let tunnel = world.tunnel(&fixtures::tunnel(
        import,
        "(call $sleep (i64.const 100000000)) (i32.const 1100)",
    ));
    assert!(matches!(tunnel.check_availability().await, Err(CallError::Timeout(cause)) if cause.contains("30000 ms")));
    assert!(tunnel.describe().await.is_ok());
    assert_eq!(tunnel.status().borrow().restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_answers_nothing_is_started_again() {
    let world = World::new();
    let import = r#"(import "nexus:plugin/clock@0.2.0" "sleep" (func $sleep (param i64)))"#;
    let tunnel = world.tunnel(&fixtures::tunnel(
        import,
        "(call $sleep (i64.const 100000000)) (i32.const 1100)",
    ));
    for _ in 0..15 {
        assert!(matches!(tunnel.check_availability().await, Err(CallError::Timeout(_))));
    }
    assert_eq!(tunnel.status().borrow().restarts, 0);
    assert!(matches!(tunnel.check_availability().await, Err(CallError::Timeout(_))));
    let mut status = tunnel.status();
    let crashed = wait::watched("the plugin is restarted", &mut status, |s| s.restarts == 1).await;
    let cause = &crashed.last_failure.as_ref().unwrap().cause;
    assert!(
        cause.contains("too many calls were not answered within 30000 ms"),
        "{cause}"
    );
}

#[tokio::test]
async fn handles_have_an_end() {
    let world = World::new();
    let import = r#"(import "$root" "[waitable-set-new]" (func $set_new (result i32)))"#;
    let tunnel = world.tunnel(&fixtures::tunnel(
        import,
        "(loop $l (drop (call $set_new)) (br $l)) unreachable",
    ));
    let Err(CallError::Crashed(cause)) = tunnel.check_availability().await else {
        panic!("it should have crashed")
    };
    assert!(
        cause.contains("holds too many streams, futures and calls at once: more than 4128, its limit")
            && cause.contains("[plugin.demo.limits]\nstreams = 8"),
        "{cause}"
    );
}

#[tokio::test]
async fn the_same_bytes_cannot_be_handed_over_again_and_again() {
    let world = World::new();
    // A list of 4096 methods, each with an id and a title of the same 64 KiB: half a gigabyte out of two pages.
    let provider = world
        .runtime
        .auth(world.load(&fixtures::auth(
            "(local $n i32)
            (i32.store (i32.const 1024) (i32.const 65536)) (i32.store (i32.const 1028) (i32.const 4096))
            (drop (memory.grow (i32.const 8)))
            (loop $l
                (i32.store offset=65536 (i32.mul (local.get $n) (i32.const 28)) (i32.const 0))
                (i32.store offset=65540 (i32.mul (local.get $n) (i32.const 28)) (i32.const 65536))
                (i32.store offset=65548 (i32.mul (local.get $n) (i32.const 28)) (i32.const 0))
                (i32.store offset=65552 (i32.mul (local.get $n) (i32.const 28)) (i32.const 65536))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $n) (i32.const 4096))))
            (i32.const 1024)",
        )))
        .unwrap();
    let Err(CallError::Crashed(cause)) = provider.methods().await else {
        panic!("it should have crashed")
    };
    assert!(cause.contains("passed more than 8388608 bytes at once"), "{cause}");
}

#[tokio::test]
async fn what_is_not_granted_is_denied_with_its_fix_and_without_a_trap() {
    let world = World::new();
    let text = "(i32.const 64) (i32.const 4)";
    let get = "i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i64 i32";
    let url = r#"(i32.const 80) (i32.const 3) (i32.const 84) (i32.const 16) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0) (i64.const 0)"#;
    for (name, plugin, fix) in [
        (
            "store",
            fixtures::asking("store", "get", "i32 i32 i32", text),
            "store_quota",
        ),
        (
            "secret",
            fixtures::asking("secrets", "get", "i32 i32 i32", text),
            "[plugin.demo.secrets]\ndemo = ",
        ),
        (
            "process",
            fixtures::asking("process", "find", "i32 i32 i32", text),
            "[plugin.demo.grants.process.demo]",
        ),
        (
            "http",
            fixtures::asking("http", "fetch", get, url),
            "http = [\"https://evil.dev\"]",
        ),
    ] {
        let tunnel = world.tunnel(&plugin);
        match tunnel.check_availability().await {
            Ok(Availability::Unsuitable(unfit)) => assert!(unfit.cause.contains(fix), "{name}: {unfit:?}"),
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(tunnel.status().borrow().restarts, 0, "{name}");
    }
}

#[tokio::test]
async fn a_granted_store_is_there() {
    let mut world = World::new();
    world.plugin.grants.store.quota = 100;
    let tunnel = world.tunnel(&fixtures::asking(
        "store",
        "get",
        "i32 i32 i32",
        "(i32.const 64) (i32.const 4)",
    ));
    assert_eq!(tunnel.check_availability().await, Ok(Availability::ready("")));
}

async fn texts(stream: &mut BackendEvents, count: u32) {
    for n in 0..count {
        match wait::within("the next event", stream.recv()).await.unwrap() {
            BackendEvent::Starting(text) => assert_eq!(text, format!("{n:03}")),
            other => panic!("event {n}: {other:?}"),
        }
        // A slow reader: the plugin is held back, nothing is lost.
        if n % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn closed(stream: &mut BackendEvents) -> plugin::Failure {
    match wait::within("the end of the events", stream.recv()).await {
        Some(BackendEvent::Closed(failure)) => failure,
        other => panic!("the events should have ended: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn events_come_in_order_and_again_after_each_end() {
    let world = World::new();
    let chat = world
        .runtime
        .chat(
            world.load(&fixtures::chat(900, "")),
            std::path::PathBuf::from("/work").into(),
            None,
        )
        .unwrap();
    chat.start();
    let mut stream = chat.events();
    for _ in 0..3 {
        texts(&mut stream, 900).await;
        let failure = closed(&mut stream).await;
        assert!(!failure.permanent);
    }
    assert_eq!((chat.title().as_str(), chat.is_example()), ("demo chat", true));
    assert_eq!(chat.status().borrow().restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn events_survive_a_crash() {
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
    for crash in 0..=limits::RESTART_BUDGET {
        texts(&mut stream, 30).await;
        let failure = closed(&mut stream).await;
        assert!(failure.cause.contains("trap"), "{}", failure.cause);
        assert_eq!(failure.permanent, crash == limits::RESTART_BUDGET);
    }
    chat.start();
    texts(&mut stream, 30).await;
}

#[tokio::test]
async fn a_missing_optional_interface_is_reported() {
    let world = World::new();
    let chat = world
        .runtime
        .chat(
            world.load(&fixtures::chat(1, "")),
            std::path::PathBuf::from("/work").into(),
            None,
        )
        .unwrap();
    chat.start();
    assert_eq!(
        chat.sessions(None, 10).await,
        Err(CallError::Unsupported("list sessions"))
    );
    assert_eq!(chat.models("").await, Err(CallError::Unsupported("list models")));
    assert!(chat.sign_out("acme").await.is_err());
}

#[tokio::test]
async fn each_login_has_an_instance_of_its_own() {
    let world = World::new();
    // Traps at its second call: an instance that were used twice would.
    let body = "(if (global.get $calls) (then unreachable))
        (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (i32.const 1024)";
    let auth = world.runtime.auth(world.load(&fixtures::auth(body))).unwrap();
    for _ in 0..3 {
        assert_eq!(auth.methods().await, Ok(Vec::new()));
    }
    assert!(!auth.enrolls());
    assert_eq!(
        auth.enroll(Context::default()).await,
        Err(CallError::Unsupported("enroll accounts"))
    );
    assert!(auth.status().last_failure.is_none());

    let auth = world.runtime.auth(world.load(&fixtures::auth(SPIN))).unwrap();
    assert!(matches!(auth.methods().await, Err(CallError::Crashed(cause)) if cause.contains("CPU")));
    assert!(auth.status().last_failure.is_some());
}

#[test]
fn types_that_do_not_fit_are_refused_with_a_message() {
    let world = World::new();
    let wat = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $e (export "describe" (func $f)))
        (export "nexus:plugin/tunnel@0.2.0" (instance $e)))"#;
    let manifest = "name = \"demo\"\nkind = \"tunnel\"\nversion = \"1.2.3\"\napi = \"0.2\"\ndescription = \
        \"d\"\nlicense = \"MIT\"\n";
    let bytes: &'static [u8] = Box::leak(fixtures::component(wat, manifest).into_boxed_slice());
    let error = world
        .runtime
        .load(&world.plugin, Some(bytes))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("was built against another state of the contract 0.2"),
        "{error}"
    );
    assert!(
        world
            .runtime
            .load(&world.plugin, None)
            .err()
            .unwrap()
            .to_string()
            .contains("[plugin.demo] source")
    );
}

#[test]
fn a_plugin_of_another_kind_is_refused() {
    let world = World::new();
    let loaded = world.load(&fixtures::tunnel("", READY));
    let error = world
        .runtime
        .chat(loaded, std::path::PathBuf::from("/").into(), None)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("is a tunnel plugin and cannot be used as a chat plugin"),
        "{error}"
    );
}
