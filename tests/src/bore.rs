//! The real bore, as a server on this machine.

use crate::wait;
use std::net::{IpAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

/// A server with an address of its own, because its control port is always 7835.
pub struct Server {
    pub address: IpAddr,
    child: Child,
}

impl Server {
    pub fn start(secret: Option<&str>) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(2);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let address = IpAddr::from([127, high.max(1), low, NEXT.fetch_add(1, Ordering::SeqCst)]);
        Self::serve(address, secret)
    }

    /// In the place of one that ended.
    pub fn at(address: IpAddr) -> Self {
        Self::serve(address, None)
    }

    fn serve(address: IpAddr, secret: Option<&str>) -> Self {
        let text = address.to_string();
        let mut command = Command::new(crate::part("NEXUS_TEST_BORE"));
        command.args(["server", "--bind-addr", &text, "--bind-tunnels", &text]);
        if let Some(secret) = secret {
            command.env("BORE_SECRET", secret);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { address, child };
        wait::until("the bore server listens", || {
            TcpStream::connect((address, 7835)).is_ok()
        });
        server
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The example's chat and a tunnel `home` by way of this server; `more` are keys of the tunnel.
    pub fn config(&self, more: &str) -> String {
        format!("[chat.main]\nplugin = \"chat-echo\"\n{}", self.tunnel(more))
    }

    /// The tunnel alone.
    pub fn tunnel(&self, more: &str) -> String {
        format!(
            "[tunnel.home]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n{more}\n\
             [plugin.tunnel-bore.config]\nserver = \"{}\"\n[plugin.tunnel-bore.grants.process.bore]\npath = {:?}\n",
            self.address,
            crate::part("NEXUS_TEST_BORE")
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
