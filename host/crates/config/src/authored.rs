//! Stage one: what was written, each value with its place, already parsed into its type. Nothing is filled in.

use super::diagnostic::{Diagnostic, Place};
use super::read::{Findings, Located, Table, Unfit, describe, integer};
use super::resolved::HttpGrant;
use super::units;
use super::watch::{AuthoredMetrics, AuthoredNotify};
use nexus_model::limits;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// The version of the file's format that this program reads.
pub const CONFIG_VERSION: i64 = 1;

#[derive(Debug, Default)]
pub(super) struct Authored {
    pub web: Web,
    pub auth: Auth,
    pub chats: Vec<(Located<String>, Chat)>,
    pub tunnels: Vec<(Located<String>, Tunnel)>,
    pub plugins: Vec<(Located<String>, Plugin)>,
    pub log: Log,
    pub metrics: AuthoredMetrics,
    pub notify: AuthoredNotify,
}

#[derive(Debug, Default)]
pub(super) struct Web {
    pub listen: Option<Located<SocketAddr>>,
    pub hosts: Vec<Located<String>>,
    pub public_url: Option<Located<String>>,
    pub insecure_listen: Option<Located<bool>>,
}

#[derive(Debug, Default)]
pub(super) struct Auth {
    pub plugin: Option<Located<String>>,
    pub lockout_failures: Option<Located<u32>>,
    pub lockout: Option<Located<Duration>>,
    pub session_idle: Option<Located<Duration>>,
    pub session_absolute: Option<Located<Duration>>,
}

#[derive(Debug, Default)]
pub(super) struct Chat {
    pub plugin: Option<Located<String>>,
    pub fallback: Option<Located<String>>,
    pub workspace: Option<Located<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Tunnel {
    pub plugin: Option<Located<String>>,
    pub autostart: Option<Located<bool>>,
    pub allow_plaintext: Option<Located<bool>>,
    pub listen: Option<Located<SocketAddr>>,
    pub hosts: Vec<Located<String>>,
    pub probe: Option<Located<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Plugin {
    pub source: Option<Located<String>>,
    pub config: Vec<(String, Located<toml::Value>)>,
    pub grants: Grants,
    pub secrets: Vec<(String, Located<SecretSource>)>,
    pub limits: Limits,
}

/// Absent is not the same as empty: a built-in plugin has what it asks for until the operator names less.
#[derive(Debug, Default)]
pub(super) struct Grants {
    pub http: Option<Vec<Located<HttpGrant>>>,
    pub store_quota: Option<Located<u64>>,
    pub processes: Vec<(Located<String>, Process)>,
}

#[derive(Debug, Default)]
pub(super) struct Process {
    pub path: Option<Located<String>>,
    pub inherit_env: Option<Located<bool>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretSource {
    Env(String),
    File(String),
}

#[derive(Debug, Default)]
pub(super) struct Limits {
    pub memory: Option<Located<u64>>,
    pub cpu: Option<Located<Duration>>,
    pub cpu_share: Option<Located<u32>>,
    pub store_writes: Option<Located<u64>>,
    pub call: Option<Located<Duration>>,
    pub streams: Option<Located<u32>>,
    pub processes: Option<Located<u32>>,
    pub log_lines: Option<Located<u32>>,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    pub filter: Option<Located<String>>,
    pub json: Option<Located<bool>>,
    /// Empty: none.
    pub file: Option<Located<String>>,
    pub max_size: Option<Located<u64>>,
    pub max_files: Option<Located<u32>>,
}

impl Authored {
    /// Reads the text of a file and notes every problem. Where the text is not TOML, only that is noted: what would
    /// follow from it says nothing.
    pub(super) fn read(text: &str, findings: &mut Findings) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            for error in errors {
                let message = error.message().replace('\n', ", ");
                let place = Place::At(error.span().unwrap_or(0..0));
                let help = if message.contains("duplicate key") {
                    "it is written twice: put the lines of both into the first one"
                } else {
                    "see https://toml.io for how tables, strings and lists are written"
                };
                findings.push(Diagnostic::new(place, "", format!("not valid TOML: {message}")).fix(help));
            }
            return Self::default();
        }
        let mut top = Table::root(root.get_ref(), root.span());
        let version = top.get("config-version", "config-version = 1", findings, |v| {
            integer(v).ok_or(Unfit::PLAIN)
        });
        match version {
            Some(v) if v.value > CONFIG_VERSION => findings.push(
                v.problem("this file is written for a newer Nexus")
                    .found(v.value.to_string())
                    .expected(CONFIG_VERSION.to_string())
                    .fix("update Nexus, or write the file for version 1"),
            ),
            Some(v) if v.value < 1 => findings.push(
                v.problem("there is no such version of the configuration")
                    .found(v.value.to_string())
                    .expected(CONFIG_VERSION.to_string())
                    .fix("write config-version = 1"),
            ),
            Some(_) => {}
            None if root.get_ref().keys().any(|k| k.get_ref() == "config-version") => {}
            None => findings.push(
                Diagnostic::new(Place::At(0..0), "config-version", "the file does not say its version")
                    .expected("config-version = 1")
                    .fix("write this as the first line: config-version = 1"),
            ),
        }
        let read = Self {
            web: top
                .table("web", findings)
                .map(|t| Web::read(t, findings))
                .unwrap_or_default(),
            auth: top
                .table("auth", findings)
                .map(|t| Auth::read(t, findings))
                .unwrap_or_default(),
            chats: all(&mut top, "chat", findings, Chat::read),
            tunnels: all(&mut top, "tunnel", findings, Tunnel::read),
            plugins: all(&mut top, "plugin", findings, Plugin::read),
            log: top
                .table("log", findings)
                .map(|t| Log::read(t, findings))
                .unwrap_or_default(),
            metrics: top
                .table("metrics", findings)
                .map(|t| AuthoredMetrics::read(t, findings))
                .unwrap_or_default(),
            notify: top
                .table("notify", findings)
                .map(|t| AuthoredNotify::read(t, findings))
                .unwrap_or_default(),
        };
        top.finish(findings);
        read
    }
}

fn all<'i, T>(
    top: &mut Table<'_, 'i>,
    key: &'static str,
    findings: &mut Findings,
    read: fn(Table<'_, 'i>, &mut Findings) -> T,
) -> Vec<(Located<String>, T)> {
    top.named(key, findings)
        .into_iter()
        .map(|(name, table)| (name, read(table, findings)))
        .collect()
}

impl Web {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let web = Self {
            listen: address(&mut t, findings),
            hosts: hosts(&mut t, findings),
            public_url: t.get(
                "public_url",
                "scheme and host, such as \"https://chat.example.org\"",
                findings,
                |v| {
                    units::origin(v.as_str().ok_or(Unfit::PLAIN)?).map_err(|why| Unfit {
                        found: Some(format!("{}: {why}", describe(v))),
                        fix: None,
                    })
                },
            ),
            insecure_listen: t.boolean("insecure_listen", findings),
        };
        t.finish(findings);
        web
    }
}

impl Auth {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let auth = Self {
            plugin: plugin(&mut t, "plugin", findings),
            lockout_failures: t.whole("lockout_failures", 1..=1000, findings),
            lockout: duration(&mut t, "lockout", findings),
            session_idle: duration(&mut t, "session_idle", findings),
            session_absolute: duration(&mut t, "session_absolute", findings),
        };
        t.finish(findings);
        auth
    }
}

impl Chat {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let chat = Self {
            plugin: plugin(&mut t, "plugin", findings),
            fallback: t.string("fallback", "the name of a plugin, or \"\" for none", findings),
            workspace: path(&mut t, "workspace", findings),
        };
        t.finish(findings);
        chat
    }
}

impl Tunnel {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let here = t.here();
        let tunnel = Self {
            plugin: plugin(&mut t, "plugin", findings),
            autostart: t.boolean("autostart", findings),
            allow_plaintext: t.boolean("allow_plaintext", findings),
            listen: address(&mut t, findings),
            hosts: hosts(&mut t, findings),
            probe: t.string("probe", super::prepared::PROBE, findings),
        };
        if tunnel.plugin.is_none()
            && !findings
                .diagnostics
                .iter()
                .any(|d| d.key == format!("{}.plugin", here.key))
        {
            findings.push(
                here.problem(format!("[{}] does not say which plugin opens it", here.key))
                    .expected("plugin = \"NAME\"")
                    .fix("add a line such as: plugin = \"tunnel-bore\""),
            );
        }
        t.finish(findings);
        tunnel
    }
}

impl Plugin {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let read = Self {
            source: path(&mut t, "source", findings),
            config: t.values("config", findings),
            grants: t
                .table("grants", findings)
                .map(|g| Grants::read(g, findings))
                .unwrap_or_default(),
            secrets: secrets(&mut t, findings),
            limits: t
                .table("limits", findings)
                .map(|l| Limits::read(l, findings))
                .unwrap_or_default(),
        };
        t.finish(findings);
        read
    }
}

impl Grants {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let expected = "\"https://api.example.org\", or { url = \"http://10.0.0.5:8080\", private = true }";
        let grants = Self {
            http: t.list("http", expected, findings, http_grant),
            store_quota: size(&mut t, "store_quota", findings),
            processes: t
                .named("process", findings)
                .into_iter()
                .map(|(name, mut p)| {
                    let process = Process {
                        path: path(&mut p, "path", findings),
                        inherit_env: p.boolean("inherit_env", findings),
                    };
                    p.finish(findings);
                    (name, process)
                })
                .collect(),
        };
        t.finish(findings);
        grants
    }
}

impl Limits {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let limits = Self {
            memory: size(&mut t, "memory", findings),
            cpu: duration(&mut t, "cpu", findings),
            cpu_share: t.whole("cpu_share", 1..=limits::PLUGIN_CPU_SHARE_MOST, findings),
            store_writes: size(&mut t, "store_writes", findings),
            call: duration(&mut t, "call", findings),
            streams: t.whole("streams", 1..=limits::PLUGIN_STREAMS_MOST, findings),
            processes: t.whole("processes", 0..=limits::PLUGIN_PROCESSES_MOST, findings),
            log_lines: t.whole("log_lines", 0..=limits::PLUGIN_LOG_LINES_MOST, findings),
        };
        t.finish(findings);
        limits
    }
}

/// A part of a filter that is a place without a level: it would be taken, and silence everything else.
fn no_level(filter: &str) -> Option<&str> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    filter
        .split(',')
        .map(str::trim)
        .find(|part| !part.contains(['=', '[']) && !LEVELS.iter().any(|level| part.eq_ignore_ascii_case(level)))
}

impl Log {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let log = Self {
            filter: t.get(
                "filter",
                "levels, such as \"info\" or \"warn,nexus::web=debug\"",
                findings,
                |v| {
                    let text = v.as_str().ok_or(Unfit::PLAIN)?;
                    match tracing_subscriber::EnvFilter::try_new(text) {
                        Ok(_) => match no_level(text) {
                            None => Ok(text.to_owned()),
                            Some(word) => Err(Unfit {
                                found: Some(format!("{}: `{word}` is no level", describe(v))),
                                fix: Some("the levels are error, warn, info, debug and trace; off for none".to_owned()),
                            }),
                        },
                        Err(why) => Err(Unfit {
                            found: Some(format!("{}: {why}", describe(v))),
                            fix: None,
                        }),
                    }
                },
            ),
            json: t.boolean("json", findings),
            file: t.get(
                "file",
                "a path, or \"\" for none; a relative one starts at this file's folder",
                findings,
                path_or_none,
            ),
            max_size: size(&mut t, "max_size", findings),
            max_files: t.whole("max_files", 2..=1000, findings),
        };
        t.finish(findings);
        log
    }
}

fn plugin(t: &mut Table<'_, '_>, key: &'static str, findings: &mut Findings) -> Option<Located<String>> {
    t.get(key, "the name of a plugin", findings, |v| {
        v.as_str()
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .ok_or(Unfit::PLAIN)
    })
}

fn path(t: &mut Table<'_, '_>, key: &'static str, findings: &mut Findings) -> Option<Located<String>> {
    t.get(
        key,
        "a path; a relative one starts at this file's folder",
        findings,
        |v| path_or_none(v).and_then(|text| if text.is_empty() { Err(Unfit::PLAIN) } else { Ok(text) }),
    )
}

fn path_or_none(v: &DeValue<'_>) -> Result<String, Unfit> {
    match v.as_str() {
        Some(text) if text == "~" || text.starts_with("~/") => {
            Err(Unfit::fix("`~` is not expanded here: write the whole path"))
        }
        Some(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(Unfit::PLAIN),
    }
}

pub(super) fn address(t: &mut Table<'_, '_>, findings: &mut Findings) -> Option<Located<SocketAddr>> {
    t.get(
        "listen",
        "an address and a port, such as \"127.0.0.1:7860\" (port 0: any free one)",
        findings,
        |v| {
            let Some(text) = v.as_str() else {
                return Err(match integer(v) {
                    Some(port) => Unfit::fix(format!("write \"127.0.0.1:{port}\"")),
                    None => Unfit::PLAIN,
                });
            };
            text.parse().map_err(|_| match text.strip_prefix("localhost:") {
                Some(port) => Unfit::fix(format!("write \"127.0.0.1:{port}\"")),
                None if text.parse::<IpAddr>().is_ok() => Unfit::fix(format!("add a port: \"{text}:7860\"")),
                None => Unfit::PLAIN,
            })
        },
    )
}

fn hosts(t: &mut Table<'_, '_>, findings: &mut Findings) -> Vec<Located<String>> {
    t.list(
        "hosts",
        "a host name without scheme and port, such as \"chat.example.org\"",
        findings,
        |v| {
            units::host_name(v.as_str().ok_or(Unfit::PLAIN)?).map_err(|why| Unfit {
                found: Some(format!("{}: {why}", describe(v))),
                fix: None,
            })
        },
    )
    .unwrap_or_default()
}

fn duration(t: &mut Table<'_, '_>, key: &'static str, findings: &mut Findings) -> Option<Located<Duration>> {
    const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);
    t.get(
        key,
        "a duration of up to ten years, such as \"30m\", \"14d\" or \"1h30m\"",
        findings,
        |v| {
            let Some(text) = v.as_str() else {
                return Err(match integer(v) {
                    Some(n) => Unfit::fix(format!("write the unit: \"{n}s\" for seconds, \"{n}m\" for minutes")),
                    None => Unfit::PLAIN,
                });
            };
            units::duration(text)
                .filter(|d| !d.is_zero() && *d <= LONGEST)
                .ok_or_else(|| Unfit::fix("units are ms, s, m, h and d, without spaces"))
        },
    )
}

fn size(t: &mut Table<'_, '_>, key: &'static str, findings: &mut Findings) -> Option<Located<u64>> {
    t.get(
        key,
        "a size, such as \"64 MiB\", or bytes as a whole number",
        findings,
        |v| {
            let read = match v.as_str() {
                Some(text) => units::size(text),
                None => integer(v).and_then(|n| u64::try_from(n).ok()),
            };
            // TOML cannot say more, and no machine has it.
            read.filter(|n| i64::try_from(*n).is_ok())
                .ok_or_else(|| Unfit::fix("units are B, KiB, MiB and GiB"))
        },
    )
}

fn http_grant(v: &DeValue<'_>) -> Result<HttpGrant, Unfit> {
    let parse = |text: &str| {
        HttpGrant::parse(text).map_err(|why| Unfit {
            found: Some(format!("{text:?}: {why}")),
            fix: None,
        })
    };
    let Some(table) = v.as_table() else {
        return parse(v.as_str().ok_or(Unfit::PLAIN)?);
    };
    let (mut url, mut private) = (None, false);
    for (name, value) in table {
        match (name.get_ref().as_ref(), value.get_ref()) {
            ("url", DeValue::String(text)) => url = Some(text.to_string()),
            ("private", DeValue::Boolean(b)) => private = *b,
            (other, value) => {
                return Err(Unfit {
                    found: Some(format!("{other:?} = {}", describe(value))),
                    fix: None,
                });
            }
        }
    }
    Ok(HttpGrant {
        private,
        ..parse(&url.ok_or(Unfit::PLAIN)?)?
    })
}

fn secrets(t: &mut Table<'_, '_>, findings: &mut Findings) -> Vec<(String, Located<SecretSource>)> {
    let mut all = Vec::new();
    for (name, value) in t.values("secrets", findings) {
        let key = value.key.clone();
        let written = value.value.as_table().map(|t| t.iter().collect::<Vec<_>>());
        let source = match written.as_deref() {
            Some([(kind, toml::Value::String(of))]) if !of.is_empty() && kind.as_str() == "env" => {
                Some(SecretSource::Env(of.clone()))
            }
            Some([(kind, toml::Value::String(of))]) if !of.is_empty() && kind.as_str() == "file" => {
                Some(SecretSource::File(of.clone()))
            }
            _ => None,
        };
        match source {
            Some(source) => all.push((name, value.map(|_| source))),
            None => findings.push(
                // The value itself is not shown: it may be the secret.
                Located {
                    value: (),
                    span: value.span.start..value.span.start,
                    key: key.clone(),
                }
                .problem(format!("`{key}` does not say where the secret lies"))
                .hide_value()
                .found(format!("a {}", value.value.type_str()))
                .expected("{ env = \"VARIABLE\" } or { file = \"path\" }")
                .fix("a secret never stands in this file itself: put it into a file of mode 600 and name that"),
            ),
        }
    }
    all
}
