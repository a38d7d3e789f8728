//! The program itself. A test of this crate that names it is also what makes `cargo test` build it, which the whole-system
//! tests start.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_program_starts_and_says_what_it_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_nexus"))
        .arg("--version")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert_eq!(text, concat!("nexus ", env!("CARGO_PKG_VERSION"), "\n"));
}
