#![allow(clippy::unwrap_used)]

use super::*;

fn grant(text: &str) -> HttpGrant {
    HttpGrant::parse(text).unwrap()
}

/// A client does not send what is no URL.
fn admits(pattern: &str, url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| grant(pattern).admits(&url))
}

#[test]
fn a_url_of_the_server_is_admitted() {
    for (pattern, url) in [
        ("https://example.org", "https://example.org/a?b"),
        ("https://example.org", "https://EXAMPLE.org:443/"),
        ("https://example.org", "https://example.org:0443/"),
        ("https://example.org", "https://example.org:/"),
        ("https://example.org", "https://example.org./"),
        ("https://example.org", "https://ex%61mple.org/"),
        ("https://example.org", "https:\\\\example.org\\a"),
        ("HTTPS://Example.ORG:443", "https://example.org/"),
        ("https://*.example.org", "https://a.example.org/"),
        ("https://*.example.org", "https://a.example.org./"),
        ("https://*.example.org", "https://a.b.example.org/"),
        ("https://*.example.org:8443", "https://a.example.org:8443/"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example/"),
        ("https://xn--bcher-kva.example", "https://BÜCHER.example/"),
        ("http://127.0.0.1:8080", "http://127.1:8080/"),
        ("http://127.0.0.1", "http://2130706433/"),
        ("http://127.0.0.1", "http://0x7f.0.0.1/"),
        ("http://127.0.0.1", "http://0177.0.0.1/"),
        ("http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080/"),
        ("http://[0:0::1]", "http://[::1]/"),
    ] {
        assert!(admits(pattern, url), "{pattern} {url}");
    }
}

#[test]
fn a_url_of_another_server_is_not() {
    for (pattern, url) in [
        ("https://example.org", "http://example.org/"),
        ("https://example.org", "ftp://example.org/"),
        ("https://example.org", "wss://example.org/"),
        ("https://example.org", "https://example.org:8443/"),
        ("https://example.org", "https://example.org:80/"),
        ("https://example.org", "https://example.org:+443/"),
        ("https://example.org", "https://example.org:0/"),
        ("https://example.org:8443", "https://example.org/"),
        ("https://example.org", "https://example.org.evil/"),
        ("https://example.org", "https://example.org@evil/"),
        ("https://example.org", "https://user@example.org/"),
        ("https://example.org", "https://user:pw@example.org/"),
        ("https://example.org", "https://:secret@example.org/"),
        ("https://example.org", "https://evil/https://example.org"),
        ("https://example.org", "https://evil\\@example.org/"),
        ("https://example.org", "https://evil#@example.org/"),
        ("https://example.org", "https://evil?@example.org/"),
        ("https://example.org", "https://a.example.org/"),
        ("https://example.org", "https://example.org../"),
        ("https://example.org", "https://еxample.org/"),
        ("https://*.example.org", "https://example.org/"),
        ("https://*.example.org", "https://.example.org/"),
        ("https://*.example.org", "https://evilexample.org/"),
        ("https://*.example.org", "https://a.example.org.evil/"),
        ("https://*.example.org", "https://evil/?.example.org"),
        ("https://*.example.org", "https://evil/.example.org"),
        ("http://127.0.0.1", "http://127.0.0.2/"),
        ("http://127.0.0.1", "http://[::ffff:127.0.0.1]/"),
        ("http://127.0.0.1", "http://[127.0.0.1]/"),
        ("http://[::1]", "http://::1/"),
        ("http://[fe80::1]", "http://[fe80::1%25eth0]/"),
    ] {
        assert!(!admits(pattern, url), "{pattern} {url}");
    }
}

#[test]
fn grants_meet_where_both_allow() {
    let both = |a, b| grant(a).intersect(&grant(b)).map(|both| both.to_string());
    for (a, b, both_allow) in [
        (
            "https://*.example.org",
            "https://api.example.org",
            "https://api.example.org",
        ),
        (
            "https://*.example.org",
            "https://*.a.example.org",
            "https://*.a.example.org",
        ),
        (
            "https://*.example.org",
            "https://*.example.org",
            "https://*.example.org",
        ),
        ("https://[::1]:443", "https://[0::1]", "https://[::1]"),
    ] {
        assert_eq!(both(a, b).as_deref(), Some(both_allow), "{a} {b}");
        assert_eq!(both(b, a).as_deref(), Some(both_allow), "{b} {a}");
    }
    for (a, b) in [
        ("https://*.example.org", "https://example.org"),
        ("https://*.example.org", "https://evilexample.org"),
        ("https://*.example.org", "https://*.evilexample.org"),
        ("https://a.example.org", "http://a.example.org"),
        ("https://a.example.org", "https://a.example.org:8443"),
        ("http://127.0.0.1", "http://127.0.0.2"),
    ] {
        assert_eq!(both(a, b), None, "{a} {b}");
        assert_eq!(both(b, a), None, "{b} {a}");
    }
}

#[test]
fn what_is_granted_is_what_is_read() {
    for (text, shown) in [
        ("https://api.example.org/", "https://api.example.org"),
        ("HTTPS://*.Example.org:443", "https://*.example.org"),
        ("http://192.0.2.1:8080", "http://192.0.2.1:8080"),
        ("http://[2001:DB8::0:1]:80", "http://[2001:db8::1]"),
        ("http://nas", "http://nas"),
    ] {
        assert_eq!(grant(text).to_string(), shown, "{text}");
        assert_eq!(grant(shown), grant(text), "{text}");
    }
    for wrong in [
        "https://*",
        "https://*.org",
        "https://*.com",
        "https://*.org.",
        "https://*.*.org",
        "https://a.*.org",
        "https://*a.example.org",
        "https://*.127.0.0.1",
        "https://*.[::1]",
        "https://a.org/v1",
        "https://a.org?b",
        "https://a.org#b",
        "*.example.org",
        "https:a.org",
        "https:/a.org",
        "https:\\\\a.org",
        "https:///a.org",
        " https://a.org",
        "https://a.org ",
        "https://a.o\nrg",
        "https://a.org.",
        "https://a.org:+80",
        "https://a.org:-1",
        "https://a.org:0",
        "https://a.org:65536",
        "https://a.org:80:80",
        "https://@a.org",
        "https://u@a.org",
        "https://u:p@a.org",
        "https://ex%61mple.org",
        "https://bücher.example",
        "https://еxample.org",
        "http://127.1",
        "http://0177.0.0.1",
        "http://0x7f.0.0.1",
        "http://2130706433",
        "http://::1",
        "http://[::1",
        "http://[fe80::1%25eth0]",
        "http://[fe80::1%eth0]",
    ] {
        let read = HttpGrant::parse(wrong);
        assert!(read.is_err(), "{wrong}: {read:?}");
    }
}

#[test]
fn a_private_host_is_known_by_its_name_or_address() {
    for private in [
        "http://localhost:1",
        "http://a.localhost",
        "http://*.a.localhost",
        "http://10.0.0.1",
        "http://[::1]",
    ] {
        assert!(grant(private).is_private(), "{private}");
    }
    for public in [
        "https://example.org",
        "https://1.1.1.1",
        "https://*.example.org",
        "https://localhost.example",
    ] {
        assert!(!grant(public).is_private(), "{public}");
    }
}

#[test]
fn a_socket_is_meant_by_its_path_alone() {
    let socket = grant("http+unix://%2Frun%2Fa%20b.sock");
    assert_eq!(socket.socket(), Some(Path::new("/run/a b.sock")));
    assert_eq!(socket.to_string(), "http+unix://%2Frun%2Fa%20b.sock");
    assert!(!socket.is_private() && socket.same_server(&grant("http+unix://%2frun%2fa%20b.sock/")));
    for (url, admitted) in [
        ("http+unix://%2Frun%2Fa%20b.sock/status?x#y", true),
        ("http+unix://%2frun%2Fa%20b%2esock", true),
        ("http+unix://%2Frun%2Fb.sock/", false),
        ("http+unix://%2Frun%2F..%2Frun%2Fa%20b.sock/", false),
        ("http+unix://%2Frun%2F%2Fa%20b.sock/", false),
        ("http+unix://%2Frun%2F.%2Fa%20b.sock/", false),
        ("http+unix://%2Frun%2Fa%20b.sock%2F/", false),
        ("http+unix://%2Frun%2Fa%20b.sock:80/", false),
        ("http+unix://user@%2Frun%2Fa%20b.sock/", false),
        ("http+unix:///run/a%20b.sock", false),
        ("http://%2Frun%2Fa%20b.sock/", false),
        ("https://example.org/", false),
    ] {
        assert_eq!(admits("http+unix://%2Frun%2Fa%20b.sock", url), admitted, "{url}");
    }
    assert!(!admits("https://example.org", "http+unix://example.org/"));
    for (text, cause) in [
        ("http+unix://run%2Fa.sock", "plain absolute path"),
        ("http+unix:///run/a.sock", "plain absolute path"),
        ("http+unix://%2Frun%2F..%2Fa.sock", "plain absolute path"),
        ("http+unix://%2Frun%2Fa%00.sock", "plain absolute path"),
        ("http+unix://%2Frun%2Fa%0A.sock", "plain absolute path"),
        ("http+unix://%2Frun%2F%E2%80%AEa.sock", "plain absolute path"),
        ("http+unix://%2Frun%2Fa%FF.sock", "is not text"),
        ("http+unix://%2Frun%2Fa.sock/status", "follows the host"),
    ] {
        let found = HttpGrant::parse(text).unwrap_err();
        assert!(found.contains(cause), "{text}: {found}");
    }
    let long = HttpGrant::parse(&format!("http+unix://%2F{}", "x".repeat(SOCKET_PATH))).unwrap_err();
    assert!(long.contains("at most 107 bytes"), "{long}");
    // What is asked for and what is granted is the same path, or nothing is.
    assert_eq!(socket.intersect(&socket), Some(socket.clone()));
    for other in [
        "http+unix://%2Frun%2Fb.sock",
        "https://example.org",
        "https://*.example.org",
    ] {
        assert_eq!(socket.intersect(&grant(other)), None, "{other}");
        assert_eq!(grant(other).intersect(&socket), None, "{other}");
    }
}
