//! Installing the backend's program where it is missing.

use crate::backend_status::Install;
use crate::error::ChatError;
use crate::shared::Shared;
use nexus_install::{OPENCODE_VERSION, Progress};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a program that was just installed may take to be found.
const FOUND: Duration = Duration::from_secs(60);

/// The one plugin whose program Nexus can install.
const INSTALLABLE: &str = "chat-opencode";

fn label() -> String {
    format!("Install opencode {OPENCODE_VERSION}")
}

/// Whether the program of a plugin can be installed on this machine.
pub(crate) fn offered(plugin: &str) -> Install {
    let path = std::env::var_os("PATH");
    if plugin == INSTALLABLE && nexus_install::find_npm(path.as_deref()).is_some() {
        Install::Offered { label: label() }
    } else {
        Install::No
    }
}

/// Begins to install the missing program into `data_dir`. An installation that runs already goes on.
pub(crate) fn begin(shared: &Arc<Shared>, data_dir: &Path) -> Result<(), ChatError> {
    match shared.install() {
        Install::No => {
            return Err(ChatError::Refused(
                "Nexus cannot install this backend. Its details say how to install it.".to_owned(),
            ));
        }
        Install::Running { .. } => return Ok(()),
        Install::Offered { .. } | Install::Failed { .. } => {}
    }
    let what = "starting npm".to_owned();
    shared.set_install(Install::Running { what });
    tokio::spawn(run(Arc::clone(shared), data_dir.to_owned()));
    Ok(())
}

async fn run(shared: Arc<Shared>, data_dir: PathBuf) {
    let mut show = |progress: Progress| {
        // npm's own lines are for a terminal: a 404 of a package for another machine is no failure.
        if let Progress::Step(what) = progress {
            shared.set_install(Install::Running { what });
        }
    };
    let path = std::env::var_os("PATH");
    let label = label();
    let program = match nexus_install::install_opencode(&data_dir, path.as_deref(), &mut show).await {
        Ok(program) => program,
        Err(error) => {
            tracing::warn!(%error, "cannot install opencode");
            let why = error.to_string();
            return shared.set_install(Install::Failed { why, label });
        }
    };
    tracing::info!(program = %program.display(), "opencode is installed");
    // Not to be offered again while it is looked for.
    let what = "installed; starting opencode".to_owned();
    shared.set_install(Install::Running { what });
    shared.look_again();
    let mut status = shared.status.subscribe();
    let found = status.wait_for(|status| status.missing.is_none());
    let found = tokio::time::timeout(FOUND, found).await.is_ok();
    shared.set_install(if found {
        Install::Offered { label }
    } else {
        let why = "It was installed but still cannot be found. See the details.".to_owned();
        Install::Failed { why, label }
    });
}
