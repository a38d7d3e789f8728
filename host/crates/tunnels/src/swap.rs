//! Another plugin takes over a tunnel while the host runs.
//!
//! The new one opens beside the old one and is looked at from its public side; only when it has answered does the old one
//! drain. So a plugin that cannot open, or whose address leads elsewhere, costs nothing. A tunnel whose listener has a
//! fixed port is the exception, and one that keeps its plugin and only gets other settings: only one at a time can have the
//! port, or the processes of that plugin. So the old one closes first, and opens again if the new one fails; its clients are
//! told that it closes, and cannot be told where it will lead.
//!
//! Not taken: to swap only what the public address points to. There is no such thing to swap: each provider has addresses
//! of its own, so clients have to be told.

use super::opening::{Opening, Outcome, Refused};
use super::seat::Board;
use super::slot::{OPENING, Serving, Slot};
use super::{Parts, Spec, Swapped, TunnelError};
use nexus_config::resolved::{Probe, Tunnel};
use nexus_model::activity::Tone;
use nexus_model::limits;
use nexus_model::tunnel::{Network, Step, Swap, Unreached};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How often an opening tunnel is looked at while nothing changes.
const LOOK: Duration = Duration::from_secs(1);

/// Why the plugin did not take over.
struct Refusal {
    why: String,
    hint: Option<String>,
}

pub(super) struct Swapping {
    pub(super) slot: Arc<Slot>,
    pub(super) parts: Parts,
    pub(super) board: Arc<Board>,
    /// As it is to be.
    pub(super) config: Tunnel,
}

impl Swapping {
    /// To its end, whether or not anybody waits for it.
    pub(super) async fn run(self) -> Result<Swapped, TunnelError> {
        let old = self.slot.serving();
        let begun = Instant::now();
        let wanted = *self.slot.wanted.borrow();
        self.step(Step::Opening {
            what: "loading the plugin".to_owned(),
        });
        let same = old.config.plugin == self.config.plugin;
        let config = self.config.clone();
        let provided = match self.parts.load(&config).await {
            Ok(provided) => provided,
            Err(why) => return Err(self.refused(Refusal { why, hint: None }, same)),
        };
        let spec = Spec { config, provided };
        let one_port = spec.config.listen.port() != 0 && spec.config.listen == old.config.listen;
        let done = if wanted && *self.parts.has_account.borrow() {
            self.take_over(old, spec, one_port).await
        } else {
            let next = Serving::start(spec, &self.parts, &self.board, false, true);
            Ok((None, self.settle(old, next).await))
        };
        match done {
            Ok((url, kept)) => {
                self.board.swap(&self.slot.name, None);
                let took = begun.elapsed();
                self.report(url.as_deref(), took, same);
                let cut = one_port && url.is_some();
                Ok(Swapped { url, took, kept, cut })
            }
            Err(refusal) => Err(self.refused(refusal, same)),
        }
    }

    /// Its address, and whether it will be remembered.
    async fn take_over(&self, old: Serving, spec: Spec, one_port: bool) -> Result<(Option<String>, bool), Refusal> {
        let one_at_a_time = one_port || spec.config.plugin == old.config.plugin;
        if one_at_a_time {
            self.slot.between.store(true, Ordering::SeqCst);
            old.leave().await;
            old.unwant();
            old.off().await;
        }
        let next = Serving::start(spec, &self.parts, &self.board, true, false);
        let mut wanted = self.slot.wanted.subscribe();
        let opened = tokio::select! {
            biased;
            _ = wanted.wait_for(|wanted| !wanted) => Err(Refusal {
                why: "the tunnel was closed meanwhile".to_owned(),
                hint: None,
            }),
            opened = self.open(&next) => opened,
        };
        match opened {
            Ok(url) => Ok((Some(url), self.settle(old, next).await)),
            Err(refusal) => {
                self.retire(next).await;
                self.slot.between.store(false, Ordering::SeqCst);
                if one_at_a_time && *self.slot.wanted.borrow() {
                    old.want();
                }
                Err(refusal)
            }
        }
    }

    /// Open, and proved to lead here. Gives its address.
    async fn open(&self, next: &Serving) -> Result<String, Refusal> {
        let mut status = next.status();
        let mut opening = Opening::begin(limits::SWAP_OPEN);
        let mut shown = String::new();
        loop {
            let now = status.borrow_and_update().clone();
            let what = match opening.see(&now, self.parts.clock.now()) {
                Outcome::Open(_) | Outcome::Fresh => break,
                Outcome::Refused(Refused { why, hint, .. }) => return Err(Refusal { why, hint }),
                Outcome::Pending(what) => what,
                Outcome::NoAccount | Outcome::Off => OPENING.to_owned(),
            };
            if what != shown {
                shown.clone_from(&what);
                self.step(Step::Opening { what });
            }
            // Time alone can be the answer too.
            match timeout(LOOK, status.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_)) => {
                    return Err(Refusal {
                        why: "the plugin is gone".to_owned(),
                        hint: None,
                    });
                }
            }
        }
        self.prove(next).await
    }

    async fn prove(&self, next: &Serving) -> Result<String, Refusal> {
        let mut status = next.status();
        // A name that was made just now is not asked for at once: resolvers would keep that it is not there.
        let _ = status.wait_for(|status| !status.fresh).await;
        let end = Instant::now() + limits::SWAP_PROBE;
        let mut unresolved = limits::NAME_SETTLES;
        loop {
            let Some(url) = status.borrow().url.clone() else {
                return Err(Refusal {
                    why: "it lost its address while it was tried".to_owned(),
                    hint: None,
                });
            };
            if next.config.probe == Probe::Off {
                return Ok(url);
            }
            self.step(Step::Probing { url: url.clone() });
            let tried = timeout(
                limits::PROBE * 3,
                self.parts.prober.whole(&next.config.probe, &url, &next.proof),
            );
            let (why, pause) = match tried.await {
                Ok(Ok(())) => return Ok(url),
                Ok(Err(Unreached {
                    why,
                    network: Network::Unresolved,
                })) => {
                    let pause = unresolved;
                    unresolved *= 2;
                    (why, pause)
                }
                Ok(Err(Unreached { why, .. })) => (why, limits::PROBE_AGAIN),
                Err(_) => ("no answer in time".to_owned(), limits::PROBE_AGAIN),
            };
            if Instant::now() + pause > end {
                return Err(Refusal {
                    why: format!("it is open, but {url} does not lead here: {why}"),
                    hint: Some(format!(
                        "If this machine cannot reach its own public address, say where it can, or do without:\n\
                         [tunnel.{}]\nprobe = \"off\"",
                        self.slot.name
                    )),
                });
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The new one is the tunnel's own from here on; the old one drains and goes. Whether it will be remembered.
    async fn settle(&self, old: Serving, next: Serving) -> bool {
        old.hide();
        next.show();
        self.board.reach(&self.slot.name, None);
        self.slot.replace(next.clone());
        self.slot.between.store(false, Ordering::SeqCst);
        // Somebody may have opened or closed the tunnel in this moment, and told the old one.
        if *self.slot.wanted.borrow() {
            next.want_too();
        } else {
            next.unwant();
        }
        // Before the drain: whoever reads the new address has it after a crash, too.
        let kept = self.remember().await;
        let url = next.status().borrow().url.clone();
        self.step(Step::Draining { url: url.clone() });
        if let Some(url) = url {
            let mut wanted = self.slot.wanted.subscribe();
            tokio::select! {
                () = old.drain(&url) => {}
                _ = wanted.wait_for(|wanted| !wanted) => {}
            }
        }
        self.retire(old).await;
        kept
    }

    async fn retire(&self, serving: Serving) {
        let ticket = serving.provided.ticket;
        serving.end().await;
        self.parts.retire(ticket);
    }

    /// Whether it holds after a restart too.
    async fn remember(&self) -> bool {
        let saved = self.parts.choose(&self.slot.name, &self.config.plugin).await;
        if let Err(error) = &saved {
            tracing::warn!(
                tunnel = self.slot.name,
                error,
                "it cannot be remembered which plugin serves the tunnel; the configuration decides at the next start"
            );
        }
        saved.is_ok()
    }

    fn report(&self, url: Option<&str>, took: Duration, same: bool) {
        let (tunnel, plugin) = (&self.slot.name, &self.config.plugin);
        let done = if same { "has its new settings" } else { "serves it now" };
        tracing::info!(tunnel, plugin, url, ?took, "the plugin {done}");
        let at = url.map(|url| format!(", at {url}")).unwrap_or_default();
        self.board.note(tunnel, Tone::Good, &format!("{plugin} {done}{at}"));
    }

    fn refused(&self, refusal: Refusal, same: bool) -> TunnelError {
        let Refusal { why, hint } = refusal;
        let (tunnel, plugin) = (&self.slot.name, &self.config.plugin);
        let (failed, now) = if same {
            ("did not open with its new settings", "it has the old ones again")
        } else {
            ("did not take over", "all is as before")
        };
        tracing::warn!(tunnel, plugin, why, "the plugin {failed}");
        let text = format!("{plugin} {failed}; {now}: {why}");
        self.board.note(tunnel, Tone::Bad, &text);
        let hinted = hint.as_ref().map(|hint| format!("\n{hint}")).unwrap_or_default();
        let text = format!("Tunnel {tunnel}: {text}{hinted}");
        self.step(Step::Failed { why, hint });
        TunnelError::Refused(text)
    }

    fn step(&self, step: Step) {
        let swap = Swap {
            plugin: self.config.plugin.clone(),
            since: self.parts.clock.now(),
            step,
        };
        self.board.swap(&self.slot.name, Some(swap));
    }
}
