//! A script of `tests/browser`, run in a real Chromium.

use crate::part;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs `tests/browser/NAME.mjs` to its end. `world` is what it is told beside where its pictures go; `asked` does what it
/// asks for with a line `@WORDS`.
///
/// # Panics
/// It fails; why is above.
pub fn run(name: &str, world: Value, mut asked: impl FnMut(&str)) {
    let own = tempfile::tempdir().unwrap();
    let shots = std::env::var_os("NEXUS_TEST_SCREENSHOTS").map_or_else(|| own.path().to_owned(), PathBuf::from);
    let mut all = json!({"name": name, "shots": shots, "chromium": part("NEXUS_TEST_CHROMIUM")});
    let world = world.as_object().cloned().unwrap_or_default();
    all.as_object_mut().unwrap().extend(world);
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("browser/{name}.mjs"));
    let mut child = Command::new(part("NEXUS_TEST_NODE"))
        .arg(script)
        .env("NEXUS_BROWSER_TEST", all.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        match line.strip_prefix('@') {
            Some(request) => asked(request),
            None => println!("{line}"),
        }
    }
    assert!(child.wait().unwrap().success(), "{name}.mjs failed; see above");
}
