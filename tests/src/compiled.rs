//! The plugins' compiled code, which the tests share.
//!
//! Each test has a data folder of its own, and Nexus keeps compiled code there: without this every start would compile
//! the same plugins again, and the tests would mostly be a compiler's. So a new data folder is given links to the code
//! that was compiled before, and what an ended Nexus has added is kept for the next. The name of such a file holds a
//! digest of the component and of the engine, so a plugin or a wasmtime that changed is compiled.
//!
//! They are links: whoever changes such a file in place uses [`crate::nexus::Start::cold`].

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

/// Code that nobody has used for so long belongs to a plugin that is no more. Nexus sets the time of what it uses.
const UNUSED: Duration = Duration::from_secs(24 * 3600);

/// Beside the binary under test.
fn kept() -> PathBuf {
    crate::binary::binary().with_file_name("tests-compiled")
}

fn cache(data_dir: &Path) -> PathBuf {
    data_dir.join("cache/wasm")
}

/// Nexus refuses code that others could have written.
fn private_dir(path: &Path) -> bool {
    DirBuilder::new().recursive(true).mode(0o700).create(path).is_ok()
}

/// To a data folder that has no cache yet. What does not succeed costs time and nothing else.
pub(crate) fn lend(data_dir: &Path) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for entry in fs::read_dir(kept()).into_iter().flatten().flatten() {
            let used = entry.metadata().and_then(|meta| meta.modified());
            if used.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > UNUSED)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    });
    if fs::symlink_metadata(data_dir.join("cache")).is_err() && private_dir(&cache(data_dir)) {
        link(&kept(), &cache(data_dir));
    }
}

/// From the data folder of a Nexus that has ended.
pub(crate) fn keep(data_dir: &Path) {
    if private_dir(&kept()) {
        link(&cache(data_dir), &kept());
    }
}

fn link(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "cwasm") {
            let _ = fs::hard_link(&path, to.join(entry.file_name()));
        }
    }
}
