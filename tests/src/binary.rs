//! Which program is tested.

use std::path::{Path, PathBuf};

/// The binary under test: `NEXUS_BIN`, or the one beside this test's own.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("NEXUS_BIN") {
        return named.into();
    }
    let me = std::env::current_exe().unwrap();
    // target/PROFILE/deps/TEST-HASH
    let path = me
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join(format!("nexus{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} is not there: run `cargo build -p nexus`, or name a binary in NEXUS_BIN",
        path.display()
    );
    path
}
