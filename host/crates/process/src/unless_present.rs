//! Whether a program would find code of its own in its folder, where the agent, or a repository from elsewhere, can write.
//!
//! Problem: opencode loads `.opencode/plugin/*.js` of the folder it works in, and of those above, whatever it is told.
//!
//! Mechanism: [`UnlessPresent`] of a specification says what must not be there. It is looked for right before each start,
//! and whenever a plugin makes sure of a process that runs, so that a plugin can have it looked for before the program
//! may load something again. Nothing is parsed: of a JSON file it is enough that no key can be in it, see [`has`].
//!
//! Limits: what appears between the look and the program's own is not seen. Files are read up to a bound and only where they are
//! plain files that lie in the folder in which they were found; everything else counts as present. Above the folder *all* folders
//! count: which of them a program stops at (the root of a repository) is for git to say, with what a folder's own `.git` tells it.

use crate::error::ProcessError;
use crate::limits;
use crate::types::Spec;
use crate::types::UnlessPresent;
use nexus_plugin_api::text;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Refuses a specification whose [`UnlessPresent`] is present.
///
/// # Errors
/// `Present`: something is there; a sentence with the file and the ways out. `Timeout`: that was not to be seen in time.
pub(super) async fn refuse(spec: &Spec) -> Result<(), ProcessError> {
    let (Some(unless), Some(cwd)) = (spec.unless.clone(), spec.cwd.clone()) else {
        return Ok(());
    };
    let or = unless.or.clone();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let looked = tokio::task::spawn_blocking(move || found(&unless, &cwd, home.as_deref()));
    let program = spec
        .binary
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    match tokio::time::timeout(limits::PRESENT_CHECK, looked).await {
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(what))) => Err(ProcessError::Present(format!(
            "{what}. {program} would run it as its own code without asking, so {program} is not started. To fix: \
             review it, then delete or move it{}{or}",
            if or.is_empty() { "" } else { ", or " }
        ))),
        Ok(Err(e)) => Err(ProcessError::Unavailable(format!("Nexus is shutting down ({e})"))),
        Err(_) => Err(ProcessError::Timeout(format!(
            "{program} was not started: its working folder could not be checked within {} s",
            limits::PRESENT_CHECK.as_secs()
        ))),
    }
}

/// `found` is the beginning of a sentence about the first thing that is there.
fn found(unless: &UnlessPresent, cwd: &Path, home: Option<&Path>) -> Option<String> {
    let folders = std::iter::once(cwd).chain(unless.elsewhere.iter().map(PathBuf::as_path));
    folders.into_iter().find_map(|folder| found_from(folder, unless, home))
}

/// `found_from` looks in one folder, and above it.
fn found_from(folder: &Path, unless: &UnlessPresent, home: Option<&Path>) -> Option<String> {
    // A program may see its folder by either name.
    let mut starts = vec![folder.to_owned()];
    starts.extend(fs::canonicalize(folder).ok().filter(|real| real != folder));
    let homes = [
        home.map(Path::to_owned),
        home.and_then(|home| fs::canonicalize(home).ok()),
    ];
    for start in &starts {
        for at in start.ancestors().take(if unless.above { usize::MAX } else { 1 }) {
            let at_home = !starts.iter().any(|start| start == at) && homes.iter().flatten().any(|home| home == at);
            let counts = |path: &&String| {
                let first = path.split('/').next().unwrap_or_default();
                !(at_home && unless.home.iter().any(|name| name == first))
            };
            let folders = unless.folders.iter().filter(counts);
            let folder = folders.map(|path| at.join(path)).find_map(|path| in_folder(&path, at));
            let files = || unless.files.iter().filter(counts).map(|path| at.join(path));
            let found = folder.or_else(|| files().find_map(|path| in_file(&path, at, &unless.keys)));
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

fn shown(path: &Path) -> String {
    text::line(&text::literal(&path.to_string_lossy())).into_owned()
}

/// `end_of` is what is at the end of a path that may be a link. `Ok(None)`: nothing that a program of this user could
/// open.
fn end_of(path: &Path, at: &Path) -> Result<Option<Metadata>, String> {
    let unseen = |e: io::Error| format!("cannot check {} ({e})", shown(path));
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if nothing(&e) => return Ok(None),
        Err(e) => return Err(unseen(e)),
    };
    let real = fs::canonicalize(path).map_err(unseen)?;
    let within = fs::canonicalize(at).map_err(unseen)?;
    match real.starts_with(within) {
        true => Ok(Some(metadata)),
        false => Err(format!(
            "{} is a link that leads out of its folder, to {}",
            shown(path),
            shown(&real)
        )),
    }
}

fn nothing(e: &io::Error) -> bool {
    let kinds = [
        ErrorKind::NotFound,
        ErrorKind::NotADirectory,
        ErrorKind::PermissionDenied,
    ];
    kinds.contains(&e.kind()) || e.raw_os_error() == Some(libc::ELOOP)
}

fn in_folder(path: &Path, at: &Path) -> Option<String> {
    match end_of(path, at) {
        Ok(Some(metadata)) if metadata.is_dir() => {}
        Ok(_) => return None,
        Err(cause) => return Some(cause),
    }
    let first = fs::read_dir(path).and_then(|mut entries| entries.next().transpose());
    match first {
        Ok(entry) => entry.map(|entry| format!("{} exists", shown(&entry.path()))),
        Err(e) if nothing(&e) => None,
        Err(e) => Some(format!("cannot check {} ({e})", shown(path))),
    }
}

fn in_file(path: &Path, at: &Path, keys: &[String]) -> Option<String> {
    match end_of(path, at) {
        Ok(Some(metadata)) if metadata.is_file() => {}
        Ok(Some(metadata)) if metadata.is_dir() => return None,
        // A pipe or a device would keep its reader waiting.
        Ok(Some(_)) => return Some(format!("{} is not a regular file", shown(path))),
        Ok(None) => return None,
        Err(cause) => return Some(cause),
    }
    let what = match read(path) {
        Ok(bytes) if bytes.len() as u64 > limits::PRESENT_FILE => format!(
            "is longer than {} KiB, so it was not checked",
            limits::PRESENT_FILE >> 10
        ),
        Ok(bytes) => has(&bytes, keys)?,
        Err(e) if nothing(&e) => return None,
        Err(e) => format!("cannot be read ({e})"),
    };
    Some(format!("{} {what}", shown(path)))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    // It may be another one by now.
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limits::PRESENT_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Finds a key in JSON, with comments or without: a key is in double quotes, letter by letter, or with one of its
/// letters as `\u0070`; there is no third way to write it.
fn has(bytes: &[u8], keys: &[String]) -> Option<String> {
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    let key = keys.iter().find(|key| holds(format!("\"{key}\"").as_bytes()));
    match key {
        Some(key) => Some(format!("has {key:?} in it")),
        None => holds(b"\\u").then(|| "contains an escape \\u, which can hide a key".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn unless() -> UnlessPresent {
        let all = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        UnlessPresent {
            folders: all(&[".opencode/plugin", ".opencode/plugins"]),
            files: all(&["opencode.json", ".opencode/opencode.json"]),
            keys: all(&["plugin", "plugins"]),
            above: true,
            home: all(&[".opencode"]),
            elsewhere: Vec::new(),
            or: "set x = true".to_owned(),
        }
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// `root/home/mid/work` is the folder.
    fn seen(lay: impl FnOnce(&Path, &Path)) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        let (home, work) = (root.path().join("home"), root.path().join("home/mid/work"));
        fs::create_dir_all(&work).unwrap();
        lay(root.path(), &work);
        found(&unless(), &work, Some(&home)).map(|what| what.replace(root.path().to_str().unwrap(), "ROOT"))
    }

    #[test]
    fn what_is_loaded_is_found_and_named() {
        let at = |path: &'static str, text: &'static str| seen(move |root, _| write(&root.join(path), text));
        for path in [
            "home/mid/work/.opencode/plugin/x.js",
            "home/mid/work/.opencode/plugins/.hidden.ts",
            "home/mid/.opencode/plugin/x.js",
            ".opencode/plugin/x.js",
        ] {
            assert_eq!(at(path, ""), Some(format!("ROOT/{path} exists")));
        }
        for text in [
            r#"{"plugin":[]}"#,
            "// c\n{ \"plugins\" : [] }",
            r#"{"\u0070lugin":[]}"#,
            r#"{"a":{"b":"plugin"}}"#,
        ] {
            for path in [
                "home/mid/work/opencode.json",
                "home/mid/work/.opencode/opencode.json",
                "home/opencode.json",
                "opencode.json",
            ] {
                let found = at(path, text).unwrap_or_else(|| panic!("{path} {text}"));
                let says = ["has ", "contains "].map(|verb| format!("ROOT/{path} {verb}"));
                assert!(says.iter().any(|begins| found.starts_with(begins)), "{found}");
            }
        }
    }

    #[test]
    fn other_folders_and_what_lies_above_them_count_as_well() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in ["work", "a/b", "c"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        let unless = UnlessPresent {
            elsewhere: vec![at("a/b"), at("c")],
            ..unless()
        };
        let look = || found(&unless, &at("work"), None);
        assert_eq!(look(), None);
        for path in [
            "a/b/.opencode/plugin/x.js",
            "a/.opencode/plugin/x.js",
            "c/.opencode/plugins/x.js",
        ] {
            write(&at(path), "");
            assert_eq!(look(), Some(format!("{} exists", at(path).display())));
            fs::remove_file(at(path)).unwrap();
        }
        assert_eq!(look(), None);
    }

    #[test]
    fn what_is_harmless_or_the_owners_own_is_passed_over() {
        assert_eq!(seen(|_, _| ()), None);
        assert_eq!(
            seen(|root, work| {
                write(
                    &work.join("opencode.json"),
                    r#"{"model":"a/b","$schema":"x/plugin.json"}"#,
                );
                write(&work.join(".opencode/agent/build.md"), "plugin");
                fs::create_dir_all(work.join(".opencode/plugin")).unwrap();
                fs::create_dir_all(work.join(".opencode/opencode.json")).unwrap();
                // Loaded as the user's own, wherever the program works.
                write(&root.join("home/.opencode/plugin/own.js"), "");
                symlink("nowhere", work.join(".opencode/plugins")).unwrap();
            }),
            None
        );
        // Not where the folder itself is the home.
        let root = tempfile::tempdir().unwrap();
        write(&root.path().join(".opencode/plugin/own.js"), "");
        assert!(found(&unless(), root.path(), Some(root.path())).is_some());
        // And not above where that is not asked for.
        let (below, work) = (
            UnlessPresent {
                above: false,
                ..unless()
            },
            root.path().join("work"),
        );
        fs::create_dir(&work).unwrap();
        assert_eq!(found(&below, &work, None), None);
    }

    /// Hostile: what would block, lead out, or take for ever.
    #[test]
    fn what_cannot_be_searched_is_taken_for_present() {
        let outside = tempfile::tempdir().unwrap();
        write(&outside.path().join("x.json"), "{}");
        let to = outside.path().to_owned();
        let found = seen(|_, work| symlink(to.join("x.json"), work.join("opencode.json")).unwrap());
        assert!(found.unwrap().contains("is a link that leads out of its folder"));
        let to = outside.path().to_owned();
        let found = seen(|_, work| {
            fs::create_dir(work.join(".opencode")).unwrap();
            symlink(to, work.join(".opencode/plugin")).unwrap();
        });
        assert!(found.unwrap().contains("is a link that leads out of its folder"));
        let found = seen(|_, work| {
            let mut mkfifo = std::process::Command::new("mkfifo");
            assert!(mkfifo.arg(work.join("opencode.json")).status().unwrap().success());
        });
        assert!(found.unwrap().contains("is not a regular file"));
        let long = "x".repeat(usize::try_from(limits::PRESENT_FILE).unwrap() + 1);
        let found = seen(|_, work| write(&work.join("opencode.json"), &long));
        assert!(found.unwrap().contains("256 KiB"));
    }

    #[tokio::test]
    async fn the_refusal_names_the_file_and_both_ways_out_in_marks() {
        let root = tempfile::tempdir().unwrap();
        write(&root.path().join(".opencode/plugin/\u{202e}sj.x\nb"), "");
        let mut spec = Spec::new("/usr/bin/opencode", [""; 0]);
        spec.cwd = Some(root.path().to_owned());
        spec.unless = Some(unless());
        let said = refuse(&spec).await.unwrap_err().to_string();
        assert!(
            said.contains(".opencode/plugin/⟨U+202E⟩sj.x b exists. opencode would run"),
            "{said}"
        );
        assert!(said.ends_with("delete or move it, or set x = true"), "{said}");
        spec.unless = None;
        assert_eq!(refuse(&spec).await, Ok(()));
    }
}
