//! The plugins that are measured, written by hand in the text format, so that what is measured is the host and not what a
//! compiler made of a guest.

use nexus_plugin_api::MANIFEST_SECTION;
use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// The one answer of `check-availability`.
pub const VERSION: &str = "1.0.0";
/// `EVENTS` is how many events one call of `events` sends.
/// More of them within a minute would be slowed down: what a backend may say has a bound, which is not what is measured.
pub const EVENTS: usize = 3_000;

/// The identifiers are as long as opencode's, the text is a token.
const PART: &str = "prt_f7b2a1c40d3e4a5b8c6d9e0f1a";
const MESSAGE: &str = "msg_f7b2a1c40d3e4a5b8c6d9e0f1a";
const SESSION: &str = "ses_f7b2a1c40d3e4a5b8c6d9e0f1a";
const TEXT: &str = "horizon ";

/// A tunnel provider whose `check-availability` answers `ready("1.0.0")`, and whose `run` traps.
pub fn caller() -> anyhow::Result<Vec<u8>> {
    component(
        "tunnel-provider",
        "tunnel",
        "",
        &format!(
            r#"
        (data (i32.const 64) "{VERSION}")
        (func (export "nexus:plugin/tunnel@0.2.0#describe") (result i32) (i32.const 1024))
        (func (export "nexus:plugin/tunnel@0.2.0#run") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "nexus:plugin/tunnel@0.2.0#check-availability") (result i32)
            (i32.store (i32.const 1204) (i32.const 64))
            (i32.store (i32.const 1208) (i32.const {}))
            (i32.const 1200))"#,
            VERSION.len()
        ),
    )
}

/// A chat backend whose `events` sends [`EVENTS`] events, one a write as the SDK does, and then fails with `retry`: all are deltas but
/// the first, which is `opened`.
pub fn streamer() -> anyhow::Result<Vec<u8>> {
    let chat = "[export]nexus:plugin/chat@0.2.0";
    let imports = format!(
        r#"
        (import "{chat}" "[stream-new-1]events" (func $stream_new (result i64)))
        (import "{chat}" "[async-lower][stream-write-1]events" (func $stream_write (param i32 i32 i32) (result i32)))
        (import "{chat}" "[stream-drop-writable-1]events" (func $stream_drop (param i32)))
        (import "{chat}" "[future-new-2]events" (func $future_new (result i64)))
        (import "{chat}" "[async-lower][future-write-2]events" (func $future_write (param i32 i32) (result i32)))
        (import "{chat}" "[future-drop-writable-2]events" (func $future_drop (param i32)))
        (import "{chat}" "[task-return]events" (func $return (param i32 i32)))
        (import "$root" "[waitable-set-new]" (func $set_new (result i32)))
        (import "$root" "[waitable-join]" (func $join (param i32 i32)))"#
    );
    // The four strings of a delta stand at 3328; the event itself at 3072: its case (7), then at 3080 part, message,
    // session, revision, text.
    let strings = [PART, MESSAGE, SESSION, TEXT];
    let mut at = 3328;
    let mut fields = String::new();
    for (string, field) in strings.iter().zip([3080, 3088, 3096, 3112]) {
        fields += &format!(
            "(i32.store (i32.const {field}) (i32.const {at})) (i32.store (i32.const {}) (i32.const {}))\n",
            field + 4,
            string.len()
        );
        at += string.len();
    }
    // Before them comes `opened` (1), of a connection without a name and with empty lists.
    let mut opened = "(i32.store8 (i32.const 3072) (i32.const 1))".to_owned();
    for field in [3080, 3088, 3096, 3104] {
        opened += &format!("(i64.store (i32.const {field}) (i64.const 0))");
    }
    component(
        "chat-backend",
        "chat",
        &imports,
        &format!(
            r#"
        (global $stream (mut i32) (i32.const 0))
        (global $future (mut i32) (i32.const 0))
        (global $set (mut i32) (i32.const 0))
        (global $n (mut i32) (i32.const 0))
        (global $told (mut i32) (i32.const 0))
        (func $wait (result i32) (i32.or (i32.shl (global.get $set) (i32.const 4)) (i32.const 2)))
        (func $more (result i32)
            (local $code i32)
            (block $over
                (loop $next
                    (br_if $over (i32.ge_u (global.get $n) (i32.const {EVENTS})))
                    (global.set $n (i32.add (global.get $n) (i32.const 1)))
                    (i64.store (i32.const 3104) (i64.extend_i32_u (global.get $n)))
                    (if (i32.eq (global.get $n) (i32.const 1)) (then {opened}))
                    (if (i32.eq (global.get $n) (i32.const 2)) (then (i32.store8 (i32.const 3072) (i32.const 7)) {fields}))
                    (local.set $code (call $stream_write (global.get $stream) (i32.const 3072) (i32.const 1)))
                    (if (i32.eq (local.get $code) (i32.const -1)) (then (return (call $wait))))
                    (br_if $next (i32.eqz (i32.and (local.get $code) (i32.const 15))))))
            (call $stream_drop (global.get $stream))
            (i32.store8 (i32.const 4096) (i32.const 1))
            (global.set $told (i32.const 1))
            (if (i32.eq (call $future_write (global.get $future) (i32.const 4096)) (i32.const -1))
                (then (return (call $wait))))
            (call $future_drop (global.get $future))
            (i32.const 0))
        (func (export "[async-lift]nexus:plugin/chat@0.2.0#events") (param $cancel i32) (result i32)
            (local $s i64) (local $f i64)
            (local.set $s (call $stream_new))
            (local.set $f (call $future_new))
            (global.set $stream (i32.wrap_i64 (i64.shr_u (local.get $s) (i64.const 32))))
            (global.set $future (i32.wrap_i64 (i64.shr_u (local.get $f) (i64.const 32))))
            (global.set $set (call $set_new))
            (global.set $n (i32.const 0))
            (global.set $told (i32.const 0))
            (call $join (global.get $stream) (global.get $set))
            (call $join (global.get $future) (global.get $set))
            (call $return (i32.wrap_i64 (local.get $s)) (i32.wrap_i64 (local.get $f)))
            (call $more))
        (func (export "[callback][async-lift]nexus:plugin/chat@0.2.0#events") (param i32 i32 i32) (result i32)
            (if (global.get $told) (then (call $future_drop (global.get $future)) (return (i32.const 0))))
            ;; The reader is gone: nothing more to say.
            (if (i32.and (local.get 2) (i32.const 15)) (then (global.set $n (i32.const {EVENTS}))))
            (call $more))
        (data (i32.const 64) "{VERSION}")
        (data (i32.const 1024) "\40\00\00\00\05\00\00\00\01")
        (data (i32.const 3328) "{PART}{MESSAGE}{SESSION}{TEXT}")
        (func (export "nexus:plugin/chat@0.2.0#describe") (result i32) (i32.const 1024))
        (func (export "nexus:plugin/chat@0.2.0#check-availability") (result i32) unreachable)
        (func (export "nexus:plugin/chat@0.2.0#prompt") (param i32) (result i32) unreachable)
        (func (export "nexus:plugin/chat@0.2.0#cancel") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "nexus:plugin/chat@0.2.0#reply") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)"#
        ),
    )
}

/// The same three functions for Extism: `probe` gives the text back, `events` calls the host's function `event` with the
/// bytes of a delta for each, `fall` traps. Its memory is the kernel's: bytes go there eight at a time, as its SDKs do it.
pub fn extism() -> anyhow::Result<Vec<u8>> {
    // The four strings, the revision, and what the last eight bytes take too much.
    let size = (PART.len() + MESSAGE.len() + SESSION.len() + TEXT.len() + 8).next_multiple_of(8);
    let text = format!(
        r#"(module
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (import "extism:host/env" "free" (func $free (param i64)))
        (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
        (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
        (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
        (import "extism:host/user" "event" (func $event (param i64)))
        (memory (export "memory") 1)
        (data (i32.const 64) "{VERSION}")
        (data (i32.const 3328) "{PART}{MESSAGE}{SESSION}{TEXT}")
        (func (export "probe") (result i32)
            (local $to i64) (local $n i32)
            (local.set $to (call $alloc (i64.const {version})))
            (loop $next
                (call $store_u8 (i64.add (local.get $to) (i64.extend_i32_u (local.get $n)))
                    (i32.load8_u (i32.add (i32.const 64) (local.get $n))))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $n) (i32.const {version}))))
            (call $output_set (local.get $to) (i64.const {version}))
            (i32.const 0))
        (func (export "events") (result i32)
            (local $left i32) (local $to i64) (local $n i32)
            (local.set $left (i32.const {EVENTS}))
            (loop $event
                (local.set $to (call $alloc (i64.const {size})))
                (local.set $n (i32.const 0))
                (loop $next
                    (call $store_u64 (i64.add (local.get $to) (i64.extend_i32_u (local.get $n)))
                        (i64.load (i32.add (i32.const 3328) (local.get $n))))
                    (local.set $n (i32.add (local.get $n) (i32.const 8)))
                    (br_if $next (i32.lt_u (local.get $n) (i32.const {size}))))
                (call $event (local.get $to))
                (call $free (local.get $to))
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br_if $event (local.get $left)))
            (i32.const 0))
        (func (export "fall") (result i32) unreachable))"#,
        version = VERSION.len()
    );
    Ok(wat::parse_str(text)?)
}

/// A plugin of a world of the contract; `core` stands inside `(module …)`, behind the imports, a memory and an allocator.
fn component(world: &str, kind: &str, imports: &str, core: &str) -> anyhow::Result<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-api/wit");
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let text = format!(
        r#"(module
        {imports}
        (memory (export "memory") 2)
        (global $free (mut i32) (i32.const 65536))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
            (global.set $free (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
        {core})"#
    );
    let mut module = wat::parse_str(text)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    let mut bytes = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    let manifest = format!(
        "name = \"bench\"\nkind = \"{kind}\"\nversion = \"1.0.0\"\napi = \"0.2\"\ndescription = \"d\"\nlicense = \
         \"MIT\"\n"
    );
    seal(&mut bytes, &manifest);
    Ok(bytes)
}

/// The manifest, as a custom section at the end.
fn seal(bytes: &mut Vec<u8>, manifest: &str) {
    let mut content = Vec::new();
    leb(&mut content, MANIFEST_SECTION.len());
    content.extend_from_slice(MANIFEST_SECTION.as_bytes());
    content.extend_from_slice(manifest.as_bytes());
    bytes.push(0);
    leb(bytes, content.len());
    bytes.extend_from_slice(&content);
}

fn leb(to: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        to.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}
