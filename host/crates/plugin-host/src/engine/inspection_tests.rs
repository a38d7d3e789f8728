#![allow(clippy::unwrap_used)]

use super::{Kind, MANIFEST_SECTION, limits};
use crate::inspect;

const MANIFEST: &str =
    "name = \"demo\"\nkind = \"tunnel\"\nversion = \"1.2.3\"\napi = \"0.2\"\ndescription = \"d\"\nlicense = \"MIT\"\n";

fn with_manifest(wat: &str, manifest: &str) -> Vec<u8> {
    nexus_testkit::components::component(wat, manifest)
}

fn refusal(bytes: &[u8]) -> String {
    inspect(bytes).unwrap_err().to_string()
}

const TUNNEL: &str = r#"(component
    (import "nexus:plugin/log@0.2.7" (instance))
    (import "wasi:cli/stdout@0.2.3" (instance))
    (instance $i) (export "nexus:plugin/tunnel@0.2.0" (instance $i)))"#;

#[test]
fn a_component_is_described() {
    let import = r#"(import "nexus:plugin/log@0.2.0" "write" (func $write (param i32 i32 i32)))"#;
    let bytes = nexus_testkit::components::tunnel(import, "(i32.const 1100)");
    let i = inspect(&bytes).unwrap();
    assert_eq!(
        (i.manifest.name.as_str(), i.kind, i.size),
        ("demo", Kind::Tunnel, bytes.len() as u64)
    );
    assert!(
        i.imports.iter().any(|import| import == "nexus:plugin/log@0.2.0"),
        "{:?}",
        i.imports
    );
    assert_eq!(i.memory, 2 << 16);
    assert_eq!(i.exports, ["nexus:plugin/tunnel@0.2.0"]);
    assert_eq!(i.digest.len(), 64);
    assert!(i.offers("tunnel") && !i.offers("chat"));
}

#[test]
fn what_is_no_component_is_refused_with_a_message() {
    assert!(refusal(&wat::parse_str("(module)").unwrap()).contains("core WebAssembly module"));
    for bytes in [&b""[..], b"hello", b"\0asm", b"\0asm\x0d\0\x01\0\xff\xff"] {
        assert!(
            refusal(bytes).contains("To fix: build it with `nexus plugin build`")
                || refusal(bytes).contains("no manifest"),
            "{}",
            refusal(bytes)
        );
    }
    let good = nexus_testkit::components::tunnel("", "(i32.const 1100)");
    inspect(&good).unwrap();
    for length in (0..good.len()).step_by(13) {
        assert!(inspect(&good[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn code_that_is_not_valid_is_refused() {
    // The function says i32 and leaves nothing.
    let body = r#"(component (core module (func (result i32))) (instance $i) (export "nexus:plugin/tunnel@0.2.0" (instance $i)))"#;
    assert!(refusal(&with_manifest(body, MANIFEST)).contains("damaged"));
}

#[test]
fn a_missing_manifest_is_refused() {
    assert!(refusal(&wat::parse_str(TUNNEL).unwrap()).contains("nexus plugin build"));
    let nested = format!("(component (component (@custom \"{MANIFEST_SECTION}\" \"name\")))");
    assert!(
        refusal(&wat::parse_str(nested).unwrap()).contains("no manifest"),
        "only the outermost counts"
    );
    assert!(refusal(&with_manifest(TUNNEL, "name = 7")).contains("line 1"));
}

#[test]
fn two_manifests_are_refused_and_an_address_that_is_none() {
    let twice = nexus_testkit::components::add_manifest(with_manifest(TUNNEL, MANIFEST), MANIFEST);
    assert!(refusal(&twice).contains("has 2 manifests"), "{}", refusal(&twice));
    let url = format!("{MANIFEST}[[capabilities.http]]\nurl = \"https://a b\"\nreason = \"r\"\n");
    let cause = refusal(&with_manifest(TUNNEL, &url));
    assert!(
        cause.contains("url = \"https://a b\": invalid international domain name"),
        "{cause}"
    );
}

#[test]
fn versions_found_and_supported_are_reported() {
    let other = refusal(&with_manifest(
        &TUNNEL.replace("tunnel@0.2.0", "tunnel@0.1.0"),
        MANIFEST,
    ));
    assert!(
        other.contains("nexus:plugin/tunnel@0.1.0") && other.contains("0.2.x"),
        "{other}"
    );
    let other = refusal(&with_manifest(&TUNNEL.replace("log@0.2.7", "log@1.0.0"), MANIFEST));
    assert!(other.contains("1.0.0") && other.contains("0.2.x"), "{other}");
    let other = refusal(&with_manifest(TUNNEL, &MANIFEST.replace("\"0.2\"", "\"0.3\"")));
    assert!(other.contains("^0.3") && other.contains("0.2.x"), "{other}");
    for version in ["0.4.0", "0.3.0-rc-2026-01-06"] {
        let other = refusal(&with_manifest(
            &TUNNEL.replace("stdout@0.2.3", &format!("stdout@{version}")),
            MANIFEST,
        ));
        assert!(other.contains(version) && other.contains("WASI 0.2 and 0.3"), "{other}");
    }
}

#[test]
fn both_versions_of_wasi_and_its_requests_are_accepted() {
    for import in [
        "wasi:sockets/tcp@0.3.0",
        "wasi:cli/stdout@0.3.2",
        "wasi:clocks/monotonic-clock@0.3.0",
        "wasi:http/types@0.2.12",
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:http/client@0.3.2",
    ] {
        let component = with_manifest(&TUNNEL.replace("nexus:plugin/log@0.2.7", import), MANIFEST);
        let read = super::read(&component, &[0; 32], crate::minors::SUPPORTED);
        let found = read.map(|inspection| inspection.imports.contains(&import.to_owned()));
        assert_eq!(found, Ok(true), "{import}");
    }
}

#[test]
fn what_is_not_offered_is_refused() {
    for (import, words) in [
        ("wasi:sockets/tcp@0.1.0", "WASI 0.2 and 0.3"),
        ("wasi:http/incoming-handler@0.2.3", "takes none"),
        ("wasi:http/handler@0.3.0", "takes none"),
        ("wasi:keyvalue/store@0.2.0", "does not have it"),
        ("nexus:plugin/root-shell@0.2.0", "has no `root-shell`"),
        ("evil:corp/backdoor@1.0.0", "does not have it"),
    ] {
        let text = refusal(&with_manifest(
            &TUNNEL.replace("nexus:plugin/log@0.2.7", import),
            MANIFEST,
        ));
        assert!(text.contains(import) && text.contains(words), "{text}");
    }
}

#[test]
fn the_kind_must_be_exported() {
    let text = refusal(&with_manifest(TUNNEL, &MANIFEST.replace("tunnel", "chat")));
    assert!(
        text.contains("nexus:plugin/chat") && text.contains("nexus:plugin/tunnel@0.2.0"),
        "{text}"
    );
}

#[test]
fn the_manifest_is_the_components_own_and_is_read_of_what_cannot_run() {
    use wasm_encoder::{Component, CustomSection, Module, ModuleSection};
    let section = |data: &'static str| CustomSection {
        name: MANIFEST_SECTION.into(),
        data: data.as_bytes().into(),
    };
    let mut inner = Module::new();
    inner.section(&section("not this one"));
    let mut component = Component::new();
    component.section(&ModuleSection(&inner));
    let without = component.clone().finish();
    assert!(
        super::manifest(&without)
            .unwrap_err()
            .to_string()
            .contains("has no manifest")
    );
    component.section(&section(MANIFEST));
    let bytes = component.finish();
    assert_eq!(super::manifest(&bytes).unwrap().name.as_str(), "demo");
    assert!(inspect(&bytes).is_err(), "it exports nothing");
}

#[test]
fn the_name_of_an_import_has_an_end() {
    let long = format!("{}:corp/{}@1.0.0", "a".repeat(limits::IMPORT_NAME), "b".repeat(1 << 16));
    let text = refusal(&with_manifest(
        &TUNNEL.replace("nexus:plugin/log@0.2.7", &long),
        MANIFEST,
    ));
    assert!(text.contains("has no valid name") && text.len() < 1000, "{text}");
}
