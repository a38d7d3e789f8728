//! Processes that are not to run where something is present: one with `unless-present` for each rule of it.

use crate::capabilities::{Answers, kind};
use nexus_plugin_api::caps::process::{self, EnvironmentBase, Outcome, OutputMode, Spec, UnlessPresent};
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::job::timeout;

fn unless() -> UnlessPresent {
    UnlessPresent {
        folders: Vec::new(),
        files: Vec::new(),
        keys: Vec::new(),
        above: false,
        home: Vec::new(),
        or: String::new(),
    }
}

fn sleeping(seconds: &str, unless: UnlessPresent) -> Spec {
    Spec {
        binary: "sleep".to_owned(),
        args: vec![seconds.to_owned()],
        base: EnvironmentBase::Clean,
        env: Vec::new(),
        ports: Vec::new(),
        files: Vec::new(),
        cwd: None,
        stdin: false,
        stdout: OutputMode::Log,
        stderr: OutputMode::Log,
        stop: Vec::new(),
        unless_present: Some(unless),
    }
}

/// `own/loaded.js` and `own.json` are in the project folder, with the key `plugin`, and `there/loaded.js` is in another one.
pub async fn unless_present(answers: &mut Answers) {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let folders = |folders: &[&str]| UnlessPresent {
        folders: names(folders),
        ..unless()
    };
    let keys = |keys: &[&str]| UnlessPresent {
        files: names(&["own.json"]),
        keys: names(keys),
        ..unless()
    };
    let many: Vec<String> = (0..33).map(|n| format!("f{n}")).collect();
    for (what, unless) in [
        ("nothing", folders(&["nothing"])),
        ("a folder", folders(&["nothing", "own"])),
        ("a folder of another project", folders(&["there"])),
        ("a key", keys(&["plugin"])),
        ("another key", keys(&["plug"])),
        ("no key", keys(&[])),
        ("a way out", folders(&["../work"])),
        ("an absolute path", folders(&["/etc"])),
        ("three names", folders(&["a/b/c"])),
        ("an empty name", folders(&[""])),
        ("a long name", folders(&[&"n".repeat(129)])),
        ("a key that is none", keys(&["plug-in"])),
        ("an empty key", keys(&[""])),
        (
            "too many names",
            UnlessPresent {
                folders: many,
                ..unless()
            },
        ),
        (
            "a long way out of it",
            UnlessPresent {
                or: "w".repeat(1025),
                ..folders(&["own"])
            },
        ),
    ] {
        let ran = process::run(sleeping("0", unless), 10_000).await;
        note(answers, what, ran.map(|ran| ran.exit.code));
    }
}

/// What appears while the process runs: `late` in the project folder.
pub async fn unless_late(answers: &mut Answers) {
    let late = UnlessPresent {
        folders: vec!["late".to_owned()],
        or: "look away".to_owned(),
        ..unless()
    };
    let ensured = process::ensure("lasting".to_owned(), sleeping("600", late)).await;
    note(
        answers,
        "ensure",
        ensured.map(|running| running.outcome == Outcome::Adopted),
    );
    let exited = timeout(200, process::exited("lasting".to_owned())).await;
    answers.line(format!("it runs: {}", exited.is_none()));
}

/// With the sentence, which names what is there.
fn note<T: std::fmt::Debug>(answers: &mut Answers, what: &str, answer: Result<T, Error>) {
    match answer {
        Err(Error::Other(text)) => answers.line(format!("{what}: other, {text}")),
        Err(error) => answers.line(format!("{what}: {}", kind(&error))),
        Ok(value) => answers.line(format!("{what}: {value:?}")),
    }
}
