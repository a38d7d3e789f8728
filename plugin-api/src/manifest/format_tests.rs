#![allow(clippy::unwrap_used)]

use crate::manifest::Manifest;
use crate::text;
use proptest::prelude::*;

const KNOWN: &str = r#"manifest = 1
name = "tunnel-x"
kind = "tunnel"
version = "0.1.0"
api = "0.2"
description = "A tunnel"
license = "MIT"

[config.server]
type = "string"
description = "Where"

[capabilities.process.x]
reason = "It is the tunnel."

[[capabilities.http]]
url = "https://x.example"
reason = "Its API"
"#;

fn parsed(more: &str) -> Manifest {
    Manifest::parse(&format!("{KNOWN}{more}")).unwrap()
}

fn refusal(text: &str) -> String {
    Manifest::parse(text).unwrap_err().to_string()
}

#[test]
fn keys_of_a_later_version_that_describe_are_ignored_and_named() {
    let known = parsed("");
    assert_eq!(
        (known.format, known.ignored.len(), known.unavailable.len()),
        (Some(1), 0, 0)
    );
    let text = KNOWN
        .replace("license", "icon = \"x.svg\"\nscreenshots = { a = 1 }\nlicense")
        .replace("type = ", "maximum = 7\ntype = ");
    let later = Manifest::parse(&format!("{text}[limits]\nsockets = 3\n[limit]\nmemory = 1\n")).unwrap();
    let ignored: Vec<String> = later.ignored.iter().map(|key| format!("{} {key}", key.line)).collect();
    assert_eq!(
        ignored,
        [
            "7 `icon`",
            "8 `screenshots`",
            "12 `config.server.maximum`",
            "23 `limits.sockets`",
            "24 `limit` (did you mean `limits`?)"
        ]
    );
    let ignored = Vec::new();
    assert_eq!(Manifest { ignored, ..later }, known, "the rest is what it was");
}

#[test]
fn a_capability_of_a_later_version_is_refused_by_name_unless_it_is_optional() {
    for (more, said) in [
        (
            "[capabilities.notify]\nreason = \"r\"\n",
            "line 19: the plugin needs `capabilities.notify`, which this Nexus cannot give. To fix: use a newer Nexus",
        ),
        (
            "[[capabilities.dial]]\noptional = true\n[[capabilities.dial]]\nreason = \"r\"\n",
            "needs `capabilities.dial`",
        ),
        // It may narrow what is asked for.
        (
            "paths = [\"/v1\"]\n",
            "line 19: the plugin needs `capabilities.http.paths`",
        ),
        (
            "[capabilities.store]\nquota = 1\nreason = \"r\"\nencrypted = true\n",
            "needs `capabilities.store.encrypted`",
        ),
        ("[capabilities.proces.x]\nreason = \"r\"\n", "did you mean `process`?"),
    ] {
        let refusal = refusal(&format!("{KNOWN}{more}"));
        assert!(refusal.contains(said), "{refusal}");
    }
    let without = parsed(
        "optional = true\npaths = [\"/v1\"]\n\
         [[capabilities.http]]\nurl = \"https://y.example\"\nreason = \"r\"\n\
         [capabilities.notify]\noptional = true\nreason = \"r\"\n\
         [capabilities.dial.a]\noptional = true\n\
         [capabilities.process.y]\noptional = true\nreason = \"r\"\nuser = \"other\"\n\
         [capabilities.store]\noptional = true\nquota = 1\nreason = \"r\"\nencrypted = true\n",
    );
    let mut gone: Vec<&str> = without.unavailable.iter().map(|key| key.key.as_str()).collect();
    gone.sort_unstable();
    assert_eq!(
        gone,
        [
            "capabilities.dial",
            "capabilities.http.paths",
            "capabilities.notify",
            "capabilities.process.y.user",
            "capabilities.store.encrypted"
        ]
    );
    let left = &without.capabilities;
    assert_eq!(left.process.keys().collect::<Vec<_>>(), ["x"]);
    assert_eq!(
        left.http.iter().map(|server| server.url.as_str()).collect::<Vec<_>>(),
        ["https://y.example"]
    );
    assert_eq!(left.store, None);
    assert!(
        parsed("optional = true\n")
            .capabilities
            .http
            .iter()
            .all(|server| server.optional)
    );
}

#[test]
fn a_later_format_is_refused_before_anything_else_of_it_is_read() {
    let later = refusal("manifest = 2\nname = { first = \"x\" }\n");
    assert_eq!(
        later,
        "plugin.toml, line 1: the manifest has version 2 of the format, but this Nexus reads version 1. To fix: use a newer \
         Nexus, or a version of the plugin with `manifest = 1`"
    );
    for wrong in ["0", "-1", "\"1\"", "1.0", "{ a = 1 }"] {
        let refusal = refusal(&KNOWN.replace("manifest = 1", &format!("manifest = {wrong}")));
        assert!(
            refusal.contains("line 1: `manifest` is the version of the format"),
            "{refusal}"
        );
    }
    assert_eq!(
        Manifest::parse(&KNOWN.replace("manifest = 1\n", "")).unwrap().format,
        None
    );
}

#[test]
fn what_is_unknown_has_an_end() {
    let many: String = (0..65).map(|n| format!("[k{n}]\n")).collect();
    assert!(refusal(&format!("{KNOWN}{many}")).contains("the limit is 64"));
    let long = format!("[\"{}\\u001b\"]\n", "x".repeat(5000));
    let key = &parsed(&long).ignored[0].key;
    assert!(key.len() < 100 && key.ends_with('…'), "{key}");
}

/// Everything of a manifest that a person is shown.
fn shown(manifest: &Manifest) -> Vec<String> {
    let asked = &manifest.capabilities;
    let texts = [&manifest.description, &manifest.license];
    let texts = texts.into_iter().chain(&manifest.authors);
    let texts = texts.chain(&manifest.homepage).chain(&manifest.repository);
    let texts = texts.chain(asked.process.values().map(|process| &process.reason));
    let texts = texts.chain(asked.process.keys());
    let texts = texts.chain(asked.http.iter().flat_map(|server| [&server.url, &server.reason]));
    let texts = texts.chain(asked.store.iter().map(|store| &store.reason));
    let texts = texts.chain(manifest.config.keys());
    let texts = texts.chain(manifest.config.values().map(|key| &key.description));
    let texts = texts.cloned();
    let unknown = manifest.ignored.iter().chain(&manifest.unavailable);
    let texts = texts.chain(unknown.map(ToString::to_string));
    texts.chain(manifest.old_keys.iter().map(ToString::to_string)).collect()
}

fn is_one_safe_line(text: &str) -> bool {
    !text.chars().any(char::is_control) && text::line(text) == text
}

/// What a manifest may have, and what acts on a terminal.
fn any_text() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        "\u{1b}[2J",
        "\n",
        "\r\n",
        "\t",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{2028}",
        "\u{9b}",
        "\u{7}",
        "\u{e0041}",
        " ",
        "\"",
        "\\",
        "ß",
        "א",
        "👩‍💻",
        "license MIT",
    ]);
    let piece = prop_oneof![
        hostile.prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        "[a-z ]{1,8}"
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(error) = Manifest::parse(&text) {
            prop_assert!(is_one_safe_line(&error.to_string()), "{error}");
        }
    }

    #[test]
    fn what_is_cut_out_put_in_and_turned_around_breaks_nothing(
        at in 0..400_usize, removed in 0..40_usize, put in any_text(),
    ) {
        let mut chars: Vec<char> = KNOWN.chars().collect();
        let at = at.min(chars.len());
        let end = (at + removed).min(chars.len());
        chars.splice(at..end, put.chars());
        match Manifest::parse(&chars.into_iter().collect::<String>()) {
            Ok(manifest) => for text in shown(&manifest) {
                prop_assert!(is_one_safe_line(&text), "{text:?}");
            },
            Err(error) => prop_assert!(is_one_safe_line(&error.to_string()), "{error}"),
        }
    }

    #[test]
    fn its_texts_are_shown_on_one_line_whatever_they_are(text in any_text(), key in any_text()) {
        let hostile = quoted(&text);
        let written = KNOWN
            .replace("\"A tunnel\"", &hostile)
            .replace("\"MIT\"", &hostile)
            .replace("\"Where\"", &hostile)
            .replace("manifest = 1", &format!("manifest = 1\nauthors = [{hostile}, {hostile}]\n{} = 1", quoted(&key)));
        // A key may be one of those that there are.
        if let Ok(manifest) = Manifest::parse(&written) {
            for text in shown(&manifest) {
                prop_assert!(is_one_safe_line(&text), "{text:?}");
            }
        }
        let reason = KNOWN.replace("\"Its API\"", &quoted(&format!("r{text}")));
        for text in shown(&Manifest::parse(&reason).unwrap()) {
            prop_assert!(is_one_safe_line(&text), "{text:?}");
        }
    }
}
