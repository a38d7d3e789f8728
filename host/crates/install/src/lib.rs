//! Installs the chat backend's program into the data folder, for the command line and for the page's button.
//!
//! Problem: what npm fetches, from where, and what it runs on the way is said by files that an agent can write (`.npmrc`).
//!
//! Mechanism: `npm ci` with a lock that names one package, the program for this machine, with its SHA-512; no script runs,
//! and of npm's own configuration only the registry and the proxy count. It goes into a folder of its own, is run once,
//! and only then takes its final name: a half install is never picked up.
//!
//! Limits: machines for which no hash is in [`PACKAGES`] install opencode themselves. A registry that wants a login
//! cannot be used.
//!
//! Rejected: a download of our own, for npm knows the operator's proxy and registry; and the package `opencode-ai`, whose
//! script after the install chooses among the packages below, which is done here without a script.
//!
//! ```
//! # #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use nexus_install::{SetupError, install_opencode, installed};
//! use std::os::unix::fs::PermissionsExt as _;
//!
//! # let folder = tempfile::tempdir().unwrap();
//! // An npm that says of every package that it is not the one whose SHA-512 it was given.
//! let npm = folder.path().join("npm");
//! std::fs::write(&npm, "#!/bin/sh\n[ $1 = config ] && exit\necho npm error code EINTEGRITY\nexit 1\n").unwrap();
//! std::fs::set_permissions(&npm, std::fs::Permissions::from_mode(0o700)).unwrap();
//!
//! let data = folder.path().join("data");
//! let refused = install_opencode(&data, Some(folder.path().as_os_str()), &mut |step| println!("{step:?}")).await;
//! assert!(matches!(refused, Err(SetupError::Forged(_))));
//! assert_eq!(installed(&data).await, None);
//! # });
//! ```

#![warn(missing_docs)]

use nexus_files::private;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

/// `OPENCODE_VERSION` is the version that is installed; the whole-system tests run it.
pub const OPENCODE_VERSION: &str = "1.18.33";

/// `PACKAGES` are the packages with the program, by system and processor, the best first; each with the SHA-512 that
/// `npm view NAME@VERSION dist.integrity` shows. Where the first one does not run (an old processor), the next is
/// tried.
const PACKAGES: &[(&str, &str, &str, &str)] = &[
    (
        "linux",
        "x86_64",
        "opencode-linux-x64",
        "sha512-q/t/3p2CTxOT9y2kvjesb/LZab2+1eqlhhWA02Be6mjTtmYtNBcBsrI5yDo4Fw7ZSPBW2oyMIGMNRqiKQjiAWw==",
    ),
    (
        "linux",
        "x86_64",
        "opencode-linux-x64-baseline",
        "sha512-1KQGBiiDDeL/VHHbHkOvvFo8Jr97WT5+C1tear+p7IcDTnXgVHXqIjU4O4jM4mHQzykTP2i884FCnW5LDa+zCA==",
    ),
];

/// `INSTALL` bounds npm: it fetches some 60 MB, and a slow line takes minutes.
const INSTALL: Duration = Duration::from_secs(20 * 60);
const VERSION: Duration = Duration::from_secs(60);

/// `Progress` is what happens, for a person who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// `Step` is a sentence: a step begins.
    Step(String),
    /// `Output` is a line of npm's output.
    Output(String),
}

/// `SetupError` is a sentence with what to do in each of its variants.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// `NoNpm`: there is no `npm` in the PATH.
    #[error(
        "npm is not on the PATH. To fix: install Node.js with npm (Debian: apt install npm), or install opencode \
         yourself: https://opencode.ai"
    )]
    NoNpm,
    /// `Busy`: another process installs into this folder.
    #[error("another installation into {0} is running; wait for it or stop it")]
    Busy(PathBuf),
    /// `Disk`: a file or folder could not be made, written or renamed.
    #[error("{path}: {error}")]
    Disk {
        /// `path` is the one that it concerns.
        path: PathBuf,
        /// `error` is the operating system's.
        error: std::io::Error,
    },
    /// `NoChecksum`: there is no entry in `PACKAGES` for this system and processor.
    #[error(
        "this version of Nexus has no checksum of opencode {version} for {0}, so it does not install it. To fix: \
         install it yourself with `npm install -g opencode-ai@{version}`",
        version = OPENCODE_VERSION
    )]
    NoChecksum(String),
    /// `Forged`: npm got another package than the one whose SHA-512 is in the lock. The text is the registry that it
    /// came from.
    #[error(
        "the package from the registry {0} is not opencode {version}: its SHA-512 does not match. Nothing was \
         installed. To fix: check the configured registry (`npm config get registry` shows it) and set the right one",
        version = OPENCODE_VERSION
    )]
    Forged(String),
    /// `Npm`: npm ended with an error, or did not end in time.
    #[error("npm could not install opencode ({how}). Its last output:\n{output}")]
    Npm {
        /// `how` is its exit status, or the time-out.
        how: String,
        /// `output` has its last 20 lines.
        output: String,
    },
    /// `NotWorking`: the program does not print the version that was installed.
    #[error("the installed program does not run: {0}; nothing was changed")]
    NotWorking(String),
}

/// `opencode_path` is where the program lies, installed or not: `DATA_DIR/tools/bin/opencode`.
pub fn opencode_path(data_dir: &Path) -> PathBuf {
    data_dir.join("tools/bin/opencode")
}

/// Finds npm in the directories of `path`, which is the value of PATH; `None`: [`install_opencode`] could not begin.
pub fn find_npm(path: Option<&OsStr>) -> Option<PathBuf> {
    std::env::split_paths(path?)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("npm"))
        .find(|npm| npm.is_file())
}

/// Installs opencode and returns its path. `path` is the value of PATH. Dropping the future ends npm and leaves what
/// was there before.
///
/// # Errors
/// No npm, no space, no network, or a program that does not run: see [`SetupError`].
pub async fn install_opencode(
    data_dir: &Path,
    path: Option<&OsStr>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<PathBuf, SetupError> {
    let npm = find_npm(path).ok_or(SetupError::NoNpm)?;
    let tools = data_dir.join("tools");
    make_private(data_dir)?;
    make_private(&tools)?;
    make_private(&tools.join("bin"))?;
    let lock_path = tools.join(".setup.lock");
    let lock = fs::File::create(&lock_path).map_err(at(&lock_path))?;
    if lock.try_lock().is_err() {
        return Err(SetupError::Busy(tools));
    }
    let packages: Vec<_> = PACKAGES
        .iter()
        .filter(|(os, arch, ..)| (*os, *arch) == (std::env::consts::OS, std::env::consts::ARCH))
        .collect();
    let target = tools.join("opencode");
    let link = opencode_path(data_dir);
    let mut result = Err(SetupError::NoChecksum(format!(
        "{} on {}",
        std::env::consts::OS,
        std::env::consts::ARCH
    )));
    for (_, _, package, integrity) in packages {
        let staging = Staging::make(tools.join(".opencode.new"))?;
        progress(Progress::Step(format!(
            "installing opencode {OPENCODE_VERSION} with npm"
        )));
        run_npm(&npm, &staging.0, package, integrity, progress).await?;
        progress(Progress::Step("testing it".to_owned()));
        let program = Path::new("node_modules").join(package).join("bin/opencode");
        result = check_version(&staging.0.join(&program), &staging.0).await;
        if result.is_ok() {
            // For a moment the link of an earlier install points nowhere; never to half an install.
            replace_dir(&staging.0, &target, &tools.join(".opencode.old"))?;
            replace_link(&Path::new("../opencode").join(program), &link)?;
            break;
        }
    }
    drop(lock);
    result.map(|()| link)
}

/// `installed` is the program, where the tested version is installed and runs.
pub async fn installed(data_dir: &Path) -> Option<PathBuf> {
    let link = opencode_path(data_dir);
    check_version(&link, data_dir).await.is_ok().then_some(link)
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> SetupError {
    let path = path.to_owned();
    move |error| SetupError::Disk { path, error }
}

fn make_private(dir: &Path) -> Result<(), SetupError> {
    private::make_dir(dir).map_err(at(dir))
}

/// `Staging` is removed when it is dropped, unless it has got another name by then.
struct Staging(PathBuf);

impl Staging {
    fn make(path: PathBuf) -> Result<Self, SetupError> {
        remove(&path)?; // left by a machine that lost its power
        make_private(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn remove(path: &Path) -> Result<(), SetupError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(at(path)(e)),
        _ => Ok(()),
    }
}

fn replace_dir(new: &Path, target: &Path, old: &Path) -> Result<(), SetupError> {
    remove(old)?;
    match fs::rename(target, old) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(at(target)(e)),
        _ => {}
    }
    if let Err(e) = fs::rename(new, target) {
        let _ = fs::rename(old, target);
        return Err(at(target)(e));
    }
    // Still open files of a running opencode live on without their names.
    remove(old)
}

#[cfg(unix)]
fn replace_link(to: &Path, link: &Path) -> Result<(), SetupError> {
    let temporary = link.with_extension("new");
    let _ = fs::remove_file(&temporary);
    std::os::unix::fs::symlink(to, &temporary).map_err(at(&temporary))?;
    fs::rename(&temporary, link).map_err(at(link))
}

#[cfg(not(unix))]
fn replace_link(to: &Path, link: &Path) -> Result<(), SetupError> {
    let shim = link.with_extension("cmd");
    let line = format!("@\"%~dp0{}.cmd\" %*\r\n", to.display());
    fs::write(&shim, line).map_err(at(&shim))
}

/// `command` has, as every child, nothing of Nexus's own in its environment.
fn command(program: &Path, cwd: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if nexus_process::is_our_own(&name.to_string_lossy()) {
            command.env_remove(&name);
        }
    }
    command
}

/// `NPM_KEYS` is what is used of npm's own configuration: how to get to the registry. What comes from there is checked.
const NPM_KEYS: [&str; 5] = ["registry", "https-proxy", "proxy", "noproxy", "cafile"];

/// `npm_options` are those keys, as `npm ci` takes them, and the registry for people.
async fn npm_options(npm: &Path, staging: &Path) -> (Vec<String>, String) {
    let ask = command(npm, staging).args(["config", "get"]).args(NPM_KEYS).output();
    let output = match tokio::time::timeout(VERSION, ask).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        // It runs without them, or says itself what is wrong.
        _ => String::new(),
    };
    let found = |key: &&str| {
        let value = output
            .lines()
            .find_map(|line| line.trim().strip_prefix(*key)?.trim_start().strip_prefix('='))?;
        let value = value.trim();
        (!value.is_empty() && !["null", "undefined"].contains(&value)).then(|| (key.to_string(), value.to_owned()))
    };
    let found: Vec<_> = NPM_KEYS.iter().filter_map(found).collect();
    let registry = found
        .iter()
        .find(|(key, _)| key == "registry")
        .map(|(_, value)| value.clone());
    (
        found
            .into_iter()
            .map(|(key, value)| format!("--{key}={value}"))
            .collect(),
        registry.unwrap_or_else(|| "of npm".to_owned()),
    )
}

async fn run_npm(
    npm: &Path,
    staging: &Path,
    package: &str,
    integrity: &str,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), SetupError> {
    let (options, registry) = npm_options(npm, staging).await;
    let wanted = serde_json::json!({ package: OPENCODE_VERSION });
    let manifest = serde_json::json!({"name": "tools", "version": "1.0.0", "private": true, "dependencies": wanted});
    let of_package = serde_json::json!({"version": OPENCODE_VERSION, "integrity": integrity});
    let packages = serde_json::json!({
        "": {"name": "tools", "version": "1.0.0", "dependencies": wanted},
        format!("node_modules/{package}"): of_package,
    });
    let lock = serde_json::json!({
        "name": "tools", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": packages,
    });
    for (name, text) in [
        ("package.json", manifest.to_string()),
        ("package-lock.json", lock.to_string()),
        ("user.npmrc", String::new()),
        ("global.npmrc", String::new()),
    ] {
        let path = staging.join(name);
        fs::write(&path, text).map_err(at(&path))?;
    }
    let mut command = command(npm, staging);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().to_ascii_lowercase().starts_with("npm_config_") {
            command.env_remove(&name);
        }
    }
    let mut child = command
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--loglevel=http",
        ])
        .arg(format!("--userconfig={}", staging.join("user.npmrc").display()))
        .arg(format!("--globalconfig={}", staging.join("global.npmrc").display()))
        .args(options)
        .spawn()
        .map_err(at(npm))?;
    let (sender, mut lines) = tokio::sync::mpsc::channel(64);
    for stream in [child.stdout.take().map(boxed), child.stderr.take().map(boxed)]
        .into_iter()
        .flatten()
    {
        let sender = sender.clone();
        tokio::spawn(async move {
            let mut reader = BufReader::new(stream).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                if sender.send(line).await.is_err() {
                    break;
                }
            }
        });
    }
    drop(sender);
    let mut last = std::collections::VecDeque::new();
    let work = async {
        while let Some(line) = lines.recv().await {
            if last.len() == 20 {
                last.pop_front();
            }
            last.push_back(line.clone());
            progress(Progress::Output(line));
        }
        child.wait().await
    };
    let how = match tokio::time::timeout(INSTALL, work).await {
        Ok(Ok(status)) if status.success() => return Ok(()),
        Ok(Ok(status)) => status.to_string(),
        Ok(Err(e)) => e.to_string(),
        Err(_) => format!("not finished after {} minutes", INSTALL.as_secs() / 60),
    };
    let output = Vec::from(last).join("\n");
    if output.contains("EINTEGRITY") {
        return Err(SetupError::Forged(registry));
    }
    Err(SetupError::Npm { how, output })
}

fn boxed(stream: impl AsyncRead + Send + Unpin + 'static) -> Box<dyn AsyncRead + Send + Unpin> {
    Box::new(stream)
}

async fn check_version(program: &Path, cwd: &Path) -> Result<(), SetupError> {
    let run = command(program, cwd).arg("--version").output();
    let output = match tokio::time::timeout(VERSION, run).await {
        Ok(Ok(output)) => output,
        Ok(Err(e)) => return Err(SetupError::NotWorking(format!("{}: {e}", program.display()))),
        Err(_) => {
            return Err(SetupError::NotWorking(
                "it did not print its version within a minute".to_owned(),
            ));
        }
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && version == OPENCODE_VERSION {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(SetupError::NotWorking(format!(
        "`--version` reported {version:?} ({}), not {OPENCODE_VERSION}: {}",
        output.status,
        errors.trim()
    )))
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// An npm that writes an opencode of the given version.
    fn npm(dir: &Path, then: &str) -> std::ffi::OsString {
        let npm = dir.join("npm");
        let text = format!(
            "#!/bin/sh\nset -e\n[ \"$1\" = config ] && {{ echo 'registry=http://127.0.0.1:9/'; exit; }}\nprintenv NEXUS_X && exit 9\n\
             case \"$*\" in ci*--ignore-scripts*--userconfig=*--registry=http://127.0.0.1:9/*) ;; *) echo \"$*\"; exit 8;; esac\n\
             P=$(sed 's/.*node_modules.\\(opencode[a-z0-9-]*\\).*/\\1/' package-lock.json)\ngrep -q sha512- package-lock.json\n\
             echo fetching\nmkdir -p node_modules/$P/bin\n{then}\n"
        );
        fs::write(&npm, text).unwrap();
        fs::set_permissions(&npm, fs::Permissions::from_mode(0o700)).unwrap();
        let mut path = dir.as_os_str().to_owned();
        path.push(":/usr/bin:/bin");
        path
    }

    fn opencode(version: &str) -> String {
        format!(
            "printf '#!/bin/sh\\necho {version}\\n' > node_modules/$P/bin/opencode\nchmod 700 node_modules/$P/bin/opencode"
        )
    }

    async fn install(data: &Path, path: &OsStr) -> (Result<PathBuf, SetupError>, Vec<Progress>) {
        let mut seen = Vec::new();
        let result = install_opencode(data, Some(path), &mut |p| seen.push(p)).await;
        (result, seen)
    }

    #[tokio::test]
    async fn an_install_is_tried_before_it_takes_its_name_and_replaces_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let good = npm(dir.path(), &opencode(OPENCODE_VERSION));
        assert_eq!(installed(&data).await, None);
        for _ in 0..2 {
            let (path, seen) = install(&data, &good).await;
            let path = path.unwrap();
            assert!(path.is_file() && path.is_symlink());
            assert_eq!(installed(&data).await, Some(path));
            assert!(seen.contains(&Progress::Output("fetching".to_owned())), "{seen:?}");
        }
        // Neither a wrong version nor an npm that fails touches what works.
        for bad in [opencode("0.1.0"), "echo no space; exit 3".to_owned()] {
            let path = npm(dir.path(), &bad);
            let (result, _) = install(&data, &path).await;
            let said = result.unwrap_err().to_string();
            assert!(said.contains("0.1.0") || said.contains("no space"), "{said}");
            check_version(&opencode_path(&data), dir.path()).await.unwrap();
        }
        let forged = npm(dir.path(), "echo npm error code EINTEGRITY; exit 1");
        let (result, _) = install(&data, &forged).await;
        let said = result.unwrap_err().to_string();
        assert!(
            said.contains("http://127.0.0.1:9/") && said.contains("SHA-512"),
            "{said}"
        );
        let left: Vec<_> = fs::read_dir(data.join("tools"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 3, "bin, opencode and the lock: {left:?}");
    }

    #[tokio::test]
    async fn without_npm_it_says_what_to_install() {
        let dir = tempfile::tempdir().unwrap();
        let (result, _) = install(&dir.path().join("data"), dir.path().as_os_str()).await;
        assert!(result.unwrap_err().to_string().contains("apt install npm"));
        assert!(!dir.path().join("data").exists());
    }

    #[tokio::test]
    async fn two_at_once_do_not_meet() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let path = npm(dir.path(), &opencode(OPENCODE_VERSION));
        make_private(&data.join("tools")).unwrap();
        let lock = fs::File::create(data.join("tools/.setup.lock")).unwrap();
        lock.lock().unwrap();
        let (result, _) = install(&data, &path).await;
        assert!(matches!(result, Err(SetupError::Busy(_))));
    }
}
