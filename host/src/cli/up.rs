//! `nexus up`: starts everything, says so, waits for the signal, stops everything.

use super::{Stops, complain, say};
use crate::app::App;
use crate::config::resolved::Config;
use crate::services::chat::ChatStatus;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::sync::watch;

/// Runs until a signal ends it. On readiness one line goes to stdout, alone: `nexus listening on http://ADDR:PORT`.
///
/// # Errors
/// What keeps Nexus from starting: the data directory in use, the port taken, a plugin that cannot be loaded.
pub async fn up(config: Config) -> anyhow::Result<ExitCode> {
    let mut stops = Stops::catch()?;
    let app = App::start(config).await?;
    say(&format!("nexus listening on http://{}", app.address()));
    if let Some(link) = app.setup_link() {
        // On the terminal and nowhere else: not in the log, which may be kept.
        complain(&format!(
            "\n  Nobody has an account yet. Open this link in a browser to make the owner's account:\n\n    {link}\n\n  \
             It works once, for 15 minutes; start nexus again for a new one.\n"
        ));
    }
    tokio::spawn(tell_what_is_missing(app.chat_status(), app.data_dir().to_owned()));
    let stop = stops.next().await;
    tracing::info!("{stop}: stopping in order; once more stops at once");
    tokio::select! {
        () = app.stop() => Ok(ExitCode::SUCCESS),
        again = stops.next() => {
            tracing::warn!("{again}: stopping at once");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Once when the backend's program is found missing, and once when it is there after all.
async fn tell_what_is_missing(mut status: watch::Receiver<ChatStatus>, data_dir: PathBuf) {
    let mut was_missing = false;
    loop {
        let missing = status.borrow_and_update().missing.clone();
        match missing {
            Some(missing) if !was_missing => complain(&format!(
                "  {title} is not ready: the page says why, and shows an example in which no model answers.\n  To install \
                 the tested version: nexus setup {title} --data-dir {dir}\n  It is picked up by itself.\n",
                title = missing.title,
                dir = data_dir.display()
            )),
            None if was_missing => complain("  The chat backend is found and used from now on.\n"),
            _ => {}
        }
        was_missing = status.borrow().missing.is_some();
        if status.changed().await.is_err() {
            return;
        }
    }
}
