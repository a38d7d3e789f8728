//! What holds for the refusals of all capabilities. Those of one are in its folder.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::gate::Gate;
use super::test_gate::{configured, gate, manifest, pasted, plugin, url};
use nexus_config::resolved::Grants;
use std::path::Path;

#[test]
fn limits_say_how_to_raise_them() {
    let g = gate(Grants::default());
    assert_eq!(g.another_process(0), Ok(()));
    let denial = g.another_process(1).unwrap_err();
    assert_eq!(
        pasted(&denial.0)["plugin"]["demo"]["limits"]["processes"].as_integer(),
        Some(2)
    );
    assert_eq!(
        pasted(&g.too_many_streams().0)["plugin"]["demo"]["limits"]["streams"].as_integer(),
        Some(8)
    );
}

#[test]
fn what_a_refusal_prints_is_taken_by_the_configuration_and_allows_it() {
    type Ask = fn(&Gate) -> Result<(), String>;
    let asks: [(&str, Ask); 6] = [
        ("store", |g| g.store().map(drop).map_err(|denial| denial.0)),
        ("secret", |g| g.secret("token").map(drop).map_err(|denial| denial.0)),
        ("process", |g| g.run("tool", false, &[]).map_err(|denial| denial.0)),
        ("http", |g| {
            g.http(&url("https://other.example:8443"))
                .map(drop)
                .map_err(|denial| denial.0)
        }),
        ("http below a star", |g| {
            g.http(&url("https://a.b.example.org"))
                .map(drop)
                .map_err(|denial| denial.0)
        }),
        ("processes", |g| g.another_process(8).map_err(|limit| limit.0)),
    ];
    for (what, ask) in asks {
        let denial = ask(&configured(None)).unwrap_err();
        assert_eq!(ask(&configured(Some(&denial))), Ok(()), "{what}: {denial}");
    }
    let with_tool = |g: &Gate| g.run("tool", false, &[]).unwrap_err();
    let granted = configured(Some(&with_tool(&configured(None)).0));
    let denial = granted.run("tool", true, &[]).unwrap_err();
    assert_eq!(configured(Some(&denial.0)).run("tool", true, &[]), Ok(()));

    let denial = configured(None).too_many_streams();
    assert_eq!(configured(Some(&denial.0)).limits().streams, 128);
}

#[test]
fn what_the_manifest_does_not_ask_for_is_offered_to_nobody() {
    let mut nothing = manifest();
    nothing.capabilities = Default::default();
    nothing.config.clear();
    let g = Gate::new(&plugin(Grants::default()), &nothing, Path::new("/"));
    for denial in [
        g.store().unwrap_err(),
        g.secret("token").unwrap_err(),
        g.run("tool", false, &[]).unwrap_err(),
        g.http(&url("https://other.example")).unwrap_err(),
    ] {
        assert!(
            denial.0.contains("it cannot be granted") && !denial.0.contains('['),
            "{}",
            denial.0
        );
    }
}
