//! The machine: addresses, permissions, space, the data.

use super::finding::Finding;
use crate::cli::control_client::send;
use crate::cli::plugin::toolchain::{TARGET, Toolchain};
use http_body_util::{BodyExt as _, Full, Limited};
use nexus_config::resolved::Config;
use nexus_config::{default_place, in_table, ownership};
use nexus_model::plural;
use nexus_model::units::about_size;
use nexus_plugin_host::cache_state;
use nexus_store::lock::Holder;
use nexus_store::{Store, StoreError, snapshot};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;

/// `ANSWER` is the time for an answer of the page on this machine.
const ANSWER: Duration = Duration::from_secs(5);
const ANSWER_BYTES: usize = 1 << 20;
/// `LITTLE` is the free space in bytes below which the next upgrade or a long chat may not fit.
const LITTLE: u64 = 1 << 30;
/// `TOO_LITTLE` is the free space in bytes below which the database may stop at any time.
const TOO_LITTLE: u64 = 100 << 20;

pub(super) fn look(config: &Config, holder: Option<&Holder>, findings: &mut Vec<Finding>) {
    running(config, holder, findings);
    #[cfg(unix)]
    permissions(config, holder, findings);
    database(config, holder, findings);
    space(config, findings);
    cache(config, findings);
    log(config, findings);
    // Not in the current directory: a file there could name another Rust, which rustup would then fetch.
    findings.push(match Toolchain::find(&std::env::temp_dir()) {
        Ok(toolchain) => Finding::ok("toolchain", format!("{} can build plugins", toolchain.version)),
        Err(_) => Finding::ok(
            "toolchain",
            format!("no Rust with {TARGET}, which is only needed to build plugins (`rustup target add {TARGET}`)"),
        ),
    });
}

fn running(config: &Config, holder: Option<&Holder>, findings: &mut Vec<Finding>) {
    let data = config.data_dir.display();
    let fixed = config.tunnels.values().filter(|t| t.listen.port() != 0);
    if let Some(holder) = holder {
        let pid = holder.pid;
        let address = holder
            .url
            .as_deref()
            .and_then(|url| url.strip_prefix("http://")?.parse().ok());
        findings.push(match address.map(|address| (address, health(address))) {
            Some((
                address,
                Ok(Health {
                    version,
                    starting: Some(what),
                }),
            )) => Finding::warn(
                "running",
                format!("nexus {version} is starting with {data} as process {pid}, at http://{address}: {what}"),
                "wait a moment, then run `nexus doctor` again",
            ),
            Some((address, Ok(Health { version, .. }))) => Finding::ok(
                "running",
                format!("nexus {version} is running with {data} as process {pid} and answers at http://{address}"),
            ),
            Some((address, Err(cause))) => Finding::fail(
                "running",
                format!("Nexus is running with {data} as process {pid}, but http://{address} does not answer: {cause}"),
                format!("run `kill {pid}`, then start Nexus again; `nexus logs` shows what it did last"),
            ),
            None => Finding::warn(
                "running",
                format!("Nexus is running with {data} as process {pid} but does not listen yet"),
                "run `nexus doctor` again in a few seconds; `nexus logs` shows what it is doing",
            ),
        });
        #[cfg(unix)]
        if address.is_some() {
            findings.extend(control(config, pid));
        }
        return;
    }
    findings.push(Finding::ok("running", format!("Nexus is not running with {data}")));
    let web = (
        "listen".to_owned(),
        config.web.listen,
        if config.text.lines().any(|line| line.trim_end() == "[web]") {
            in_table("web", "listen = \"127.0.0.1:0\"") + " to use another port"
        } else {
            "[web]\nlisten = \"127.0.0.1:0\"".to_owned()
        },
    );
    let tunnels = fixed.map(|t| {
        let fix = in_table(&format!("tunnel.{}", t.name), "listen = \"127.0.0.1:PORT\"") + " to use another port";
        (format!("listen.{}", t.name), t.listen, fix)
    });
    let metrics = config.metrics.as_ref().filter(|metrics| metrics.listen.port() != 0);
    let metrics = metrics.map(|metrics| {
        let fix = in_table("metrics", "listen = \"127.0.0.1:PORT\"") + " to use another port";
        ("metrics".to_owned(), metrics.listen, fix)
    });
    for (check, address, fix) in std::iter::once(web).chain(tunnels).chain(metrics) {
        findings.push(match TcpListener::bind(address) {
            Ok(_) => Finding::ok(check, format!("{address} is free")),
            Err(error) => {
                let who = match health(address) {
                    Ok(Health { version, .. }) => format!("nexus {version} with another data folder uses it"),
                    Err(_) => error.to_string(),
                };
                Finding::fail(check, format!("cannot listen on {address}: {who}"), fix)
            }
        });
    }
}

/// Checks whether the commands reach the host.
#[cfg(unix)]
fn control(config: &Config, pid: u32) -> Option<Finding> {
    let socket = config.data_dir.join(nexus_web::http::control_socket::FILE);
    let error = std::os::unix::net::UnixStream::connect(&socket).err()?;
    Some(Finding::fail(
        "control",
        format!(
            "{} cannot be opened, so commands such as `nexus status` fail: {error}",
            socket.display()
        ),
        if error.kind() == std::io::ErrorKind::InvalidInput {
            "use a shorter --data-dir".to_owned()
        } else {
            format!("run `kill {pid}`, then start Nexus again, which creates the socket")
        },
    ))
}

/// `Health` is a Nexus that answers.
struct Health {
    version: String,
    /// `starting` is what it does before it is up.
    starting: Option<String>,
}

/// Finds the Nexus that answers at an address; where it listens on all of them, on loopback.
fn health(mut address: SocketAddr) -> Result<Health, String> {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let ask = async {
        let socket = TcpStream::connect(address).await?;
        let request = http::Request::get("/healthz")
            .header("host", address.to_string())
            .body(Full::default())?;
        let answer = send(socket, request).await?.into_body();
        let answer = Limited::new(answer, ANSWER_BYTES)
            .collect()
            .await
            .map_err(anyhow::Error::from_boxed)?;
        anyhow::Ok(answer.to_bytes())
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let answer = runtime
        .block_on(async { tokio::time::timeout(ANSWER, ask).await })
        .map_err(|_| format!("no answer within {} s", ANSWER.as_secs()))?
        .map_err(|error| error.to_string())?;
    let health: Option<serde_json::Value> = serde_json::from_slice(&answer).ok();
    let word = |name| Some(health.as_ref()?.get(name)?.as_str()?.to_owned());
    let starting = word("starting");
    let version = word("version").ok_or_else(|| "another program answers there".to_owned())?;
    Ok(Health { version, starting })
}

#[cfg(unix)]
fn permissions(config: &Config, holder: Option<&Holder>, findings: &mut Vec<Finding>) {
    use std::os::unix::fs::MetadataExt as _;
    let me = rustix::process::geteuid().as_raw();
    let dir = &config.data_dir;
    findings.push(match dir.metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Finding::ok("data", format!("{} will be created at the first start", dir.display()))
        }
        Err(e) => Finding::fail(
            "data",
            format!("cannot read {}: {e}", dir.display()),
            "use another one with --data-dir DIR",
        ),
        Ok(meta) if meta.uid() != me => Finding::fail(
            "data",
            format!(
                "{} belongs to user {}, but this is user {me}",
                dir.display(),
                meta.uid()
            ),
            format!("run Nexus as that user, or run `sudo chown -R {me} {}`", dir.display()),
        ),
        Ok(meta) if meta.mode() & 0o077 != 0 => Finding::warn(
            "data",
            format!(
                "{} has mode {:03o}: other users can access it",
                dir.display(),
                meta.mode() & 0o777
            ),
            format!("run `chmod 700 {}`", dir.display()),
        ),
        Ok(_) => match rustix::fs::access(dir, rustix::fs::Access::WRITE_OK) {
            Ok(()) => Finding::ok("data", format!("{} is private", dir.display())),
            Err(error) => Finding::fail(
                "data",
                format!("{} cannot be written: {error}. Nexus cannot start", dir.display()),
                "make the folder and its disk writable (`mount -o remount,rw`), or use another one with --data-dir DIR",
            ),
        },
    });
    let Some(file) = &config.file else { return };
    if let Err((cause, fix)) = ownership::is_ours(file) {
        findings.push(Finding::fail("config.mode", cause, fix));
        return;
    }
    let others = config.chat.workspaces.others.iter().cloned();
    let mut workspaces = std::iter::once(workspace(config, holder)).chain(others);
    findings.push(
        if let Some(workspace) = workspaces.find(|workspace| file.starts_with(workspace)) {
            Finding::warn(
                "config.mode",
                format!(
                    "{} is in the workspace {}, where the agent can write",
                    file.display(),
                    workspace.display()
                ),
                if default_place().as_ref() == Some(file) {
                    "[chat.main]\nworkspace = \"/the/folder/of/the/project\"".to_owned()
                } else {
                    "move the file and the files it names to a folder outside the workspace, and start Nexus with \
                 --config NEWPATH"
                        .to_owned()
                },
            )
        } else {
            Finding::ok("config.mode", format!("only its owner can write to {}", file.display()))
        },
    );
}

/// `workspace` is, where none is named, the folder that Nexus was started in, not the one where somebody asks.
#[cfg(unix)]
fn workspace(config: &Config, holder: Option<&Holder>) -> std::path::PathBuf {
    let here = std::env::current_dir().ok().as_ref() == Some(&config.chat.workspaces.first);
    let started = holder.and_then(|holder| std::fs::read_link(format!("/proc/{}/cwd", holder.pid)).ok());
    started
        .filter(|_| here)
        .unwrap_or_else(|| config.chat.workspaces.first.clone())
}

fn database(config: &Config, holder: Option<&Holder>, findings: &mut Vec<Finding>) {
    if !Store::exists(&config.data_dir) {
        return findings.push(match holder.filter(|holder| holder.url.is_some()) {
            None => Finding::ok(
                "database",
                "there is no database yet; it will be created at the first start",
            ),
            Some(holder) => Finding::fail(
                "database",
                "Nexus is running, but its database was deleted or moved: new data is lost when Nexus stops",
                format!(
                    "move {} back. If it is lost, run `kill {}`, then `nexus restore FILE`",
                    snapshot::NAME,
                    holder.pid
                ),
            ),
        });
    }
    findings.push(match snapshot::check(&config.data_dir.join(snapshot::NAME)) {
        Ok(schema) => Finding::ok("database", format!("the database is intact (schema {schema})")),
        Err(error @ StoreError::Newer { .. }) => Finding::fail(
            "database",
            error.to_string(),
            "install the newer Nexus again, or run `nexus restore FILE --force`",
        ),
        Err(error) => Finding::fail("database", error.to_string(), "run `nexus restore FILE --force`"),
    });
}

fn space(config: &Config, findings: &mut Vec<Finding>) {
    #[cfg(unix)]
    {
        let there = config
            .data_dir
            .ancestors()
            .find(|dir| dir.exists())
            .unwrap_or(Path::new("/"));
        let free = rustix::fs::statvfs(there).map(|s| s.f_bavail.saturating_mul(s.f_frsize));
        findings.push(match free {
            Err(error) => Finding::warn(
                "disk",
                format!("cannot read the free space on the disk of {}: {error}", there.display()),
                format!("run `df -h {}`, which shows the cause", there.display()),
            ),
            Ok(free) => {
                let found = format!("{} are free on the disk of {}", about_size(free), there.display());
                let fix = format!(
                    "free up space, or use another disk with --data-dir DIR; `du -xh {} | sort -h \
                    | tail` finds large files",
                    there.display()
                );
                match free {
                    ..TOO_LITTLE => Finding::fail("disk", found, fix),
                    TOO_LITTLE..LITTLE => Finding::warn("disk", found, fix),
                    LITTLE.. => Finding::ok("disk", found),
                }
            }
        });
    }
    #[cfg(not(unix))]
    let _ = (config, findings, LITTLE, TOO_LITTLE);
}

fn cache(config: &Config, findings: &mut Vec<Finding>) {
    let state = cache_state(&config.data_dir);
    findings.push(match state.trouble.as_slice() {
        [] if state.files == 0 => Finding::ok(
            "cache",
            "the cache is empty: the next start compiles the plugins, which takes a second or two",
        ),
        [] => Finding::ok(
            "cache",
            format!(
                "{}, {}",
                plural::count(state.files, "compiled plugin"),
                about_size(state.bytes)
            ),
        ),
        trouble => Finding::warn(
            "cache",
            format!(
                "the cache cannot be used, so plugins are compiled again at each start: {}",
                trouble.join("; ")
            ),
            format!("run `rm -r {}`", config.data_dir.join("cache").display()),
        ),
    });
}

fn log(config: &Config, findings: &mut Vec<Finding>) {
    let Some(log) = &config.log.file else {
        return findings.push(Finding::ok("log", "the log is written to stderr only, as configured"));
    };
    let path = &log.path;
    let unusable = |found: String| {
        let fix = "set another path with [log] file = \"/path\", or file = \"\" for none";
        Finding::warn("log", format!("the log is written to stderr only: {found}"), fix)
    };
    #[cfg(unix)]
    {
        use rustix::fs::{Access, access};
        let there = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
        let wanted = if there.is_dir() {
            Access::WRITE_OK | Access::EXEC_OK
        } else {
            Access::WRITE_OK
        };
        if let Err(error) = access(there, wanted) {
            return findings.push(unusable(format!("{} cannot be written: {error}", there.display())));
        }
        if there != path && !there.is_dir() {
            let found = format!("{} is a file, but the log needs a folder there", there.display());
            return findings.push(unusable(found));
        }
        if let Some(error) = there.is_dir().then(|| cannot_create(there)).flatten() {
            return findings.push(unusable(format!("{} cannot be created: {error}", path.display())));
        }
    }
    findings.push(Finding::ok(
        "log",
        format!("{} (`nexus logs` shows it)", path.display()),
    ));
}

/// `cannot_create` tries it with a folder that is removed again: a permission alone does not say it of every file system.
#[cfg(unix)]
fn cannot_create(there: &Path) -> Option<String> {
    let probe = there.join(format!(".nexus-doctor-{}", std::process::id()));
    let made = nexus_files::private::make_new_dir(&probe).err();
    let _ = std::fs::remove_dir(&probe);
    made.map(|error| error.to_string())
}
