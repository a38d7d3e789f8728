//! The actor: one task that keeps one tunnel, with one plugin, in the state that its operator wants.
//!
//! # Problem
//!
//! What is wanted changes at any moment: a stop while it opens, a start while it stops, an account that appears later.
//! Meanwhile the plugin crashes and comes back, its process serves on without it, a program is missing until somebody
//! installs it, and a provider says "up" where nobody gets through. A transition for each pair of these would be forgotten
//! for one of them, and what is left then is a process, a listener or a public address that nobody knows of.
//!
//! # Mechanism
//!
//! - A command is a value and not a message: [`Desired`] in a watch. [`Actor::serve`] compares it with what it does, so two
//!   stops are one, and a start that comes while it stops is seen when that is done.
//! - [`Actor::attempt`] goes from nothing, or from what the last attempt left, to the end of one run: the plugin is up, TLS is
//!   there or waived, the program is there, the listener is open; then the run, whose events become the status. What
//!   prepares a run is dropped when it is not wanted any more; a run is canceled and waited for, and its plugin is stopped
//!   from outside where it does not end within [`limits::PLUGIN_CANCEL`].
//! - [`AttemptEnd`] says what follows: nothing, another attempt after a [`Pause`], or none before somebody acts.
//! - The listener stays between attempts, and after a crash the address too: the process leads to the same port all the
//!   time, and the next instance adopts it. [`Actor::shut`] closes all of it, the process by the host's own table.
//! - Where the public check proves that nobody gets through, it ends the run as a failure of the provider does.
//! - What came of a command is published only while no newer command waits ([`Actor::settle`]).
//!
//! # Limits
//!
//! Between two instances nobody hears what the adopted process says. A stop takes as long as the plugin needs to close, and
//! a command that comes meanwhile waits for it. How often a plugin that crashes is restarted is its supervisor's matter: here
//! a "now" begins the pauses from the first one, or they would stretch the crashes over more time than its budget sees.
//!
//! # Cost
//!
//! A task for each tunnel, and a socket for each open one. Nothing runs while nothing happens.
//!
//! # Rejected
//!
//! - A queue of commands and a table of states: each command in each state is a case, and a queue keeps commands that a newer
//!   one has made pointless.
//! - One task for all tunnels: a plugin that does not close in time would hold up the others.
//! - A new listener for each run: an adopted process would lead to a port that another program may have got.

mod address;

use crate::attempt_end::{AttemptEnd, Pause, no_tls};
use crate::dependencies::{Dependencies, Spec};
use crate::origin_listener::{ListenerServer, OpenListener};
use crate::status_board::{NoticedBy, StatusPublisher};
use crate::task_channels::{Desired, OPENING, TaskChannels};
use crate::wanted_tunnels::WantedTunnels;
use nexus_config::resolved;
use nexus_model::chat::Ext;
use nexus_model::limits;
use nexus_model::plugin::{PluginState, PluginStatus};
use nexus_model::time::{Clock, millis};
use nexus_model::trouble::{Problem, sentence};
use nexus_model::tunnel::{Descriptor, Encryption, Measurement, TunnelEvent, TunnelState, TunnelStatus};
use nexus_plugin_traits::{CallError, CancelReason, StopProcesses, TunnelProvider, TunnelRun};
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
    /// `revive`: the operator has just said "now", so a plugin that failed is started again.
    revive: bool,
    /// `process`: a process of the provider may be there.
    process: bool,
    backoff: Duration,
    up_since: Option<Instant>,
    /// `said` is why it was last tried again.
    said: Option<String>,
    /// `refused`: it was not opened for want of TLS.
    refused: bool,
    /// `logged` is the address that the log has.
    logged: Option<String>,
    /// `settles` is when an address that was made just now is given out.
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

    /// Runs until the service is dropped.
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

    /// Stays off until the tunnel is wanted. False: the service is gone.
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
                    cause: trouble.cause,
                    fix: trouble.fix,
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
                AttemptEnd::Retry { cause, fix, pause } => self.pause(before, cause, fix, &pause).await,
                AttemptEnd::Fatal { cause, fix } => {
                    // One that was only to replace another decides nothing about the tunnel, and the swap says why it failed.
                    let shown = self.publisher.is_shown();
                    if shown {
                        let (name, cause) = (&self.tunnel.name, sentence(&cause, fix.as_deref()));
                        tracing::warn!(tunnel = name, "tunnel {name} failed: {cause}");
                    }
                    if std::mem::take(&mut self.refused) && shown {
                        forget(self.wanted.clone(), self.tunnel.name.clone()).await;
                    }
                    self.shut().await;
                    self.settle(before, TunnelState::Failed { cause, fix });
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

    async fn pause(&mut self, before: Desired, cause: String, fix: Option<String>, pause: &Pause) {
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
            Pause::AwaitInstall => limits::BACKEND_CHECK,
            Pause::Backoff | Pause::Adopt => {
                let length = self.backoff;
                self.backoff = (self.backoff * 2).min(limits::RESTART_MAX);
                length
            }
        };
        // What is looked for every few seconds is said once; a swap that fails is not tried again, and says itself why.
        if self.said.replace(cause.clone()).as_ref() != Some(&cause) && self.publisher.is_shown() {
            let name = &self.tunnel.name;
            let cause = format!("{} {}", sentence(&cause, None), retried(pause, length));
            tracing::warn!(
                tunnel = name,
                "tunnel {name} is not open: {}",
                sentence(&cause, fix.as_deref())
            );
        }
        if matches!(pause, Pause::Adopt) {
            self.settle(before, TunnelState::Reconnecting { cause });
        } else {
            self.forget_url();
            self.logged = None;
            let at = self.clock.now() + millis(length);
            self.settle(before, TunnelState::Waiting { cause, fix, at });
        }
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            _ = self.desired.wait_for(|now| *now != before) => {}
        }
    }

    /// Makes one attempt, from nothing, or from what the last one left, to the end of one run.
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
                progress: OPENING.to_owned(),
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

    /// Does everything before the run. Returns the listener's address.
    async fn prepare(&mut self) -> Result<SocketAddr, AttemptEnd> {
        self.plugin_up().await?;
        let descriptor = self.provider.describe().await?;
        self.learn(descriptor.clone());
        if descriptor.encryption == Encryption::None && !self.tunnel.allow_plaintext {
            return Err(self.plaintext(no_tls(&self.tunnel.name, &descriptor.title).cause));
        }
        let availability = self.provider.check_availability().await?;
        if let Some(Problem { cause, fix }) = Problem::of(availability, &descriptor.title) {
            return Err(AttemptEnd::Retry {
                cause,
                fix,
                pause: Pause::AwaitInstall,
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
                    return Err(AttemptEnd::Fatal {
                        cause: trouble.cause,
                        fix: trouble.fix,
                    });
                }
                PluginState::Failed { cause } => {
                    let cause = format!(
                        "the plugin {} crashed and reached its restart limit: {cause}",
                        self.tunnel.plugin
                    );
                    return Err(AttemptEnd::Fatal {
                        cause,
                        fix: Some("open the tunnel again, which restarts the plugin".to_owned()),
                    });
                }
                PluginState::Restarting { cause, .. } => self.show_plugin(&format!("the plugin crashed: {cause}")),
                PluginState::Stopped | PluginState::Starting => self.show_plugin("the plugin is starting"),
            }
            if status.changed().await.is_err() {
                return Err(AttemptEnd::Fatal {
                    cause: format!("the plugin {} has ended", self.tunnel.plugin),
                    fix: None,
                });
            }
        }
    }

    /// Shows what the plugin does, unless the process of a crashed plugin may still be serving: then that is what is
    /// shown.
    fn show_plugin(&self, what: &str) {
        self.set(if self.listener.is_some() {
            TunnelState::Reconnecting { cause: what.to_owned() }
        } else {
            TunnelState::Starting {
                progress: what.to_owned(),
            }
        });
    }

    /// Follows one run to its outcome.
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
                    let ending = desired.borrow().ending;
                    self.cancel(run, ending).await;
                    return AttemptEnd::Unwanted;
                }
                event = run.events.recv() => event,
                () = at(settles) => {
                    self.settled();
                    continue;
                }
                Some(cause) = self.channels.repairs.recv() => return self.repair(run, cause).await,
            };
            let Some(event) = event else { break };
            if let Err(end) = self.apply(event) {
                self.cancel(run, CancelReason::Replace).await;
                return end;
            }
        }
        // `outcome` follows the last event.
        match timeout(limits::PLUGIN_CANCEL, &mut run.outcome).await {
            Ok(Ok(Ok(()))) => {
                let cause = format!(
                    "the plugin {} ended the tunnel without reporting a reason",
                    self.tunnel.plugin
                );
                AttemptEnd::Retry {
                    cause,
                    fix: None,
                    pause: Pause::Backoff,
                }
            }
            Ok(Ok(Err(failure))) => failure.into(),
            Ok(Err(_)) => CallError::Crashed(self.cause()).into(),
            Err(_) => {
                self.cancel(run, CancelReason::Replace).await;
                CallError::Timeout("the plugin stopped reporting before the tunnel had ended".to_owned()).into()
            }
        }
    }

    /// Starts the provider again: it says that it works, or that it reconnects, and it is proved that nobody gets
    /// through. One whose program cannot know that its connection is dead waits for ever.
    async fn repair(&mut self, run: TunnelRun, cause: String) -> AttemptEnd {
        let cause = format!("The public address does not reach Nexus: {cause}");
        tracing::warn!(
            tunnel = self.tunnel.name,
            cause,
            "the connection of the tunnel is dead; restarting its provider"
        );
        self.publisher.outage_began();
        self.set(TunnelState::Reconnecting { cause: cause.clone() });
        self.cancel(run, CancelReason::Replace).await;
        // The log has it.
        self.said = Some(cause.clone());
        self.backoff = limits::RESTART_FIRST;
        AttemptEnd::Retry {
            cause,
            fix: None,
            pause: Pause::Backoff,
        }
    }

    fn apply(&mut self, event: TunnelEvent) -> Result<(), AttemptEnd> {
        match event {
            TunnelEvent::Starting(progress) => self.set(TunnelState::Starting { progress }),
            TunnelEvent::LoginNeeded(login)
                if self.publisher.status().borrow().state == TunnelState::LoginNeeded(login.clone()) => {}
            TunnelEvent::LoginNeeded(login) => {
                // Once for each attempt, and once for each answer of the provider to it: it may be asked again and again.
                if self.publisher.is_shown() && self.said.replace(login.to_string()) != Some(login.to_string()) {
                    tracing::warn!(tunnel = self.tunnel.name, "the tunnel is not open. To fix: {login}");
                }
                self.set(TunnelState::LoginNeeded(login));
            }
            TunnelEvent::Addresses(addresses) => {
                self.publish(addresses)?;
                self.log_open();
            }
            TunnelEvent::Ready(connections) => {
                self.up_since.get_or_insert_with(Instant::now);
                self.set(TunnelState::Up { connections });
                self.publisher.back(NoticedBy::Provider);
                self.log_open();
            }
            TunnelEvent::Degraded(cause) => {
                self.set(TunnelState::Degraded { cause });
                self.publisher.back(NoticedBy::Provider);
            }
            TunnelEvent::Reconnecting(cause) => {
                // One that never was open is not lost.
                if self.up_since.is_some() {
                    self.publisher.lost(NoticedBy::Provider, &cause);
                }
                self.set(TunnelState::Reconnecting { cause });
            }
            TunnelEvent::Measured(statistics) => {
                let now = self.clock.now();
                self.update(|status| status.statistics = Some(Measurement { at: now, statistics }));
            }
            TunnelEvent::Note(ext) => self.note(&ext),
        }
        Ok(())
    }

    /// Keeps what only the plugin has a word for, up to a number of values.
    fn note(&self, ext: &Ext) {
        self.update(|status| {
            if let Some(all) = status.ext.with(ext) {
                status.ext = all;
            }
        });
    }

    /// Cancels a run and waits for its end; a plugin that does not end is ended from outside.
    async fn cancel(&mut self, run: TunnelRun, reason: CancelReason) {
        let TunnelRun {
            mut events,
            mut outcome,
            cancel,
        } = run;
        let _ = cancel.send(reason);
        let end = async {
            while events.recv().await.is_some() {}
            (&mut outcome).await
        };
        match timeout(limits::PLUGIN_CANCEL, end).await {
            Ok(Ok(Ok(()))) => self.process = false,
            Ok(Ok(Err(failure))) => tracing::warn!(
                tunnel = self.tunnel.name,
                failure.cause,
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

    /// Closes everything: no process, no listener, no address is left.
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
        failure.map_or_else(|| "the cause is unknown".to_owned(), |failure| failure.cause)
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

    /// Publishes what came of a command. Nothing where a newer one waits: its own result is what is asked for.
    fn settle(&self, command: Desired, state: TunnelState) {
        let now = self.clock.now();
        self.update(|status| {
            if *self.desired.borrow() == command && status.state != state {
                status.state = state;
                status.since = now;
            }
        });
    }

    /// Shows the tunnel as off, where nobody has said "open" meanwhile.
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

/// `retried` says when a tunnel that is not open is tried again.
fn retried(pause: &Pause, length: Duration) -> String {
    let seconds = length.as_secs_f32().ceil();
    match pause {
        Pause::AwaitInstall => format!("Nexus retries every {seconds} s."),
        Pause::Long | Pause::Backoff | Pause::Adopt => format!("Nexus retries in {seconds} s."),
    }
}

/// Forgets that the tunnel was wanted: a start that was refused for want of TLS must not become a public address with a
/// later change of the configuration.
async fn forget(wanted: WantedTunnels, tunnel: String) {
    if let Err(error) = wanted.save(&tunnel, false).await {
        tracing::warn!(tunnel, %error, "cannot save that the tunnel stays closed");
    }
}

/// Waits until the tunnel is not wanted any more, or the service is gone.
async fn unwanted(desired: &mut watch::Receiver<Desired>) {
    let _ = desired.wait_for(|desired| !desired.wanted).await;
}

/// Waits for this time, or for ever.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
