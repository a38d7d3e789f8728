//! Two minors side by side: components of both in one engine, below one gate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::{BOTH, MADE_UP, NEWEST};
use crate::engine::{Inspection, LoadError, inspect};
use crate::{Loaded, Runtime, test_runtime};
use nexus_config::resolved::{Plugin, Source};
use nexus_model::plugin::Availability;
use nexus_model::tunnel::TunnelEvent;
use nexus_plugin_traits::{CallError, TunnelProvider};
use nexus_testkit::components::{self as fixtures, Contract};
use nexus_testkit::wait;
use std::path::PathBuf;
use std::sync::Arc;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

const WIT_0_3: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/minors/test_0_3/wit");
const WIT_0_2: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../plugin-api/wit");

const OF_0_2: Contract<'static> = Contract {
    wit: WIT_0_2,
    version: "0.2.0",
};
const OF_0_3: Contract<'static> = Contract {
    wit: WIT_0_3,
    version: "0.3.0",
};

/// A component without a body that has all of a world of the made-up minor, made into another one by `change` first.
fn without_body(world: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let wit = std::fs::read_to_string(format!("{WIT_0_3}/contract.wit")).unwrap();
    let package = resolve.push_str("contract.wit", &change(&wit)).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default().validate(true).module(&module).unwrap();
    encoder.encode().unwrap()
}

fn manifest(api: &str) -> String {
    format!(
        "manifest = 1\nname = \"demo\"\nkind = \"tunnel\"\nversion = \"1.2.3\"\napi = \"{api}\"\ndescription = \"d\"\nlicense = \
         \"MIT\"\n"
    )
}

fn inspected(component: Vec<u8>, api: &str) -> Result<Inspection, LoadError> {
    inspect(&fixtures::add_manifest(component, &manifest(api)), BOTH)
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// Made again as that of the newest minor: `NEXUS_CONTRACT=write` and the name of this test.
#[test]
fn the_contract_beside_the_made_up_wit_is_its_own() {
    let made = without_body("tunnel-provider-full", str::to_owned);
    let file = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/minors/test_0_3/contract.wasm"
    ));
    if std::env::var_os("NEXUS_CONTRACT").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    assert!(std::fs::read(&file).unwrap() == made, "the WIT is another one");
}

#[test]
fn the_minor_is_read_off_the_component() {
    let later = inspected(without_body("tunnel-provider", str::to_owned), "0.3").unwrap();
    assert_eq!((later.minor, later.contract()), (&MADE_UP, "0.3".to_owned()));
    let now = inspect(&fixtures::tunnel("", "(i32.const 1100)"), BOTH).unwrap();
    assert_eq!((now.minor, now.contract()), (&NEWEST, "0.2".to_owned()));
    // A later patch of it.
    let patched = without_body("tunnel-provider", |wit| wit.replace("@0.3.0", "@0.3.4"));
    assert_eq!(inspected(patched, ">=0.3, <0.5").unwrap().minor, &MADE_UP);
}

#[test]
fn an_optional_export_of_a_later_minor_is_found_or_absent_and_is_compared() {
    let optional = |world: &str| {
        let found = inspected(without_body(world, str::to_owned), "0.3").unwrap();
        found.optional_interfaces().collect::<Vec<_>>()
    };
    assert_eq!(optional("tunnel-provider-full"), [("quota", true)]);
    assert_eq!(optional("tunnel-provider"), [("quota", false)]);
    let other = without_body("tunnel-provider-full", |wit| {
        wit.replace("result<option<u64>, error>", "result<option<s64>, error>")
    });
    let cause = inspected(other, "0.3").unwrap_err().to_string();
    assert!(
        cause.contains("another state of the contract 0.3")
            && cause.contains("`remaining` of its nexus:plugin/quota@0.3.0")
            && cause.contains("found s64, expected u64"),
        "{cause}"
    );
}

#[test]
fn each_minor_has_its_own_types_and_its_own_functions() {
    // What 0.3 has more or otherwise is not there in 0.2.
    let moved = |wit: &str| wit.replace("0.3.0", "0.2.0");
    for (without, said) in [
        (
            "",
            "`fetch` of nexus:plugin/http@0.2.0 with another signature: in its parameter `request`, the record has the fields",
        ),
        (
            "  import http;\n",
            "it imports the function `get-many` of nexus:plugin/store@0.2.0, which does not exist",
        ),
    ] {
        let moved = without_body("tunnel-provider", |wit| moved(wit).replace(without, ""));
        let cause = inspected(moved, "0.2").unwrap_err().to_string();
        assert!(
            cause.contains("another state of the contract 0.2") && cause.contains(said),
            "{cause}"
        );
    }
}

#[test]
fn a_component_that_mixes_two_minors_is_refused() {
    let mixed = r#"(component
        (import "nexus:plugin/log@0.2.0" (instance))
        (instance $i) (export "nexus:plugin/tunnel@0.3.0" (instance $i)))"#;
    for (api, text) in [
        ("0.3", mixed.to_owned()),
        (
            "0.2",
            mixed
                .replace("tunnel@0.3.0", "tunnel@0.2.0")
                .replace("log@0.2.0", "log@0.3.0"),
        ),
    ] {
        let cause = inspected(wat(&text), api).unwrap_err().to_string();
        assert!(
            cause.starts_with("The component mixes two versions of the contract: it exports nexus:plugin/tunnel of 0.")
                && cause.contains(
                    "To fix: build all of it against one version of nexus:plugin; this host supports 0.3.x and 0.2.x"
                ),
            "{cause}"
        );
    }
    // Also by an export that this host does not know: one that knows it would refuse the component.
    for other in ["tunnel@0.2.0", "quota@0.4.0", "manage@1.0.0"] {
        let text = format!(
            r#"(component (instance $i) (export "nexus:plugin/tunnel@0.3.0" (instance $i)) (export "nexus:plugin/{other}" (instance $i)))"#
        );
        let cause = inspected(wat(&text), "0.3").unwrap_err().to_string();
        assert!(cause.contains("mixes two versions of the contract"), "{cause}");
    }
}

#[test]
fn a_version_that_is_not_supported_is_refused_with_both_and_what_to_do() {
    for version in ["0.4.0", "0.1.0", "1.0.0"] {
        let text = r#"(component (import "nexus:plugin/log@V" (instance)) (instance $i) (export "nexus:plugin/tunnel@V" (instance $i)))"#;
        let cause = inspected(wat(&text.replace('V', version)), "0.3")
            .unwrap_err()
            .to_string();
        assert!(
            cause.contains(&format!("imports nexus:plugin/log@{version}: its version is {version}, but this host supports 0.3.x and 0.2.x. To fix: ")),
            "{cause}"
        );
        let text = r#"(component (instance $i) (export "nexus:plugin/tunnel@V" (instance $i)))"#;
        let cause = inspected(wat(&text.replace('V', version)), "0.3")
            .unwrap_err()
            .to_string();
        assert!(
            cause.contains(&format!(
                "exports nexus:plugin/tunnel@{version}, but this host supports"
            )),
            "{cause}"
        );
        let minor = version.rsplit_once('.').unwrap().0;
        let cause = inspected(wat(&text.replace('V', version)), minor)
            .unwrap_err()
            .to_string();
        assert!(
            cause.contains(&format!(
                "was written for nexus:plugin ^{minor}, but this host supports 0.3.x and 0.2.x"
            )),
            "{cause}"
        );
    }
}

#[test]
fn what_the_manifest_says_of_the_minor_must_be_so() {
    let cause = inspected(without_body("tunnel-provider", str::to_owned), "0.2")
        .unwrap_err()
        .to_string();
    assert!(
        cause.contains(
            "says that it was written for nexus:plugin ^0.2, but its component has 0.3. To fix: write api = \"0.3\""
        ),
        "{cause}"
    );
}

struct World {
    dir: tempfile::TempDir,
    runtime: Arc<Runtime>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::speaking(BOTH, test_runtime::options(dir.path())).unwrap();
        Self { dir, runtime }
    }

    /// A plugin of this name, whose store may hold so much.
    fn load(&self, name: &str, store: u64, component: &[u8]) -> Loaded {
        let file = self
            .dir
            .path()
            .join(format!("{name}-{}.wasm", crate::digest(component)));
        std::fs::write(&file, component).unwrap();
        let mut plugin = Plugin {
            name: name.to_owned(),
            ..test_runtime::plugin(Source::File(file))
        };
        plugin.grants.store.quota = store;
        self.runtime.load(&plugin, None).unwrap()
    }

    fn tunnel(&self, name: &str, store: u64, component: &[u8]) -> Arc<dyn TunnelProvider> {
        let loaded = self.load(name, store, component);
        let tunnel = self.runtime.tunnel(loaded, format!("{name}.home"), None).unwrap();
        tunnel.start();
        tunnel
    }

    /// What the call of this plugin is answered with; `Ok` where it was allowed.
    async fn asks(&self, name: &str, store: u64, component: &[u8]) -> Result<(), String> {
        let tunnel = self.tunnel(name, store, component);
        let answer = match tunnel.check_availability().await {
            Ok(Availability::Unsuitable(unfit)) => Err(format!("{} {}", unfit.cause, unfit.fix.unwrap_or_default())),
            Ok(_) => Ok(()),
            Err(error) => panic!("{error:?}"),
        };
        tunnel.stop().await;
        answer
    }
}

const GET: (&str, &str, &str, &str) = ("store", "get", "i32 i32 i32", "(i32.const 64) (i32.const 4)");

fn asking(contract: Contract<'_>, (interface, function, parameters, call): (&str, &str, &str, &str)) -> Vec<u8> {
    fixtures::asking_of(contract, interface, function, parameters, call)
}

/// `set` of so many bytes under the key of the first `key` bytes of `demo`.
fn setting(contract: Contract<'_>, key: u32, bytes: u32) -> Vec<u8> {
    let call = format!("(i32.const 64) (i32.const {key}) (i32.const 4096) (i32.const {bytes})");
    asking(contract, ("store", "set", "i32 i32 i32 i32 i32", &call))
}

/// A request: the forms of the record in the two minors have the same places when they are passed flat.
const FETCH: (&str, &str, &str, &str) = (
    "http",
    "fetch",
    "i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i64 i32",
    "(i32.const 80) (i32.const 3) (i32.const 84) (i32.const 16) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) \
     (i32.const 0) (i64.const 0) (i32.const 0) (i64.const 0)",
);

#[tokio::test]
async fn components_of_two_minors_run_side_by_side_and_are_denied_by_one_gate() {
    let world = World::new();
    let (now, later) = (
        world.tunnel("one", 0, &fixtures::tunnel("", "(i32.const 1100)")),
        world.tunnel("two", 0, &fixtures::tunnel_of(OF_0_3, "", "(i32.const 1100)")),
    );
    for tunnel in [&now, &later] {
        assert_eq!(tunnel.check_availability().await, Ok(Availability::ready("")));
        assert!(!tunnel.describe().await.unwrap().stable_url);
    }
    for call in [GET, FETCH] {
        let denied = |contract| {
            let component = asking(contract, call);
            let world = &world;
            async move { world.asks("demo", 0, &component).await.unwrap_err() }
        };
        let (now, later) = (denied(OF_0_2).await, denied(OF_0_3).await);
        assert!(now.contains("[plugin.demo.grants"), "{now}");
        assert_eq!(now, later, "the same words, with the same lines to paste");
    }
}

#[tokio::test]
async fn what_one_plugin_is_granted_another_of_any_minor_is_not() {
    let world = World::new();
    for contract in [OF_0_2, OF_0_3] {
        assert_eq!(world.asks("granted", 100, &asking(contract, GET)).await, Ok(()));
        let denied = world.asks("other", 0, &asking(contract, GET)).await.unwrap_err();
        assert!(denied.contains("[plugin.other.grants]\nstore_quota"), "{denied}");
    }
    // The function that only the later one has asks the same gate.
    let many = ("store", "get-many", "i32 i32 i32", "(i32.const 4096) (i32.const 1)");
    let component = asking(OF_0_3, many);
    let denied = world.asks("other", 0, &component).await.unwrap_err();
    assert!(denied.contains("[plugin.other.grants]\nstore_quota"), "{denied}");
    let refused = world.asks("granted", 100, &component).await.unwrap_err();
    assert!(refused.contains("1 to 256 bytes"), "the key is empty: {refused}");
}

/// A plugin is the same one after its component was built for another minor.
#[tokio::test]
async fn limits_and_data_are_the_plugins_whichever_minor_it_speaks() {
    let world = World::new();
    assert_eq!(world.asks("demo", 100, &setting(OF_0_2, 4, 60)).await, Ok(()));
    let full = |contract| {
        let component = setting(contract, 3, 60);
        let world = &world;
        async move { world.asks("demo", 100, &component).await.unwrap_err() }
    };
    let (later, now) = (full(OF_0_3).await, full(OF_0_2).await);
    assert!(later.contains("its quota is 100"), "{later}");
    assert_eq!(later, now);
    assert_eq!(world.asks("another", 100, &setting(OF_0_3, 3, 60)).await, Ok(()));
    let growing = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    for contract in [OF_0_2, OF_0_3] {
        let tunnel = world.tunnel("greedy", 0, &fixtures::tunnel_of(contract, "", growing));
        let Err(CallError::Crashed(cause)) = tunnel.check_availability().await else {
            panic!("it has no limit")
        };
        assert!(cause.contains("8388608"), "{cause}");
    }
}

/// A tunnel provider of the made-up minor whose `run` says once that it is up by `demo`, over 7 connections, and ends well.
const RUN: &str = r#"
    (import "[export]nexus:plugin/tunnel@0.2.0" "[stream-new-1]run" (func $stream_new (result i64)))
    (import "[export]nexus:plugin/tunnel@0.2.0" "[async-lower][stream-write-1]run" (func $stream_write (param i32 i32 i32) (result i32)))
    (import "[export]nexus:plugin/tunnel@0.2.0" "[stream-drop-writable-1]run" (func $stream_drop (param i32)))
    (import "[export]nexus:plugin/tunnel@0.2.0" "[future-new-2]run" (func $future_new (result i64)))
    (import "[export]nexus:plugin/tunnel@0.2.0" "[async-lower][future-write-2]run" (func $future_write (param i32 i32) (result i32)))
    (import "[export]nexus:plugin/tunnel@0.2.0" "[future-drop-writable-2]run" (func $future_drop (param i32)))
    (import "[export]nexus:plugin/tunnel@0.2.0" "[task-return]run" (func $return (param i32 i32)))
    (import "$root" "[waitable-set-new]" (func $set_new (result i32)))
    (import "$root" "[waitable-join]" (func $join (param i32 i32))) ;;;
    (global $stream (mut i32) (i32.const 0))
    (global $future (mut i32) (i32.const 0))
    (global $set (mut i32) (i32.const 0))
    (global $sent (mut i32) (i32.const 0))
    (global $told (mut i32) (i32.const 0))
    (func $wait (result i32) (i32.or (i32.shl (global.get $set) (i32.const 4)) (i32.const 2)))
    (func $more (result i32)
        (if (i32.eqz (global.get $sent)) (then
            (global.set $sent (i32.const 1))
            (if (i32.eq (call $stream_write (global.get $stream) (i32.const 3072) (i32.const 1)) (i32.const -1))
                (then (return (call $wait))))))
        (call $stream_drop (global.get $stream))
        (global.set $told (i32.const 1))
        (if (i32.eq (call $future_write (global.get $future) (i32.const 4096)) (i32.const -1))
            (then (return (call $wait))))
        (call $future_drop (global.get $future))
        (i32.const 0))
    (func (export "[async-lift]nexus:plugin/tunnel@0.2.0#run") (param i32 i32 i32 i32) (result i32)
        (local $s i64) (local $f i64)
        (local.set $s (call $stream_new))
        (local.set $f (call $future_new))
        (global.set $stream (i32.wrap_i64 (i64.shr_u (local.get $s) (i64.const 32))))
        (global.set $future (i32.wrap_i64 (i64.shr_u (local.get $f) (i64.const 32))))
        (global.set $set (call $set_new))
        (call $join (global.get $stream) (global.get $set))
        (call $join (global.get $future) (global.get $set))
        (call $return (i32.wrap_i64 (local.get $s)) (i32.wrap_i64 (local.get $f)))
        (call $more))
    (func (export "[callback][async-lift]nexus:plugin/tunnel@0.2.0#run") (param i32 i32 i32) (result i32)
        (if (global.get $told) (then (call $future_drop (global.get $future)) (return (i32.const 0))))
        (call $more))
    (data (i32.const 64) "https://demo.example")
    (data (i32.const 3072) "\00\00\00\00\80\0c\00\00\01\00\00\00\07\00\00\00")
    (data (i32.const 3200) "\40\00\00\00\14\00\00\00")
    (func (export "nexus:plugin/tunnel@0.2.0#describe") (result i32) (i32.const 1024))
    (func (export "nexus:plugin/tunnel@0.2.0#check-availability") (result i32) (i32.const 1100))"#;

#[tokio::test]
async fn what_a_later_minor_says_in_its_own_words_arrives_in_those_of_the_host() {
    let world = World::new();
    let tunnel = world.tunnel(
        "demo",
        0,
        &fixtures::plugin_of(OF_0_3, "tunnel-provider", "tunnel", RUN),
    );
    let mut run = tunnel.run("127.0.0.1:1".parse().unwrap()).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = wait::within("the next event", run.events.recv()).await {
        events.push(event);
    }
    assert!(
        matches!(&events[..], [TunnelEvent::Addresses(urls), TunnelEvent::Ready(7)] if format!("{urls:?}").contains("https://demo.example")),
        "{events:?}"
    );
    assert!(wait::within("the outcome", run.outcome).await.unwrap().is_ok());
}
