//! `nexus status`, `nexus tunnel …`, `nexus chat …`: what runs, and what to do with it.

use super::common_options::CommonOptions;
use super::control_client::{Refusal, request};
use super::terminal::{print_error, print_failure, print_raw, say};
use anyhow::Context as _;
use clap::Subcommand;
use nexus_chat::{BackendStatus, Phase};
use nexus_config::{HostEnvironment, Overrides, adding, data_dir, with_file, with_place};
use nexus_model::limits;
use nexus_model::plugin::{PluginState, PluginStatus};
use nexus_model::reload::{Pending, PendingState, not_applied};
use nexus_model::time::{Clock as _, Millis, SystemClock};
use nexus_model::trouble::{Trouble, sentence, uncapitalized};
use nexus_model::tunnel;
use nexus_model::tunnel::TunnelStatus;
use nexus_tunnels::{Opening, Outcome, Refused};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, clap::Args)]
pub(super) struct Shown {
    /// Print JSON in the format of /api/v1
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum TunnelCommand {
    /// List the tunnels with their states and addresses
    List(Shown),
    /// Open a tunnel and wait until it is open
    Start {
        /// The name of the tunnel
        name: String,
        /// Return immediately, without waiting
        #[arg(long)]
        no_wait: bool,
    },
    /// Close a tunnel
    Stop {
        /// The name of the tunnel
        name: String,
    },
    /// Switch a tunnel to another plugin; an open tunnel stays reachable, and the old plugin stays if the new one fails
    Swap {
        /// The name of the tunnel
        name: String,
        /// The name of the new plugin
        plugin: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ChatCommand {
    /// Start the backend, or check again whether its program is installed
    Start,
    /// Stop the backend once running answers have had time to finish
    Stop,
    /// Restart the backend once running answers have had time to finish
    Restart,
    /// Replace the backend with another plugin; chats of the old one stay readable
    Swap {
        /// The name of the new plugin
        plugin: String,
    },
}

#[derive(Deserialize)]
struct Status {
    version: String,
    workspaces: Vec<String>,
    config_file: String,
    pending: Option<Pending>,
    backend: BackendStatus,
    tunnels: Vec<TunnelStatus>,
    plugins: Vec<PluginStatus>,
    #[serde(default)]
    starting: Option<String>,
    #[serde(default)]
    problems: Vec<Trouble>,
}

/// `ACCOUNT` is the time for an owner's account to be noticed.
const ACCOUNT: Duration = Duration::from_secs(4);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Runs a job against the host of this data folder.
pub(super) fn asking(
    place: &CommonOptions,
    job: impl AsyncFnOnce(&Path) -> Result<(), Refusal>,
) -> anyhow::Result<ExitCode> {
    // Not by the configuration: one with a mistake in it must not keep the operator from stopping anything.
    let plugins = crate::builtin::components();
    let machine = HostEnvironment::this(&plugins).context("the current directory cannot be read")?;
    let overrides = Overrides {
        data_dir: place.data_dir.clone(),
        listen: None,
    };
    let data_dir = data_dir(&overrides, &machine).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(match runtime.block_on(job(&data_dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            print_failure(&place.with_place(&refusal.to_string()));
            ExitCode::FAILURE
        }
    })
}

pub(super) fn read<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, Refusal> {
    serde_json::from_value(answer).map_err(|error| {
        Refusal::Refused(format!(
            "the running Nexus has another version than this command: {error}. To fix: restart Nexus"
        ))
    })
}

pub(super) fn print(json: &Value) {
    print_raw(&serde_json::to_string_pretty(json).unwrap_or_default());
}

pub(super) fn status(shown: &Shown, place: &CommonOptions) -> anyhow::Result<ExitCode> {
    asking(place, async |data_dir| {
        let answer = match request(data_dir, "/api/v1/status", None).await {
            Err(Refusal::Starting(what)) if shown.json => {
                print(&json!({ "version": env!("CARGO_PKG_VERSION"), "starting": what }));
                return Ok(());
            }
            Err(Refusal::Starting(what)) => {
                say(&format!("nexus {}\nstarting: {what}", env!("CARGO_PKG_VERSION")));
                return Ok(());
            }
            answer => answer?,
        };
        if shown.json {
            print(&answer);
        } else {
            let status: Status = read(answer)?;
            let file = Some(Path::new(&status.config_file));
            say(with_place(overview(&status).trim_end(), file, Some(data_dir)).as_str());
        }
        Ok(())
    })
}

pub(super) fn tunnel(command: TunnelCommand, place: &CommonOptions) -> anyhow::Result<ExitCode> {
    asking(place, async |data_dir| match command {
        TunnelCommand::List(shown) => {
            let answer = request(data_dir, "/api/v1/tunnels", None).await?;
            if shown.json {
                print(&answer);
            } else {
                let tunnels: Vec<TunnelStatus> = read(answer)?;
                if tunnels.is_empty() {
                    let status: Status = read(request(data_dir, "/api/v1/status", None).await?)?;
                    say(&no_tunnel(&status.config_file, status.pending.as_ref()));
                }
                tunnels.iter().for_each(|tunnel| say(&place.with_place(&line(tunnel))));
            }
            Ok(())
        }
        TunnelCommand::Start { name, no_wait } => {
            request(data_dir, &path(&name, "/start"), Some(json!({}))).await?;
            if !no_wait {
                return opened(data_dir, &name, place).await;
            }
            say(&format!("{name} is opening"));
            Ok(())
        }
        TunnelCommand::Stop { name } => {
            request(data_dir, &path(&name, "/stop"), Some(json!({}))).await?;
            say(&format!("{name} is closed"));
            Ok(())
        }
        TunnelCommand::Swap { name, plugin } => {
            let answer = request(data_dir, &path(&name, "/swap"), Some(json!({ "plugin": plugin }))).await?;
            let took = answer.get("duration_ms").and_then(Value::as_u64).unwrap_or_default();
            if answer.get("disconnected") == Some(&Value::Bool(true)) {
                print_error(
                    "The tunnel has a fixed `listen` address, so the old plugin closed first: everyone connected \
                     through it lost the connection.",
                );
            }
            match answer.get("url").and_then(Value::as_str) {
                Some(url) => say(&format!(
                    "{plugin} is the provider of {name} now, at {url} (after {took} ms)"
                )),
                None => say(&format!(
                    "{plugin} will be the provider of {name} when the tunnel is opened"
                )),
            }
            if answer.get("persisted") == Some(&Value::Bool(false)) {
                print_error("This change could not be saved: after a restart the configuration decides again.");
            }
            Ok(())
        }
    })
}

pub(super) fn chat(command: &ChatCommand, place: &CommonOptions) -> anyhow::Result<ExitCode> {
    asking(place, async |data_dir| {
        let (what, body) = match command {
            ChatCommand::Start => ("start", json!({})),
            ChatCommand::Stop => ("stop", json!({})),
            ChatCommand::Restart => ("restart", json!({})),
            ChatCommand::Swap { plugin } => ("swap", json!({ "plugin": plugin })),
        };
        request(data_dir, &format!("/api/v1/backend/{what}"), Some(body)).await?;
        let wanted_up = !matches!(command, ChatCommand::Stop);
        let end = Instant::now() + limits::BACKEND_UP;
        loop {
            let backend: BackendStatus = read(request(data_dir, "/api/v1/backend", None).await?)?;
            let settled = match &backend.phase {
                Phase::Up => wanted_up,
                Phase::Stopped => !wanted_up,
                Phase::Failed { cause, fix } => {
                    let cause = format!("{} is not running: {cause}", backend.title);
                    return Err(Refusal::Refused(sentence(&cause, fix.as_deref())));
                }
                Phase::Starting { .. } | Phase::Reconnecting { .. } => false,
            };
            if settled {
                say(of_backend(&backend).trim_end());
                return Ok(());
            }
            if Instant::now() > end {
                let seconds = limits::BACKEND_UP.as_secs();
                return Err(Refusal::Refused(format!(
                    "the backend was not ready within {seconds} s and keeps trying: {}",
                    of_backend(&backend)
                )));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
}

/// `path` makes a name one part of the path; the host knows which names there are.
fn path(name: &str, action: &str) -> String {
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
    format!("/api/v1/tunnels/{}{action}", utf8_percent_encode(name, SEGMENT))
}

/// Waits until what this command led to is known: what the host says of the tunnel from the command on is about nothing else.
async fn opened(data_dir: &Path, name: &str, place: &CommonOptions) -> Result<(), Refusal> {
    let mut opening = Opening::begin(limits::SWAP_OPEN);
    let account = Instant::now() + ACCOUNT;
    let mut told = String::new();
    // Whoever waits sees why.
    let mut tell = |text: String| {
        if told != text {
            print_error(&text);
            told = text;
        }
    };
    loop {
        let status: TunnelStatus = read(request(data_dir, &path(name, ""), None).await?)?;
        let now = SystemClock.now();
        match opening.see(&status, now) {
            Outcome::Open(url) => {
                say(&format!("{name} is open at {url}"));
                return Ok(());
            }
            Outcome::Refused(refused) => {
                let status: Status = read(request(data_dir, "/api/v1/status", None).await?)?;
                let file = Path::new(&status.config_file);
                return Err(Refusal::Refused(not_open(&refused, now, Some(file))));
            }
            // One that was made just now is seen in a moment.
            Outcome::NoAccount if Instant::now() >= account => {
                say(&format!(
                    "{name} opens as soon as an owner account exists. To create one: open the set-up link, or run: {}",
                    place.command("user add NAME")
                ));
                return Ok(());
            }
            // Between two plugins of a swap nothing is open.
            Outcome::Off if !status.swap.as_ref().is_some_and(tunnel::Swap::is_under_way) => {
                return Err(Refusal::Refused(format!("{name} was closed in the meantime")));
            }
            Outcome::NoAccount | Outcome::Off => {}
            Outcome::Fresh => tell(format!(
                "{name} is open; its new host name is shown when it is known everywhere (about {} s)",
                limits::NAME_SETTLES.as_secs()
            )),
            Outcome::Pending(what) => tell(format!("{name}: {what}")),
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// `not_open` says why a command did not open a tunnel, and what happens next.
fn not_open(refused: &Refused, now: Millis, file: Option<&Path>) -> String {
    let next = match refused.again {
        None => String::new(),
        Some(None) => " The tunnel is not open yet; Nexus keeps trying.".to_owned(),
        Some(Some(at)) => format!(
            " The tunnel is not open yet; Nexus retries in {} s.",
            at.saturating_sub(now).div_ceil(1000)
        ),
    };
    let cause = format!("{}{next}", sentence(&refused.cause, None));
    let fix = refused.fix.as_deref().map(|fix| with_file(fix, file));
    sentence(&cause, fix.as_deref())
}

fn overview(status: &Status) -> String {
    let mut text = format!("nexus {}, workspace {}\n", status.version, status.workspaces.join(", "));
    if let Some(starting) = &status.starting {
        let _ = writeln!(text, "starting: {}", indented(starting));
    }
    for trouble in &status.problems {
        let trouble = with_file(&trouble.to_string(), Some(Path::new(&status.config_file)));
        let _ = writeln!(text, "{}", indented(&trouble));
    }
    text.push_str("\nchat\n  ");
    text.push_str(&indented(&of_backend(&status.backend)));
    if let Some(cause) = &status.backend.storage_error {
        let _ = write!(text, "\n  changes are not being saved: {}", indented(cause));
    }
    text.push_str("\n\ntunnels\n");
    if status.tunnels.is_empty() {
        text.push_str("  none is configured\n");
    }
    for tunnel in &status.tunnels {
        let line = with_file(&line(tunnel), Some(Path::new(&status.config_file)));
        let _ = writeln!(text, "  {}", indented(&line));
    }
    text.push_str("\nplugins\n");
    for plugin in &status.plugins {
        let state = match &plugin.state {
            PluginState::Stopped => "stopped".to_owned(),
            PluginState::Starting => "starting".to_owned(),
            PluginState::Running => "running".to_owned(),
            PluginState::Restarting { cause, .. } => indented(&format!("restarting: {cause}")),
            PluginState::Failed { cause } => {
                let fix = plugin.last_failure.as_ref().and_then(|failure| failure.fix.as_deref());
                let whole = sentence(&format!("failed: {cause}"), fix);
                indented(&with_file(&whole, Some(Path::new(&status.config_file))))
            }
        };
        let restarts = match plugin.restarts {
            0 => String::new(),
            1 => ", restarted once".to_owned(),
            many => format!(", restarted {many} times"),
        };
        let name = format!("{} {}", plugin.name, plugin.version);
        // One plugin may serve several tunnels, with an instance for each.
        let tunnel = plugin.tunnel.as_ref().map(|tunnel| format!(" (tunnel {tunnel})"));
        let _ = writeln!(
            text,
            "  {}{}, {state}{restarts}",
            name.trim_end(),
            tunnel.unwrap_or_default()
        );
    }
    if let Some(pending) = &status.pending {
        let _ = write!(
            text,
            "\n{}\n{}",
            status.config_file,
            of_file(&pending.what, &status.config_file)
        );
    }
    text
}

fn no_tunnel(file: &str, pending: Option<&Pending>) -> String {
    match pending {
        Some(pending) => format!(
            "no tunnel has been applied yet; {file}\n{}",
            of_file(&pending.what, file).trim_end()
        ),
        None => {
            let lines = adding("[tunnel.main]\nplugin = \"tunnel-cloudflared\"");
            sentence(
                "no tunnel is configured",
                Some(&with_file(&lines, Some(Path::new(file)))),
            )
        }
    }
}

/// `of_file` is what the configuration's `file` has that is not applied yet.
fn of_file(what: &PendingState, file: &str) -> String {
    let (confirm, restart, new_permissions, components) = match what {
        PendingState::Invalid { cause } => {
            return format!("  changed, but is invalid, so none of its changes take effect:\n{cause}\n");
        }
        PendingState::Changed {
            confirm,
            restart,
            new_permissions,
            components,
            ..
        } => (confirm, restart, new_permissions, components),
    };
    let mut text = String::new();
    let parts = [
        (
            confirm,
            "Changes that wait for Apply on the status page; at the next start they take effect anyway",
        ),
        (restart, "Changes that take effect at the next start"),
    ];
    for (changes, when) in parts.iter().filter(|(changes, _)| !changes.is_empty()) {
        let _ = writeln!(text, "  {when}:");
        for change in changes.iter() {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
            let _ = match &change.note {
                Some(note) => writeln!(text, "    {note}"),
                None => writeln!(
                    text,
                    "    {}: {} → {}",
                    change.key,
                    shown(&change.old_value),
                    shown(&change.new_value)
                ),
            };
        }
    }
    if let Some(failed) = not_applied(confirm, |fix| with_file(fix, Some(Path::new(file)))) {
        let _ = writeln!(text, "  {}", indented(&failed));
    }
    for component in components {
        let _ = writeln!(text, "  {}", component.sentence());
        for line in component.details() {
            let _ = writeln!(text, "    {line}");
        }
    }
    for permission in new_permissions {
        let _ = writeln!(text, "  New permission after that: {permission}");
    }
    text
}

fn of_backend(backend: &BackendStatus) -> String {
    let state = match &backend.phase {
        Phase::Up => "running".to_owned(),
        Phase::Stopped => "stopped".to_owned(),
        Phase::Starting { progress } => format!("starting: {progress}"),
        Phase::Reconnecting { cause } => format!("unavailable, reconnecting: {cause}"),
        Phase::Failed { cause, fix } => sentence(&format!("not running: {cause}"), fix.as_deref()),
    };
    let mut name = backend.title.clone();
    if let Some(version) = &backend.version {
        let _ = write!(name, " {version}");
    }
    if backend.example {
        name.push_str(" (an example without a model)");
    }
    // Behind a cause and its fix, which end a sentence or a line, the rules are a line of their own.
    let rules = backend.rules.as_ref().map(|rules| match &backend.phase {
        Phase::Failed { .. } | Phase::Reconnecting { .. } => format!("\n{rules}"),
        Phase::Up | Phase::Stopped | Phase::Starting { .. } => format!("; {}", uncapitalized(rules)),
    });
    let missing = backend.missing.as_ref();
    // Without a fallback it is the state itself.
    let missing = missing.filter(|missing| !state.contains(missing.cause.trim_end_matches('.')));
    let missing = missing.map(|missing| {
        let cause = sentence(&missing.cause, missing.fix.as_deref());
        format!("\n{cause}")
    });
    format!(
        "{name}, {}{}{}",
        state.trim_end(),
        rules.unwrap_or_default(),
        missing.unwrap_or_default()
    )
}

/// `indented` has the further lines of a text that is in a list.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

fn line(status: &TunnelStatus) -> String {
    use nexus_model::tunnel::TunnelState::{
        Degraded, Failed, LoginNeeded, Off, Reconnecting, Starting, Stopping, Up, Waiting, WaitingForAccount,
    };
    let state = match &status.state {
        Off => "closed".to_owned(),
        WaitingForAccount => "waiting for an owner account".to_owned(),
        Starting { progress } => format!("opening: {progress}"),
        LoginNeeded(login) => format!("not open: {login}"),
        Up { .. } => "open".to_owned(),
        Degraded { cause } => format!("open, degraded: {cause}"),
        Reconnecting { cause } => format!("reconnecting: {cause}"),
        Waiting { cause, fix, .. } => sentence(&format!("not open, retrying: {cause}"), fix.as_deref()),
        Failed { cause, fix } => sentence(&format!("failed: {cause}"), fix.as_deref()),
        Stopping => "closing".to_owned(),
    };
    let address = |address: &tunnel::Address| match address.private {
        true => format!("{} (only in the provider's network)", address.url),
        false => address.url.clone(),
    };
    let at = match status.addresses.as_slice() {
        [] => String::new(),
        all => format!(" at {}", all.iter().map(address).collect::<Vec<_>>().join(", ")),
    };
    let check = match status.public_check.as_ref().map(|check| &check.result) {
        Some(tunnel::PublicCheckResult::Passed { latency_ms }) => format!(", public check OK in {latency_ms} ms"),
        Some(tunnel::PublicCheckResult::Failed { cause }) => format!(", public check FAILED: {cause}"),
        None => String::new(),
    };
    format!("{} by {}, {state}{at}{check}", status.name, status.plugin)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_does_not_run_has_its_rules_in_a_line_of_their_own_and_each_cause_once() {
        let said = |phase: Value, missing: Value| {
            let mut backend = json!({
                "plugin": "chat-opencode", "title": "opencode", "version": "1.2", "example": false,
                "rules": "Asks before: edits", "pending_action": null, "missing": missing,
            });
            let phase = phase.as_object().unwrap().clone();
            backend.as_object_mut().unwrap().extend(phase);
            of_backend(&serde_json::from_value(backend).unwrap())
        };
        assert_eq!(
            said(json!({ "state": "up" }), Value::Null),
            "opencode 1.2, running; asks before: edits"
        );
        let failed = json!({ "state": "failed", "cause": "It is gone.", "fix": "see n.toml." });
        let missing =
            json!({ "title": "opencode", "cause": "It is gone.", "fix": "x", "install": { "state": "unsupported" } });
        assert_eq!(
            said(failed, missing),
            "opencode 1.2, not running: It is gone. To fix: see n.toml.\nAsks before: edits"
        );
    }

    #[test]
    fn a_tunnel_that_is_closed_or_failed_says_so() {
        let status = |state: Value| {
            let mut status = json!({
                "name": "main", "plugin": "tunnel-bore", "title": "bore", "encryption": null, "url": null,
                "url_propagating": false,
                "fixed_listen": false, "since": 0, "statistics": null, "reconnects": 0, "public_check": null, "swap": null,
            });
            let both = status.as_object_mut().zip(state.as_object());
            both.into_iter()
                .for_each(|(status, state)| status.extend(state.clone()));
            line(&serde_json::from_value(status).unwrap())
        };
        assert_eq!(status(json!({ "state": "off" })), "main by tunnel-bore, closed");
        assert_eq!(status(json!({ "state": "stopping" })), "main by tunnel-bore, closing");
        assert_eq!(
            status(json!({ "state": "failed", "cause": "it is gone", "fix": "run `nexus tunnel start main`" })),
            "main by tunnel-bore, failed: it is gone. To fix: run `nexus tunnel start main`"
        );
        assert_eq!(
            status(json!({
                "state": "up", "connections": 1, "url": "https://a.example",
                "addresses": [
                    { "url": "https://a.example", "private": false },
                    { "url": "https://b.internal", "private": true },
                ],
            })),
            "main by tunnel-bore, open at https://a.example, https://b.internal (only in the provider's network)"
        );
        assert_eq!(
            status(
                json!({ "state": "login_needed", "login_url": "https://login.example/", "code": "AB-1", "expires_at": null })
            ),
            "main by tunnel-bore, not open: log in with the provider: open https://login.example/ and enter the code AB-1"
        );
    }

    #[test]
    fn what_a_command_did_not_open_has_its_reason_and_what_happens_next() {
        let refused = |again| Refused {
            cause: "it is gone".to_owned(),
            fix: Some("put it back".to_owned()),
            again,
        };
        for (again, next) in [
            (None, ""),
            (Some(None), " The tunnel is not open yet; Nexus keeps trying."),
            (Some(Some(2_500)), " The tunnel is not open yet; Nexus retries in 2 s."),
        ] {
            assert_eq!(
                not_open(&refused(again), 1_000, None),
                format!("it is gone.{next} To fix: put it back")
            );
        }
    }
}
