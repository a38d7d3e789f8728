//! Which backend is shown: the configured one where its program is there, otherwise the example, until it is.

use crate::backend_status::{Missing, Phase};
use crate::commands::{self, Pause, QueuedCommand};
use crate::event_pump::EventPump;
use crate::named_backend::NamedBackend;
use crate::shared::Shared;
use nexus_config::APPLY;
use nexus_model::limits;
use nexus_model::plugin::{Availability, Failure, Fit, PluginState};
use nexus_model::trouble::{Problem, sentence};
use nexus_plugin_traits::{CancelReason, StopProcesses};
use nexus_registry::{RESTART, or_else, then};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// `FAILED_LOOK` is the pause between two checks of a backend that failed for good: somebody may have replaced its
/// program.
const FAILED_LOOK: Duration = Duration::from_secs(30);

/// `BackendTask` runs the backend: the configured one, or its fallback.
pub(crate) struct BackendTask {
    pub(crate) shared: Arc<Shared>,
    pub(crate) fallback: Option<NamedBackend>,
    pub(crate) stop_processes: StopProcesses,
}

impl BackendTask {
    /// Serves and carries out commands until the service is gone.
    pub(crate) async fn run(self, mut commands: mpsc::Receiver<QueuedCommand>) {
        let shared = &*self.shared;
        loop {
            let (command, done, pause) = {
                let mut serving = std::pin::pin!(self.serve());
                loop {
                    let Some((command, done)) = beside(serving.as_mut(), commands.recv()).await else {
                        return;
                    };
                    if let Err(error) = beside(serving.as_mut(), commands::check(shared, &command)).await {
                        let _ = done.send(Err(error));
                        continue;
                    }
                    let pause = Pause::new(shared, &command);
                    beside(serving.as_mut(), commands::quiet(shared)).await;
                    shared.shown().backend.leaving(commands::reason(&command));
                    break (command, done, pause);
                }
            };
            let stopped = commands::carry_out(shared, &self.stop_processes, command).await;
            drop(pause);
            let _ = done.send(Ok(()));
            if stopped {
                commands::wait_for_start(shared, &mut commands).await;
            }
        }
    }

    async fn serve(&self) -> Infallible {
        self.shared.show(&self.shared.primary());
        loop {
            match self.check_availability().await {
                Ok(Availability::Ready(found)) => self.run_primary(found).await,
                Ok(unavailable) => self.run_fallback(self.problem(unavailable)).await,
                Err(failure) if failure.permanent => {
                    self.failed(failure);
                    self.changed(FAILED_LOOK).await;
                }
                Err(failure) => {
                    self.shared.phase(Phase::Reconnecting { cause: failure.cause });
                    self.changed(limits::BACKEND_CHECK).await;
                }
            }
        }
    }

    /// Runs the configured backend until it fails for good. `found` is what its program said of itself.
    async fn run_primary(&self, found: Fit) {
        let primary = self.shared.primary();
        self.shared.show(&primary);
        self.shared.status.send_modify(|status| {
            status.missing = None;
            status.version = Some(found.version.clone());
            status.rules.clone_from(&found.note);
        });
        let mut pump = EventPump::new(Arc::clone(&self.shared), primary.clone());
        let failure = pump.run().await;
        drop(pump);
        let Some(failure) = failure else {
            self.shared.phase(Phase::Reconnecting {
                cause: "the plugin ended its connection".to_owned(),
            });
            self.changed(limits::BACKEND_CHECK).await;
            return;
        };
        self.failed(failure);
        // Trying again helps only once something is another than it was.
        loop {
            if self.changed(FAILED_LOOK).await {
                return;
            }
            match primary.backend.check_availability().await {
                Ok(Availability::Ready(now)) if now == found => {}
                Ok(_) => return,
                Err(_) => {}
            }
        }
    }

    /// Shows that the configured backend waits for somebody to start it, and how.
    fn failed(&self, failure: Failure) {
        self.shared.phase(Phase::Failed {
            cause: failure.cause,
            fix: failure.fix.map(|fix| started_again(&fix)),
        });
    }

    /// Runs the fallback until the configured backend is there.
    async fn run_fallback(&self, problem: Problem) {
        self.miss(&problem);
        let Some(fallback) = &self.fallback else {
            self.absent(problem);
            self.found(limits::BACKEND_CHECK).await;
            return;
        };
        self.shared.show(fallback);
        let example = async {
            loop {
                if let Err(failure) = fallback.running().await {
                    self.shared.phase(Phase::Failed {
                        cause: failure.cause,
                        fix: failure.fix,
                    });
                } else {
                    // Only a running instance has said that it is an example.
                    self.shared.show(fallback);
                    let mut pump = EventPump::new(Arc::clone(&self.shared), fallback.clone());
                    if let Some(failure) = pump.run().await {
                        self.shared.phase(Phase::Failed {
                            cause: failure.cause,
                            fix: failure.fix,
                        });
                    }
                }
                tokio::time::sleep(limits::RESTART_MAX).await;
            }
        };
        let found = async {
            self.found(limits::BACKEND_CHECK).await;
            // Before its connection is dropped.
            fallback.backend.leaving(CancelReason::Replace);
        };
        tokio::select! {
            () = example => {}
            () = found => {}
        }
        self.shared.active.send_replace(None);
        fallback.backend.stop().await;
    }

    /// Shows that the configured backend is not there or not usable; the log has it once for each reason.
    fn miss(&self, problem: &Problem) {
        let shared = &self.shared;
        let title = shared.primary().backend.title();
        let fix = problem.fix.as_deref().map(|fix| shared.complete(fix));
        let mut cause = sentence(&problem.cause, None);
        let found = cause.clone();
        if let Some(fallback) = &self.fallback {
            let until = if cause.contains("is not installed") {
                "it is installed"
            } else {
                "it can be used"
            };
            cause.push_str(&format!(" Until {until}, {} answers.", fallback.plugin));
        }
        let said = sentence(&cause, fix.as_deref());
        let changed = shared.status.send_if_modified(|status| {
            let known = status.missing.as_ref();
            let changed = known.is_none_or(|known| known.title != title || known.cause != found || known.fix != fix);
            status.missing = Some(Missing {
                title,
                cause: found,
                fix,
                install: shared.install(),
            });
            changed
        });
        if changed {
            tracing::warn!(plugin = shared.primary().plugin, "{said}");
        }
    }

    /// Shows that there is nothing to run: neither the program nor a fallback.
    fn absent(&self, problem: Problem) {
        self.shared.phase(Phase::Failed {
            cause: problem.cause,
            fix: problem.fix,
        });
    }

    fn problem(&self, unavailable: Availability) -> Problem {
        let title = self.shared.primary().backend.title();
        Problem::of(unavailable, &title).unwrap_or_else(|| Problem {
            cause: format!("{title} cannot be used."),
            fix: None,
        })
    }

    /// Returns when the configured backend's program is there.
    async fn found(&self, every: Duration) {
        loop {
            self.changed(every).await;
            let problem = match self.check_availability().await {
                Ok(Availability::Ready(_)) => return,
                Ok(unavailable) => self.problem(unavailable),
                Err(failure) => Problem {
                    cause: failure.cause,
                    fix: failure.fix,
                },
            };
            self.miss(&problem);
            if self.fallback.is_none() {
                self.absent(problem);
            }
        }
    }

    async fn check_availability(&self) -> Result<Availability, Failure> {
        let primary = self.shared.primary();
        primary.running().await?;
        let temporary = |cause| Failure {
            at: self.shared.clock.now(),
            cause,
            fix: None,
            permanent: false,
        };
        primary
            .backend
            .check_availability()
            .await
            .map_err(|error| temporary(error.to_string()))
    }

    /// Returns after a pause; true: earlier, because somebody asked for it or the plugin was restarted.
    async fn changed(&self, pause: Duration) -> bool {
        let mut status = self.shared.primary().backend.status();
        let failed = matches!(status.borrow().state, PluginState::Failed { .. });
        let revived = async {
            if !failed
                || status
                    .wait_for(|s| !matches!(s.state, PluginState::Failed { .. }))
                    .await
                    .is_err()
            {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => false,
            () = self.shared.look.notified() => true,
            () = revived => true,
        }
    }
}

/// `started_again` is a fix with the command that starts the backend afterwards. Where the fix is one of the configuration alone, it says
/// itself how that takes effect.
fn started_again(fix: &str) -> String {
    const COMMAND: &str = "nexus chat start";
    if fix.contains(COMMAND) || fix.contains("the configuration") {
        return fix.to_owned();
    }
    // A table is named: changing it is one of the ways out. The project folders are read at the start alone.
    if fix.contains("`workspaces`") {
        then(fix, &or_else(COMMAND, RESTART))
    } else if fix.contains("[plugin.") || fix.contains("[chat.") {
        then(fix, &or_else(COMMAND, APPLY))
    } else {
        then(fix, COMMAND)
    }
}

/// Does a job while the backend goes on.
async fn beside<T>(serving: std::pin::Pin<&mut impl Future<Output = Infallible>>, job: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        done = job => done,
        never = serving => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::started_again;

    #[test]
    fn a_fix_says_how_the_backend_is_started_afterwards() {
        assert_eq!(
            started_again("delete /w/.opencode/plugin"),
            "delete /w/.opencode/plugin, then run `nexus chat start`"
        );
        assert_eq!(
            started_again("make it again, or take it out of `workspaces` in [chat.main]"),
            "make it again, or take it out of `workspaces` in [chat.main]. Then run `nexus chat start`; if you change the \
             configuration instead, restart Nexus."
        );
        for whole in [
            "correct [plugin.chat-opencode.config] in the configuration",
            "put it back, then run `nexus chat start`",
            "restart Nexus",
        ] {
            assert_eq!(started_again(whole), whole);
        }
    }
}
