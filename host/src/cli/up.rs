//! `nexus up`: starts everything, says so, waits for the signal, stops everything.

use super::{Stops, complain, say};
use crate::app::App;
use crate::config::resolved::Config;
use std::process::ExitCode;

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
