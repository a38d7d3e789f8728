//! The components that misbehave or have only what they must, built once for a run of the tests from `tests/guests`.

use crate::nexus::binary;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

const TARGET: &str = "wasm32-wasip2";

static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());

/// The component of `tests/guests/NAME`, built with `nexus plugin build`.
///
/// # Panics
/// It cannot be built; cargo's words are on standard error, and without the target the line that installs it.
pub fn guest(name: &str) -> PathBuf {
    // A test that failed while it built has said why; the next one tries again.
    let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // All at once, and before any test measures: a compiler at work, and the disk that it fills, would be what it measures.
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests");
    if built.is_empty() {
        let folders = std::fs::read_dir(&guests).unwrap().map(|entry| entry.unwrap().path());
        // Those in other languages than Rust are built by `crate::languages`.
        for folder in folders.filter(|folder| folder.join("Cargo.toml").exists()) {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            let path = build(&name);
            built.insert(name, path);
        }
    }
    built
        .get(name)
        .unwrap_or_else(|| panic!("there is no tests/guests/{name}"))
        .clone()
}

/// Whether this Rust has it. Asked where a build failed, for there are other ways to build a component.
fn target() -> bool {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    asked.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists())
}

fn build(name: &str) -> PathBuf {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests");
    // A file of this process's own: other test binaries build the same guests at the same time.
    let out = guests
        .join("target")
        .join(format!("{name}-{}.wasm", std::process::id()));
    std::fs::create_dir_all(guests.join("target")).unwrap();
    let status = Command::new(binary())
        .args(["plugin", "build", "--out"])
        .arg(&out)
        .arg(guests.join(name))
        .env("CARGO_TARGET_DIR", guests.join("target"))
        // What a program that measures prints is its table.
        .stdout(std::io::stderr())
        .status()
        .unwrap();
    assert!(
        status.success() || target(),
        "the components that misbehave are built for a target that this Rust does not have. To fix: rustup target add {TARGET}"
    );
    assert!(status.success(), "`nexus plugin build` of {name} ended with {status}");
    // Whole at every moment.
    let path = guests.join("target").join(format!("{name}.wasm"));
    std::fs::rename(&out, &path).unwrap();
    path
}

/// The component of a plugin that ships inside the binary: to be named as the source of another.
pub fn builtin(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../host/builtin/{name}.wasm"))
}
