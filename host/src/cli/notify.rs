//! What a service manager is told: systemd's protocol, sd_notify(3). One datagram for each word, to the socket that
//! `NOTIFY_SOCKET` names. Without the variable nothing is sent. (The variables stay in our environment, since taking one
//! out is unsafe once a thread lives; no child gets them: [`nexus_process::is_our_own`].)

use std::ffi::OsString;
use std::time::Duration;

/// The service manager, or nobody.
#[derive(Debug, Default)]
pub(super) struct Manager {
    #[cfg(unix)]
    to: Option<(std::os::unix::net::UnixDatagram, std::os::unix::net::SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that started this process. Where it cannot be reached, the log says so, and nothing is sent.
    pub(super) fn of_this_process() -> Self {
        Self::of(&|name| std::env::var_os(name), std::process::id()).unwrap_or_else(|why| {
            tracing::warn!("cannot notify the service manager: {why}");
            Self::default()
        })
    }

    /// # Errors
    /// `NOTIFY_SOCKET` names nothing that can be sent to.
    #[cfg(unix)]
    pub(super) fn of(env: &dyn Fn(&str) -> Option<OsString>, pid: u32) -> Result<Self, String> {
        let Some(name) = env("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self::default());
        };
        let address = address(&name).map_err(|why| format!("NOTIFY_SOCKET={}: {why}", name.display()))?;
        let socket = std::os::unix::net::UnixDatagram::unbound().map_err(|e| e.to_string())?;
        let number = |name| env(name)?.to_str()?.parse::<u64>().ok();
        // It is inherited by whoever is started without a care; then it is not meant for us.
        let ours = number("WATCHDOG_PID").is_none_or(|whose| whose == u64::from(pid));
        Ok(Self {
            to: Some((socket, address)),
            watchdog: number("WATCHDOG_USEC")
                .filter(|us| *us > 0 && ours)
                .map(Duration::from_micros),
        })
    }

    /// # Errors
    /// Never: other systems have no such protocol.
    #[cfg(not(unix))]
    pub(super) fn of(_: &dyn Fn(&str) -> Option<OsString>, _: u32) -> Result<Self, String> {
        Ok(Self::default())
    }

    /// Up, and how.
    pub(super) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// Not up yet, and at work on it: a start that compiles for long is no start that hangs.
    pub(super) fn starting(&self, what: &str) {
        self.send(&format!(
            "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=Starting: {}",
            one_line(what)
        ));
    }

    /// A line for `systemctl status`.
    pub(super) fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", one_line(status)));
    }

    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=Stopping the tunnels, then the page, then the programs");
    }

    /// Says again and again that this process is alive, as long as it is: a timer fires, a task runs, and the pool that
    /// reads the database has a free thread. Returns at once where nobody watches.
    pub(super) async fn keep_watchdog_calm(&self) {
        let Some(limit) = self.watchdog else { return };
        let every = limit / 2;
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let alive = tokio::time::timeout(every, async { tokio::task::spawn_blocking(|| ()).await.is_ok() }).await;
            if alive == Ok(true) {
                self.send("WATCHDOG=1");
            }
        }
    }

    #[cfg(unix)]
    fn send(&self, words: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = socket.send_to_addr(words.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager is not listening");
        }
    }

    #[cfg(not(unix))]
    fn send(&self, _: &str) {}
}

#[cfg(unix)]
fn address(name: &std::ffi::OsStr) -> Result<std::os::unix::net::SocketAddr, String> {
    use std::os::unix::net::SocketAddr;
    let bytes = name.as_encoded_bytes();
    match bytes.first() {
        Some(b'/') => SocketAddr::from_pathname(name).map_err(|e| e.to_string()),
        #[cfg(target_os = "linux")]
        Some(b'@') => {
            use std::os::linux::net::SocketAddrExt as _;
            let rest = bytes.strip_prefix(b"@").unwrap_or_default();
            SocketAddr::from_abstract_name(rest).map_err(|e| e.to_string())
        }
        _ => Err("expected the absolute path of a socket, or @ followed by an abstract name".to_owned()),
    }
}

/// A line break would begin another word of the protocol.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer.get(..length).unwrap().to_vec()).unwrap()
    }

    fn environment(socket: &str, more: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + use<> {
        let mut all = vec![("NOTIFY_SOCKET".to_owned(), OsString::from(socket))];
        all.extend(more.iter().map(|(n, v)| ((*n).to_owned(), OsString::from(v))));
        move |name| all.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }

    #[test]
    fn words_arrive_and_a_line_break_forges_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = Manager::of(&environment(path.to_str().unwrap(), &[]), 1).unwrap();
        manager.ready("up\nMAINPID=1");
        assert_eq!(heard(&socket), "READY=1\nSTATUS=up MAINPID=1");
        manager.stopping();
        assert!(heard(&socket).starts_with("STOPPING=1\n"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_socket_is_reached() {
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("nexus-test-{}", nexus_model::time::random_token().unwrap());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        let manager = Manager::of(&environment(&format!("@{name}"), &[]), 1).unwrap();
        manager.status("here");
        assert_eq!(heard(&socket), "STATUS=here");
    }

    #[test]
    fn nobody_and_nonsense_are_told_apart() {
        assert!(Manager::of(&|_| None, 1).unwrap().to.is_none());
        let why = Manager::of(&environment("vsock:2:1", &[]), 1).unwrap_err();
        assert!(
            why.contains("NOTIFY_SOCKET=vsock:2:1") && why.contains("expected"),
            "{why}"
        );
    }

    #[test]
    fn a_watchdog_of_another_process_is_none() {
        let limit = |more: &[(&str, &str)]| Manager::of(&environment("/nowhere", more), 7).unwrap().watchdog;
        assert_eq!(limit(&[("WATCHDOG_USEC", "3000000")]), Some(Duration::from_secs(3)));
        assert_eq!(
            limit(&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "7")]),
            Some(Duration::from_secs(3))
        );
        assert_eq!(limit(&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "8")]), None);
        assert_eq!(limit(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(limit(&[("WATCHDOG_USEC", "soon")]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_calmed_twice_in_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let env = environment(path.to_str().unwrap(), &[("WATCHDOG_USEC", "2000000")]);
        let manager = Manager::of(&env, 1).unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(2500), manager.keep_watchdog_calm()).await;
        for _ in 0..3 {
            assert_eq!(heard(&socket), "WATCHDOG=1");
        }
        // Nobody watches.
        Manager::default().keep_watchdog_calm().await;
    }
}
