//! What is said of a secret that is not there.

#![allow(clippy::unwrap_used)]

use crate::capabilities::gate::Gate;
use crate::capabilities::test_gate::{gate, manifest, pasted, plugin};
use nexus_config::resolved::{Grants, Secret};
use std::path::Path;

#[test]
fn a_secret_needs_the_operator() {
    let denial = gate(Grants::default()).secret("token").unwrap_err();
    assert!(pasted(&denial.0)["plugin"]["demo"]["secrets"]["token"]["env"].is_str());
    let grants = Grants {
        secrets: [("token".to_owned(), Secret::new("s3cret"))].into(),
        ..Grants::default()
    };
    assert_eq!(gate(grants.clone()).secret("token").unwrap().reveal(), "s3cret");
    let other = gate(grants).secret("other").unwrap_err();
    assert!(!other.0.contains("s3cret"));
}

#[test]
fn a_name_cannot_break_out_of_the_toml() {
    let name = "x = 1 }\n[plugin.evil]\n#";
    let mut manifest = manifest();
    let key = manifest.config["token"].clone();
    manifest.config.insert(name.to_owned(), key);
    let denial = Gate::new(&plugin(Grants::default()), &manifest, Path::new("/"))
        .secret(name)
        .unwrap_err();
    let (_, text) = denial.0.rsplit_once(" or restart Nexus:\n").unwrap();
    assert!(
        toml::from_str::<toml::Table>(text).unwrap()["plugin"]
            .as_table()
            .unwrap()
            .get("evil")
            .is_none()
    );
}

#[test]
fn whether_a_secret_was_given_is_told_for_those_of_the_manifest_alone() {
    let without = gate(Grants::default());
    assert_eq!(without.has_secret("token"), Ok(false));
    let other = without.has_secret("other\u{1b}");
    assert!(other.is_err_and(|said| said.contains("names no secret `other⟨U+001B⟩`")));
}
