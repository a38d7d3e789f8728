//! Installing the backend's program where it is missing.

use crate::backend_status::Install;
use crate::error::ChatError;
use crate::shared::Shared;
use nexus_install::{OPENCODE_VERSION, Progress};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `FOUND` is how long a program that was just installed may take to be found.
const FOUND: Duration = Duration::from_secs(60);

/// `INSTALLABLE` is the one plugin whose program Nexus can install.
const INSTALLABLE: &str = "chat-opencode";

fn label() -> String {
    format!("Install opencode {OPENCODE_VERSION}")
}

/// `Installer` installs the backend's program into `data_dir`, with the npm that is found in `path`.
#[derive(Clone)]
pub(crate) struct Installer {
    data_dir: PathBuf,
    path: Option<OsString>,
}

impl Installer {
    pub(crate) fn new(data_dir: PathBuf, path: Option<OsString>) -> Self {
        Self { data_dir, path }
    }

    /// Tells whether the program of a plugin can be installed on this machine.
    pub(crate) fn offered(&self, plugin: &str) -> Install {
        if plugin == INSTALLABLE && nexus_install::find_npm(self.path.as_deref()).is_some() {
            Install::Available { label: label() }
        } else {
            Install::Unsupported
        }
    }

    /// Begins to install the missing program. An installation that runs already goes on.
    pub(crate) fn begin(&self, shared: &Arc<Shared>) -> Result<(), ChatError> {
        match shared.install() {
            Install::Unsupported => {
                return Err(ChatError::Refused(
                    "Nexus cannot install this backend. Its details say how to install it.".to_owned(),
                ));
            }
            Install::Running { .. } => return Ok(()),
            Install::Available { .. } | Install::Failed { .. } => {}
        }
        let progress = "starting npm".to_owned();
        shared.set_install(Install::Running { progress });
        tokio::spawn(run(Arc::clone(shared), self.clone()));
        Ok(())
    }
}

async fn run(shared: Arc<Shared>, installer: Installer) {
    let mut show = |progress: Progress| {
        // npm's own lines are for a terminal: a 404 of a package for another machine is no failure.
        if let Progress::Step(progress) = progress {
            shared.set_install(Install::Running { progress });
        }
    };
    let label = label();
    let Installer { data_dir, path } = installer;
    let program = match nexus_install::install_opencode(&data_dir, path.as_deref(), &mut show).await {
        Ok(program) => program,
        Err(error) => {
            tracing::warn!(%error, "cannot install opencode");
            let cause = error.to_string();
            return shared.set_install(Install::Failed { cause, label });
        }
    };
    tracing::info!(program = %program.display(), "opencode is installed");
    // Not to be offered again while it is looked for.
    let progress = "installed; starting opencode".to_owned();
    shared.set_install(Install::Running { progress });
    shared.look_again();
    let mut status = shared.status.subscribe();
    let found = status.wait_for(|status| status.missing.is_none());
    let found = tokio::time::timeout(FOUND, found).await.is_ok();
    shared.set_install(if found {
        Install::Available { label }
    } else {
        let cause = "opencode was installed but still cannot be found. See the details.".to_owned();
        Install::Failed { cause, label }
    });
}
