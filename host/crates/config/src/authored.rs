//! Stage one: what was written, each value with its place, already parsed into its type. Nothing is filled in.

use crate::diagnostic::{Diagnostic, Place};
use crate::grants::{AuthoredGrants, PluginTables};
use crate::log_filter;
use crate::metrics::AuthoredMetrics;
use crate::notify::AuthoredNotify;
use crate::toml_reader::{Findings, InvalidValue, Located, RenamedValue, Table, describe, integer};
use crate::value_readers::{self, address, duration, hosts, path, path_or_none, paths, plugin, size};
use crate::version::CONFIG_VERSION;
use crate::written_url::origin;
use nexus_model::limits;
use nexus_plugin_api::renamed_keys::Renamed;
use std::net::SocketAddr;
use std::time::Duration;
use toml::de::DeTable;

/// `RENAMED` are the keys that have a new name, the old one of which this version still reads.
pub(super) const RENAMED: [Renamed; 2] = [
    Renamed::key("", "config-version", "config_version"),
    Renamed {
        values: &[("public", "on")],
        ..Renamed::key("tunnel.*", "probe", "public_check")
    },
];

#[derive(Debug, Default)]
pub(super) struct Authored {
    pub web: AuthoredWeb,
    pub auth: AuthoredAuth,
    pub chats: Vec<(Located<String>, AuthoredChat)>,
    pub tunnels: Vec<(Located<String>, AuthoredTunnel)>,
    pub plugins: Vec<(Located<String>, AuthoredPlugin)>,
    pub log: AuthoredLog,
    pub metrics: AuthoredMetrics,
    pub notify: AuthoredNotify,
}

#[derive(Debug, Default)]
pub(super) struct AuthoredWeb {
    pub listen: Option<Located<SocketAddr>>,
    pub hosts: Vec<Located<String>>,
    pub public_url: Option<Located<String>>,
    pub insecure_listen: Option<Located<bool>>,
}

#[derive(Debug, Default)]
pub(super) struct AuthoredAuth {
    pub plugin: Option<Located<String>>,
    pub lockout_failures: Option<Located<u32>>,
    pub lockout: Option<Located<Duration>>,
    pub session_idle: Option<Located<Duration>>,
    pub session_absolute: Option<Located<Duration>>,
}

#[derive(Debug, Default)]
pub(super) struct AuthoredChat {
    pub plugin: Option<Located<String>>,
    pub fallback: Option<Located<String>>,
    pub workspace: Option<Located<String>>,
    pub workspaces: Vec<Located<String>>,
}

#[derive(Debug, Default)]
pub(super) struct AuthoredTunnel {
    pub plugin: Option<Located<String>>,
    pub autostart: Option<Located<bool>>,
    pub allow_plaintext: Option<Located<bool>>,
    pub listen: Option<Located<SocketAddr>>,
    pub hosts: Vec<Located<String>>,
    pub public_check: Option<Located<String>>,
}

#[derive(Debug, Default)]
pub(super) struct AuthoredPlugin {
    pub source: Option<Located<String>>,
    pub config: Vec<(Located<String>, Located<toml::Value>)>,
    pub grants: AuthoredGrants,
    pub limits: AuthoredLimits,
}

#[derive(Debug, Default)]
pub(super) struct AuthoredLimits {
    pub memory: Option<Located<u64>>,
    pub cpu: Option<Located<Duration>>,
    pub cpu_share: Option<Located<u32>>,
    pub call: Option<Located<Duration>>,
    pub streams: Option<Located<u32>>,
    pub processes: Option<Located<u32>>,
    pub log_lines: Option<Located<u32>>,
}

#[derive(Debug, Default)]
pub(super) struct AuthoredLog {
    pub filter: Option<Located<String>>,
    pub json: Option<Located<bool>>,
    /// `file` is empty where there is to be none.
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
                    "the table is written twice; move all lines into the first one"
                } else {
                    "see https://toml.io for how tables, strings and lists are written"
                };
                findings.push(Diagnostic::new(place, "", format!("not valid TOML: {message}")).fix(help));
            }
            return Self::default();
        }
        let mut top = Table::root(root.get_ref(), root.span());
        let version = top.get("config_version", "config_version = 1", findings, |v| {
            integer(v).ok_or(InvalidValue::PLAIN)
        });
        match version {
            Some(v) if v.value > CONFIG_VERSION => findings.push(
                v.problem("this file is for a newer version of Nexus")
                    .found(v.value.to_string())
                    .expected(CONFIG_VERSION.to_string())
                    .fix("update Nexus, or change the file to version 1"),
            ),
            Some(v) if v.value < 1 => findings.push(
                v.problem("this configuration version does not exist")
                    .found(v.value.to_string())
                    .expected(CONFIG_VERSION.to_string())
                    .fix("write config_version = 1"),
            ),
            Some(_) => {}
            None if root.get_ref().keys().any(|k| k.get_ref() == "config_version") => {}
            None => findings.push(
                Diagnostic::new(Place::At(0..0), "config_version", "the file has no version")
                    .expected("config_version = 1")
                    .fix("add this as the first line: config_version = 1"),
            ),
        }
        let read = Self {
            web: top
                .table("web", findings)
                .map(|t| AuthoredWeb::read(t, findings))
                .unwrap_or_default(),
            auth: top
                .table("auth", findings)
                .map(|t| AuthoredAuth::read(t, findings))
                .unwrap_or_default(),
            chats: all(&mut top, "chat", findings, AuthoredChat::read),
            tunnels: all(&mut top, "tunnel", findings, AuthoredTunnel::read),
            plugins: all(&mut top, "plugin", findings, AuthoredPlugin::read),
            log: top
                .table("log", findings)
                .map(|t| AuthoredLog::read(t, findings))
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

impl AuthoredWeb {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let web = Self {
            listen: address(&mut t, findings),
            hosts: hosts(&mut t, findings),
            public_url: t.get(
                "public_url",
                "a scheme and host, such as \"https://chat.example.org\"",
                findings,
                |v| {
                    origin(v.as_str().ok_or(InvalidValue::PLAIN)?).map_err(|cause| InvalidValue {
                        found: Some(format!("{}: {cause}", describe(v))),
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

impl AuthoredAuth {
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

impl AuthoredChat {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let chat = Self {
            plugin: plugin(&mut t, "plugin", findings),
            fallback: t.string("fallback", "the name of a plugin, or \"\" for none", findings),
            workspace: path(&mut t, "workspace", findings),
            workspaces: paths(&mut t, "workspaces", findings),
        };
        t.finish(findings);
        chat
    }
}

impl AuthoredTunnel {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let here = t.here();
        let tunnel = Self {
            plugin: plugin(&mut t, "plugin", findings),
            autostart: t.boolean("autostart", findings),
            allow_plaintext: t.boolean("allow_plaintext", findings),
            listen: address(&mut t, findings),
            hosts: hosts(&mut t, findings),
            public_check: t.string("public_check", value_readers::PUBLIC_CHECK, findings),
        };
        if tunnel.plugin.is_none()
            && !findings
                .diagnostics
                .iter()
                .any(|d| d.key == format!("{}.plugin", here.key))
        {
            findings.push(
                here.problem(format!("[{}] has no plugin", here.key))
                    .expected("plugin = \"NAME\"")
                    .fix("add a line such as: plugin = \"tunnel-bore\""),
            );
        }
        t.finish(findings);
        tunnel
    }
}

impl AuthoredPlugin {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let source = path(&mut t, "source", findings);
        let config = t.values("config", findings);
        let (grants, limits) = (t.table("grants", findings), t.table("limits", findings));
        let mut tables = PluginTables {
            plugin: &mut t,
            grants,
            limits,
        };
        let grants = AuthoredGrants::read(&mut tables, findings);
        let limits = tables.limits.take();
        if let Some(rest) = tables.grants.take() {
            rest.finish(findings);
        }
        t.finish(findings);
        Self {
            source,
            config,
            grants,
            limits: limits.map(|l| AuthoredLimits::read(l, findings)).unwrap_or_default(),
        }
    }
}

impl AuthoredLimits {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let limits = Self {
            memory: size(&mut t, "memory", findings),
            cpu: duration(&mut t, "cpu", findings),
            cpu_share: t.whole("cpu_share", 1..=limits::PLUGIN_CPU_SHARE_MOST, findings),
            call: duration(&mut t, "call", findings),
            streams: t.whole("streams", 1..=limits::PLUGIN_STREAMS_MOST, findings),
            processes: t.whole("processes", 0..=limits::PLUGIN_PROCESSES_MOST, findings),
            log_lines: t.whole("log_lines", 0..=limits::PLUGIN_LOG_LINES_MOST, findings),
        };
        t.finish(findings);
        limits
    }
}

impl AuthoredLog {
    fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let filter = t.get(
            "filter",
            "levels, such as \"info\" or \"warn,nexus_web=debug\"",
            findings,
            log_filter::read,
        );
        let filter = filter.map(|written| {
            let now = log_filter::current(&written.value);
            if now != written.value {
                let value = toml::Value::String(now.clone()).to_string();
                findings.renamed.push(RenamedValue {
                    change: log_filter::change(&written.value),
                    span: written.span.clone(),
                    value,
                });
            }
            written.map(|_| now)
        });
        let log = Self {
            filter,
            json: t.boolean("json", findings),
            file: t.get(
                "file",
                "a path, or \"\" for none; a relative path starts at this file's folder",
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
