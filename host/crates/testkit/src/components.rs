//! Small plugins for tests, written as core WAT and made into components here: no wasm toolchain is needed.

use nexus_plugin_api::MANIFEST_SECTION;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// `add_manifest` appends the manifest to a component, as `nexus plugin build` does.
pub fn add_manifest(mut bytes: Vec<u8>, manifest: &str) -> Vec<u8> {
    let section = wasm_encoder::CustomSection {
        name: MANIFEST_SECTION.into(),
        data: manifest.as_bytes().into(),
    };
    bytes.push(0); // the id of a custom section
    section.encode_into(&mut bytes);
    bytes
}

trait EncodeInto {
    fn encode_into(&self, bytes: &mut Vec<u8>);
}
impl EncodeInto for wasm_encoder::CustomSection<'_> {
    fn encode_into(&self, bytes: &mut Vec<u8>) {
        wasm_encoder::Encode::encode(self, bytes);
    }
}

/// `component` is made from WAT, with a manifest.
pub fn component(wat: &str, manifest: &str) -> Vec<u8> {
    add_manifest(wat::parse_str(wat).unwrap(), manifest)
}

/// `REQUESTS` is what they all ask for; what they get is up to the test.
const REQUESTS: &str = r#"
[config.demo]
type = "string"
secret = true
description = "d"
[capabilities.process.demo]
reason = "r"
[[capabilities.http]]
url = "https://evil.dev"
reason = "r"
[capabilities.store]
quota = 100
reason = "r"
"#;

/// `Contract` is the one that a component is made for.
#[derive(Debug, Clone, Copy)]
pub struct Contract<'a> {
    /// `wit` is its folder.
    pub wit: &'a str,
    /// `version` is that of its package: `0.2.0`.
    pub version: &'a str,
}

impl Contract<'_> {
    /// `text` with this version in place of the usual one.
    fn in_its_version(&self, text: &str) -> String {
        text.replace("@0.2.0", &format!("@{}", self.version))
    }
}

/// `CONTRACT` is the usual one.
const CONTRACT: Contract<'static> = Contract {
    wit: concat!(env!("CARGO_MANIFEST_DIR"), "/../../../plugin-api/wit"),
    version: "0.2.0",
};

/// A plugin of a world of the contract: `core` is what is inside `(module …)`, beside a memory and an allocator.
pub fn plugin(world: &str, kind: &str, core: &str) -> Vec<u8> {
    plugin_of(CONTRACT, world, kind, core)
}

/// `plugin_of` is the same, made for a contract. What `core` calls by the usual version has that contract's.
pub fn plugin_of(contract: Contract<'_>, world: &str, kind: &str, core: &str) -> Vec<u8> {
    let core = &contract.in_its_version(core);
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(contract.wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let (imports, rest) = core.split_once(";;;").unwrap_or(("", core));
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
        {rest})"#
    );
    let mut module = wat::parse_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let bytes = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap()
        .encode()
        .unwrap();
    let manifest = format!(
        "manifest = 1\nname = \"demo\"\nkind = \"{kind}\"\nversion = \"1.2.3\"\napi = \"{}\"\ndescription = \"d\"\nlicense = \
         \"MIT\"\n{REQUESTS}",
        contract.version
    );
    add_manifest(bytes, &manifest)
}

/// `tunnel` is a tunnel provider whose `check-availability` does `body`; it leaves the address of an availability.
pub fn tunnel(imports: &str, body: &str) -> Vec<u8> {
    tunnel_of(CONTRACT, imports, body)
}

/// `tunnel_of` is the same, made for a contract.
pub fn tunnel_of(contract: Contract<'_>, imports: &str, body: &str) -> Vec<u8> {
    plugin_of(
        contract,
        "tunnel-provider",
        "tunnel",
        &format!(
            r#"{imports} ;;;
        (data (i32.const 64) "demo")
        (data (i32.const 80) "GET https://evil.dev")
        (func (export "nexus:plugin/tunnel@0.2.0#describe") (result i32) (i32.const 1024))
        (func (export "nexus:plugin/tunnel@0.2.0#run") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "nexus:plugin/tunnel@0.2.0#check-availability") (result i32) (local $n i32) {body})"#
        ),
    )
}

/// A tunnel provider whose `check-availability` calls `import` (which leaves a `result<_, error>` at 2048) and answers
/// `ready("")`, or `unsuitable` with the text of the error.
pub fn asking(interface: &str, function: &str, parameters: &str, call: &str) -> Vec<u8> {
    asking_of(CONTRACT, interface, function, parameters, call)
}

/// `asking_of` is the same, made for a contract.
pub fn asking_of(contract: Contract<'_>, interface: &str, function: &str, parameters: &str, call: &str) -> Vec<u8> {
    let import = format!(r#"(import "nexus:plugin/{interface}@0.2.0" "{function}" (func $ask (param {parameters})))"#);
    tunnel_of(
        contract,
        &import,
        &format!(
            r"(call $ask {call} (i32.const 2048))
            (if (i32.load8_u (i32.const 2048)) (then
                (i32.store8 (i32.const 1100) (i32.const 2))
                (i32.store (i32.const 1104) (i32.load (i32.const 2056)))
                (i32.store (i32.const 1108) (i32.load (i32.const 2060)))))
            (i32.const 1100)"
        ),
    )
}

/// `auth` is an auth provider whose `describe` does `body`; it leaves the address of a list of methods.
pub fn auth(body: &str) -> Vec<u8> {
    plugin(
        "auth-provider",
        "auth",
        &format!(
            r#"
        (global $calls (mut i32) (i32.const 0))
        (func (export "nexus:plugin/auth@0.2.0#describe") (result i32) {body})
        (func (export "nexus:plugin/auth@0.2.0#begin") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
        (func (export "nexus:plugin/auth@0.2.0#proceed") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
        (func (export "nexus:plugin/auth@0.2.0#authenticate") (param i32) (result i32) unreachable)"#
        ),
    )
}

/// A chat backend whose `events` sends `count` events `starting("<3 digits>")` one by one and then does `end`.
/// `$outcome` writes the outcome `failure { retry }`.
pub fn chat(count: u32, end: &str) -> Vec<u8> {
    plugin(
        "chat-backend",
        "chat",
        &format!(
            r#"
        (import "[export]nexus:plugin/chat@0.2.0" "[stream-new-1]events" (func $stream_new (result i64)))
        (import "[export]nexus:plugin/chat@0.2.0" "[async-lower][stream-write-1]events" (func $stream_write (param i32 i32 i32) (result i32)))
        (import "[export]nexus:plugin/chat@0.2.0" "[stream-drop-writable-1]events" (func $stream_drop (param i32)))
        (import "[export]nexus:plugin/chat@0.2.0" "[future-new-2]events" (func $future_new (result i64)))
        (import "[export]nexus:plugin/chat@0.2.0" "[async-lower][future-write-2]events" (func $future_write (param i32 i32) (result i32)))
        (import "[export]nexus:plugin/chat@0.2.0" "[future-drop-writable-2]events" (func $future_drop (param i32)))
        (import "[export]nexus:plugin/chat@0.2.0" "[task-return]events" (func $return (param i32 i32)))
        (import "$root" "[waitable-set-new]" (func $set_new (result i32)))
        (import "$root" "[waitable-join]" (func $join (param i32 i32))) ;;;
        (global $stream (mut i32) (i32.const 0))
        (global $future (mut i32) (i32.const 0))
        (global $set (mut i32) (i32.const 0))
        (global $n (mut i32) (i32.const 0))
        (global $told (mut i32) (i32.const 0))
        (func $digit (param $at i32) (param $n i32)
            (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10)))))
        (func $wait (result i32) (i32.or (i32.shl (global.get $set) (i32.const 4)) (i32.const 2)))
        (func $more (result i32)
            (local $code i32)
            (block $over
                (loop $next
                    (br_if $over (i32.ge_u (global.get $n) (i32.const {count})))
                    (call $digit (i32.const 3200) (i32.div_u (global.get $n) (i32.const 100)))
                    (call $digit (i32.const 3201) (i32.div_u (global.get $n) (i32.const 10)))
                    (call $digit (i32.const 3202) (global.get $n))
                    (global.set $n (i32.add (global.get $n) (i32.const 1)))
                    (local.set $code (call $stream_write (global.get $stream) (i32.const 3072) (i32.const 1)))
                    (if (i32.eq (local.get $code) (i32.const -1)) (then (return (call $wait))))
                    (br_if $next (i32.eqz (i32.and (local.get $code) (i32.const 15))))))
            {end}
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
            (i32.store (i32.const 3080) (i32.const 3200))
            (i32.store (i32.const 3084) (i32.const 3))
            (call $more))
        (func (export "[callback][async-lift]nexus:plugin/chat@0.2.0#events") (param i32 i32 i32) (result i32)
            (if (global.get $told) (then (call $future_drop (global.get $future)) (return (i32.const 0))))
            ;; The reader is gone: nothing more to say.
            (if (i32.and (local.get 2) (i32.const 15)) (then (global.set $n (i32.const {count}))))
            (call $more))
        (data (i32.const 64) "demo chat")
        (data (i32.const 1024) "\40\00\00\00\09\00\00\00\01")
        (func (export "nexus:plugin/chat@0.2.0#describe") (result i32) (i32.const 1024))
        (func (export "nexus:plugin/chat@0.2.0#check-availability") (result i32) (i32.const 1200))
        (func (export "nexus:plugin/chat@0.2.0#prompt") (param i32) (result i32) unreachable)
        (func (export "nexus:plugin/chat@0.2.0#cancel") (param i32 i32 i32 i32) (result i32) (i32.const 1300))
        (func (export "nexus:plugin/chat@0.2.0#reply") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)"#
        ),
    )
}
