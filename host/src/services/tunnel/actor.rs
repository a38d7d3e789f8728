//! The life of one tunnel.

use super::end::{End, Pause};
use super::ingress::{Ingress, IngressHandle, IngressInfo, Proof};
use super::seat::Seat;
use super::{Parts, Spec, WantedStore};
use crate::config::resolved;
use crate::limits;
use crate::model::plugin::{self, Availability};
use crate::model::tunnel::{Descriptor, Encryption, Event, State, Status, public_address};
use crate::runtime::port::{CallError, TunnelProvider, TunnelRun};
use crate::services::StopProcesses;
use crate::time::{Clock, Millis};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Desired {
    pub(super) wanted: bool,
    /// Grows when the operator says "now": ends a pause and a failure.
    pub(super) kicks: u64,
}

/// The listener while it is open. It outlives single runs: the provider's process keeps leading to its port when
/// the plugin fell and a fresh instance adopts it.
struct Door {
    address: SocketAddr,
    hosts: watch::Sender<Vec<String>>,
    handle: IngressHandle,
}

/// What the listener and the rest of the service tell each other about who comes through.
#[derive(Clone)]
pub(super) struct Visitors {
    pub(super) proof: Proof,
    /// Where they are to go instead.
    pub(super) moved: watch::Receiver<Option<String>>,
    /// Live sockets.
    pub(super) sockets: Arc<watch::Sender<usize>>,
}

pub(super) struct Actor {
    tunnel: resolved::Tunnel,
    provider: Arc<dyn TunnelProvider>,
    ingress: Arc<dyn Ingress>,
    stop_processes: StopProcesses,
    clock: Arc<dyn Clock>,
    account: watch::Receiver<bool>,
    desired: watch::Receiver<Desired>,
    seat: Arc<Seat>,
    visitors: Visitors,
    descriptor: Option<Descriptor>,
    door: Option<Door>,
    /// The operator has just said "now": a plugin that gave up is started again.
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
    wanted: Arc<dyn WantedStore>,
}

impl Actor {
    pub(super) fn new(
        spec: Spec,
        parts: &Parts,
        desired: watch::Receiver<Desired>,
        seat: Arc<Seat>,
        visitors: Visitors,
    ) -> Self {
        Self {
            tunnel: spec.config,
            provider: spec.provided.provider,
            ingress: Arc::clone(&parts.ingress),
            stop_processes: Arc::clone(&parts.stop_processes),
            clock: Arc::clone(&parts.clock),
            account: parts.has_account.clone(),
            desired,
            seat,
            visitors,
            descriptor: None,
            door: None,
            revive: true,
            process: false,
            backoff: limits::RESTART_FIRST,
            up_since: None,
            said: None,
            refused: false,
            logged: None,
            wanted: Arc::clone(&parts.wanted),
        }
    }

    /// Until the service is dropped.
    pub(super) async fn run(mut self) {
        loop {
            self.set(State::Off);
            if !self.idle().await {
                return;
            }
            if !*self.account.borrow() {
                self.set(State::WaitingForAccount);
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
                let failed = |status: &plugin::Status| matches!(status.state, plugin::State::Failed { .. });
                loading
                    .wait_for(failed)
                    .await
                    .is_ok()
                    .then(|| unloaded.broken())
                    .flatten()
            };
            let described = async move {
                let up = plugin
                    .wait_for(|status| status.state == plugin::State::Running)
                    .await
                    .is_ok();
                if up { provider.describe().await.ok() } else { None }
            };
            tokio::select! {
                biased;
                wanted = desired.wait_for(|desired| desired.wanted) => return wanted.is_ok(),
                Some(descriptor) = described => self.learn(descriptor),
                // Nobody has to open it to learn that it cannot be opened.
                Some(trouble) = broken => self.set(State::Failed {
                    why: trouble.why,
                    hint: trouble.fix.map(|fix| format!("To fix: {fix}")),
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
                End::Unwanted => break,
                End::Again { why, hint, pause } => self.pause(before, why, hint, &pause).await,
                End::Never { why, hint } => {
                    tracing::warn!(tunnel = self.tunnel.name, why, "the tunnel failed");
                    // One that was only to take over decides nothing about the tunnel.
                    if std::mem::take(&mut self.refused) && self.seat.is_shown() {
                        forget(Arc::clone(&self.wanted), self.tunnel.name.clone()).await;
                    }
                    self.shut().await;
                    self.set(State::Failed { why, hint });
                    let _ = self.desired.wait_for(|now| *now != before).await;
                }
            }
            self.revive = self.desired.borrow().kicks != before.kicks;
            if self.revive {
                // A new beginning: pauses that grew before it would stretch the plugin's falls over more time than its budget
                // counts, and one that falls each time would never be given up again.
                self.backoff = limits::RESTART_FIRST;
            }
            if self.desired.has_changed().is_err() {
                break;
            }
        }
        self.set(State::Stopping);
        self.shut().await;
    }

    async fn pause(&mut self, before: Desired, why: String, hint: Option<String>, pause: &Pause) {
        // What is looked for every few seconds is said once.
        if self.said.replace(why.clone()).as_ref() != Some(&why) {
            tracing::warn!(tunnel = self.tunnel.name, why, "the tunnel is tried again");
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
            Pause::Look => limits::LOOK_AGAIN,
            Pause::Backoff | Pause::Adopt => {
                let length = self.backoff;
                self.backoff = (self.backoff * 2).min(limits::RESTART_MAX);
                length
            }
        };
        if matches!(pause, Pause::Adopt) {
            self.set(State::Reconnecting { why });
        } else {
            self.forget_url();
            self.logged = None;
            self.set(State::Waiting {
                why,
                hint,
                at: self.clock.now() + millis(length),
            });
        }
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            _ = self.desired.wait_for(|now| *now != before) => {}
        }
    }

    /// From nothing, or from what the last attempt left, to the end of one run.
    async fn attempt(&mut self) -> End {
        let mut desired = self.desired.clone();
        let prepared = tokio::select! {
            prepared = self.prepare() => prepared,
            () = unwanted(&mut desired) => Err(End::Unwanted),
        };
        let address = match prepared {
            Ok(address) => address,
            Err(end) => return end,
        };
        // A process that is adopted may be serving all the time.
        if self.seat.status().borrow().url.is_none() {
            self.set(State::Starting {
                what: "opening the tunnel".to_owned(),
            });
        }
        // Not given up in the middle: what it started has to be closed again.
        self.process = true;
        // The provider has a limit of its own for this, which the operator may raise (`limits.call`).
        match self.provider.run(address).await {
            Ok(run) => self.follow(run).await,
            Err(error) => error.into(),
        }
    }

    /// Everything before the run. Gives the listener's address.
    async fn prepare(&mut self) -> Result<SocketAddr, End> {
        self.plugin_up().await?;
        let descriptor = self.provider.describe().await?;
        self.learn(descriptor.clone());
        if descriptor.encryption == Encryption::None && !self.tunnel.allow_plaintext {
            return Err(self.plaintext(format!(
                "{} has no TLS: passwords and cookies would cross the network in the clear",
                descriptor.title
            )));
        }
        match self.provider.probe().await? {
            Availability::Ready(version) => {
                tracing::debug!(tunnel = self.tunnel.name, version, "the provider is there")
            }
            Availability::Missing(hint) => {
                let why = format!("The program behind {} is missing.", descriptor.title);
                return Err(End::Again {
                    why,
                    hint: Some(hint),
                    pause: Pause::Look,
                });
            }
            Availability::Unsuitable(hint) => {
                let why = format!("The program behind {} cannot be used.", descriptor.title);
                return Err(End::Again {
                    why,
                    hint: Some(hint),
                    pause: Pause::Look,
                });
            }
        }
        match &self.door {
            Some(door) => Ok(door.address),
            None => self.listen(&descriptor).await,
        }
    }

    async fn plugin_up(&mut self) -> Result<(), End> {
        let mut status = self.provider.status();
        let mut started = false;
        loop {
            let state = status.borrow_and_update().state.clone();
            match state {
                plugin::State::Running => return Ok(()),
                plugin::State::Stopped if !started => {
                    started = true;
                    self.provider.start();
                }
                plugin::State::Failed { .. } if self.revive && !started => {
                    started = true;
                    self.provider.start();
                }
                plugin::State::Failed { .. } if let Some(trouble) = self.provider.broken() => {
                    return Err(End::Never {
                        why: trouble.why,
                        hint: trouble.fix.map(|fix| format!("To fix: {fix}")),
                    });
                }
                plugin::State::Failed { cause } => {
                    let why = format!("the plugin {} fell too often: {cause}", self.tunnel.plugin);
                    return Err(End::Never {
                        why,
                        hint: Some("Open the tunnel again to start the plugin anew.".to_owned()),
                    });
                }
                plugin::State::Restarting { cause, .. } => self.show_plugin(&format!("the plugin fell: {cause}")),
                plugin::State::Stopped | plugin::State::Starting => self.show_plugin("the plugin is being started"),
            }
            if status.changed().await.is_err() {
                return Err(End::Never {
                    why: format!("the plugin {} is gone", self.tunnel.plugin),
                    hint: None,
                });
            }
        }
    }

    /// While the process of a fallen plugin may still be serving, that is what is shown.
    fn show_plugin(&self, what: &str) {
        self.set(if self.door.is_some() {
            State::Reconnecting { why: what.to_owned() }
        } else {
            State::Starting { what: what.to_owned() }
        });
    }

    async fn listen(&mut self, descriptor: &Descriptor) -> Result<SocketAddr, End> {
        let wanted = self.tunnel.listen;
        if !wanted.ip().is_loopback() {
            return Err(End::Never {
                why: format!("the tunnel's own listener has to be on loopback, not on {wanted}"),
                hint: Some(format!("[tunnel.{}]\nlisten = \"127.0.0.1:0\"", self.tunnel.name)),
            });
        }
        let failed = |error: std::io::Error| End::Again {
            why: format!("cannot listen on {wanted}: {error}"),
            hint: Some(format!(
                "Stop what has that port, or take any:\n[tunnel.{}]\nlisten = \"127.0.0.1:0\"",
                self.tunnel.name
            )),
            pause: Pause::Backoff,
        };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (hosts, receiver) = watch::channel(self.tunnel.hosts.clone());
        let info = IngressInfo {
            listener,
            hosts: receiver,
            client_address_header: descriptor
                .client_address_header
                .as_ref()
                .map(|name| name.to_ascii_lowercase()),
            https: descriptor.encryption != Encryption::None,
            proof: self.visitors.proof.clone(),
            moved: self.visitors.moved.clone(),
            sockets: Arc::clone(&self.visitors.sockets),
        };
        let handle = self.ingress.open(&self.tunnel.name, info).await;
        let handle = handle.map_err(|why| End::Again {
            why,
            hint: None,
            pause: Pause::Backoff,
        })?;
        self.door = Some(Door { address, hosts, handle });
        Ok(address)
    }

    /// One run, to its outcome.
    async fn follow(&mut self, mut run: TunnelRun) -> End {
        let mut desired = self.desired.clone();
        loop {
            let event = tokio::select! {
                biased;
                () = unwanted(&mut desired) => {
                    self.set(State::Stopping);
                    self.cancel(run).await;
                    return End::Unwanted;
                }
                event = run.events.recv() => event,
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
                    "the plugin {} ended the tunnel by itself and gave no reason",
                    self.tunnel.plugin
                );
                End::Again {
                    why,
                    hint: None,
                    pause: Pause::Backoff,
                }
            }
            Ok(Ok(Err(failure))) => failure.into(),
            Ok(Err(_)) => CallError::Crashed(self.cause()).into(),
            Err(_) => {
                self.cancel(run).await;
                CallError::Timeout("the plugin reported nothing more, and no outcome".to_owned()).into()
            }
        }
    }

    fn apply(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Starting(what) => self.set(State::Starting { what }),
            Event::Url(url) => {
                self.publish(url)?;
                self.log_open();
            }
            Event::Ready(connections) => {
                self.up_since.get_or_insert_with(Instant::now);
                self.set(State::Up { connections });
                self.log_open();
            }
            Event::Degraded(why) => self.set(State::Degraded { why }),
            Event::Reconnecting(why) => self.set(State::Reconnecting { why }),
            Event::Measured(figures) => {
                let now = self.clock.now();
                self.update(|status| status.figures = Some((now, figures)));
            }
        }
        Ok(())
    }

    fn publish(&mut self, url: String) -> Result<(), End> {
        let refused = |why: &str| End::Never {
            why: format!("the provider reported `{url}` as the public address; {why}"),
            hint: None,
        };
        let url = public_address(&url).map_err(refused)?;
        let (scheme, host) = url.split_once("://").unwrap_or_default();
        let host = host.to_owned();
        if scheme == "http" && !self.tunnel.allow_plaintext {
            return Err(self.plaintext(format!("the provider reported an address without TLS: {url}")));
        }
        if let Some(door) = &self.door {
            let mut hosts = self.tunnel.hosts.clone();
            hosts.push(host);
            door.hosts.send_replace(hosts);
        }
        self.update(|status| status.url = Some(url));
        Ok(())
    }

    /// Once for each address: whoever has only the terminal learns it there.
    fn log_open(&mut self) {
        let status = self.seat.status().borrow().clone();
        let (State::Up { .. }, Some(url)) = (status.state, status.url) else {
            return;
        };
        self.said = None;
        if self.logged.as_ref() != Some(&url) {
            tracing::info!(tunnel = self.tunnel.name, url, "the tunnel is open");
            self.logged = Some(url);
        }
    }

    fn plaintext(&mut self, why: String) -> End {
        self.refused = true;
        let hint = format!(
            "If you accept that, add the last of these lines to the table in the configuration:\n[tunnel.{}]\nallow_plaintext = true",
            self.tunnel.name
        );
        End::Never { why, hint: Some(hint) }
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
            Ok(Err(_)) => tracing::warn!(tunnel = self.tunnel.name, "the plugin fell while it closed the tunnel"),
            Err(_) => {
                tracing::warn!(
                    tunnel = self.tunnel.name,
                    "the plugin did not close the tunnel in time; it is ended"
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
        self.forget_url();
        if self.logged.take().is_some() {
            tracing::info!(tunnel = self.tunnel.name, "the tunnel is closed");
        }
        if let Some(door) = self.door.take() {
            let _ = timeout(limits::PROCESS_GRACE, door.handle.close()).await;
        }
    }

    fn forget_url(&mut self) {
        self.update(|status| (status.url, status.figures) = (None, None));
        if let Some(door) = &self.door {
            door.hosts.send_replace(self.tunnel.hosts.clone());
        }
    }

    fn cause(&self) -> String {
        let status = self.provider.status();
        let failure = status.borrow().last_failure.clone();
        failure.map_or_else(|| "no cause is known yet".to_owned(), |failure| failure.message)
    }

    fn learn(&mut self, descriptor: Descriptor) {
        self.update(|status| {
            status.title.clone_from(&descriptor.title);
            status.encryption = Some(descriptor.encryption);
        });
        self.descriptor = Some(descriptor);
    }

    fn set(&self, state: State) {
        let now = self.clock.now();
        self.update(|status| {
            if status.state != state {
                status.state = state;
                status.since = now;
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut Status)) {
        self.seat.update(change);
    }
}

/// A start that was refused for want of TLS must not become a public address with a later change of the configuration.
async fn forget(wanted: Arc<dyn WantedStore>, tunnel: String) {
    if let Err(error) = wanted.save(&tunnel, false).await {
        tracing::warn!(tunnel, error, "it cannot be remembered that the tunnel stays closed");
    }
}

/// Until it is not wanted any more, or the service is gone.
async fn unwanted(desired: &mut watch::Receiver<Desired>) {
    let _ = desired.wait_for(|desired| !desired.wanted).await;
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
