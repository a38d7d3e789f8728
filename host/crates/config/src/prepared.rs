//! Stage two: what the file means, with every default filled in and everything checked that needs no machine. Paths
//! are still as written, secrets not read, plugins not looked at.

use crate::authored::{Authored, AuthoredAuth, AuthoredChat, AuthoredLog, AuthoredPlugin, AuthoredTunnel, AuthoredWeb};
use crate::diagnostic::{Diagnostic, Place, Span};
use crate::notify::AuthoredNotify;
use crate::resolved::{Auth, Metrics, PublicCheckMode};
use crate::toml_reader::{CORRECT, Findings, Located};
use crate::toml_text;
use crate::value_readers;
use nexus_model::limits;
use nexus_model::units::exact_duration;
use nexus_plugin_api::manifest::{Kind, Name};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// `AUTH_PLUGIN` is the login plugin where the file names none.
pub const AUTH_PLUGIN: &str = "auth-local";
pub(super) const CHAT_PLUGIN: &str = "chat-opencode";
pub(super) const CHAT_FALLBACK: &str = "chat-echo";
/// `LOG_SIZES` are what `log.max_size` may be: a line of a plugin has at most 8 KiB, and a file must hold more than a
/// handful.
const LOG_SIZES: std::ops::RangeInclusive<u64> = 64 << 10..=4 << 30;
pub(super) const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7860);

#[derive(Debug)]
pub(super) struct Prepared {
    pub listen: SocketAddr,
    pub hosts: Vec<String>,
    pub public_url: Option<String>,
    pub auth: Auth,
    pub chat: PreparedChat,
    pub tunnels: Vec<PreparedTunnel>,
    pub plugins: Vec<(Located<String>, AuthoredPlugin)>,
    /// `selected` is where each plugin is selected, and as what.
    pub selected: Vec<Selection>,
    pub log: PreparedLog,
    pub metrics: Option<Metrics>,
    pub notify: AuthoredNotify,
}

#[derive(Debug)]
pub(super) struct PreparedLog {
    pub filter: String,
    pub json: bool,
    /// `file` is as written; empty: there is to be none. `None`: the place in the data folder.
    pub file: Option<String>,
    pub max_size: u64,
    pub max_files: u32,
}

#[derive(Debug)]
pub(super) struct PreparedChat {
    pub name: String,
    pub plugin: String,
    pub fallback: Option<String>,
    pub workspace: Option<Located<String>>,
    /// `workspaces` are the other project folders, as written.
    pub workspaces: Vec<Located<String>>,
}

#[derive(Debug)]
pub(super) struct PreparedTunnel {
    pub name: String,
    pub plugin: String,
    pub autostart: bool,
    pub allow_plaintext: bool,
    pub listen: SocketAddr,
    pub hosts: Vec<String>,
    pub public_check: PublicCheckMode,
}

#[derive(Debug)]
pub(super) struct Selection {
    pub plugin: String,
    pub kind: Kind,
    pub place: Place,
    pub key: String,
}

/// `Listen` is what the command line says in place of the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Listen {
    pub flag: Option<SocketAddr>,
}

impl Prepared {
    pub(super) fn of(authored: Authored, listen: &Listen, findings: &mut Findings) -> Self {
        let Authored {
            web,
            auth,
            chats,
            tunnels,
            plugins,
            log,
            metrics,
            notify,
        } = authored;
        let mut selected = Vec::new();
        for (name, _) in plugins.iter() {
            check_name(name, "plugin", findings);
        }
        let auth = prepare_auth(auth, &mut selected, findings);
        let chat = prepare_chat(chats, &mut selected, findings);
        let bound = check_listen(&web, listen, findings);
        let tunnels = prepare_tunnels(tunnels, bound, &mut selected, findings);
        let mut taken = vec![(bound, "the web page".to_owned())];
        taken.extend(tunnels.iter().map(|t| (t.listen, format!("tunnel `{}`", t.name))));
        Self {
            listen: bound,
            hosts: web.hosts.into_iter().map(|h| h.value).collect(),
            public_url: web.public_url.map(|u| u.value),
            auth,
            chat,
            tunnels,
            plugins,
            selected,
            log: prepare_log(log, findings),
            metrics: metrics.prepare(&taken, findings),
            notify,
        }
    }
}

fn prepare_log(log: AuthoredLog, findings: &mut Findings) -> PreparedLog {
    if let Some(size) = log.max_size.as_ref().filter(|s| !LOG_SIZES.contains(&s.value)) {
        findings.push(
            size.problem("the size of a log file is out of range")
                .found(format!("{} bytes", size.value))
                .expected("from \"64 KiB\" to \"4 GiB\"")
                .fix("leave it out for \"10 MiB\""),
        );
    }
    PreparedLog {
        filter: log.filter.map_or_else(|| "info".to_owned(), |f| f.value),
        json: log.json.is_some_and(|j| j.value),
        file: log.file.map(|f| f.value),
        max_size: log.max_size.map_or(limits::LOG_SIZE, |s| s.value),
        max_files: log.max_files.map_or(limits::LOG_FILES, |n| n.value),
    }
}

fn select(
    written: Option<&Located<String>>,
    default: &str,
    key: &str,
    kind: Kind,
    selected: &mut Vec<Selection>,
) -> String {
    let plugin = written.map_or_else(|| default.to_owned(), |w| w.value.clone());
    let place = written.map_or(Place::Default, |w| Place::At(w.span.clone()));
    selected.push(Selection {
        plugin: plugin.clone(),
        kind,
        place,
        key: key.to_owned(),
    });
    plugin
}

/// Checks a name that the operator chose: it becomes part of file names, URLs and log lines.
fn check_name(name: &Located<String>, what: &str, findings: &mut Findings) {
    if Name::try_from(name.value.clone()).is_err() {
        let like: String = name
            .value
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let fix = match Name::try_from(like) {
            Ok(like) => format!("rename it, for example to [{what}.{like}]"),
            Err(_) => format!("rename it, for example to [{what}.main]"),
        };
        findings.push(
            name.problem(format!("`{}` is not a valid name for a {what}", name.value))
                .expected("2 to 64 characters of a-z, 0-9 and -, starting with a letter")
                .fix(fix),
        );
    }
}

fn prepare_auth(auth: AuthoredAuth, selected: &mut Vec<Selection>, findings: &mut Findings) -> Auth {
    let or = |d: &Option<Located<Duration>>, default| d.as_ref().map_or(default, |d| d.value);
    let (idle, absolute) = (
        or(&auth.session_idle, limits::SESSION_IDLE),
        or(&auth.session_absolute, limits::SESSION_ABSOLUTE),
    );
    if idle > absolute
        && let Some(at) = auth.session_idle.as_ref().or(auth.session_absolute.as_ref())
    {
        findings.push(
            at.problem("the absolute limit of a login is shorter than its idle limit")
                .found(format!(
                    "session_idle = \"{}\", session_absolute = \"{}\"",
                    exact_duration(idle),
                    exact_duration(absolute)
                ))
                .expected("session_idle of at most session_absolute")
                .fix(format!(
                    "set session_absolute = \"{}\" or more, or a shorter session_idle",
                    exact_duration(idle)
                )),
        );
    }
    if let Some(short) = auth.session_idle.as_ref().filter(|d| d.value < Duration::from_secs(60)) {
        findings.push(
            short
                .problem("this is too short to stay logged in")
                .found(exact_duration(short.value))
                .expected("at least \"1m\"")
                .fix("write a longer time, or delete the line"),
        );
    }
    Auth {
        plugin: select(auth.plugin.as_ref(), AUTH_PLUGIN, "auth.plugin", Kind::Auth, selected),
        lockout_failures: auth.lockout_failures.map_or(limits::LOCKOUT_FAILURES, |n| n.value),
        lockout: or(&auth.lockout, limits::LOCKOUT),
        session_idle: idle,
        session_absolute: absolute,
    }
}

fn prepare_chat(
    mut chats: Vec<(Located<String>, AuthoredChat)>,
    selected: &mut Vec<Selection>,
    findings: &mut Findings,
) -> PreparedChat {
    for (name, _) in chats.iter() {
        check_name(name, "chat", findings);
    }
    for (second, _) in chats.iter().skip(1) {
        let first = chats.first().map_or("", |(n, _)| n.value.as_str());
        findings.push(
            second
                .problem("more than one chat is not possible yet")
                .found(format!("[chat.{}] after [chat.{first}]", second.value))
                .expected("one [chat.NAME] table")
                .fix("keep one of them; a [plugin.NAME] table may stay even if no chat uses it"),
        );
    }
    let (name, chat) = if chats.is_empty() {
        ("main".to_owned(), AuthoredChat::default())
    } else {
        let (name, chat) = chats.swap_remove(0);
        (name.value, chat)
    };
    let key = |k| format!("chat.{name}.{k}");
    let plugin = select(chat.plugin.as_ref(), CHAT_PLUGIN, &key("plugin"), Kind::Chat, selected);
    // The example in place of a backend that the operator chose himself would only confuse.
    let fallback = match &chat.fallback {
        Some(none) if none.value.is_empty() => None,
        None if plugin != CHAT_PLUGIN => None,
        written => Some(select(
            written.as_ref(),
            CHAT_FALLBACK,
            &key("fallback"),
            Kind::Chat,
            selected,
        )),
    };
    if let Some(written) = chat.fallback.as_ref().filter(|f| f.value == plugin) {
        findings.push(
            written
                .problem("the fallback cannot be the plugin itself")
                .found(format!("{:?}", written.value))
                .expected("another plugin, or \"\" for none")
                .fix("write fallback = \"\", or the name of another plugin"),
        );
    }
    PreparedChat {
        name,
        plugin,
        fallback,
        workspace: chat.workspace,
        workspaces: chat.workspaces,
    }
}

fn prepare_tunnels(
    authored: Vec<(Located<String>, AuthoredTunnel)>,
    web: SocketAddr,
    selected: &mut Vec<Selection>,
    findings: &mut Findings,
) -> Vec<PreparedTunnel> {
    let mut taken = vec![(web, "the web page".to_owned())];
    let mut tunnels = Vec::new();
    for (name, t) in authored {
        check_name(&name, "tunnel", findings);
        let listen = t
            .listen
            .as_ref()
            .map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), |l| l.value);
        if let Some(l) = t.listen.as_ref().filter(|l| !l.value.ip().is_loopback()) {
            findings.push(
                l.problem("the listener of a tunnel must be on a loopback address")
                    .found(l.value.to_string())
                    .expected("a loopback address")
                    .fix(format!("write \"127.0.0.1:{}\"", l.value.port())),
            );
        }
        if let (Some(l), Some((_, other))) = (
            &t.listen,
            taken.iter().find(|(a, _)| *a == listen && listen.port() != 0),
        ) {
            findings.push(
                l.problem("two listeners cannot share a port")
                    .found(format!("{listen}, which {other} uses"))
                    .expected("another port, or 0 for any free port")
                    .fix(format!("write \"{}:0\"", listen.ip())),
            );
        }
        taken.push((listen, format!("tunnel `{}`", name.value)));
        let Some(plugin) = t.plugin else { continue };
        let key = format!("tunnel.{}.plugin", toml_text::key(&name.value));
        tunnels.push(PreparedTunnel {
            plugin: select(Some(&plugin), "", &key, Kind::Tunnel, selected),
            name: name.value,
            autostart: t.autostart.is_some_and(|a| a.value),
            allow_plaintext: t.allow_plaintext.is_some_and(|a| a.value),
            listen,
            hosts: t.hosts.into_iter().map(|h| h.value).collect(),
            public_check: t
                .public_check
                .map_or(PublicCheckMode::On, |written| prepare_public_check(&written, findings)),
        });
    }
    tunnels
}

fn prepare_public_check(written: &Located<String>, findings: &mut Findings) -> PublicCheckMode {
    match (written.value.as_str(), written.value.parse()) {
        ("on", _) => PublicCheckMode::On,
        ("off", _) => PublicCheckMode::Off,
        (_, Ok(at)) => PublicCheckMode::At(at),
        _ => {
            findings.push(
                written
                    .problem("`public_check` has an invalid value")
                    .found(format!("{:?}", written.value))
                    .expected(value_readers::PUBLIC_CHECK)
                    .fix(CORRECT),
            );
            PublicCheckMode::On
        }
    }
}

/// Checks the listener's address: on another one than loopback, passwords and the agent's output would cross the
/// network in the clear.
fn check_listen(web: &AuthoredWeb, over: &Listen, findings: &mut Findings) -> SocketAddr {
    let insists = web.insecure_listen.as_ref().is_some_and(|i| i.value);
    let (listen, place): (SocketAddr, Place) = match (over.flag, &web.listen) {
        (Some(flag), _) => (flag, Place::Flag("--listen")),
        (None, Some(l)) => (l.value, Place::At(Span::clone(&l.span))),
        (None, None) => (LISTEN, Place::Default),
    };
    if !listen.ip().is_loopback() && !insists {
        findings.push(
            Diagnostic::new(
                place,
                "web.listen",
                "this address is open to the network, but the page has no TLS",
            )
            .found(listen.to_string())
            .expected("a loopback address, such as 127.0.0.1 or [::1]")
            .fix(format!(
                "listen on 127.0.0.1:{} behind a tunnel or a reverse proxy;\n\
                     if this network is protected otherwise, set in [web]: insecure_listen = true",
                listen.port()
            )),
        );
    }
    listen
}
