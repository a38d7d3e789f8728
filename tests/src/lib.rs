//! What the whole-system tests stand on: the real binary, the real opencode and a stand-in for the model behind it.
//!
//! A harness may panic: its caller is a test, and a broken stand is a failed test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout
)]

pub mod acp;
mod binary;
pub mod bore;
pub mod browser;
pub mod canned;
pub mod cloudflared;
mod compiled;
pub mod directive;
pub mod edge;
pub mod guests;
pub mod identity_provider;
pub mod kept;
pub mod languages;
pub mod llm;
pub mod machine;
pub mod nexus;
pub mod openai;
pub mod opencode;
pub mod port;
pub mod processes;
pub mod script;
pub mod sse;
pub mod sshd;
pub mod stage;
pub mod tunnels;
pub mod wakes;
pub mod world;

pub use nexus_test_wait as wait;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Writes a file with this mode: 0o755 for a program, 0o600 for a secret.
pub fn write_with_mode(path: &Path, content: &str, mode: u32) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The beginning of an HTTP client that uses no proxy of the environment.
pub fn http() -> reqwest::ClientBuilder {
    // Whoever was first is as good; an error says that somebody was.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

/// A real part that `tests/run` has installed, from the variable that names it.
///
/// # Panics
/// It is not named, or not there: the test that needs it is `#[ignore]`d, and whoever asks for it runs `tests/run`.
pub fn part(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable)
        .map(PathBuf::from)
        .unwrap_or_else(|| panic!("{variable} is not set: run ./tests/run, which installs what the tests need"));
    assert!(path.exists(), "{variable} names {}, which is not there", path.display());
    path
}
