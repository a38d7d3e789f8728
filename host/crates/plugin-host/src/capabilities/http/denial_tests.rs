//! Where requests may not go.

#![allow(clippy::unwrap_used)]

use crate::capabilities::test_gate::{configured, gate, pasted, web};

#[test]
fn http_goes_where_it_is_granted_only() {
    let g = gate(web("api.example.org", None));
    assert!(g.http("https", "api.example.org", None).is_ok());
    assert!(g.http("https", "api.example.org", Some(443)).is_ok());
    for (scheme, host, port) in [
        ("http", "api.example.org", None),
        ("https", "example.org", None),
        ("https", "api.example.org.evil.example", None),
        ("https", "api.example.org", Some(8443)),
        ("https", "127.0.0.1", None),
    ] {
        assert!(g.http(scheme, host, port).is_err(), "{scheme} {host} {port:?}");
    }
    let denial = g.http("https", "other.example", Some(8443)).unwrap_err();
    let list = pasted(&denial)["plugin"]["demo"]["grants"]["http"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(
        list.iter().map(|u| u.as_str().unwrap()).collect::<Vec<_>>(),
        ["https://api.example.org", "https://other.example:8443"]
    );
}

#[test]
fn a_star_covers_what_is_below_it() {
    let g = gate(web("*.example.org", None));
    assert!(g.http("https", "a.b.example.org", None).is_ok());
    assert!(g.http("https", "example.org", None).is_err());
    assert!(g.http("https", ".example.org", None).is_err());
    assert!(g.http("https", "badexample.org", None).is_err());
}

#[test]
fn a_private_address_is_allowed_by_the_lines_that_are_printed() {
    let grants = web("other.example", Some(8443));
    let denial = gate(grants.clone()).private("it is near", &grants.http[0]);
    let covered = configured(Some(&denial));
    assert!(covered.http("https", "other.example", Some(8443)).unwrap().private);
}
