//! What is said when a plugin crashes, or cannot run at all.

use super::*;
use nexus_plugin_api::error_text::cause_and_fix;

#[tokio::test]
async fn a_trap_says_which_function_of_the_contract_it_was_and_where_in_the_plugin() {
    let world = World::new();
    let tunnel = world.tunnel(&fixtures::plugin(
        "tunnel-provider",
        "tunnel",
        r#"
        (func (export "nexus:plugin/tunnel@0.2.0#describe") (result i32) (i32.const 1024))
        (func (export "nexus:plugin/tunnel@0.2.0#run") (param i32 i32 i32 i32) (result i32) unreachable)
        (func $acme::inner unreachable)
        (func $acme::outer (call $acme::inner))
        (func $nexus:plugin/tunnel@0.2.0#check-availability (export "nexus:plugin/tunnel@0.2.0#check-availability") (result i32)
            (call $acme::outer) unreachable)"#,
    ));
    let Err(CallError::Crashed(cause)) = tunnel.check_availability().await else {
        panic!("it should have crashed")
    };
    assert!(
        cause.contains("in tunnel.check-availability (acme::inner < acme::outer)"),
        "{cause}"
    );
}

#[tokio::test]
async fn a_limit_that_can_be_raised_says_how() {
    let world = World::new();
    for (body, fix) in [
        (BOMB, "[plugin.demo.limits]\nmemory = \"16 MiB\""),
        (SPIN, "[plugin.demo.limits]\ncpu = \"400ms\""),
    ] {
        let tunnel = world.tunnel(&fixtures::tunnel("", body));
        let Err(CallError::Crashed(cause)) = tunnel.check_availability().await else {
            panic!("it should have crashed")
        };
        let (cause, named) = cause_and_fix(&cause);
        assert!(
            cause.contains("its limit") && named.is_some_and(|named| named.ends_with(fix)),
            "{cause}"
        );
    }
}

#[test]
fn a_component_that_begins_with_more_memory_than_it_may_have_is_refused_when_it_is_loaded() {
    let mut world = World::new();
    world.plugin.limits.memory = 64 << 10;
    let file = world.dir.path().join("plugin.wasm");
    std::fs::write(&file, fixtures::tunnel("", READY)).unwrap();
    world.plugin.source = Source::File(file);
    let refused = world.runtime.load(&world.plugin, None).err().unwrap().to_string();
    let (cause, fix) = refused.split_once(" or restart Nexus:\n").unwrap();
    assert!(
        cause.contains("131072 bytes of memory, but its limit is 65536"),
        "{refused}"
    );
    let fix: toml::Table = toml::from_str(fix).unwrap();
    assert_eq!(fix["plugin"]["demo"]["limits"]["memory"].as_str(), Some("1 MiB"));
}

#[tokio::test]
async fn a_trap_in_the_depth_names_the_last_functions_and_not_all_of_a_long_name() {
    let world = World::new();
    let name = |n: usize| format!("$acme::f{n}_{}", "x".repeat(500));
    let deep: String = (0..50)
        .map(|n| match n {
            0 => format!("(func {} unreachable)\n", name(0)),
            n => format!("(func {} (call {}))\n", name(n), name(n - 1)),
        })
        .collect();
    let tunnel = world.tunnel(&fixtures::plugin(
        "tunnel-provider",
        "tunnel",
        &format!(
            r#"
        (func (export "nexus:plugin/tunnel@0.2.0#describe") (result i32) (i32.const 1024))
        (func (export "nexus:plugin/tunnel@0.2.0#run") (param i32 i32 i32 i32) (result i32) unreachable)
        {deep}
        (func $nexus:plugin/tunnel@0.2.0#check-availability (export "nexus:plugin/tunnel@0.2.0#check-availability") (result i32)
            (call {}) unreachable)"#,
            name(49)
        ),
    ));
    let Err(CallError::Crashed(cause)) = tunnel.check_availability().await else {
        panic!("it should have crashed")
    };
    assert_eq!(cause.matches("acme::f").count(), limits::TRACE_FRAMES, "{cause}");
    assert!(cause.contains("acme::f0_x"), "{cause}");
    let longest = cause.split(" < ").map(str::len).max().unwrap();
    assert!(longest < limits::TRACE_NAME_BYTES + 200, "{cause}");
}
