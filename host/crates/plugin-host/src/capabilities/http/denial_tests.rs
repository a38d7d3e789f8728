//! Where requests may not go.

#![allow(clippy::unwrap_used)]

use crate::capabilities::test_gate::{configured, gate, pasted, url, web};

#[test]
fn http_goes_where_it_is_granted_only() {
    let g = gate(web("https://api.example.org"));
    assert!(g.http(&url("https://api.example.org/v1?a")).is_ok());
    assert!(g.http(&url("https://API.example.org:443")).is_ok());
    for other in [
        "http://api.example.org",
        "https://example.org",
        "https://api.example.org.evil.example",
        "https://api.example.org:8443",
        "https://api.example.org@evil.example",
        "https://127.0.0.1",
    ] {
        assert!(g.http(&url(other)).is_err(), "{other}");
    }
    let denial = g.http(&url("https://other.example:8443")).unwrap_err();
    let list = pasted(&denial.0)["plugin"]["demo"]["grants"]["http"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(
        list.iter().map(|u| u.as_str().unwrap()).collect::<Vec<_>>(),
        ["https://api.example.org", "https://other.example:8443"]
    );
    let odd = g.http(&url("http://[0::1]:80/a")).unwrap_err();
    assert!(odd.0.contains("send requests to http://[::1]."), "{}", odd.0);
}

#[test]
fn a_star_covers_what_is_below_it() {
    let g = gate(web("https://*.example.org"));
    assert!(g.http(&url("https://a.b.example.org")).is_ok());
    assert!(g.http(&url("https://example.org")).is_err());
    assert!(g.http(&url("https://.example.org")).is_err());
    assert!(g.http(&url("https://badexample.org")).is_err());
}

#[test]
fn a_socket_is_reached_by_its_own_grant_alone() {
    let g = gate(web("http+unix://%2Frun%2Fdemo.sock"));
    assert!(g.http(&url("http+unix://%2Frun%2Fdemo.sock/status")).is_ok());
    for other in [
        "http+unix://%2Frun%2Fother.sock/",
        "http://localhost/",
        "https://api.example.org",
    ] {
        assert!(g.http(&url(other)).is_err(), "{other}");
    }
    let denial = gate(web("https://api.example.org"))
        .http(&url("http+unix://%2Frun%2Fdemo.sock/private"))
        .unwrap_err();
    assert!(
        denial.0.contains("send requests to the socket /run/demo.sock"),
        "{}",
        denial.0
    );
    assert!(!denial.0.contains("private"), "{}", denial.0);
}

#[test]
fn a_private_address_is_allowed_by_the_lines_that_are_printed() {
    let grants = web("https://other.example:8443");
    let denial = gate(grants.clone()).private("it is near", &grants.http[0]);
    let covered = configured(Some(&denial.0));
    assert!(covered.http(&url("https://other.example:8443")).unwrap().private);
}
