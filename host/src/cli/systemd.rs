//! What the service manager is told: systemd's protocol, sd_notify(3). Without `NOTIFY_SOCKET` nothing is sent. (The
//! variables stay in our environment, since taking one out is unsafe once a thread lives; no child gets them:
//! [`nexus_process::is_our_own`].)

#[cfg(unix)]
use sd_notify::NotifyState;
use std::time::Duration;

/// Other systems have no such protocol.
#[cfg(not(unix))]
enum NotifyState<'a> {
    Ready,
    Stopping,
    Status(&'a str),
    ExtendTimeoutUsec(u32),
    Watchdog,
}

/// `Manager` is the service manager, or nobody.
#[derive(Debug, Default)]
pub(super) struct Manager {
    listens: bool,
    watchdog: Option<Duration>,
}

impl Manager {
    /// Finds the one that started this process. Where it cannot be reached, the log says so, and nothing is sent.
    #[cfg(unix)]
    pub(super) fn of_this_process() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        if !matches!(name.as_encoded_bytes(), [b'/' | b'@', ..]) {
            tracing::warn!(
                "cannot notify the service manager: NOTIFY_SOCKET={}: expected the absolute path of a socket, or @ \
                 followed by an abstract name",
                name.display()
            );
            return Self::default();
        }
        Self {
            listens: true,
            // Less cannot be halved.
            watchdog: sd_notify::watchdog_enabled().filter(|limit| *limit > Duration::from_micros(1)),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn of_this_process() -> Self {
        Self::default()
    }

    /// Says that Nexus is up, and how.
    pub(super) fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
    }

    /// Says that Nexus is not up yet, and at work on it: a start that compiles for long is no start that hangs.
    pub(super) fn starting(&self, what: &str) {
        self.send(&[
            NotifyState::ExtendTimeoutUsec(30_000_000),
            NotifyState::Status(&one_line(&format!("Starting: {what}"))),
        ]);
    }

    /// Sends a line for `systemctl status`.
    pub(super) fn status(&self, status: &str) {
        self.send(&[NotifyState::Status(&one_line(status))]);
    }

    pub(super) fn stopping(&self) {
        self.send(&[
            NotifyState::Stopping,
            NotifyState::Status("Stopping the tunnels, then the page, then the programs"),
        ]);
    }

    /// Says again and again that this process is alive, as long as it is. Returns at once where nobody watches.
    pub(super) async fn keep_watchdog_calm(&self) {
        if let Some(limit) = self.watchdog {
            while_alive(limit / 2, || self.send(&[NotifyState::Watchdog])).await;
        }
    }

    #[cfg(unix)]
    fn send(&self, states: &[NotifyState<'_>]) {
        if self.listens
            && let Err(error) = notify(states)
        {
            tracing::debug!(%error, "the service manager is not listening");
        }
    }

    #[cfg(not(unix))]
    fn send(&self, _: &[NotifyState<'_>]) {
        let _ = self.listens;
    }
}

/// Calls `tell` once each time, as long as this process lives: a timer fires, a task runs, and the pool that reads the
/// database has a free thread.
async fn while_alive(every: Duration, tell: impl Fn()) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let alive = tokio::time::timeout(every, async { tokio::task::spawn_blocking(|| ()).await.is_ok() }).await;
        if alive == Ok(true) {
            tell();
        }
    }
}

#[cfg(unix)]
fn notify(states: &[NotifyState<'_>]) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Some(name) = std::env::var_os("NOTIFY_SOCKET")
        && let Some(name) = name.as_encoded_bytes().strip_prefix(b"@")
    {
        return notify_abstract(name, states);
    }
    sd_notify::notify(states)
}

/// `sd-notify` knows sockets with a path alone.
#[cfg(target_os = "linux")]
fn notify_abstract(name: &[u8], states: &[NotifyState<'_>]) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let text: String = states.iter().map(|state| format!("{state}\n")).collect();
    let address = SocketAddr::from_abstract_name(name)?;
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address)?;
    Ok(())
}

/// `one_line` has no line break, which would begin another word of the protocol.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_line_break_forges_no_word() {
        assert_eq!(one_line("up\nMAINPID=1\u{85}"), "up MAINPID=1 ");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_socket_is_reached() {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        let name = format!("nexus-test-{}", nexus_model::random::random_token().unwrap());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        notify_abstract(name.as_bytes(), &[NotifyState::Ready, NotifyState::Status("here")]).unwrap();
        let mut heard = [0; 64];
        let length = socket.recv(&mut heard).unwrap();
        assert_eq!(heard.get(..length).unwrap(), b"READY=1\nSTATUS=here\n");
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_calmed_twice_in_its_time() {
        let told = AtomicUsize::new(0);
        let calm = while_alive(Duration::from_secs(1), || {
            told.fetch_add(1, Ordering::Relaxed);
        });
        let _ = tokio::time::timeout(Duration::from_millis(2500), calm).await;
        assert_eq!(told.into_inner(), 3);
        // Nobody watches.
        Manager::default().keep_watchdog_calm().await;
    }
}
