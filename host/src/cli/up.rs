//! `nexus up`: where everything is put together.

use super::Stops;
use crate::config::resolved::Config;
use std::process::ExitCode;

/// Runs until a signal ends it. On readiness one line goes to stdout, alone: `nexus listening on http://ADDR:PORT`.
///
/// # Errors
/// What keeps Nexus from starting: the data directory in use, the port taken.
pub async fn up(config: Config) -> anyhow::Result<ExitCode> {
    let _stops = Stops::catch()?;
    anyhow::bail!(
        "the services are not put together yet (they would listen on {})",
        config.web.listen
    )
}
