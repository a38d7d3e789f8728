//! Another plugin becomes the provider of a tunnel while the host runs.
//!
//! The new one opens beside the old one and is looked at from its public side; only when it has answered does the old one
//! drain. So a plugin that cannot open, or whose address leads elsewhere, costs nothing. A tunnel whose listener has a
//! fixed port is the exception, and one that keeps its plugin and only gets other settings: only one at a time can have the
//! port, or the processes of that plugin. So the old one closes first, and opens again if the new one fails; its clients are
//! told that it closes, and cannot be told where it will lead.
//!
//! Not taken: to swap only what the public address points to. There is no such thing to swap: each provider has addresses
//! of its own, so clients have to be told.

use crate::dependencies::{Dependencies, Spec};
use crate::error::TunnelError;
use crate::open_command::{Opening, Outcome, Refused};
use crate::status_board::StatusBoard;
use crate::task_channels::OPENING;
use crate::tunnel::{RunningTunnel, Tunnel};
use nexus_config::in_table;
use nexus_config::resolved::{self, PublicCheckMode};
use nexus_model::activity::Severity;
use nexus_model::limits;
use nexus_model::trouble::{cause_and_fix, sentence};
use nexus_model::tunnel::{Network, PublicCheckFailure, Step, Swap};
use nexus_plugin_traits::CancelReason;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// `POLL_INTERVAL` is how often an opening tunnel is looked at while nothing changes.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// `Swapped` says that another plugin serves the tunnel, or the same one with other settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swapped {
    /// `url` is where the tunnel leads now; `None` where it is closed.
    pub url: Option<String>,
    /// `took` is the time from the command until the old one was gone.
    pub took: Duration,
    /// `kept`: it holds after a restart too.
    pub kept: bool,
    /// `cut`: the old one had to close first, so whoever came through it lost the connection.
    pub cut: bool,
}

/// `Refusal` says why the plugin could not replace the current one.
struct Refusal {
    cause: String,
    fix: Option<String>,
}

pub(super) struct Swapping {
    pub(super) tunnel: Arc<Tunnel>,
    pub(super) parts: Dependencies,
    pub(super) board: Arc<StatusBoard>,
    /// `config` is the tunnel as it is to be.
    pub(super) config: resolved::Tunnel,
}

impl Swapping {
    /// Swaps to the end, whether or not anybody waits for it.
    pub(super) async fn run(self) -> Result<Swapped, TunnelError> {
        let old = self.tunnel.running();
        let begun = Instant::now();
        let wanted = *self.tunnel.wanted.borrow();
        self.step(Step::Opening {
            progress: "loading the plugin".to_owned(),
        });
        let same = old.config.plugin == self.config.plugin;
        let config = self.config.clone();
        let provided = match self.parts.load(&config).await {
            Ok(provided) => provided,
            Err(error) => {
                let text = error.to_string();
                let (cause, fix) = cause_and_fix(&text);
                let (cause, fix) = (cause.to_owned(), fix.map(str::to_owned));
                return Err(self.refused(Refusal { cause, fix }, same));
            }
        };
        let spec = Spec { config, provided };
        let one_port = spec.config.listen.port() != 0 && spec.config.listen == old.config.listen;
        let done = if wanted && *self.parts.has_account.borrow() {
            self.replace_with(old, spec, one_port).await
        } else {
            let next = RunningTunnel::start(spec, &self.parts, &self.board, false, true);
            Ok((None, self.settle(old, next).await))
        };
        match done {
            Ok((url, kept)) => {
                self.board.swap(&self.tunnel.name, None);
                let took = begun.elapsed();
                self.report(url.as_deref(), took, same);
                let cut = one_port && url.is_some();
                Ok(Swapped { url, took, kept, cut })
            }
            Err(refusal) => Err(self.refused(refusal, same)),
        }
    }

    /// Returns the new address, and whether it will be remembered.
    async fn replace_with(
        &self,
        old: RunningTunnel,
        spec: Spec,
        one_port: bool,
    ) -> Result<(Option<String>, bool), Refusal> {
        let one_at_a_time = one_port || spec.config.plugin == old.config.plugin;
        if one_at_a_time {
            self.tunnel.between.store(true, Ordering::SeqCst);
            old.leave().await;
            old.unwant(CancelReason::Replace);
            old.off().await;
        }
        let next = RunningTunnel::start(spec, &self.parts, &self.board, true, false);
        let mut wanted = self.tunnel.wanted.subscribe();
        let opened = tokio::select! {
            biased;
            _ = wanted.wait_for(|wanted| !wanted) => Err(Refusal {
                cause: "the tunnel was closed in the meantime".to_owned(),
                fix: None,
            }),
            opened = self.open(&next) => opened,
        };
        match opened {
            Ok(url) => Ok((Some(url), self.settle(old, next).await)),
            Err(refusal) => {
                self.retire(next, CancelReason::Stop).await;
                self.tunnel.between.store(false, Ordering::SeqCst);
                if one_at_a_time && *self.tunnel.wanted.borrow() {
                    old.want();
                }
                Err(refusal)
            }
        }
    }

    /// Waits until the new one is open and proved to lead here. Returns its address.
    async fn open(&self, next: &RunningTunnel) -> Result<String, Refusal> {
        let mut status = next.status();
        let mut opening = Opening::begin(limits::SWAP_OPEN);
        let mut shown = String::new();
        loop {
            let now = status.borrow_and_update().clone();
            let progress = match opening.see(&now, self.parts.clock.now()) {
                Outcome::Open(_) | Outcome::Fresh => break,
                Outcome::Refused(Refused { cause, fix, .. }) => return Err(Refusal { cause, fix }),
                Outcome::Pending(progress) => progress,
                Outcome::NoAccount | Outcome::Off => OPENING.to_owned(),
            };
            if progress != shown {
                shown.clone_from(&progress);
                self.step(Step::Opening { progress });
            }
            // Time alone can be the answer too.
            match timeout(POLL_INTERVAL, status.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_)) => {
                    return Err(Refusal {
                        cause: "the plugin has ended".to_owned(),
                        fix: None,
                    });
                }
            }
        }
        self.prove(next).await
    }

    async fn prove(&self, next: &RunningTunnel) -> Result<String, Refusal> {
        let mut status = next.status();
        // A name that was made just now is not asked for at once: resolvers would keep that it is not there.
        let _ = status.wait_for(|status| !status.url_propagating).await;
        let end = Instant::now() + limits::SWAP_CHECK;
        let mut unresolved = limits::NAME_SETTLES;
        loop {
            let (url, checked) = {
                let now = status.borrow();
                (now.url.clone(), now.checked_address().map(str::to_owned))
            };
            let Some(url) = url else {
                return Err(Refusal {
                    cause: "the new tunnel lost its address during the public check".to_owned(),
                    fix: None,
                });
            };
            // An address that only members of the provider's network reach cannot be asked for from here.
            let Some(checked) = checked.filter(|_| next.config.public_check != PublicCheckMode::Off) else {
                return Ok(url);
            };
            self.step(Step::Checking { url: checked.clone() });
            let tried = timeout(
                limits::PUBLIC_CHECK * 3,
                self.parts
                    .checker
                    .check_streaming(&next.config.public_check, &checked, &next.secret),
            );
            let (cause, pause) = match tried.await {
                Ok(Ok(())) => return Ok(url),
                Ok(Err(PublicCheckFailure {
                    cause,
                    network: Network::Unresolved,
                })) => {
                    let pause = unresolved;
                    unresolved *= 2;
                    (cause, pause)
                }
                Ok(Err(PublicCheckFailure { cause, .. })) => (cause, limits::PUBLIC_CHECK_AGAIN),
                Err(_) => ("no answer in time".to_owned(), limits::PUBLIC_CHECK_AGAIN),
            };
            if Instant::now() + pause > end {
                return Err(Refusal {
                    cause: format!("the new tunnel is open, but the public check of {checked} failed: {cause}"),
                    fix: Some(format!(
                        "if this machine cannot reach its own public address, {}, or an address instead of \"off\"",
                        in_table(&format!("tunnel.{}", self.tunnel.name), "public_check = \"off\"")
                    )),
                });
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes the new one the tunnel's own from here on; the old one drains and goes. Returns whether it will be
    /// remembered.
    async fn settle(&self, old: RunningTunnel, next: RunningTunnel) -> bool {
        old.hide();
        next.show();
        self.board.public_check(&self.tunnel.name, None);
        self.tunnel.replace(next.clone());
        self.tunnel.between.store(false, Ordering::SeqCst);
        // Somebody may have opened or closed the tunnel in this moment, and told the old one.
        if *self.tunnel.wanted.borrow() {
            next.want_too();
        } else {
            next.unwant(CancelReason::Stop);
        }
        // Before the drain: whoever reads the new address has it after a crash, too.
        let kept = self.remember().await;
        let url = next.status().borrow().url.clone();
        self.step(Step::Draining { url: url.clone() });
        if let Some(url) = url {
            let mut wanted = self.tunnel.wanted.subscribe();
            tokio::select! {
                () = old.drain(&url) => {}
                _ = wanted.wait_for(|wanted| !wanted) => {}
            }
        }
        self.retire(old, CancelReason::Replace).await;
        kept
    }

    async fn retire(&self, serving: RunningTunnel, reason: CancelReason) {
        let registration = serving.provided.registration;
        serving.end(reason).await;
        self.parts.retire(registration);
    }

    /// Tells whether it holds after a restart too.
    async fn remember(&self) -> bool {
        let saved = self.parts.choose(&self.tunnel.name, &self.config.plugin).await;
        if let Err(error) = &saved {
            tracing::warn!(
                tunnel = self.tunnel.name,
                %error,
                "cannot save the new provider of the tunnel; the configuration decides at the next start"
            );
        }
        saved.is_ok()
    }

    fn report(&self, url: Option<&str>, took: Duration, same: bool) {
        let (tunnel, plugin) = (&self.tunnel.name, &self.config.plugin);
        let done = if same {
            "has its new settings"
        } else {
            "is the provider now"
        };
        tracing::info!(tunnel, plugin, url, ?took, "the plugin {done}");
        let at = url.map(|url| format!(", at {url}")).unwrap_or_default();
        self.board.note(tunnel, Severity::Ok, &format!("{plugin} {done}{at}"));
    }

    fn refused(&self, refusal: Refusal, same: bool) -> TunnelError {
        let Refusal { cause, fix } = refusal;
        let (tunnel, plugin) = (&self.tunnel.name, &self.config.plugin);
        // The current plugin is named: it is not always the one that the configuration names.
        let text = if same {
            format!("{plugin} did not open with its new settings; the old settings are active again: {cause}")
        } else {
            let current = self.tunnel.running().config.plugin;
            let cause = sentence(&cause, None);
            format!("{plugin} could not replace {current}: {cause} {current} stays active.")
        };
        let whole = sentence(&text, fix.as_deref());
        tracing::warn!(tunnel, plugin, "{whole}");
        self.board.note(tunnel, Severity::Error, &text);
        self.step(Step::Failed { cause, fix });
        TunnelError::Refused(format!("Tunnel {tunnel}: {whole}"))
    }

    fn step(&self, step: Step) {
        let swap = Swap {
            plugin: self.config.plugin.clone(),
            since: self.parts.clock.now(),
            step,
        };
        self.board.swap(&self.tunnel.name, Some(swap));
    }
}
