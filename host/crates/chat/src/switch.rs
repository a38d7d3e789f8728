//! Which backend is shown: the configured one where its program is there, otherwise the example, until it is.

use super::orders::{self, Held, Ordered};
use super::pump::Pump;
use super::shared::Shared;
use super::status::{Missing, Phase};
use nexus_model::limits;
use nexus_model::plugin::{self, Availability, Failure};
use nexus_plugin_traits::ChatBackend;
use nexus_plugin_traits::StopProcesses;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A backend and the name of its plugin.
#[derive(Clone)]
pub struct Backend {
    pub plugin: String,
    pub backend: Arc<dyn ChatBackend>,
}

/// How often a backend that failed for good is looked at: somebody may have replaced its program.
const FAILED_LOOK: Duration = Duration::from_secs(30);

const UNFIT: &str = "cannot be used";
const ABSENT: &str = "is not installed";

pub(super) struct Switch {
    pub(super) shared: Arc<Shared>,
    pub(super) fallback: Option<Backend>,
    pub(super) stop_processes: StopProcesses,
}

impl Switch {
    /// Until the service is gone.
    pub(super) async fn run(self, mut orders: mpsc::Receiver<Ordered>) {
        let shared = &*self.shared;
        loop {
            let (order, done, held) = {
                let mut serving = std::pin::pin!(self.serve());
                loop {
                    let Some((order, done)) = beside(serving.as_mut(), orders.recv()).await else {
                        return;
                    };
                    if let Err(error) = beside(serving.as_mut(), orders::check(&order)).await {
                        let _ = done.send(Err(error));
                        continue;
                    }
                    let held = Held::new(shared, &order);
                    beside(serving.as_mut(), orders::quiet(shared)).await;
                    break (order, done, held);
                }
            };
            let stopped = orders::carry_out(shared, &self.stop_processes, order).await;
            drop(held);
            let _ = done.send(Ok(()));
            if stopped {
                orders::wait_for_start(shared, &mut orders).await;
            }
        }
    }

    async fn serve(&self) -> Infallible {
        self.show(&self.shared.primary());
        loop {
            match self.probe().await {
                Ok(Availability::Ready(version)) => self.run_primary(version).await,
                Ok(Availability::Missing(hint)) => self.stand_in(hint, false).await,
                Ok(Availability::Unsuitable(hint)) => self.stand_in(hint, true).await,
                Err(failure) if failure.permanent => {
                    self.shared.phase(Phase::Failed {
                        why: failure.message,
                        hint: failure.hint,
                    });
                    self.changed(FAILED_LOOK).await;
                }
                Err(failure) => {
                    self.shared.phase(Phase::Reconnecting { why: failure.message });
                    self.changed(limits::LOOK_AGAIN).await;
                }
            }
        }
    }

    /// Until it fails for good.
    async fn run_primary(&self, found: String) {
        let primary = self.shared.primary();
        self.show(&primary);
        let (version, rules) = found.split_once("; ").map_or((&*found, None), |(v, r)| (v, Some(r)));
        self.shared.status.send_modify(|status| {
            status.missing = None;
            status.version = Some(version.to_owned());
            status.rules = rules.map(str::to_owned);
        });
        let mut pump = Pump::new(Arc::clone(&self.shared), &primary.plugin, Arc::clone(&primary.backend));
        let failure = pump.run().await;
        drop(pump);
        let Some(failure) = failure else {
            self.shared.phase(Phase::Reconnecting {
                why: "the plugin ended its connection".to_owned(),
            });
            self.changed(limits::LOOK_AGAIN).await;
            return;
        };
        self.shared.phase(Phase::Failed {
            why: failure.message,
            hint: failure.hint,
        });
        // Trying again helps only once something is another than it was.
        loop {
            if self.changed(FAILED_LOOK).await {
                return;
            }
            match primary.backend.probe().await {
                Ok(Availability::Ready(now)) if now == found => {}
                Ok(_) => return,
                Err(_) => {}
            }
        }
    }

    /// The example, until the configured backend is there.
    async fn stand_in(&self, hint: String, unsuitable: bool) {
        self.miss(hint.clone(), unsuitable);
        let Some(fallback) = &self.fallback else {
            self.absent(&hint, unsuitable);
            self.found(limits::LOOK_AGAIN).await;
            return;
        };
        self.show(fallback);
        let example = async {
            loop {
                if let Err(failure) = up(&*fallback.backend).await {
                    self.shared.phase(Phase::Failed {
                        why: failure.message,
                        hint: failure.hint,
                    });
                } else {
                    // Only a running instance has said that it is an example.
                    self.show(fallback);
                    let mut pump = Pump::new(
                        Arc::clone(&self.shared),
                        &fallback.plugin,
                        Arc::clone(&fallback.backend),
                    );
                    if let Some(failure) = pump.run().await {
                        self.shared.phase(Phase::Failed {
                            why: failure.message,
                            hint: failure.hint,
                        });
                    }
                }
                tokio::time::sleep(limits::RESTART_MAX).await;
            }
        };
        tokio::select! {
            () = example => {}
            () = self.found(limits::LOOK_AGAIN) => {}
        }
        self.shared.active.send_replace(None);
        fallback.backend.stop().await;
    }

    /// What is configured is not there, or not fit. Shown, and in the log once for each reason.
    fn miss(&self, hint: String, unsuitable: bool) {
        let missing = Missing {
            title: self.shared.primary().backend.title(),
            hint,
            unsuitable,
        };
        let what = if unsuitable { UNFIT } else { ABSENT };
        let meanwhile = match &self.fallback {
            Some(fallback) => format!(" Until it is there, {} stands in.", fallback.plugin),
            None => String::new(),
        };
        let said = format!("{} {what}. {}{meanwhile}", missing.title, missing.hint.trim_end());
        let changed = self.shared.status.send_if_modified(|status| {
            let changed = status.missing.as_ref() != Some(&missing);
            status.missing = Some(missing);
            changed
        });
        if changed {
            tracing::warn!(plugin = self.shared.primary().plugin, "{said}");
        }
    }

    /// Its program is not there, and nothing stands in.
    fn absent(&self, hint: &str, unsuitable: bool) {
        let what = if unsuitable { UNFIT } else { ABSENT };
        self.shared.phase(Phase::Failed {
            why: format!("{} {what}", self.shared.primary().backend.title()),
            hint: Some(hint.to_owned()),
        });
    }

    async fn found(&self, every: Duration) {
        loop {
            self.changed(every).await;
            let (hint, unsuitable) = match self.probe().await {
                Ok(Availability::Ready(_)) => return,
                Ok(Availability::Missing(hint)) => (hint, false),
                Ok(Availability::Unsuitable(hint)) => (hint, true),
                Err(failure) => (failure.message, true),
            };
            self.miss(hint.clone(), unsuitable);
            if self.fallback.is_none() {
                self.absent(&hint, unsuitable);
            }
        }
    }

    async fn probe(&self) -> Result<Availability, Failure> {
        let primary = self.shared.primary();
        up(&*primary.backend).await?;
        let temporary = |message| Failure {
            at: self.shared.clock.now(),
            message,
            hint: None,
            permanent: false,
        };
        primary
            .backend
            .probe()
            .await
            .map_err(|error| temporary(error.to_string()))
    }

    /// After a pause; true: at once, because somebody asked for it or the plugin was started anew.
    async fn changed(&self, pause: Duration) -> bool {
        let mut status = self.shared.primary().backend.status();
        let failed = matches!(status.borrow().state, plugin::State::Failed { .. });
        let revived = async {
            if !failed
                || status
                    .wait_for(|s| !matches!(s.state, plugin::State::Failed { .. }))
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

    fn show(&self, backend: &Backend) {
        self.shared.status.send_modify(|status| {
            status.plugin.clone_from(&backend.plugin);
            status.title = backend.backend.title();
            status.example = backend.backend.is_example();
            status.version = None;
            status.rules = None;
            status.phase = Phase::Starting {
                what: format!("Looking for {}", status.title),
            };
        });
    }
}

/// A job, while the backend goes on.
async fn beside<T>(serving: std::pin::Pin<&mut impl Future<Output = Infallible>>, job: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        done = job => done,
        never = serving => match never {},
    }
}

/// Until the plugin's instance runs.
pub(super) async fn up(backend: &dyn ChatBackend) -> Result<(), Failure> {
    let mut status = backend.status();
    if status.borrow().state == plugin::State::Stopped {
        backend.start();
    }
    let settled = status
        .wait_for(|s| matches!(s.state, plugin::State::Running | plugin::State::Failed { .. }))
        .await
        .map(|status| status.clone());
    let gone = |message: String| Failure {
        at: 0,
        message,
        hint: None,
        permanent: true,
    };
    match settled {
        Ok(plugin::Status {
            state: plugin::State::Failed { cause },
            last_failure,
            ..
        }) => Err(last_failure.map_or_else(
            || gone(cause),
            |failure| Failure {
                permanent: true,
                ..failure
            },
        )),
        Ok(_) => Ok(()),
        Err(_) => Err(gone("the plugin is gone".to_owned())),
    }
}
