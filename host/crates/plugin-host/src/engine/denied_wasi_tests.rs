//! What a plugin finds behind WASI's sockets, files and environment.

use super::*;
use wasmtime::Store;

/// How a result travels through the plugin.
#[derive(Clone, Copy)]
enum Passed {
    Nothing,
    AsValue,
    InMemory,
}

/// Calls a function of an interface once, through a component that does nothing else. `types` are those of the interface.
fn call(interface: &str, types: &str, function: &str, signature: &str, passed: Passed) -> wasmtime::Result<Vec<Val>> {
    let engine = Engine::clone(&crate::engine::engine().unwrap());
    let (lowered, run) = match passed {
        Passed::Nothing => ("", "(func (export \"run\") call $f)"),
        Passed::AsValue => ("(result i32)", "(func (export \"run\") (result i32) call $f)"),
        Passed::InMemory => (
            "(param i32)",
            "(func (export \"run\") (result i32) (call $f (i32.const 16)) i32.const 16)",
        ),
    };
    let named = ["error-code", "network"].map(|name| match types.contains(&format!("\"{name}\"")) {
        true => format!("(alias export $i \"{name}\" (type ${name}))"),
        false => String::new(),
    });
    let named = named.concat();
    let outside = signature.replace("$e", "$error-code").replace("$n", "$network");
    let wat = format!(
        r#"(component
            (import "{interface}" (instance $i {types} (export "{function}" (func {signature}))))
            {named}
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
            (core instance $m (instantiate $m))
            (core func $f (canon lower (func $i "{function}")
                (memory $m "memory") (realloc (func $m "realloc"))))
            (core module $c
                (import "" "f" (func $f {lowered}))
                {run})
            (core instance $c (instantiate $c (with "" (instance (export "f" (func $f))))))
            (func (export "{function}") {outside}
                (canon lift (core func $c "run") (memory $m "memory") (realloc (func $m "realloc")))))"#
    );
    let component = crate::engine::compile(&engine, &wat::parse_str(wat).unwrap())?;
    let linker = with_denied(&Linker::<()>::new(&engine), &engine, &component)?.unwrap();
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = wait(linker.instantiate_async(&mut store, &component))?;
    let function = instance.get_func(&mut store, function).unwrap();
    let mut results = vec![Val::Bool(true); function.ty(&store).results().len()];
    wait(function.call_async(&mut store, &[], &mut results))?;
    Ok(results)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

const CODE: &str =
    r#"(type $e' (enum "unknown" "access-denied" "not-supported")) (export "error-code" (type $e (eq $e')))"#;

#[test]
fn an_error_says_that_it_is_not_allowed() {
    let denied = |code: &str| vec![Val::Result(Err(Some(Box::new(Val::Enum(code.into())))))];
    for version in ["0.2.0", "0.2.6"] {
        let found = call(
            &format!("wasi:sockets/tcp-create-socket@{version}"),
            CODE,
            "create-tcp-socket",
            "(result (result u32 (error $e)))",
            Passed::InMemory,
        );
        assert_eq!(found.unwrap(), denied("access-denied"));
    }
    let files = r#"(type $e' (enum "access" "exist")) (export "error-code" (type $e (eq $e')))"#;
    let found = call(
        "wasi:filesystem/types@0.2.3",
        files,
        "open",
        "(result (result (error $e)))",
        Passed::InMemory,
    );
    assert_eq!(found.unwrap(), denied("access"));
    let variant =
        r#"(type $e' (variant (case "other" string) (case "access-denied"))) (export "error-code" (type $e (eq $e')))"#;
    let found = call(
        "wasi:sockets/types@0.2.9",
        variant,
        "create",
        "(result (result (error $e)))",
        Passed::InMemory,
    );
    let code = Val::Variant("access-denied".into(), None);
    assert_eq!(found.unwrap(), [Val::Result(Err(Some(Box::new(code))))]);
}

#[test]
fn what_cannot_fail_is_empty() {
    for (signature, passed, expected) in [
        ("(result (list u32))", Passed::InMemory, Val::List(Vec::new())),
        ("(result (option string))", Passed::InMemory, Val::Option(None)),
        ("(result bool)", Passed::AsValue, Val::Bool(false)),
    ] {
        let found = call(
            "wasi:filesystem/preopens@0.2.0",
            "",
            "get-directories",
            signature,
            passed,
        );
        assert_eq!(found.unwrap(), [expected]);
    }
    let found = call(
        "wasi:cli/environment@0.2.0",
        "",
        "get-arguments",
        "(result (list string))",
        Passed::InMemory,
    );
    assert_eq!(found.unwrap(), [Val::List(Vec::new())]);
    let found = call("wasi:filesystem/types@0.2.0", "", "set", "", Passed::Nothing).unwrap();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_resource_can_be_held_and_there_is_nothing_behind_it() {
    let network = r#"(export "network" (type $n (sub resource)))"#;
    let found = call(
        "wasi:sockets/instance-network@0.2.0",
        network,
        "instance-network",
        "(result (own $n))",
        Passed::AsValue,
    );
    assert!(matches!(found.unwrap()[..], [Val::Resource(_)]));
}

#[test]
fn what_can_say_none_of_it_traps_with_its_name() {
    for (signature, passed) in [
        ("(result u32)", Passed::AsValue),
        ("(result (result u32 (error string)))", Passed::InMemory),
        ("(result (result u32))", Passed::InMemory),
    ] {
        let error = call("wasi:sockets/tcp@0.2.0", "", "hop-limit", signature, passed).unwrap_err();
        let words = format!("{:#}", error.root_cause());
        assert!(
            words.contains("wasi:sockets/tcp@0.2.0#hop-limit is not available to plugins"),
            "{words}"
        );
    }
}

fn linked(wat: &str) -> wasmtime::Result<Option<(Engine, Component, Linker<()>)>> {
    let engine = Engine::clone(&crate::engine::engine().unwrap());
    let component = crate::engine::compile(&engine, &wat::parse_str(wat).unwrap())?;
    let mut linker = Linker::<()>::new(&engine);
    linker.instance("wasi:io/error@0.2.0")?.resource(
        "error",
        ResourceType::host::<wasi::io::error::Error>(),
        |_, _| Ok(()),
    )?;
    linker
        .instance("wasi:io/error@0.2.0")?
        .func_wrap("make", |mut store: StoreContextMut<'_, ()>, (): ()| {
            let error = Resource::<wasi::io::error::Error>::new_own(7);
            Ok((ResourceAny::try_from_resource(error, store.as_context_mut())?,))
        })?;
    let with = with_denied(&linker, &engine, &component)?;
    Ok(with.map(|linker| (engine, component, linker)))
}

#[test]
fn what_it_takes_from_other_interfaces_stays_theirs_and_is_given_back() {
    // A resource of another interface in its list of items, lent to a function; and one of its own.
    let wat = r#"(component
        (import "wasi:io/error@0.2.0" (instance $io
            (export "error" (type $error (sub resource)))
            (export "make" (func (result (own $error))))))
        (alias export $io "error" (type $error))
        (import "wasi:sockets/network@0.2.0" (instance $network
            (export "network" (type $n (sub resource)))
            (export "error" (type $e (eq $error)))
            (export "make" (func (result (own $n))))
            (export "network-error-code" (func (param "err" (borrow $e)) (result (option u8))))))
        (alias export $network "network" (type $n))
        (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
            (export "network" (type $n' (eq $n)))
            (export "resolve" (func (param "network" (borrow $n')) (result bool)))))
        (core module $memory (memory (export "memory") 1))
        (core instance $memory (instantiate $memory))
        (core func $error (canon lower (func $io "make")))
        (core func $make (canon lower (func $network "make")))
        (core func $code (canon lower (func $network "network-error-code") (memory $memory "memory")))
        (core func $resolve (canon lower (func $lookup "resolve")))
        (core module $m
            (import "" "error" (func $error (result i32)))
            (import "" "make" (func $make (result i32)))
            (import "" "code" (func $code (param i32 i32)))
            (import "" "resolve" (func $resolve (param i32) (result i32)))
            (func (export "run") (result i32)
                (call $code (call $error) (i32.const 16))
                (call $resolve (call $make))))
        (core instance $m (instantiate $m (with "" (instance
            (export "error" (func $error)) (export "make" (func $make))
            (export "code" (func $code)) (export "resolve" (func $resolve))))))
        (func (export "run") (result bool) (canon lift (core func $m "run"))))"#;
    let (engine, component, linker) = linked(wat).unwrap().unwrap();
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = wait(linker.instantiate_async(&mut store, &component)).unwrap();
    let run = instance.get_typed_func::<(), (bool,)>(&mut store, "run").unwrap();
    assert_eq!(wait(run.call_async(&mut store, ())).unwrap(), (false,));
}

#[test]
fn what_passes_more_than_wasi_does_is_not_linked() {
    for passed in [
        "(list (stream u8))",
        "(option (future u8))",
        "(list $flags)",
        "(option (list (tuple u8 $flags)))",
    ] {
        let wat = format!(
            r#"(component (import "wasi:sockets/tcp@0.2.0" (instance
                (type $flags' (flags "a" "b")) (export "flags" (type $flags (eq $flags')))
                (export "f" (func (param "p" {passed}))))))"#
        );
        let error = linked(&wat).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("wasi:sockets/tcp@0.2.0#f passes"), "{passed}: {error}");
    }
}

/// Calls a function of WASI 0.3 by its async form, and gives what it returned, or what became of it.
fn call_async(item: &str, signature: &str, lowered: &str, run: &str) -> wasmtime::Result<Vec<Val>> {
    let wat = format!(
        r#"(component
            (type $e' (enum "other" "access-denied"))
            (import "wasi:sockets/types@0.3.0" (instance $i
                (export "error-code" (type $e (eq $e')))
                (export "{item}" (func {signature}))))
            (alias export $i "error-code" (type $error-code))
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
            (core instance $m (instantiate $m))
            (type $stream (stream u8))
            (core func $new (canon stream.new $stream))
            {lowered}
            (core module $c
                (import "" "f" (func $f (param i32) (result i32)))
                (import "" "new" (func $new (result i64)))
                (import "" "memory" (memory 1))
                {run})
            (core instance $c (instantiate $c (with "" (instance
                (export "f" (func $f)) (export "new" (func $new)) (export "memory" (memory $m "memory"))))))
            (func (export "run") (result u32) (canon lift (core func $c "run"))))"#
    );
    let (engine, component, linker) = linked(&wat)?.unwrap();
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = wait(linker.instantiate_async(&mut store, &component))?;
    let function = instance.get_func(&mut store, "run").unwrap();
    let mut results = [Val::Bool(true)];
    wait(function.call_async(&mut store, &[], &mut results))?;
    Ok(results.to_vec())
}

#[test]
fn an_async_function_is_denied_as_others_are() {
    let found = call_async(
        "connect",
        "async (result (result (error $e)))",
        r#"(core func $f (canon lower (func $i "connect") async (memory $m "memory")))"#,
        // Whether it has returned (2), and the two bytes of what it returned: an error (1), its second code (1).
        r#"(func (export "run") (result i32)
            (if (i32.ne (call $f (i32.const 16)) (i32.const 2)) (then unreachable))
            (i32.load16_u (i32.const 16)))"#,
    );
    assert_eq!(found.unwrap(), [Val::U32(0x0101)]);
}

#[test]
fn what_is_handed_a_stream_traps_with_its_name() {
    let error = call_async(
        "send",
        "(param \"data\" (stream u8)) (result (future (result (error $e))))",
        r#"(core func $f (canon lower (func $i "send")))"#,
        r#"(func (export "run") (result i32)
            (call $f (i32.wrap_i64 (call $new))))"#,
    )
    .unwrap_err();
    let words = format!("{:#}", error.root_cause());
    assert!(
        words.contains("wasi:sockets/types@0.3.0#send is not available to plugins"),
        "{words}"
    );
}

#[test]
fn nothing_else_is_linked_by_it() {
    let engine = Engine::clone(&crate::engine::engine().unwrap());
    for import in [
        "wasi:http/types@0.2.0",
        "wasi:cli/exit@0.2.0",
        "wasi:cli/stdout@0.2.0",
        "wasi:socket/tcp@0.2.0",
        "other:sockets/tcp@0.2.0",
    ] {
        let wat = format!(r#"(component (import "{import}" (instance (export "f" (func)))))"#);
        let component = crate::engine::compile(&engine, &wat::parse_str(wat).unwrap()).unwrap();
        let linker = with_denied(&Linker::<()>::new(&engine), &engine, &component).unwrap();
        assert!(linker.is_none(), "{import}");
    }
}
