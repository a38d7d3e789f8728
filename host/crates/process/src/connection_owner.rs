//! Who holds the other end of a connection of this machine.
//!
//! Problem: on plain HTTP a browser sends a cookie to every port of the host name. What an agent builds all day are pages on
//! other ports of this machine; their programs get the login's cookie, and could bring it to the page of Nexus themselves.
//!
//! Mechanism: the kernel knows to which user a socket belongs, and which processes hold it. A login that was made on loopback
//! counts only for the user whose program made it; and what this Nexus has started is turned away, as at the control socket
//! ([`crate::ancestry`]). All of it below this process: a shim and a host are subreapers, so nothing leaves that tree alive.
//!
//! Limits: Linux only; elsewhere nobody is told apart. Another program of the same user, which Nexus did not start, is let in
//! with the cookie: it could read the browser's profile, and the data folder, as well.
//!
//! Not by a second token in the page's own storage, which is kept for each port: what a browser opens by itself (a page, a
//! link, a form without a script) cannot send it, so the cookie would go on showing all that is to be read. Not by a name of
//! its own (`nexus.localhost`): every port has that name too.

use std::net::SocketAddr;

/// `Holder` is what is known of the program at the other end; nothing, where the kernel does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// `user` is the number of the user that the program runs as.
    pub user: Option<u32>,
    /// `ours` says that Nexus has started the program: a sentence that names the process.
    pub ours: Option<String>,
}

/// `of` finds the program behind the connection from `peer` to `port` of this machine; nothing, where `peer` is another machine's
/// address. Else it reads `/proc`, which takes milliseconds.
#[cfg(target_os = "linux")]
pub fn of(peer: SocketAddr, port: u16) -> Holder {
    linux::of(peer, port)
}

/// `of` knows nothing: elsewhere nobody is told apart.
#[cfg(not(target_os = "linux"))]
pub fn of(_: SocketAddr, _: u16) -> Holder {
    Holder::default()
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Holder;
    use crate::process_tree;
    use std::io::{BufRead as _, BufReader};
    use std::net::{IpAddr, SocketAddr, UdpSocket};

    /// `TRIES` is more than one because the table changes while it is read, and may miss a line then.
    const TRIES: usize = 3;

    /// Tells whether the address is one of this machine: only such a one can be bound. Nothing is sent. A client of this
    /// machine may come from any of them, whichever it connects to.
    pub(super) fn is_own(mut peer: SocketAddr) -> bool {
        peer.set_port(0);
        UdpSocket::bind(peer).is_ok()
    }

    pub(super) fn of(peer: SocketAddr, port: u16) -> Holder {
        if !is_own(peer) {
            return Holder::default();
        }
        let ends = Ends::new(peer, port);
        let found = (0..TRIES).find_map(|_| {
            ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
                let lines = BufReader::new(std::fs::File::open(table).ok()?).lines();
                lines.map_while(Result::ok).find_map(|line| ends.socket(&line))
            })
        });
        match found {
            Some(socket) => Holder {
                user: Some(socket.user),
                ours: started_here(socket.inode),
            },
            None => Holder::default(),
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Socket {
        pub(super) user: u32,
        inode: u64,
    }

    /// `Ends` are the two ends as the kernel's tables write them, as the client has them.
    pub(super) struct Ends {
        /// `near` has two forms: a client may reach an address of version 4 with a socket of version 6.
        near: Vec<String>,
        far: String,
    }

    impl Ends {
        pub(super) fn new(peer: SocketAddr, port: u16) -> Self {
            let words = |octets: &[u8]| -> String {
                let words = octets.as_chunks::<4>().0.iter();
                words.map(|word| format!("{:08X}", u32::from_ne_bytes(*word))).collect()
            };
            let near = match peer.ip().to_canonical() {
                IpAddr::V4(ip) => vec![words(&ip.octets()), words(&ip.to_ipv6_mapped().octets())],
                IpAddr::V6(ip) => vec![words(&ip.octets())],
            };
            Self {
                near: near.iter().map(|ip| format!("{ip}:{:04X}", peer.port())).collect(),
                far: format!(":{port:04X}"),
            }
        }

        /// `sl local remote state queues timer retransmits uid timeout inode …`. A socket that its program has closed has no
        /// inode, and no user either.
        pub(super) fn socket(&self, line: &str) -> Option<Socket> {
            let mut words = line.split_ascii_whitespace().skip(1);
            let (near, far) = (words.next()?, words.next()?);
            if !far.ends_with(&self.far) || !self.near.iter().any(|end| end == near) {
                return None;
            }
            let user = words.nth(4)?.parse().ok()?;
            let inode = words.nth(1)?.parse().ok().filter(|inode| *inode != 0)?;
            Some(Socket { user, inode })
        }
    }

    /// Tells whether a process below this one has the socket open.
    fn started_here(inode: u64) -> Option<String> {
        let this = i32::try_from(std::process::id()).ok()?;
        let socket = format!("socket:[{inode}]");
        let holds = |pid: i32| {
            let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok();
            let mut files = files.into_iter().flatten().flatten();
            files.any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == &*socket))
        };
        let below = process_tree::descendants([this], &process_tree::snapshot());
        let holder = below.iter().find(|entry| holds(entry.pid))?;
        Some(format!("process {} was started by this Nexus", holder.pid))
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::linux::{Ends, is_own};
    use super::{Holder, of};
    use std::io::Read as _;
    use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
    use std::process::{Command, Stdio};

    #[test]
    fn a_line_of_the_table_is_read_as_the_kernel_writes_it() {
        let ends = Ends::new("127.0.0.1:50000".parse().unwrap(), 7860);
        let near = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
        let line = |port: u16, inode: u64| {
            format!(
                "   3: {near}:C350 {near}:{port:04X} 01 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0"
            )
        };
        assert_eq!(ends.socket(&line(7860, 77)).unwrap().user, 1000);
        assert_eq!(ends.socket(&line(7861, 77)), None, "to another port");
        assert_eq!(ends.socket(&line(7860, 0)), None, "closed by its program");
        assert_eq!(ends.socket("  sl  local_address rem_address   st tx_queue"), None);
        let ends = Ends::new("127.0.0.1:50001".parse().unwrap(), 7860);
        assert_eq!(ends.socket(&line(7860, 77)), None, "from another port");
    }

    fn accepted(listener: &TcpListener) -> (TcpStream, Holder) {
        let (stream, peer) = listener.accept().unwrap();
        (stream, of(peer, listener.local_addr().unwrap().port()))
    }

    #[test]
    fn the_user_of_a_connection_is_known_by_either_version() {
        let user = rustix::process::getuid().as_raw();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may have no version 6.
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let _here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            // Not whose it is otherwise: a child that another test forks has it too for a moment.
            assert_eq!(accepted(&listener).1.user, Some(user), "{address}");
        }
        // An address of this machine in a network, where it has one: the kernel names it for a way that nothing is sent on.
        let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
        if probe.connect("192.0.2.1:9").is_ok() {
            let own = probe.local_addr().unwrap().ip();
            let listener = TcpListener::bind((own, 0)).unwrap();
            let _here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            assert_eq!(accepted(&listener).1.user, Some(user), "{own}");
        }
        let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
        assert_eq!(of(nobody, 2), Holder::default());
    }

    #[test]
    fn only_an_address_of_this_machine_is_looked_for() {
        for own in ["127.0.0.1:50000", "127.8.8.8:50000", "[::ffff:127.0.0.1]:50000"] {
            assert!(is_own(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.1:50000", "[2001:db8::1]:50000"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn what_this_process_has_started_is_known_also_behind_another_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // The outer one only waits; the inner one has the connection.
        let script = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3' ; true");
        let mut child = Command::new("bash")
            .args(["-c", &script])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (mut stream, holder) = accepted(&listener);
        let ours = holder.ours.unwrap();
        assert!(ours.ends_with("was started by this Nexus"), "{ours}");
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.read(&mut [0]);
        child.wait().unwrap();
    }
}
