#![allow(clippy::unwrap_used)]

use super::*;

const BORE: &str = r#"
name = "tunnel-x"
kind = "tunnel"
version = "0.1.0"
api = "0.2"
description = "A tunnel"
license = "MIT"

[config.server]
type = "string"
default = "x.example"
description = "Where"

[config.token]
type = "string"
secret = true
description = "What the server wants"

[capabilities.process.x]
reason = "It is the tunnel."
"#;

#[test]
fn a_manifest_is_read() {
    let m = Manifest::parse(BORE).unwrap();
    assert_eq!((m.name.as_str(), m.kind), ("tunnel-x", Kind::Tunnel));
    assert!(m.api.matches(&Version::new(0, 2, 7)) && !m.api.matches(&Version::new(0, 3, 0)));
    assert_eq!(m.secrets().collect::<Vec<_>>(), ["token"]);
}

#[test]
fn what_is_wrong_is_reported_with_its_line() {
    for (from, to, expected) in [
        (
            "kind = \"tunnel\"",
            "kind = \"tunel\"",
            "plugin.toml, line 3: unknown variant `tunel`",
        ),
        (
            "name = \"tunnel-x\"",
            "name = \"../x\"",
            "line 2: `../x` is not a plugin name",
        ),
        (
            "default = \"x.example\"",
            "default = 7",
            "config.server: the default is integer, expected a string",
        ),
        (
            "secret = true",
            "secret = true\ndefault = \"x\"",
            "config.token: a secret cannot have a default",
        ),
        (
            "reason = \"It is the tunnel.\"",
            "reason = \" \"",
            "capabilities.process.x: the reason is empty",
        ),
        (
            "license = \"MIT\"",
            "license = \"MIT\"\nhomepage = \"javascript:alert(1)\"",
            "homepage = \"javascript:alert(1)\": expected https://HOST/…",
        ),
        (
            "license = \"MIT\"",
            "license = \"MIT\"\nrepository = \"https://a b\"",
            "repository = \"https://a b\": it has a blank",
        ),
        (
            "version = \"0.1.0\"",
            "version = \"1.0\"",
            "line 4: its version is not a semver version: found \"1.0\"",
        ),
        (
            "api = \"0.2\"",
            "api = \"new\"",
            "line 5: `api` is not a range of versions",
        ),
        (
            "default = \"x.example\"",
            "default = \"c\"\none_of = [\"a\", \"b\"]",
            "config.server: the default \"c\" is none of `one_of`: a, b",
        ),
        (
            "default = \"x.example\"",
            "default = \"x\\u202Ey\"",
            "config.server: the default has an invisible character: \"x⟨U+202E⟩y\"",
        ),
        ("[config.server]", "[config.\"a b\"]", "config.a b: a key can only have"),
        (
            "[capabilities.process.x]",
            "[capabilities.process.\"../../bin/sh\"]",
            "capabilities.process.\"../../bin/sh\": expected the file name of a binary",
        ),
        (
            "[capabilities.process.x]",
            "[limits]\nmemory = 99999999999\n[capabilities.process.x]",
            "limits.memory: 99999999999 bytes",
        ),
        (
            "[capabilities.process.x]",
            "[[capabilities.http]]\nurl = \"not a url\"",
            "url = \"not a url\": expected https://HOST",
        ),
        (
            "[capabilities.process.x]",
            "[[capabilities.http]]\nurl = \"https://{config:nosuch}\"",
            "there is no [config.nosuch]",
        ),
        (
            "[capabilities.process.x]",
            "[[capabilities.http]]\nurl = \"{config:token}\"",
            "{config:token} is a secret",
        ),
        (
            "[capabilities.process.x]",
            "[[capabilities.http]]\nurl = \"https://\\u0430pple.com\"",
            "an invisible character",
        ),
    ] {
        let text = BORE.replace(from, to);
        let error = Manifest::parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_names_of_the_version_before_are_read_with_a_notice() {
    let written = BORE
        .replace("reason = \"It is", "inherit_env = true\nreason = \"It is")
        .replace("default = \"x.example\"", "one_of = [\"a\", \"b\"]");
    let now = Manifest::parse(&written).unwrap();
    assert!(now.old_keys.is_empty() && now.capabilities.process["x"].inherit_env);
    let before = written
        .replace("license", "licence")
        .replace("one_of", "one-of")
        .replace("inherit_env", "inherit-env");
    let read = Manifest::parse(&before).unwrap();
    assert_eq!(
        read.old_keys
            .iter()
            .map(|key| key.new_line.text.as_str())
            .collect::<Vec<_>>(),
        ["license = \"MIT\"", "one_of = [\"a\", \"b\"]", "inherit_env = true"]
    );
    let old_keys = Vec::new();
    assert_eq!(Manifest { old_keys, ..read }, now);
    let both = Manifest::parse(&BORE.replace("license = \"MIT\"", "licence = \"MIT\"\nlicense = \"MIT\"")).unwrap_err();
    assert!(
        both.to_string()
            .starts_with("plugin.toml, line 7: `licence` and `license` are the old and the new name of the same key"),
        "{both}"
    );
    assert_eq!(
        Manifest::parse(&BORE.replace("license", "lisense"))
            .unwrap_err()
            .to_string(),
        "plugin.toml, line 7: missing field `license`, but there is `lisense`. To fix: write `license`"
    );
}

#[test]
fn its_words_cannot_pass_for_the_hosts() {
    const HOSTILE: &str = "A tunnel\\n\\nlicense MIT\\u001b[8m\\u0007\\u202e\\u200b\\u009b";
    let text = format!("authors = [\"{HOSTILE}\"]\n{BORE}\n[capabilities.store]\nquota = 1\nreason = \"r\"\n")
        .replace("\"A tunnel\"", &format!("\"{HOSTILE}\""))
        .replace("\"MIT\"", &format!("\"{HOSTILE}\""))
        .replace("\"Where\"", &format!("\"{HOSTILE}\""))
        .replace("\"r\"", &format!("\"{HOSTILE}\""))
        .replace("\"It is the tunnel.\"", &format!("\"{HOSTILE}\""));
    let m = Manifest::parse(&text).unwrap();
    let clean = "A tunnel license MIT⟨U+001B⟩[8m⟨U+0007⟩⟨U+202E⟩⟨U+200B⟩⟨U+009B⟩";
    let process = m.capabilities.process.values().map(|p| &p.reason);
    let store = m.capabilities.store.iter().map(|s| &s.reason);
    let key = m.config.get("server").map(|key| &key.description);
    let all = [&m.description, &m.license]
        .into_iter()
        .chain(&m.authors)
        .chain(process)
        .chain(store)
        .chain(key);
    assert_eq!(all.map(String::as_str).collect::<Vec<_>>(), [clean; 6]);
    let blanks = BORE.replace(
        "A tunnel",
        &format!("A tunnel{}license MIT", " \\u3000\\u2800\\u00a0".repeat(40)),
    );
    assert_eq!(Manifest::parse(&blanks).unwrap().description, "A tunnel license MIT");
    let wrong = BORE
        .replace("description", "desc\\u001bription")
        .replace("kind = \"tunnel\"", "kind = \"\\u001b[2J\"");
    assert!(!Manifest::parse(&wrong).unwrap_err().to_string().contains('\u{1b}'));
    let wrong = BORE.replace("\"tunnel-x\"", "\"\\u001b\\n\"");
    assert!(
        !Manifest::parse(&wrong)
            .unwrap_err()
            .to_string()
            .contains(['\u{1b}', '\n'])
    );
}

#[test]
fn it_has_an_end() {
    let long = "x".repeat(MANIFEST_SENTENCE + 1);
    let many = |n: usize, one: &dyn Fn(usize) -> String| (0..n).map(one).collect::<String>();
    for text in [
        BORE.replace("A tunnel", &long),
        BORE.replace("It is the tunnel.", &long),
        BORE.replace("\"MIT\"", &format!("\"{long}\"")),
        BORE.replace("\"0.1.0\"", &format!("\"0.1.0-{long}\"")),
        format!(
            "authors = [{}]\n{BORE}",
            many(MANIFEST_ENTRIES + 1, &|n| format!("\"{n}\","))
        ),
        format!(
            "{BORE}{}",
            many(MANIFEST_ENTRIES, &|n| format!(
                "[config.k{n}]\ntype = \"integer\"\ndescription = \"\"\n"
            ))
        ),
        format!(
            "{BORE}{}",
            many(MANIFEST_ENTRIES, &|n| format!(
                "[capabilities.process.p{n}]\nreason = \"r\"\n"
            ))
        ),
        format!(
            "{BORE}{}",
            many(MANIFEST_ENTRIES + 1, &|n| format!(
                "[[capabilities.http]]\nurl = \"https://h{n}\"\nreason = \"r\"\n"
            ))
        ),
        format!("{BORE}#{}", "x".repeat(MANIFEST_BYTES)),
    ] {
        let error = Manifest::parse(&text).unwrap_err().to_string();
        assert!(error.contains("the limit is"), "{error}");
    }
}
