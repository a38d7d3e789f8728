#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::capabilities::Mask;

fn descriptor(title: &str, address: Option<&str>, name: Option<&str>) -> wit_tunnel::Descriptor {
    wit_tunnel::Descriptor {
        title: title.to_owned(),
        url: wit_tunnel::UrlKind::Stable,
        encryption: wit_tunnel::Encryption::Edge,
        liveness: wit_tunnel::Liveness::Unknown,
        event_streams: true,
        client_address_header: address.map(str::to_owned),
        public_name_header: name.map(str::to_owned),
        refused: Vec::new(),
    }
}

#[test]
fn a_descriptor_is_checked() {
    let good = tunnel_descriptor(
        descriptor(" ", Some("CF-Connecting-IP"), Some("X-Forwarded-Host")),
        "tunnel-x",
    );
    let good = good.unwrap();
    assert_eq!(
        (
            good.title.as_str(),
            good.client_address_header.as_deref(),
            good.public_name_header.as_deref()
        ),
        ("tunnel-x", Some("cf-connecting-ip"), Some("x-forwarded-host"))
    );
    assert_eq!(good.liveness, tunnel::Liveness::Unknown);
    let long = "x".repeat(100_000);
    for header in [
        "not a header\r\nX: y",
        "",
        "cookie",
        "Authorization",
        "sec-fetch-site",
        &long,
    ] {
        for descriptor in [descriptor("t", Some(header), None), descriptor("t", None, Some(header))] {
            let said = tunnel_descriptor(descriptor, "x").unwrap_err().to_string();
            assert!(
                said.contains("a bug of the plugin") && said.len() < 1000 && !said.contains('\r'),
                "{said}"
            );
        }
    }
    // A provider may put the name into `Host`, and say so; a client's address is never there.
    assert!(tunnel_descriptor(descriptor("t", None, Some("host")), "x").is_ok());
    assert!(tunnel_descriptor(descriptor("t", Some("host"), None), "x").is_err());
}

fn heard(event: wit_tunnel::Event) -> TunnelEvent {
    tunnel_event(event, &Speaker::new("tunnel-x", &Mask::default()))
}

fn address(url: impl Into<String>) -> wit_tunnel::Address {
    wit_tunnel::Address {
        url: url.into(),
        private: false,
    }
}

#[test]
fn addresses_have_one_form_and_an_end() {
    let TunnelEvent::Addresses(all) = heard(wit_tunnel::Event::Addresses(vec![
        address("HTTPS://A.Example.ORG:443/"),
        address(format!("https://{}", "x".repeat(1 << 20))),
        address("javascript:alert(1)\u{202e}"),
    ])) else {
        panic!("they are addresses")
    };
    let [good, long, other] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!(good.url, "https://a.example.org");
    assert!(long.url.len() <= limits::URL_BYTES && tunnel::public_address(&long.url).is_err());
    assert!(!other.url.contains('\u{202e}') && tunnel::public_address(&other.url).is_err());
    let many = wit_tunnel::Event::Addresses(vec![address("https://a.example"); 1000]);
    assert!(matches!(heard(many), TunnelEvent::Addresses(all) if all.len() == limits::TUNNEL_ADDRESSES));
}

#[test]
fn a_login_with_the_provider_is_shown_as_an_address_and_a_code() {
    let login = |url: &str| {
        heard(wit_tunnel::Event::LoginNeeded(wit_tunnel::Login {
            url: url.to_owned(),
            code: Some("AB\u{1b}[2J".to_owned()),
            expires_at: Some(u64::MAX),
        }))
    };
    let TunnelEvent::LoginNeeded(login_needed) = login("https://Login.Example/a/1?x=y") else {
        panic!("it is a login")
    };
    assert_eq!(login_needed.login_url, "https://login.example/a/1?x=y");
    assert_eq!(login_needed.code.as_deref(), Some("AB⟨U+001B⟩[2J"));
    assert!(login_needed.expires_at < Some(u64::MAX));
    let TunnelEvent::LoginNeeded(odd) = login(&format!("\u{202e}{}", "x".repeat(1 << 20))) else {
        panic!("it is a login")
    };
    assert!(odd.login_url.starts_with("⟨⟨U+202E⟩") && odd.login_url.len() <= limits::URL_BYTES + 6);
    for url in [
        "http://login.example/",
        "https://provider.example@evil.example/",
        "javascript:alert(1)",
    ] {
        let TunnelEvent::LoginNeeded(plain) = login(url) else {
            panic!("it is a login")
        };
        assert_eq!(plain.login_url, format!("⟨{url}⟩"), "no link");
    }
}

#[test]
fn what_only_the_plugin_has_a_word_for_stands_under_its_name() {
    let note = |value: &str| {
        heard(wit_tunnel::Event::Other(crate::bindings::caps::types::Ext {
            name: "acme.plan".to_owned(),
            value: value.to_owned(),
        }))
    };
    let TunnelEvent::Note(ext) = note("{\"left\": 3}") else {
        panic!("it is a note")
    };
    assert_eq!(
        serde_json::to_value(ext).unwrap(),
        serde_json::json!({"tunnel-x": {"acme.plan": {"left": 3}}})
    );
    assert!(matches!(note("{"), TunnelEvent::Note(ext) if ext.is_empty()));
}
