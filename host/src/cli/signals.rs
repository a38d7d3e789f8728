//! The signals that end Nexus.

use tokio::sync::mpsc;

/// What somebody asked for from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C.
    Interrupt,
    /// A service manager, or `kill`.
    Terminate,
    /// The terminal was closed.
    HangUp,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "Ctrl-C",
            Self::Terminate => "SIGTERM",
            Self::HangUp => "SIGHUP",
        })
    }
}

/// Catches the signals from its creation on: one that arrives early is not lost, and does not kill.
#[derive(Debug)]
pub struct Stops(mpsc::UnboundedReceiver<Stop>);

impl Stops {
    /// Call it within the runtime.
    ///
    /// # Errors
    /// The operating system refuses the handlers.
    #[cfg(unix)]
    pub fn catch() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (sender, receiver) = mpsc::unbounded_channel();
        let kinds = [
            (SignalKind::interrupt(), Stop::Interrupt),
            (SignalKind::terminate(), Stop::Terminate),
            (SignalKind::hangup(), Stop::HangUp),
        ];
        for (kind, stop) in kinds {
            let mut signals = signal(kind)?;
            let sender = sender.clone();
            tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(stop).is_ok() {} });
        }
        Ok(Self(receiver))
    }

    /// Call it within the runtime.
    ///
    /// # Errors
    /// The operating system refuses the handlers.
    #[cfg(not(unix))]
    pub fn catch() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(
            async move { while tokio::signal::ctrl_c().await.is_ok() && sender.send(Stop::Interrupt).is_ok() {} },
        );
        Ok(Self(receiver))
    }

    /// The next request to stop. The first one means: in order. A second one while that takes its time means: now.
    pub async fn next(&mut self) -> Stop {
        match self.0.recv().await {
            Some(stop) => stop,
            // Nobody can ask any more.
            None => std::future::pending().await,
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_that_arrives_before_anybody_waits_is_kept() {
        let mut stops = Stops::catch().unwrap();
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::HUP).unwrap();
        assert_eq!(stops.next().await, Stop::HangUp);
    }
}
