//! What shells and `man` are told of the command line.

use nexus_tests::nexus::binary;
use std::fs;
use std::process::{Command, Output};

fn nexus(words: &[&str]) -> Output {
    Command::new(binary()).args(words).output().unwrap()
}

fn stdout(words: &[&str]) -> String {
    let output = nexus(words);
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What bash offers after these words, the last one of which is being typed.
fn bash_offers(script: &str, words: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nexus");
    fs::write(&file, script).unwrap();
    // As bash itself does it at the Tab key: the function that `complete` registered, with the line so far.
    let program = r#"
        source "$1"; shift
        registered=$(complete -p nexus) || exit 3
        [[ $registered =~ -F\ ([^ ]+) ]] || exit 4
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        "${BASH_REMATCH[1]}" nexus "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = Command::new("bash")
        .args(["--norc", "--noprofile", "-c", program, "bash"])
        .arg(&file)
        .args(words)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|l| l.trim().to_owned())
        .filter(|l| !l.is_empty())
        .collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let script = stdout(&["completions", "bash"]);
    let offers = |words: &[&str]| bash_offers(&script, words);
    assert_eq!(offers(&["nexus", "doc"]), ["doctor"]);
    let all = offers(&["nexus", ""]);
    for command in [
        "up",
        "backup",
        "restore",
        "logs",
        "doctor",
        "completions",
        "man",
        "user",
        "plugin",
    ] {
        assert!(all.iter().any(|o| o == command), "{command} is not offered: {all:?}");
    }
    assert!(!all.iter().any(|o| o.contains("__shim")), "{all:?}");
    assert_eq!(offers(&["nexus", "user", "pass"]), ["passwd"]);
    let flags = offers(&["nexus", "logs", "--"]);
    for flag in ["--follow", "--lines", "--level", "--plugin", "--json", "--data-dir"] {
        assert!(flags.iter().any(|o| o == flag), "{flag} is not offered: {flags:?}");
    }
    assert_eq!(offers(&["nexus", "completions", "el"]), ["elvish"]);
}

#[test]
fn every_shell_gets_a_script_and_no_other_does() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&["completions", shell]);
        assert!(script.contains("doctor") && script.contains("restore"), "{shell}");
    }
    let wrong = nexus(&["completions", "cmd"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("powershell"));
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let page = stdout(&["man"]);
    assert!(page.contains(".TH nexus 1"), "{page}");
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    stdout(&["man", pages.to_str().unwrap()]);
    for name in [
        "nexus",
        "nexus-up",
        "nexus-backup",
        "nexus-restore",
        "nexus-logs",
        "nexus-doctor",
        "nexus-user-add",
    ] {
        let text = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"),
            "{name}: {text}"
        );
    }
    let nowhere = nexus(&["man", "/proc/nowhere"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("/proc/nowhere"));
}
