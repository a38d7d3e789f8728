//! A process between opencode and a reader that does nothing but pass bytes on: what any process in between costs on this
//! machine, at this moment. Nexus cannot be quicker than that.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// The name under which this program starts itself as the relay.
pub(crate) const RELAY: &str = "relay";

/// A running relay; it ends with this.
pub(crate) struct Relay {
    child: Child,
    pub(crate) port: String,
}

impl Relay {
    /// Starts one that leads to this port of loopback.
    pub(crate) fn to(port: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([RELAY, port])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let port = port.trim().to_owned();
        Self { child, port }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the relay, on one thread, until it is killed.
pub(crate) fn run(port: &str) {
    let port: u16 = port.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                far.set_nodelay(true).unwrap();
                near.set_nodelay(true).unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
}
