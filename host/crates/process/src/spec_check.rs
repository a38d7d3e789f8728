//! How much one specification may ask for.
//!
//! A specification comes from a plugin, and what it names costs the host, not the plugin's own memory: a port is a socket
//! that stays bound, a file is written, an argument is copied to the shim and again to the kernel. So all of it is
//! counted here, once and first, before anything is compared, made or stopped for it. What references stand for is
//! counted again where they are filled in: `{secret:x}` is short, and what it stands for may be long.

use crate::error::ProcessError;
use crate::limits;
use crate::types::{Spec, StopStep};
use nexus_plugin_api::text;
use std::collections::BTreeSet;

/// Counts everything in a specification.
///
/// # Errors
/// `Invalid`: what is too much, or not a name; says how much was found and how much is possible.
pub(super) fn check(spec: &Spec) -> Result<(), ProcessError> {
    paths(spec)?;
    ports(spec)?;
    files(spec)?;
    let args = spec.args.iter().map(String::len);
    amount("arguments", args.len(), limits::PROCESS_ARGS)?;
    bytes("its arguments", args, limits::PROCESS_ARGS_BYTES)?;
    environment(spec)?;
    unless(spec)?;
    stop(spec)
}

/// Checks what must not be there: two names reach what a program loads, and nothing that is worth being found out about
/// by a plugin; a key is no value.
fn unless(spec: &Spec) -> Result<(), ProcessError> {
    let Some(unless) = &spec.unless else { return Ok(()) };
    let paths = unless.folders.iter().chain(&unless.files);
    let named = paths.clone().count() + unless.keys.len() + unless.home.len();
    amount("names in its `unless-present`", named, limits::PRESENT_NAMES)?;
    bytes(
        "the patterns of its `unless-present`",
        [unless.or.len()],
        limits::PRESENT_HINT_BYTES,
    )?;
    for path in paths.chain(&unless.home) {
        let names = path.split('/').count();
        let plain = path.split('/').all(|name| !matches!(name, "" | "." | "..")) && !path.contains(['\\', '\0']);
        if !plain || names > 2 || path.len() > limits::PROCESS_WORD_BYTES {
            return invalid(format!("`{}` is not a path of one or two plain names", shown(path)));
        }
    }
    for key in &unless.keys {
        let letters = key.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        if key.is_empty() || !letters || key.len() > limits::PROCESS_WORD_BYTES {
            return invalid(format!("`{}` is not a key of letters and `_`", shown(key)));
        }
    }
    Ok(())
}

fn paths(spec: &Spec) -> Result<(), ProcessError> {
    if !spec.binary.is_absolute() {
        return invalid(format!(
            "the binary `{}` is not an absolute path",
            shown(&spec.binary.to_string_lossy())
        ));
    }
    let paths = [Some(&spec.binary), spec.cwd.as_ref()].into_iter().flatten();
    for path in paths {
        bytes("a path", [path.as_os_str().len()], limits::PATH_BYTES)?;
    }
    Ok(())
}

fn ports(spec: &Spec) -> Result<(), ProcessError> {
    amount("ports", spec.ports.len(), limits::PROCESS_PORTS)?;
    let mut seen = BTreeSet::new();
    for port in &spec.ports {
        let plain = !port.contains([':', '{', '}', '/']) && !port.chars().any(|c| c.is_whitespace() || c.is_control());
        if port.is_empty() || port.len() > limits::PROCESS_WORD_BYTES || !plain {
            return invalid(format!(
                "`{}` cannot be the name of a port; use up to {} letters, digits and `-`",
                shown(port),
                limits::PROCESS_WORD_BYTES
            ));
        }
        if !seen.insert(port) {
            return invalid(format!("the port `{port}` is listed twice"));
        }
    }
    Ok(())
}

fn files(spec: &Spec) -> Result<(), ProcessError> {
    amount("files", spec.files.len(), limits::PROCESS_FILES)?;
    let contents = spec.files.iter().map(|(_, content)| content.len());
    bytes("its files", contents, limits::PROCESS_FILES_BYTES)?;
    let mut seen = BTreeSet::new();
    for (name, _) in &spec.files {
        let plain =
            !name.starts_with('.') && !name.contains(['/', '\\', ':', '{', '}']) && !name.chars().any(char::is_control);
        if name.is_empty() || name.len() > limits::PROCESS_WORD_BYTES || !plain || name == "tmp" {
            return invalid(format!(
                "`{}` is not a plain file name of up to {} bytes (and `tmp` is taken)",
                shown(name),
                limits::PROCESS_WORD_BYTES
            ));
        }
        if !seen.insert(name) {
            return invalid(format!("the file `{name}` is listed twice"));
        }
    }
    Ok(())
}

fn environment(spec: &Spec) -> Result<(), ProcessError> {
    amount("environment variables", spec.env.len(), limits::PROCESS_ENV)?;
    let sizes = spec.env.iter().map(|(name, value)| name.len() + value.len());
    bytes("its environment variables", sizes, limits::PROCESS_ARGS_BYTES)?;
    for (name, _) in &spec.env {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let begins = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
        if !plain || !begins || name.len() > limits::PROCESS_WORD_BYTES {
            return invalid(format!(
                "`{}` cannot be the name of an environment variable; use up to {} letters, digits and `_`, no digit first",
                shown(name),
                limits::PROCESS_WORD_BYTES
            ));
        }
    }
    Ok(())
}

fn stop(spec: &Spec) -> Result<(), ProcessError> {
    amount("stop steps", spec.stop.len(), limits::PROCESS_STOP_STEPS)?;
    let sizes = spec.stop.iter().map(|step| match step {
        StopStep::Signal(_) | StopStep::Wait(_) => 0,
        StopStep::Http {
            method, url, headers, ..
        } => {
            let headers = headers.iter().map(|(name, value)| name.len() + value.len() + 4);
            method.len() + url.len() + headers.sum::<usize>()
        }
    });
    bytes("the requests of its stop steps", sizes, limits::PROCESS_STOP_BYTES)
}

/// Bounds how many of something a specification may name.
fn amount(what: &str, found: usize, most: usize) -> Result<(), ProcessError> {
    if found <= most {
        return Ok(());
    }
    invalid(format!(
        "a process can have at most {most} {what}, but this one has {found}"
    ))
}

/// Bounds how many bytes of something it may hold.
fn bytes(what: &str, sizes: impl IntoIterator<Item = usize>, most: usize) -> Result<(), ProcessError> {
    let found = sizes.into_iter().fold(0, usize::saturating_add);
    if found <= most {
        return Ok(());
    }
    invalid(format!("{what} have {found} bytes, but at most {most} are allowed"))
}

fn invalid(what: String) -> Result<(), ProcessError> {
    Err(ProcessError::Invalid(what))
}

/// `shown` is as much of a plugin's word as helps to find it.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    let mark = if short.len() < text.len() { "…" } else { "" };
    format!("{}{mark}", text::literal(&short).replace(['\n', '\t'], " "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::types::Signal;
    use crate::types::UnlessPresent;
    use std::time::Duration;

    fn plain() -> Spec {
        Spec::new("/bin/true", [""; 0])
    }

    fn refusal(change: impl FnOnce(&mut Spec)) -> String {
        let mut spec = plain();
        change(&mut spec);
        check(&spec).unwrap_err().to_string()
    }

    fn many(n: usize) -> impl Iterator<Item = String> {
        (0..n).map(|n| format!("n{n}"))
    }

    #[test]
    fn what_a_real_program_needs_is_taken() {
        let mut spec = plain();
        spec.args = many(limits::PROCESS_ARGS).collect();
        spec.ports = many(limits::PROCESS_PORTS).collect();
        spec.files = many(limits::PROCESS_FILES).map(|n| (n, String::new())).collect();
        spec.env = many(limits::PROCESS_ENV).map(|n| (n, String::new())).collect();
        spec.stop = vec![StopStep::Wait(Duration::MAX); limits::PROCESS_STOP_STEPS];
        spec.cwd = Some("/tmp".into());
        assert_eq!(check(&spec), Ok(()));
    }

    #[test]
    fn what_must_not_be_there_has_an_end_and_reaches_nothing_else() {
        let refused = |change: fn(&mut UnlessPresent)| {
            let mut unless = UnlessPresent::default();
            change(&mut unless);
            refusal(|s| s.unless = Some(unless))
        };
        assert!(refused(|u| u.files = many(limits::PRESENT_NAMES + 1).collect()).contains("unless-present"));
        assert!(refused(|u| u.or = "x".repeat(limits::PRESENT_HINT_BYTES + 1)).contains("1025 bytes"));
        for path in ["", "/etc", "a/", "../b", "a/./b", "a/b/c", "a//b", "a\\b"] {
            let mut unless = UnlessPresent::default();
            unless.folders.push(path.to_owned());
            let said = refusal(|s| s.unless = Some(unless));
            assert!(said.contains("one or two plain names"), "{path}: {said}");
        }
        assert!(refused(|u| u.keys.push("AKIA-1\"".to_owned())).contains("letters and `_`"));
        assert!(refused(|u| u.keys.push(String::new())).contains("letters and `_`"));
    }

    #[test]
    fn each_amount_has_an_end() {
        let one = |n: usize| many(n).map(|n| (n, String::new())).collect::<Vec<_>>();
        for (refused, says) in [
            (
                refusal(|s| s.ports = many(1_000).collect()),
                "at most 16 ports, but this one has 1000",
            ),
            (refusal(|s| s.files = one(1_000_000)), "at most 32 files"),
            (refusal(|s| s.args = many(100_000).collect()), "at most 256 arguments"),
            (refusal(|s| s.env = one(100_000)), "at most 256 environment variables"),
            (
                refusal(|s| s.stop = vec![StopStep::Signal(Signal::HangUp); 1_000_000]),
                "at most 16 stop steps",
            ),
        ] {
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn each_size_has_an_end() {
        let large = || "x".repeat(2 << 20);
        let request = |header: String| StopStep::Http {
            method: "POST".into(),
            url: "process://:a/".into(),
            headers: vec![("a".into(), header)],
            timeout: Duration::MAX,
        };
        for (refused, says) in [
            (refusal(|s| s.args = vec![large()]), "its arguments have 2097152 bytes"),
            (
                refusal(|s| s.env = vec![("A".into(), large())]),
                "its environment variables have",
            ),
            (refusal(|s| s.files = vec![("a".into(), large())]), "its files have"),
            (refusal(|s| s.cwd = Some(format!("/{}", large()).into())), "a path have"),
            (
                refusal(|s| s.stop = vec![request(large())]),
                "the requests of its stop steps have",
            ),
            (refusal(|s| s.ports = vec![large()]), "cannot be the name of a port"),
            (
                refusal(|s| s.files = vec![(large(), String::new())]),
                "not a plain file name",
            ),
            (
                refusal(|s| s.env = vec![("A".repeat(200), String::new())]),
                "cannot be the name",
            ),
        ] {
            assert!(refused.contains(says), "{refused}");
            assert!(refused.len() < 300, "the refusal itself is short: {}", refused.len());
        }
    }

    #[test]
    fn what_is_no_name_is_refused_and_shown_safely() {
        for name in ["", "A=B", "A\nLD_PRELOAD", "A\0", "1A", "Ä", "A B", "A-B"] {
            let refused = refusal(|s| s.env = vec![(name.into(), String::new())]);
            assert!(
                refused.contains("cannot be the name of an environment variable"),
                "{refused}"
            );
            assert!(!refused.contains('\n') && !refused.contains('\0'), "{refused:?}");
        }
        for name in ["", ".", "..", "a/b", "a\0", "a\nb", "tmp", ".hidden", "a:b", "{x}"] {
            assert!(refusal(|s| s.files = vec![(name.into(), String::new())]).contains("plain file name"));
        }
        for name in ["", "a b", "a/b", "a:b", "{a}", "a\n"] {
            assert!(refusal(|s| s.ports = vec![name.into()]).contains("name of a port"));
        }
        let twice = |name: &str| vec![name.to_owned(), name.to_owned()];
        assert!(refusal(|s| s.ports = twice("a")).contains("listed twice"));
        let file = || ("a".to_owned(), String::new());
        assert!(refusal(|s| s.files = vec![file(), file()]).contains("listed twice"));
    }
}
