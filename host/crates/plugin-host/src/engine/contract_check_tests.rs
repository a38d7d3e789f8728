#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::inspect;
use std::path::{Path, PathBuf};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../plugin-api/wit");

/// A component without a body that has all of a world of this WIT, made into another one by `change` first.
fn component(world: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(WIT).unwrap() {
        let path = file.unwrap().path();
        let text = change(&std::fs::read_to_string(&path).unwrap());
        std::fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
    }
    let all = "package nexus:plugin@0.2.0;\nworld everything { include chat-backend-full; include auth-provider-full; include tunnel-provider; }\n";
    let all = change(all);
    std::fs::write(folder.path().join("everything.wit"), all).unwrap();
    encode(folder.path(), world)
}

fn encode(folder: &Path, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

fn plugin(kind: &str, world: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    let manifest = format!(
        "name = \"demo\"\nkind = \"{kind}\"\nversion = \"1.2.3\"\napi = \"0.2\"\ndescription = \"d\"\nlicense = \
         \"MIT\"\n"
    );
    nexus_testkit::components::add_manifest(component(world, change), &manifest)
}

fn as_it_is(text: &str) -> String {
    text.to_owned()
}

/// Made again by: `NEXUS_CONTRACT=write cargo test -p nexus-plugin-host --lib the_contract_beside_this_file`
#[test]
fn the_contract_beside_this_file_is_that_of_the_wit() {
    let made = component("everything", as_it_is);
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/contract.wasm"));
    if std::env::var_os("NEXUS_CONTRACT").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let kept = std::fs::read(&file).unwrap();
    assert!(
        kept == made,
        "the WIT is another one. Write the file again: NEXUS_CONTRACT=write cargo test -p nexus-plugin-host --lib \
         the_contract_beside_this_file"
    );
}

#[test]
fn each_kind_with_and_without_its_optional_interface_fits() {
    for (kind, world) in [
        ("tunnel", "tunnel-provider"),
        ("chat", "chat-backend"),
        ("chat", "chat-backend-full"),
        ("auth", "auth-provider"),
        ("auth", "auth-provider-full"),
    ] {
        inspect(&plugin(kind, world, as_it_is)).unwrap();
    }
}

#[test]
fn a_later_patch_of_the_contract_with_the_same_types_fits() {
    inspect(&plugin("tunnel", "tunnel-provider", |text| {
        text.replace("@0.2.0", "@0.2.1")
    }))
    .unwrap();
}

/// What is changed in the contract, for which kind, and what is said.
#[test]
fn what_differs_is_named_with_both_sides() {
    for (kind, world, from, to, said) in [
        (
            "tunnel",
            "tunnel-provider",
            "record descriptor {",
            "record descriptor {\n    colour: string,",
            "the function `describe` of its nexus:plugin/tunnel@0.2.0 has another signature: in its result, the \
             record has the fields colour, title, url",
        ),
        (
            "chat",
            "chat-backend",
            "variant event {",
            "variant event {\n    sneezed,",
            "the function `events` of its nexus:plugin/chat@0.2.0 has another signature: in its result, in the \
             stream, the variant has the cases sneezed, starting",
        ),
        (
            "tunnel",
            "tunnel-provider",
            "sleep: async func",
            "sleep: func",
            "the function `sleep` of nexus:plugin/clock@0.2.0 with another signature: found `func`, expected `async func`",
        ),
        (
            "auth",
            "auth-provider",
            "now: func() -> u64;",
            "now: func() -> u64;\n  zone: func() -> string;",
            "it imports the function `zone` of nexus:plugin/clock@0.2.0, which does not exist",
        ),
        (
            "tunnel",
            "tunnel-provider",
            "now: func() -> u64;",
            "now: func() -> s64;",
            "`now` of nexus:plugin/clock@0.2.0 with another signature: in its result, found s64, expected u64",
        ),
        (
            "auth",
            "auth-provider",
            "get: async func(key: string) -> result<option<list<u8>>, error>;",
            "get: async func(key: string) -> result<list<tuple<string, u8>>, error>;",
            "`get` of nexus:plugin/store@0.2.0 with another signature: in its result, found list<tuple<string, u8>>, expected \
             option<list<u8>>",
        ),
        (
            "auth",
            "auth-provider-full",
            "enroll: async func(",
            "enroll: async func(place: string, ",
            "the function `enroll` of its nexus:plugin/manage@0.2.0 has another signature: its parameters are place, ",
        ),
        (
            "chat",
            "chat-backend-full",
            "rename: async func",
            "rename-it: async func",
            "its nexus:plugin/sessions@0.2.0 has no function `rename`",
        ),
    ] {
        let bytes = plugin(kind, world, |text| text.replace(from, to));
        let cause = inspect(&bytes).unwrap_err().to_string();
        assert!(cause.contains(said), "{from}\n{cause}");
        assert!(
            cause.starts_with("The component was built against another state of the contract 0.2 (function `"),
            "{cause}"
        );
    }
}

#[test]
fn an_interface_without_a_function_and_one_that_is_none_are_refused() {
    let manifest = "name = \"demo\"\nkind = \"tunnel\"\nversion = \"1.2.3\"\napi = \"0.2\"\ndescription = \
        \"d\"\nlicense = \"MIT\"\n";
    let empty = r#"(component (instance $i) (export "nexus:plugin/tunnel@0.2.0" (instance $i)))"#;
    let cause = inspect(&nexus_testkit::components::component(empty, manifest))
        .unwrap_err()
        .to_string();
    assert!(cause.contains("has no function `"), "{cause}");
}

#[test]
fn types_that_grow_without_end_are_not_followed() {
    // Each is twice the one before.
    let doubled: String = (0..12)
        .map(|n| format!("(type $t{} (tuple $t{n} $t{n}))", n + 1))
        .collect();
    let wat = format!(
        r#"(component
            (import "nexus:plugin/clock@0.2.0" (instance
                (type $t0' string) (export "now" (func (result string)))))
            (type $t0 (tuple string string)) {doubled}
            (instance $i) (export "nexus:plugin/tunnel@0.2.0" (instance $i)))"#
    );
    let manifest = "name = \"demo\"\nkind = \"tunnel\"\nversion = \"1.2.3\"\napi = \"0.2\"\ndescription = \
        \"d\"\nlicense = \"MIT\"\n";
    let cause = inspect(&nexus_testkit::components::component(&wat, manifest))
        .unwrap_err()
        .to_string();
    assert!(cause.contains("found string, expected u64"), "{cause}");
}
