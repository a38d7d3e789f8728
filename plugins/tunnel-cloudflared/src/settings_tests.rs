use super::*;
use nexus_plugin_api::tunnel::FailureKind;

/// `TOKEN` has the format of the dashboard's tokens.
const TOKEN: &str =
    "eyJhIjoiYWNjb3VudCIsInQiOiJmN2IyYTFjNC0wZDNlLTRhNWItOGM2ZC05ZTBmMWEyYjNjNGQiLCJzIjoiYTJWbGNDQjBhR2x6In0=";
const ID: &str = "f7b2a1c4-0d3e-4a5b-8c6d-9e0f1a2b3c4d";

fn settings(hostname: &str, token: bool, credentials: bool) -> Result<Settings, Failure> {
    let authored = Authored {
        hostname: hostname.to_owned(),
        protocol: "auto".to_owned(),
    };
    let credentials = credentials.then(|| ID.to_owned());
    let token = token.then(|| TOKEN.to_owned());
    Settings::of(authored, Secrets { token, credentials })
}

fn origin() -> Origin {
    Origin {
        host: "127.0.0.1".to_owned(),
        port: 4711,
    }
}

fn variable<'a>(spec: &'a Spec, name: &str) -> Option<&'a str> {
    let variable = spec.env.iter().find(|variable| variable.name == name);
    variable.map(|variable| variable.value.as_str())
}

#[test]
fn the_secret_that_is_given_says_whose_tunnel_it_is() {
    assert_eq!(settings("", false, false).unwrap().mode, Mode::Quick);
    assert_eq!(settings("", true, false).unwrap().mode, Mode::Token { hostname: None });
    assert_eq!(
        settings("chat.example.org", false, true).unwrap().mode,
        Mode::Credentials {
            tunnel: ID.to_owned(),
            hostname: "chat.example.org".to_owned()
        }
    );
}

#[test]
fn what_does_not_go_together_waits_for_the_operator() {
    for (hostname, token, credentials, word) in [
        ("", true, true, "Both"),
        ("", false, true, "public name"),
        ("chat.example.org", false, false, "random name"),
        ("https://chat.example.org", true, false, "not a host name"),
        ("chat", true, false, "not a host name"),
        ("-x.example.org", true, false, "not a host name"),
        ("a\"\ningress:.b", false, true, "not a host name"),
    ] {
        let failure = settings(hostname, token, credentials).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.message.contains(word) && failure.hint.is_some(), "{failure:?}");
    }
}

#[test]
fn a_credentials_file_is_read_for_its_id_and_never_quoted() {
    let good = format!(r#"{{"AccountTag":"a","TunnelSecret":"c2VjcmV0","TunnelID":"{ID}"}}"#);
    assert_eq!(tunnel_id(&good).unwrap(), ID);
    for bad in [
        "hush",
        r#"{"TunnelSecret":"hush"}"#,
        r#"{"TunnelID":"hush","TunnelSecret":"hush"}"#,
        r#"["hush"]"#,
    ] {
        let failure = tunnel_id(bad).unwrap_err();
        assert!(!format!("{failure:?}").contains("hush"), "{failure:?}");
        assert!(failure.hint.unwrap().contains("credentials = {"));
    }
}

#[test]
fn secrets_are_references_and_never_arguments() {
    let named = Mode::Credentials {
        tunnel: ID.to_owned(),
        hostname: "chat.example.org".to_owned(),
    };
    let token = Mode::Token { hostname: None };
    for mode in [&Mode::Quick, &token, &named] {
        let spec = spec(mode, None, false, Protocol::Auto, &origin());
        assert!(
            spec.args.iter().all(|argument| !argument.contains("secret")),
            "{spec:?}"
        );
        assert_eq!(spec.args[..3], ["tunnel", "--config", "{file:config.yml}"]);
    }
    let spec = spec(&token, None, false, Protocol::Auto, &origin());
    assert_eq!(variable(&spec, "TUNNEL_TOKEN"), Some("{secret:token}"));
}

#[test]
fn flags_of_the_tunnel_stand_before_run() {
    // cloudflared ends with a usage error where they stand behind.
    let spec = spec(&Mode::Token { hostname: None }, None, false, Protocol::Auto, &origin());
    let at = |flag: &str| spec.args.iter().position(|argument| argument == flag).unwrap();
    for flag in [
        "--config",
        "--loglevel",
        "--no-autoupdate",
        "--metrics",
        "--grace-period",
    ] {
        assert!(at(flag) < at("run"), "{flag}");
    }
    assert!(at("--url") > at("run"));
}

#[test]
fn our_own_configuration_leads_one_name_here_and_the_rest_nowhere() {
    let mode = Mode::Credentials {
        tunnel: ID.to_owned(),
        hostname: "chat.example.org".to_owned(),
    };
    let spec = spec(&mode, None, false, Protocol::Auto, &origin());
    let file = spec.files.iter().find(|file| file.name == "config.yml").unwrap();
    assert_eq!(
        file.content,
        format!(
            "no-autoupdate: true\ntunnel: \"{ID}\"\ncredentials-file: \"{{file:credentials.json}}\"\ningress:\n  - hostname: \
             \"chat.example.org\"\n    service: \"http://127.0.0.1:4711\"\n  - service: \"http_status:404\"\n"
        )
    );
}

#[test]
fn the_protocol_is_named_only_where_it_was_chosen_or_found_out() {
    let named = |http2, protocol| {
        let spec = spec(&Mode::Quick, None, http2, protocol, &origin());
        variable(&spec, "TUNNEL_TRANSPORT_PROTOCOL").map(str::to_owned)
    };
    assert_eq!(named(false, Protocol::Auto), None);
    assert_eq!(named(true, Protocol::Auto).as_deref(), Some("http2"));
    assert_eq!(named(true, Protocol::Quic).as_deref(), Some("quic"));
    assert_eq!(named(false, Protocol::Http2).as_deref(), Some("http2"));
}

#[test]
fn old_and_foreign_versions_are_distinguished() {
    let whole = "cloudflared version 2026.8.2 (built 2026-08-20-09:54 UTC)\n";
    assert_eq!(version(whole), Ok("2026.8.2".to_owned()));
    assert_eq!(
        version("cloudflared version 2024.9.0 (built x)"),
        Ok("2024.9.0".to_owned())
    );
    assert_eq!(version("cloudflared version DEV (built unknown)"), Ok("DEV".to_owned()));
    assert!(
        version("cloudflared version 2022.3.1 (built x)")
            .unwrap_err()
            .contains("2024.9.0 or newer")
    );
    assert!(version("Incorrect Usage").unwrap_err().contains("is not cloudflared"));
    assert!(version("").is_err());
}

#[test]
fn a_token_is_taken_out_of_what_was_pasted_with_it() {
    let spread = format!("{}\n{}\r\n{}", &TOKEN[..50], &TOKEN[50..90], &TOKEN[90..]);
    let unpadded = TOKEN.trim_end_matches('=');
    for pasted in [
        format!("cloudflared tunnel run --token {TOKEN}"),
        format!("cloudflared tunnel --no-autoupdate run --token={TOKEN}"),
        format!("sudo cloudflared service install {TOKEN}\n"),
        format!("cloudflared.exe service install {TOKEN}\r\n"),
        format!("docker run cloudflare/cloudflared:latest tunnel --no-autoupdate run --token {TOKEN}"),
        format!("TUNNEL_TOKEN={TOKEN}"),
        format!("export TUNNEL_TOKEN='{TOKEN}'"),
        format!("\u{feff}{TOKEN}"),
        format!("\"{TOKEN}\""),
        format!("`{TOKEN}`,"),
        spread,
    ] {
        assert_eq!(extract_token(&pasted), Some(Token(TOKEN.to_owned())), "{pasted:?}");
    }
    assert_eq!(
        extract_token(&format!("--token {unpadded}")),
        Some(Token(unpadded.to_owned()))
    );
    // As it stands, or nothing that is one.
    for plain in [
        TOKEN,
        &format!(" {TOKEN}\n"),
        "hush, this is no token",
        "",
        "ey",
        "eyJ short",
    ] {
        assert_eq!(extract_token(plain), None, "{plain:?}");
    }
    let spec = spec(
        &Mode::Token { hostname: None },
        Some(&Token(TOKEN.to_owned())),
        false,
        Protocol::Auto,
        &origin(),
    );
    assert_eq!(variable(&spec, "TUNNEL_TOKEN"), Some(TOKEN));
    assert!(spec.args.iter().all(|argument| !argument.contains(TOKEN)));
    assert!(!format!("{:?}", Token(TOKEN.to_owned())).contains("ey"));
}
