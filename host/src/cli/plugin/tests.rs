use super::*;
use crate::builtin;
use nexus_plugin_api::manifest::Manifest;
use proptest::prelude::*;
use wasm_encoder::{Component, ComponentSection as _, CustomSection};

const MANIFEST: &str = "manifest = 1\nname = \"x-y\"\nkind = \"chat\"\nversion = \"1.2.3\"\napi = \"0.2\"\ndescription = \"d\"\nlicense = \"MIT\"\n";

fn folder_with(component: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.wasm"), component).unwrap();
    std::fs::write(
        folder.path().join("nexus.toml"),
        "config_version = 1\n[plugin.x-y]\nsource = \"x.wasm\"\n[plugin.tunnel-bore]\n",
    )
    .unwrap();
    folder
}

fn no_exports() -> Vec<u8> {
    let mut component = Component::new().finish();
    CustomSection {
        name: nexus_plugin_api::MANIFEST_SECTION.into(),
        data: MANIFEST.as_bytes().into(),
    }
    .append_to_component(&mut component);
    component
}

fn nowhere() -> CommonOptions {
    CommonOptions::default()
}

fn with_config(file: &Path) -> CommonOptions {
    CommonOptions {
        config: Some(file.to_owned()),
        ..CommonOptions::default()
    }
}

#[test]
fn a_builtin_one_is_checked_by_its_name() {
    let answer = check("tunnel-bore", &nowhere()).unwrap();
    assert!(
        answer.text.contains("this Nexus can load tunnel-bore "),
        "{}",
        answer.text
    );
}

#[test]
fn a_file_that_cannot_be_loaded_is_named_with_its_reason() {
    let folder = folder_with(b"\x7fELF");
    let file = folder.path().join("x.wasm");
    let cause = format!("{:#}", check(file.to_str().unwrap(), &nowhere()).err().unwrap());
    assert!(
        cause.contains(&file.display().to_string()) && cause.contains("component"),
        "{cause}"
    );
    let cause = format!(
        "{:#}",
        check(folder.path().join("y.wasm").to_str().unwrap(), &nowhere())
            .err()
            .unwrap()
    );
    assert!(cause.contains("y.wasm cannot be read"), "{cause}");
}

#[test]
fn a_plugin_without_the_interface_of_its_kind_does_not_pass() {
    let folder = folder_with(&no_exports());
    let cause = format!(
        "{:#}",
        check(folder.path().join("x.wasm").to_str().unwrap(), &nowhere())
            .err()
            .unwrap()
    );
    assert!(
        cause.contains("exports nothing")
            && cause.contains("nexus:plugin/chat")
            && cause.contains("`nexus_plugin_api::export_chat!(Plugin);`"),
        "{cause}"
    );
}

#[test]
fn the_list_has_the_builtin_ones_and_says_what_is_wrong_with_a_configured_one() {
    let folder = folder_with(&no_exports());
    let answer = list(&with_config(&folder.path().join("nexus.toml"))).unwrap();
    let rows = answer.json["plugins"].as_array().unwrap();
    assert_eq!(rows.len(), builtin::all().len() + 1);
    for (row, (name, _)) in rows.iter().zip(builtin::all()) {
        assert_eq!((row["name"].as_str(), row["ok"].as_bool()), (Some(*name), Some(true)));
    }
    let last = rows.last().unwrap();
    assert_eq!(
        (last["name"].as_str(), last["ok"].as_bool()),
        (Some("x-y"), Some(false))
    );
    assert!(answer.text.contains("cannot be loaded"));
}

#[test]
fn info_reads_builtin_and_configured_ones_and_names_what_there_is() {
    let answer = info("auth-local", &nowhere()).unwrap();
    assert!(answer.text.contains("store up to 1 MiB"), "{}", answer.text);
    assert_eq!(answer.json["kind"], "auth");
    let bore = info("tunnel-bore", &nowhere()).unwrap();
    assert!(
        bore.text.contains("server (a string, default \"bore.pub\")")
            && bore.text.contains("secret (a string, secret)"),
        "{}",
        bore.text
    );
    let cause = info("auth-lokal", &nowhere()).err().unwrap().to_string();
    assert!(cause.contains("auth-local"), "{cause}");
    assert!(!bore.text.contains("Granted by this configuration"), "{}", bore.text);
    let folder = folder_with(&no_exports());
    let cause = format!(
        "{:#}",
        info("x-y", &with_config(&folder.path().join("nexus.toml")))
            .err()
            .unwrap()
    );
    assert!(cause.contains("exports nothing"), "{cause}");
}

#[test]
fn info_with_a_configuration_says_what_is_granted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.toml");
    let path = folder.path().join("bore");
    std::fs::write(
        &file,
        format!(
            "config_version = 1\n[plugin.tunnel-bore.grants.process.bore]\npath = {:?}\n",
            path.to_str().unwrap()
        ),
    )
    .unwrap();
    let bore = info("tunnel-bore", &with_config(&file)).unwrap();
    let line = format!("run bore ({})", path.display());
    assert!(
        bore.text.contains(&format!("configuration:\n  {line}")),
        "{}",
        bore.text
    );
    assert_eq!(bore.json["granted"][0], line);
}

#[test]
fn a_configuration_with_a_problem_is_answered_with_the_problem() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.toml");
    std::fs::write(&file, "config_version = 1\n[plugin.x-y]\nsorce = \"x.wasm\"\n").unwrap();
    let error = list(&with_config(&file)).err().unwrap();
    assert!(error.to_string().contains("sorce"), "{error}");
    assert!(matches!(error.downcast_ref::<LoadError>(), Some(LoadError::Config(_))));
}

/// A built-in component as an author built it for 0.1.
fn of_the_version_before(name: &str) -> Vec<u8> {
    let bytes: &[u8] = builtin::builtin(name).unwrap();
    let section = |data: &[u8]| {
        let mut section = Vec::new();
        let (name, data) = (nexus_plugin_api::MANIFEST_SECTION.into(), data.into());
        CustomSection { name, data }.append_to_component(&mut section);
        section
    };
    let mut payloads = wasmparser::Parser::new(0).parse_all(bytes);
    let manifest = payloads.find_map(|payload| match payload.unwrap() {
        wasmparser::Payload::CustomSection(found) if found.name() == nexus_plugin_api::MANIFEST_SECTION => {
            Some(String::from_utf8(found.data().to_vec()).unwrap())
        }
        _ => None,
    });
    let manifest = manifest.unwrap();
    let code = bytes.strip_suffix(section(manifest.as_bytes()).as_slice()).unwrap();
    let before = manifest.replace("license", "licence");
    assert_ne!(before, manifest);
    [code, section(before.as_bytes()).as_slice()].concat()
}

#[test]
fn old_keys_of_a_manifest_are_reported_with_the_plugin_its_file_and_the_line_to_write() {
    let folder = folder_with(&of_the_version_before("tunnel-bore"));
    let file = folder.path().join("x.wasm");
    let old = |plugin: &str, line: &str| {
        format!(
            "plugin {plugin} ({}): the key `licence` of its manifest has been renamed to `license`; this version still reads \
             the old name; a later one will not. To fix: the author of the plugin has to build it again; in its plugin.toml, write {line}",
            file.display()
        )
    };
    let answer = check(file.to_str().unwrap(), &nowhere()).unwrap();
    let notice = answer.json["notices"][0].as_str().unwrap().to_owned();
    let (_, line) = notice.split_once("plugin.toml, write ").unwrap();
    assert!(line.contains(" as: license = \""), "{line}");
    assert_eq!(notice, old("tunnel-bore", line));
    assert!(
        answer.text.contains(&format!("\nwarning: {notice}\n")),
        "{}",
        answer.text
    );

    // The same in the configuration's notices, which `config check`, `doctor` and `up` show.
    let place = with_config(&folder.path().join("nexus.toml"));
    let config = crate::cli::load_config::load_config(&place, None, &builtin::components()).unwrap();
    assert_eq!(config.notices, [old("x-y", line)]);
    let answer = check("x-y", &place).unwrap();
    assert_eq!(answer.json["notices"][0], old("x-y", line));
    let answer = check("tunnel-bore", &place).unwrap();
    assert_eq!(answer.json["notices"], json!([]));
}

#[test]
fn the_optional_interfaces_that_it_has_and_has_not_are_named() {
    let answer = check("chat-echo", &nowhere()).unwrap();
    assert!(
        answer.text.contains(
            "\noptional interfaces: sessions, history, commands\noptional interfaces that it does not have: "
        ) && answer.text.contains("questions"),
        "{}",
        answer.text
    );
    assert_eq!(answer.json["contract"], "0.2");
    assert_eq!(answer.json["optional_interfaces"]["sessions"], true);
    assert_eq!(answer.json["optional_interfaces"]["questions"], false);
    let opencode = info("chat-opencode", &nowhere()).unwrap().text;
    assert!(opencode.contains("sessions, history, questions"), "{opencode}");
    let bore = info("tunnel-bore", &nowhere()).unwrap();
    assert!(
        !bore.text.contains("optional interfaces"),
        "a tunnel has none: {}",
        bore.text
    );
}

const FULL: &str = r#"manifest = 1
name = "tunnel-x"
kind = "tunnel"
version = "0.1.0"
api = "0.2"
description = "DESCRIPTION"
authors = ["AUTHOR", "AUTHOR"]
license = "LICENSE"
homepage = "https://x.example"
repository = "https://git.example/x"
later = 1

[config.server]
type = "string"
default = "x"
description = "KEY"
[config.token]
type = "string"
secret = true
description = "KEY"
[capabilities.process.x]
reason = "REASON"
[capabilities.notify]
optional = true
"#;

/// A built-in component that says all this of itself.
fn saying(manifest: &str) -> String {
    static BORE: std::sync::LazyLock<nexus_plugin_host::Inspection> =
        std::sync::LazyLock::new(|| show::load(&nexus_config::resolved::Source::Builtin, "tunnel-bore").unwrap());
    let mut found = BORE.clone();
    found.manifest = Manifest::parse(manifest).unwrap();
    show::described(&found).unwrap()
}

#[test]
fn the_pages_the_optional_requests_and_what_is_unknown_are_shown() {
    let shown = saying(&FULL.replace("reason = \"REASON\"", "optional = true\nreason = \"REASON\""));
    for line in [
        "homepage  https://x.example",
        "sources   https://git.example/x",
        "api       ^0.2 (the component has 0.2)",
        "  run x (optional): REASON",
        "  plugin.toml:11: the key `later` is unknown to this version of Nexus, which ignores it",
        "  plugin.toml:24: the permission `capabilities.notify` is unknown to this version of Nexus. It is optional, so the plugin \
         is loaded without it",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever reads a plugin's own words must not take them for those of the host.
    #[test]
    fn a_screen_has_the_same_lines_whatever_the_plugin_says(
        words in prop::collection::vec(
            prop_oneof![
                Just("\n".to_owned()), Just("\r\n".to_owned()), Just("\u{1b}[2J\u{9b}A".to_owned()), Just("\u{202e}".to_owned()),
                Just("\u{2028}".to_owned()), Just("   ".to_owned()), Just("\nRequested permissions:\n  nothing".to_owned()),
                any::<char>().prop_map(String::from),
            ],
            0..12,
        ),
    ) {
        let text = format!("x{}x", words.concat());
        let quoted = toml::Value::String(text).to_string();
        let mut hostile = FULL.to_owned();
        for place in ["DESCRIPTION", "AUTHOR", "LICENSE", "KEY", "REASON"] {
            hostile = hostile.replace(&format!("\"{place}\""), &quoted);
        }
        let (plain, shown) = (saying(FULL), saying(&hostile));
        prop_assert_eq!(plain.lines().count(), shown.lines().count(), "{}", shown);
        prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{:?}", shown);
        let headings = |text: &str| text.lines().filter(|line| line.ends_with(':')).map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(headings(&plain), headings(&shown));
    }
}
