//! The machine: addresses, permissions, space, the data.

use super::Finding;
use crate::cli::control::send;
use crate::cli::plugin::toolchain::{TARGET, Toolchain};
use http_body_util::{BodyExt as _, Full, Limited};
use nexus_config::resolved::Config;
use nexus_config::{default_place, others};
use nexus_plugin_host::runtime::cache_state;
use nexus_store::lock::Holder;
use nexus_store::{Store, StoreError, snapshot};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;

/// For an answer of the page on this machine.
const ANSWER: Duration = Duration::from_secs(5);
const ANSWER_BYTES: usize = 1 << 20;
/// Below it the next upgrade or a long chat may not fit …
const LITTLE: u64 = 1 << 30;
/// … and below this the database may stop at any time.
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
            format!("no Rust with {TARGET}; it is needed only to build plugins (rustup target add {TARGET})"),
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
                format!("nexus {version} is starting on {data} as process {pid}, at http://{address}: {what}"),
                "nothing; look again in a moment",
            ),
            Some((address, Ok(Health { version, .. }))) => Finding::ok(
                "running",
                format!("nexus {version} runs on {data} as process {pid} and answers at http://{address}"),
            ),
            Some((address, Err(why))) => Finding::fail(
                "running",
                format!("process {pid} runs on {data}, but http://{address} does not answer: {why}"),
                format!("kill {pid}\nand start it again; nexus logs says what it did last"),
            ),
            None => Finding::warn(
                "running",
                format!("process {pid} runs on {data} and does not listen yet"),
                "look again in some seconds; nexus logs says what it does",
            ),
        });
        #[cfg(unix)]
        if address.is_some() {
            findings.extend(control(config, pid));
        }
        return;
    }
    findings.push(Finding::ok("running", format!("no nexus runs on {data}")));
    let web = (
        "listen".to_owned(),
        config.web.listen,
        "[web]\nlisten = \"127.0.0.1:0\"".to_owned(),
    );
    let tunnels = fixed.map(|t| {
        let fix = format!("[tunnel.{}]\nlisten = \"127.0.0.1:PORT\"   # another port", t.name);
        (format!("listen.{}", t.name), t.listen, fix)
    });
    let metrics = config.metrics.as_ref().filter(|metrics| metrics.listen.port() != 0);
    let metrics = metrics.map(|metrics| {
        let fix = "[metrics]\nlisten = \"127.0.0.1:PORT\"   # another port".to_owned();
        ("metrics".to_owned(), metrics.listen, fix)
    });
    for (check, address, fix) in std::iter::once(web).chain(tunnels).chain(metrics) {
        findings.push(match TcpListener::bind(address) {
            Ok(_) => Finding::ok(check, format!("{address} is free")),
            Err(error) => {
                let who = match health(address) {
                    Ok(Health { version, .. }) => format!("nexus {version} of another data directory is there"),
                    Err(_) => error.to_string(),
                };
                Finding::fail(check, format!("{address} cannot be listened on: {who}"), fix)
            }
        });
    }
}

/// Whether the commands reach the host.
#[cfg(unix)]
fn control(config: &Config, pid: u32) -> Option<Finding> {
    let socket = config.data_dir.join(nexus_web::control::FILE);
    let error = std::os::unix::net::UnixStream::connect(&socket).err()?;
    Some(Finding::fail(
        "control",
        format!(
            "{} cannot be opened, so `nexus status` and the like fail: {error}",
            socket.display()
        ),
        if error.kind() == std::io::ErrorKind::InvalidInput {
            "a shorter --data-dir".to_owned()
        } else {
            format!("kill {pid}\nand start it again: that makes the socket anew")
        },
    ))
}

/// A nexus that answers.
struct Health {
    version: String,
    /// What it does before it is up.
    starting: Option<String>,
}

/// The nexus that answers at an address; where it listens on all of them, on loopback.
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
    let version = word("version").ok_or_else(|| "it is not nexus".to_owned())?;
    Ok(Health { version, starting })
}

#[cfg(unix)]
fn permissions(config: &Config, holder: Option<&Holder>, findings: &mut Vec<Finding>) {
    use std::os::unix::fs::MetadataExt as _;
    let me = rustix::process::geteuid().as_raw();
    let dir = &config.data_dir;
    findings.push(match dir.metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Finding::ok("data", format!("{} is made at the first start", dir.display()))
        }
        Err(e) => Finding::fail(
            "data",
            format!("{} cannot be looked at: {e}", dir.display()),
            "name another one with --data-dir DIR",
        ),
        Ok(meta) if meta.uid() != me => Finding::fail(
            "data",
            format!(
                "{} belongs to user {}, and this is user {me}",
                dir.display(),
                meta.uid()
            ),
            format!("run nexus as that user, or: sudo chown -R {me} {}", dir.display()),
        ),
        Ok(meta) if meta.mode() & 0o077 != 0 => Finding::warn(
            "data",
            format!(
                "{} has mode {:03o}: others can enter",
                dir.display(),
                meta.mode() & 0o777
            ),
            format!("chmod 700 {}", dir.display()),
        ),
        Ok(_) => match rustix::fs::access(dir, rustix::fs::Access::WRITE_OK) {
            Ok(()) => Finding::ok("data", format!("{} is private", dir.display())),
            Err(error) => Finding::fail(
                "data",
                format!("{} cannot be written: {error}. Nexus does not start so", dir.display()),
                "make it and its disk writable (mount -o remount,rw), or name another one with --data-dir DIR",
            ),
        },
    });
    let Some(file) = &config.file else { return };
    if let Err((why, fix)) = others::is_ours(file) {
        findings.push(Finding::fail("config.mode", why, fix));
        return;
    }
    let workspace = workspace(config, holder);
    findings.push(if file.starts_with(&workspace) {
        Finding::warn(
            "config.mode",
            format!(
                "{} lies in the workspace {}, where the agent writes",
                file.display(),
                workspace.display()
            ),
            if default_place().as_ref() == Some(file) {
                "[chat.main]\nworkspace = \"/the/folder/of/the/project\"".to_owned()
            } else {
                format!("mv {} ~/.config/nexus/nexus.toml", file.display())
            },
        )
    } else {
        Finding::ok("config.mode", format!("only its owner writes to {}", file.display()))
    });
}

/// Where none is named, it is the folder that Nexus was started in, not the one where somebody asks.
#[cfg(unix)]
fn workspace(config: &Config, holder: Option<&Holder>) -> std::path::PathBuf {
    let here = std::env::current_dir().ok().as_ref() == Some(&config.chat.workspace);
    let started = holder.and_then(|holder| std::fs::read_link(format!("/proc/{}/cwd", holder.pid)).ok());
    started
        .filter(|_| here)
        .unwrap_or_else(|| config.chat.workspace.clone())
}

fn database(config: &Config, holder: Option<&Holder>, findings: &mut Vec<Finding>) {
    if !Store::exists(&config.data_dir) {
        return findings.push(match holder.filter(|holder| holder.url.is_some()) {
            None => Finding::ok("database", "there is none yet; it is made at the first start"),
            Some(holder) => Finding::fail(
                "database",
                "nexus runs, and its database is not there: somebody deleted it or moved it away, and what is said is \
                 lost when nexus ends",
                format!(
                    "move {} back; or, if it is lost: kill {}, and nexus restore FILE",
                    snapshot::NAME,
                    holder.pid
                ),
            ),
        });
    }
    findings.push(match snapshot::check(&config.data_dir.join(snapshot::NAME)) {
        Ok(schema) => Finding::ok("database", format!("it is whole, schema {schema}")),
        Err(error @ StoreError::Newer { .. }) => Finding::fail(
            "database",
            error.to_string(),
            "install the newer nexus again, or: nexus restore FILE --force",
        ),
        Err(error) => Finding::fail("database", error.to_string(), "nexus restore FILE --force"),
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
                format!("the space on the disk of {} is not known: {error}", there.display()),
                format!("df -h {}", there.display()),
            ),
            Ok(free) => {
                let found = format!("{} MiB are free on the disk of {}", free >> 20, there.display());
                let fix = format!("make room there, or use another disk with --data-dir DIR; what takes it: du -xh {} | sort -h | tail", there.display());
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
            "empty: the next start compiles the plugins, within a second or two",
        ),
        [] => Finding::ok(
            "cache",
            format!("{} compiled plugins, {} KiB", state.files, state.bytes >> 10),
        ),
        trouble => Finding::warn(
            "cache",
            format!(
                "compiled anew at each start, since it is refused: {}",
                trouble.join("; ")
            ),
            format!("rm -r {}", config.data_dir.join("cache").display()),
        ),
    });
}

fn log(config: &Config, findings: &mut Vec<Finding>) {
    let Some(log) = &config.log.file else {
        return findings.push(Finding::ok("log", "it goes to stderr alone, as configured"));
    };
    let path = &log.path;
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
            return findings.push(Finding::fail(
                "log",
                format!("{} cannot be written: {error}", there.display()),
                "[log]\nfile = \"/another/place/nexus.log\"",
            ));
        }
        if there != path && !there.is_dir() {
            return findings.push(Finding::fail(
                "log",
                format!("{} is a file, where a folder for the log is needed", there.display()),
                "[log]\nfile = \"/another/place/nexus.log\"",
            ));
        }
    }
    findings.push(Finding::ok("log", format!("{} (nexus logs shows it)", path.display())));
}
