//! The life of one tunnel.

mod address;

use crate::attempt_end::{AttemptEnd, Pause, no_tls};
use crate::dependencies::{Dependencies, Spec};
use crate::origin_listener::{ListenerServer, OpenListener};
use crate::status_board::{NoticedBy, StatusPublisher};
use crate::task_channels::{Desired, OPENING, TaskChannels};
use crate::wanted_tunnels::WantedTunnels;
use nexus_config::resolved;
use nexus_model::limits;
use nexus_model::plugin::{PluginState, PluginStatus};
use nexus_model::time::{Clock, millis};
use nexus_model::trouble::{Problem, sentence};
use nexus_model::tunnel::{Descriptor, Encryption, TunnelEvent, TunnelState, TunnelStatus};
use nexus_plugin_traits::StopProcesses;
use nexus_plugin_traits::{CallError, TunnelProvider, TunnelRun};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

pub(super) struct Actor {
    tunnel: resolved::Tunnel,
    provider: Arc<dyn TunnelProvider>,
    listener_server: Arc<dyn ListenerServer>,
    stop_processes: StopProcesses,
    clock: Arc<dyn Clock>,
    account: watch::Receiver<bool>,
    desired: watch::Receiver<Desired>,
    publisher: Arc<StatusPublisher>,
    channels: TaskChannels,
    descriptor: Option<Descriptor>,
    listener: Option<OpenListener>,
    /// The operator has just said "now": a plugin that failed is started again.
    revive: bool,
    /// A process of the provider may be there.
    process: bool,
    backoff: Duration,
    up_since: Option<Instant>,
    /// Why it was last tried again.
    said: Option<String>,
    /// It was not opened for want of TLS.
    refused: bool,
    /// The address that the log has.
    logged: Option<String>,
    /// When an address that was made just now is given out.
    settles: Option<Instant>,
    wanted: WantedTunnels,
}

impl Actor {
    pub(super) fn new(
        spec: Spec,
        parts: &Dependencies,
        desired: watch::Receiver<Desired>,
        publisher: Arc<StatusPublisher>,
        channels: TaskChannels,
    ) -> Self {
        Self {
            tunnel: spec.config,
            provider: spec.provided.provider,
            listener_server: Arc::clone(&parts.listener_server),
            stop_processes: Arc::clone(&parts.stop_processes),
            clock: Arc::clone(&parts.clock),
            account: parts.has_account.clone(),
            desired,
            publisher,
            channels,
            descriptor: None,
            listener: None,
            revive: true,
            process: false,
            backoff: limits::RESTART_FIRST,
            up_since: None,
            said: None,
            refused: false,
            logged: None,
            settles: None,
            wanted: parts.wanted(),
        }
    }

    /// Until the service is dropped.
    pub(super) async fn run(mut self) {
        loop {
            self.set_off();
            if !self.idle().await {
                return;
            }
            if !*self.account.borrow() {
                self.set(TunnelState::WaitingForAccount);
                let mut desired = self.desired.clone();
                tokio::select! {
                    () = unwanted(&mut desired) => continue,
                    account = self.account.wait_for(|account| *account) => if account.is_err() {
                        return;
                    },
                }
            }
            self.serve().await;
        }
    }

    /// Off, until it is wanted. False: the service is gone.
    async fn idle(&mut self) -> bool {
        if self.descriptor.is_none() {
            let mut desired = self.desired.clone();
            let (provider, mut plugin) = (Arc::clone(&self.provider), self.provider.status());
            let (unloaded, mut loading) = (Arc::clone(&self.provider), self.provider.status());
            let broken = async move {
                let failed = |status: &PluginStatus| matches!(status.state, PluginState::Failed { .. });
                loading
                    .wait_for(failed)
                    .await
                    .is_ok()
                    .then(|| unloaded.broken())
                    .flatten()
            };
            let described = async move {
                let up = plugin
                    .wait_for(|status| status.state == PluginState::Running)
                    .await
                    .is_ok();
                if up { provider.describe().await.ok() } else { None }
            };
            tokio::select! {
                biased;
                wanted = desired.wait_for(|desired| desired.wanted) => return wanted.is_ok(),
                Some(descriptor) = described => self.learn(descriptor),
                // Nobody has to open it to learn that it cannot be opened.
                Some(trouble) = broken => self.set(TunnelState::Failed {
                    why: trouble.why,
                    hint: trouble.fix,
                }),
            }
        }
        self.desired.wait_for(|desired| desired.wanted).await.is_ok()
    }

    /// Keeps it open until it is not wanted any more, then closes it.
    async fn serve(&mut self) {
        self.backoff = limits::RESTART_FIRST;
        self.revive = true;
        loop {
            let before = *self.desired.borrow_and_update();
            if !before.wanted {
                break;
            }
            match self.attempt().await {
                AttemptEnd::Unwanted => break,
                AttemptEnd::Again { why, hint, pause } => self.pause(before, why, hint, &pause).await,
                AttemptEnd::Never { why, hint } => {
                    // One that was only to replace another decides nothing about the tunnel, and the swap says why it failed.
                    let shown = self.publisher.is_shown();
                    if shown {
                        let (name, why) = (&self.tunnel.name, sentence(&why, hint.as_deref()));
                        tracing::warn!(tunnel = name, "tunnel {name} failed: {why}");
                    }
                    if std::mem::take(&mut self.refused) && shown {
                        forget(self.wanted.clone(), self.tunnel.name.clone()).await;
                    }
                    self.shut().await;
                    self.settle(before, TunnelState::Failed { why, hint });
                    let _ = self.desired.wait_for(|now| *now != before).await;
                }
            }
            self.revive = self.desired.borrow().starts != before.starts;
            if self.revive {
                // A new beginning: pauses that grew before it would stretch the plugin's crashes over more time than its budget
                // counts, and one that crashes each time would never reach the restart limit.
                self.backoff = limits::RESTART_FIRST;
            }
            if self.desired.has_changed().is_err() {
                break;
            }
        }
        self.set(TunnelState::Stopping);
        self.shut().await;
    }

    async fn pause(&mut self, before: Desired, why: String, hint: Option<String>, pause: &Pause) {
        if self.up_since.is_some() && !matches!(pause, Pause::Adopt) {
            self.publisher.outage_began();
        }
        if self
            .up_since
            .take()
            .is_some_and(|since| since.elapsed() >= limits::RESTART_WINDOW)
        {
            self.backoff = limits::RESTART_FIRST;
        }
        let length = match pause {
            Pause::Long => limits::RETRY_LATER,
            Pause::Look => limits::BACKEND_CHECK,
            Pause::Backoff | Pause::Adopt => {
                let length = self.backoff;
                self.backoff = (self.backoff * 2).min(limits::RESTART_MAX);
                length
            }
        };
        // What is looked for every few seconds is said once; a swap that fails is not tried again, and says itself why.
        if self.said.replace(why.clone()).as_ref() != Some(&why) && self.publisher.is_shown() {
            let name = &self.tunnel.name;
            let why = format!("{} {}", sentence(&why, None), retried(pause, length));
            tracing::warn!(
                tunnel = name,
                "tunnel {name} is not open: {}",
                sentence(&why, hint.as_deref())
            );
        }
        if matches!(pause, Pause::Adopt) {
            self.settle(before, TunnelState::Reconnecting { why });
        } else {
            self.forget_url();
            self.logged = None;
            let at = self.clock.now() + millis(length);
            self.settle(before, TunnelState::Waiting { why, hint, at });
        }
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            _ = self.desired.wait_for(|now| *now != before) => {}
        }
    }

    /// From nothing, or from what the last attempt left, to the end of one run.
    async fn attempt(&mut self) -> AttemptEnd {
        let mut desired = self.desired.clone();
        let prepared = tokio::select! {
            prepared = self.prepare() => prepared,
            () = unwanted(&mut desired) => Err(AttemptEnd::Unwanted),
        };
        let address = match prepared {
            Ok(address) => address,
            Err(end) => return end,
        };
        // A process that is adopted may be serving all the time.
        if self.publisher.status().borrow().url.is_none() {
            self.set(TunnelState::Starting {
                what: OPENING.to_owned(),
            });
        }
        // Not abandoned in the middle: what it started has to be closed again.
        self.process = true;
        // The provider has a limit of its own for this, which the operator may raise (`limits.call`).
        match self.provider.run(address).await {
            Ok(run) => self.follow(run).await,
            Err(error) => error.into(),
        }
    }

    /// Everything before the run. Gives the listener's address.
    async fn prepare(&mut self) -> Result<SocketAddr, AttemptEnd> {
        self.plugin_up().await?;
        let descriptor = self.provider.describe().await?;
        self.learn(descriptor.clone());
        if descriptor.encryption == Encryption::None && !self.tunnel.allow_plaintext {
            return Err(self.plaintext(no_tls(&self.tunnel.name, &descriptor.title).why));
        }
        let availability = self.provider.check_availability().await?;
        if let Some(Problem { why, fix }) = Problem::of(availability, &descriptor.title) {
            return Err(AttemptEnd::Again {
                why,
                hint: fix,
                pause: Pause::Look,
            });
        }
        match &self.listener {
            Some(listener) => Ok(listener.address),
            None => self.listen(&descriptor).await,
        }
    }

    async fn plugin_up(&mut self) -> Result<(), AttemptEnd> {
        let mut status = self.provider.status();
        let mut started = false;
        loop {
            let state = status.borrow_and_update().state.clone();
            match state {
                PluginState::Running => return Ok(()),
                PluginState::Stopped if !started => {
                    started = true;
                    self.provider.start();
                }
                PluginState::Failed { .. } if self.revive && !started => {
                    started = true;
                    self.provider.start();
                }
                PluginState::Failed { .. } if let Some(trouble) = self.provider.broken() => {
                    return Err(AttemptEnd::Never {
                        why: trouble.why,
                        hint: trouble.fix,
                    });
                }
                PluginState::Failed { cause } => {
                    let why = format!(
                        "the plugin {} crashed and reached its restart limit: {cause}",
                        self.tunnel.plugin
                    );
                    return Err(AttemptEnd::Never {
                        why,
                        hint: Some("open the tunnel again, which restarts the plugin".to_owned()),
                    });
                }
                PluginState::Restarting { cause, .. } => self.show_plugin(&format!("the plugin crashed: {cause}")),
                PluginState::Stopped | PluginState::Starting => self.show_plugin("the plugin is starting"),
            }
            if status.changed().await.is_err() {
                return Err(AttemptEnd::Never {
                    why: format!("the plugin {} has ended", self.tunnel.plugin),
                    hint: None,
                });
            }
        }
    }

    /// While the process of a crashed plugin may still be serving, that is what is shown.
    fn show_plugin(&self, what: &str) {
        self.set(if self.listener.is_some() {
            TunnelState::Reconnecting { why: what.to_owned() }
        } else {
            TunnelState::Starting { what: what.to_owned() }
        });
    }

    /// One run, to its outcome.
    async fn follow(&mut self, mut run: TunnelRun) -> AttemptEnd {
        let mut desired = self.desired.clone();
        // What was found before this run says nothing of it.
        while self.channels.repairs.try_recv().is_ok() {}
        loop {
            let settles = self.settles;
            let event = tokio::select! {
                biased;
                () = unwanted(&mut desired) => {
                    self.set(TunnelState::Stopping);
                    self.cancel(run).await;
                    return AttemptEnd::Unwanted;
                }
                event = run.events.recv() => event,
                () = at(settles) => {
                    self.settled();
                    continue;
                }
                Some(why) = self.channels.repairs.recv() => return self.repair(run, why).await,
            };
            let Some(event) = event else { break };
            if let Err(end) = self.apply(event) {
                self.cancel(run).await;
                return end;
            }
        }
        // `outcome` follows the last event.
        match timeout(limits::PLUGIN_CANCEL, &mut run.outcome).await {
            Ok(Ok(Ok(()))) => {
                let why = format!(
                    "the plugin {} ended the tunnel without reporting a reason",
                    self.tunnel.plugin
                );
                AttemptEnd::Again {
                    why,
                    hint: None,
                    pause: Pause::Backoff,
                }
            }
            Ok(Ok(Err(failure))) => failure.into(),
            Ok(Err(_)) => CallError::Crashed(self.cause()).into(),
            Err(_) => {
                self.cancel(run).await;
                CallError::Timeout("the plugin stopped reporting before the tunnel had ended".to_owned()).into()
            }
        }
    }

    /// The provider says that it works, or that it reconnects, and it is proved that nobody gets through: it is started
    /// again, since one whose program cannot know that its connection is dead waits for ever.
    async fn repair(&mut self, run: TunnelRun, why: String) -> AttemptEnd {
        let why = format!("The public address does not reach Nexus: {why}");
        tracing::warn!(
            tunnel = self.tunnel.name,
            why,
            "the connection of the tunnel is dead; restarting its provider"
        );
        self.publisher.outage_began();
        self.set(TunnelState::Reconnecting { why: why.clone() });
        self.cancel(run).await;
        // The log has it.
        self.said = Some(why.clone());
        self.backoff = limits::RESTART_FIRST;
        AttemptEnd::Again {
            why,
            hint: None,
            pause: Pause::Backoff,
        }
    }

    fn apply(&mut self, event: TunnelEvent) -> Result<(), AttemptEnd> {
        match event {
            TunnelEvent::Starting(what) => self.set(TunnelState::Starting { what }),
            TunnelEvent::Url(url) => {
                self.publish(url)?;
                self.log_open();
            }
            TunnelEvent::Ready(connections) => {
                self.up_since.get_or_insert_with(Instant::now);
                self.set(TunnelState::Up { connections });
                self.publisher.back(NoticedBy::Provider);
                self.log_open();
            }
            TunnelEvent::Degraded(why) => {
                self.set(TunnelState::Degraded { why });
                self.publisher.back(NoticedBy::Provider);
            }
            TunnelEvent::Reconnecting(why) => {
                // One that never was open is not lost.
                if self.up_since.is_some() {
                    self.publisher.lost(NoticedBy::Provider, &why);
                }
                self.set(TunnelState::Reconnecting { why });
            }
            TunnelEvent::Measured(statistics) => {
                let now = self.clock.now();
                self.update(|status| status.statistics = Some((now, statistics)));
            }
        }
        Ok(())
    }

    /// Cancels a run and waits for its end; a plugin that does not end is ended from outside.
    async fn cancel(&mut self, run: TunnelRun) {
        let TunnelRun {
            mut events,
            mut outcome,
            cancel,
        } = run;
        let _ = cancel.send(());
        let end = async {
            while events.recv().await.is_some() {}
            (&mut outcome).await
        };
        match timeout(limits::PLUGIN_CANCEL, end).await {
            Ok(Ok(Ok(()))) => self.process = false,
            Ok(Ok(Err(failure))) => tracing::warn!(
                tunnel = self.tunnel.name,
                failure.message,
                "the tunnel did not close cleanly"
            ),
            Ok(Err(_)) => tracing::warn!(
                tunnel = self.tunnel.name,
                "the plugin crashed while it closed the tunnel"
            ),
            Err(_) => {
                tracing::warn!(
                    tunnel = self.tunnel.name,
                    "the plugin did not close the tunnel in time; stopping the plugin"
                );
                self.provider.stop().await;
            }
        }
    }

    /// Nothing is left: no process, no listener, no address.
    async fn shut(&mut self) {
        if std::mem::take(&mut self.process) {
            (self.stop_processes)(self.tunnel.process_owner()).await;
        }
        self.publisher.closed();
        self.up_since = None;
        self.opened(None);
        self.forget_url();
        if self.logged.take().is_some() {
            tracing::info!(tunnel = self.tunnel.name, "the tunnel is closed");
        }
        if let Some(listener) = self.listener.take() {
            let _ = timeout(limits::LISTENER_CLOSE, listener.handle.close()).await;
        }
    }

    fn cause(&self) -> String {
        let status = self.provider.status();
        let failure = status.borrow().last_failure.clone();
        failure.map_or_else(|| "the cause is unknown".to_owned(), |failure| failure.message)
    }

    fn learn(&mut self, descriptor: Descriptor) {
        self.update(|status| {
            status.title.clone_from(&descriptor.title);
            status.encryption = Some(descriptor.encryption);
        });
        self.descriptor = Some(descriptor);
    }

    fn set(&self, state: TunnelState) {
        let now = self.clock.now();
        self.update(|status| {
            if status.state != state {
                status.state = state;
                status.since = now;
            }
        });
    }

    /// What came of an order. Nothing where a newer one waits: its own result is what is asked for.
    fn settle(&self, order: Desired, state: TunnelState) {
        let now = self.clock.now();
        self.update(|status| {
            if *self.desired.borrow() == order && status.state != state {
                status.state = state;
                status.since = now;
            }
        });
    }

    /// Off, where nobody has said "open" meanwhile.
    fn set_off(&self) {
        let now = self.clock.now();
        self.update(|status| {
            if !self.desired.borrow().wanted && status.state != TunnelState::Off {
                status.state = TunnelState::Off;
                status.since = now;
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut TunnelStatus)) {
        self.publisher.update(change);
    }
}

/// When a tunnel that is not open is tried again.
fn retried(pause: &Pause, length: Duration) -> String {
    let seconds = length.as_secs_f32().ceil();
    match pause {
        Pause::Look => format!("Nexus retries every {seconds} s."),
        Pause::Long | Pause::Backoff | Pause::Adopt => format!("Nexus retries in {seconds} s."),
    }
}

/// A start that was refused for want of TLS must not become a public address with a later change of the configuration.
async fn forget(wanted: WantedTunnels, tunnel: String) {
    if let Err(error) = wanted.save(&tunnel, false).await {
        tracing::warn!(tunnel, error, "cannot save that the tunnel stays closed");
    }
}

/// Until it is not wanted any more, or the service is gone.
async fn unwanted(desired: &mut watch::Receiver<Desired>) {
    let _ = desired.wait_for(|desired| !desired.wanted).await;
}

/// At this time, or never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
