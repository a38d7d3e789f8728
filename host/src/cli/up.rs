//! `nexus up`: starts everything, says so, waits for the signal, stops everything.

use super::logging;
use super::signals::Stops;
use super::systemd::Manager;
use super::terminal::say;
use crate::app::{App, ReloadHooks};
use nexus_chat::{BackendStatus, Phase};
use nexus_config::resolved::Config;
use nexus_config::{command, ownership};
use nexus_logging::logfile::Background;
use nexus_model::trouble::sentence;
use nexus_model::tunnel::{TunnelState, TunnelStatus};
use nexus_web::http::starting_page::StartupSwitch;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often the service manager is told that the start goes on.
const START_SAID: Duration = Duration::from_secs(5);

/// Runs until a signal ends it. On readiness one line goes to stdout, alone: `nexus listening on http://ADDR:PORT`.
/// Ready means: the page is there, and the login plugin was loaded or has failed, so that whoever reads the line can log in
/// or is told why not. The other plugins may still be compiled; and before the line the page says that Nexus starts.
///
/// # Errors
/// What keeps Nexus from starting: the data folder in use, the port taken, a database that cannot be opened.
pub(super) async fn up(config: Config, rereading: ReloadHooks, terminal: &Arc<Background>) -> anyhow::Result<ExitCode> {
    let mut stops = Stops::catch()?;
    if let Some(few) = nexus_web::http::open_files::raise() {
        tracing::warn!("{few}");
    }
    let manager = Arc::new(Manager::of_this_process());
    let front = StartupSwitch::default();
    let file = config.file.clone();
    let app = {
        let mut starting = std::pin::pin!(App::start(config, rereading, front.clone()));
        let mut patience = tokio::time::interval(START_SAID);
        loop {
            tokio::select! {
                app = &mut starting => break app?,
                stop = stops.next() => {
                    tracing::info!("{stop}: stopping during the start");
                    return Ok(ExitCode::SUCCESS);
                }
                _ = patience.tick() => manager.starting(&front.text()),
            }
        }
    };
    say(&format!("nexus listening on http://{}", app.address()));
    // The log's own first line: a kept log has to say which start it tells of.
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        data = %app.data_dir().display(),
        "listening on http://{}",
        app.address()
    );
    match app.setup_link() {
        // Others of the machine may read the journal, and it is kept.
        Some(_) if logging::stderr_is_kept() => terminal.say(&format!(
            "There is no account yet. To create the owner account, run on this machine: {}",
            command("user add NAME", file.as_deref(), Some(app.data_dir()))
        )),
        // On the terminal and nowhere else: not in the log, which is kept.
        Some(link) => terminal.say(&format!(
            "\n  There is no account yet. To create the owner account, open this link in a browser:\n\n    {link}\n\n  \
             The link works once and expires after 15 minutes. Restart Nexus to get a new one.\n"
        )),
        None => {}
    }
    tokio::spawn(tell_what_is_missing(
        app.chat_status(),
        (file, app.data_dir().to_owned()),
        Arc::clone(terminal),
    ));
    let told = tell_the_manager(&manager, &app);
    let stop = stops.next().await;
    // The watchdog is kept calm to the end.
    told.abort();
    manager.stopping();
    tracing::info!("{stop}: shutting down; repeat it to stop immediately");
    tokio::select! {
        () = app.stop() => Ok(ExitCode::SUCCESS),
        again = stops.next() => {
            tracing::warn!("{again}: stopping immediately");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// That Nexus is up, what it does from now on, and that it lives. What is returned is only about the second of these.
fn tell_the_manager(manager: &Arc<Manager>, app: &App) -> JoinHandle<()> {
    let address = app.address();
    let (mut chat, mut tunnels) = (app.chat_status(), app.tunnel_statuses());
    manager.ready(&summary(address, &chat.borrow(), &tunnels.borrow()));
    let calm = Arc::clone(manager);
    tokio::spawn(async move { calm.keep_watchdog_calm().await });
    let manager = Arc::clone(manager);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                changed = chat.changed() => if changed.is_err() { return },
                changed = tunnels.changed() => if changed.is_err() { return },
            }
            manager.status(&summary(
                address,
                &chat.borrow_and_update(),
                &tunnels.borrow_and_update(),
            ));
        }
    })
}

/// One line, without a secret: every user of the machine may read it.
fn summary(address: SocketAddr, chat: &BackendStatus, tunnels: &[TunnelStatus]) -> String {
    let phase = match &chat.phase {
        Phase::Starting { .. } => "starts",
        Phase::Up if chat.example => "is not available, the fallback is active",
        Phase::Up => "is up",
        Phase::Reconnecting { .. } => "reconnects",
        Phase::Failed { .. } => "failed",
        Phase::Stopped => "is stopped",
    };
    let title = chat.missing.as_ref().map_or(&chat.title, |missing| &missing.title);
    let open = tunnels
        .iter()
        .filter(|t| matches!(t.state, TunnelState::Up { .. } | TunnelState::Degraded { .. }))
        .count();
    let tunnels = match tunnels.len() {
        0 => String::new(),
        all => format!("; {open} of {all} tunnels open"),
    };
    format!("Listening on http://{address}; {title} {phase}{tunnels}")
}

/// Once when the backend's program is found missing, and once when it is there after all.
async fn tell_what_is_missing(
    mut status: watch::Receiver<BackendStatus>,
    (file, data_dir): (Option<PathBuf>, PathBuf),
    terminal: Arc<Background>,
) {
    let mut was_missing = false;
    loop {
        let missing = status.borrow_and_update().missing.clone();
        match missing {
            Some(missing) if !was_missing => terminal.say(&format!(
                "  {headline}\n  To install the tested version: {setup}\n  Until then an example backend answers. Nexus \
                 notices when {title} is installed.\n",
                headline = missing.headline(),
                title = missing.title,
                setup = command(&format!("setup {}", missing.title), file.as_deref(), Some(&data_dir))
            )),
            None if was_missing => terminal.say("  The chat backend was found and is used from now on.\n"),
            _ => {}
        }
        was_missing = status.borrow().missing.is_some();
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// What is in the configuration is allowed, to plugins and so to whoever can write it: one that others can write is
/// refused, as a secret that others can read is.
///
/// # Errors
/// The file, or its folder, with the line that corrects it.
pub(super) fn refuse_a_file_of_others(file: &Path) -> anyhow::Result<()> {
    ownership::is_ours(file).map_err(|(cause, fix)| anyhow::anyhow!(sentence(&cause, Some(&fix))))
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_configuration_that_others_can_write_is_refused_with_the_line_that_corrects_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("nexus.toml");
        std::fs::write(&file, "").unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        for (bits, refused) in [
            (0o600, false),
            (0o644, false),
            (0o664, true),
            (0o666, true),
            (0o646, true),
        ] {
            mode(&file, bits);
            let said = refuse_a_file_of_others(&file)
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default();
            assert_eq!(said.contains("chmod go-w"), refused, "{bits:o}: {said}");
        }
        mode(&file, 0o600);
        for (owner, me, of_another) in [
            (1000, 1000, false),
            (0, 1000, false),
            (1000, 0, true),
            (1001, 1000, true),
        ] {
            assert_eq!(ownership::is_of_another(owner, me), of_another);
        }
        mode(dir.path(), 0o777);
        assert!(refuse_a_file_of_others(&file).is_err(), "it can be replaced");
        mode(dir.path(), 0o1777);
        refuse_a_file_of_others(&file).unwrap();
    }
}
