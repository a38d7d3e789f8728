//! Each tunnel that can run here, with its far end on this machine.

use nexus_tests::bore::Server;
use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::cloudflared::Cloudflared;
use nexus_tests::edge::Edge;
use nexus_tests::sshd::{Sshd, account, client};
use nexus_tests::tunnels::{action, tunnel};
use std::path::PathBuf;

/// The far ends. They end when this is dropped.
pub(crate) struct Tunnels {
    bore: Server,
    sshd: Sshd,
    _folder: tempfile::TempDir,
    cloudflare: Cloudflare,
}

enum Cloudflare {
    /// The real cloudflared, and a stand-in for Cloudflare behind it.
    Itself(Edge, PathBuf),
    StandIn(Cloudflared),
}

impl Tunnels {
    pub(crate) async fn prepare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloudflare = match std::env::var_os("NEXUS_TEST_CLOUDFLARED") {
            Some(_) => {
                let edge = Edge::start().await;
                let wrapper = edge.wrapper(folder.path(), &nexus_tests::part("NEXUS_TEST_CLOUDFLARED"));
                Cloudflare::Itself(edge, wrapper)
            }
            None => {
                let program = std::env::current_exe().unwrap().with_file_name("cloudflared-stand-in");
                assert!(program.exists(), "build it too: cargo build --release -p nexus-tests");
                Cloudflare::StandIn(Cloudflared::prepare(folder.path(), &program))
            }
        };
        Self {
            bore: Server::start(None),
            sshd: Sshd::start(""),
            _folder: folder,
            cloudflare,
        }
    }

    /// Name in the configuration, and what it is.
    pub(crate) fn all(&self) -> [(&'static str, &'static str); 3] {
        let cloudflared = match self.cloudflare {
            Cloudflare::Itself(..) => "cloudflared over HTTP/2 to a stand-in for Cloudflare's edge",
            Cloudflare::StandIn(_) => "the stand-in for cloudflared (TLS, HTTP/1.1)",
        };
        [
            ("bore", "bore, client and server"),
            ("ssh", "ssh -R to sshd"),
            ("cloudflared", cloudflared),
        ]
    }

    /// All of them, closed.
    pub(crate) fn config(&self) -> String {
        let cloudflared = match &self.cloudflare {
            Cloudflare::Itself(_, wrapper) => wrapper.clone(),
            Cloudflare::StandIn(stand_in) => stand_in.binary(),
        };
        let grant = |plugin: &str, name: &str, path: PathBuf| {
            format!("[plugin.tunnel-{plugin}.grants.process.{name}]\npath = {path:?}\n")
        };
        format!(
            "[tunnel.bore]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n[tunnel.ssh]\nplugin = \
             \"tunnel-ssh\"\nallow_plaintext = true\n[tunnel.cloudflared]\nplugin = \
             \"tunnel-cloudflared\"\npublic_check = \"off\"\n[plugin.tunnel-bore.config]\nserver = \
             \"{}\"\n[plugin.tunnel-ssh.config]\nhost = \"127.0.0.1\"\nport = {}\nuser = {:?}\nknown_hosts = \
             [{:?}]\nidentity_file = {:?}\nremote_bind = \
             \"127.0.0.1:0\"\n[plugin.tunnel-cloudflared.config]\nprotocol = \"http2\"\n{}{}{}{}",
            self.bore.address,
            self.sshd.port.number,
            account(),
            self.sshd.host_key(),
            self.sshd.key("user"),
            grant("bore", "bore", nexus_tests::part("NEXUS_TEST_BORE")),
            grant("ssh", "ssh", client("ssh")),
            grant("ssh", "ssh-keyscan", client("ssh-keyscan")),
            grant("cloudflared", "cloudflared", cloudflared)
        )
    }

    /// Opens one, and is logged in at its far end.
    pub(crate) async fn open(&self, owner: &Browser, name: &str) -> Browser {
        action(owner, name, "start").await;
        let status = tunnel(owner, |t| {
            t["name"] == name && t["state"] == "up" && !t["url"].is_null()
        })
        .await;
        let url = status["url"].as_str().unwrap();
        let far = match &self.cloudflare {
            _ if name != "cloudflared" => Browser::new(url),
            Cloudflare::Itself(edge, _) => Browser::through(url, edge.public.port()),
            Cloudflare::StandIn(stand_in) => Browser::through(url, stand_in.starts().pop().unwrap().public),
        };
        assert!(far.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
        far
    }

    pub(crate) async fn close(&self, owner: &Browser, name: &str) {
        action(owner, name, "stop").await;
        tunnel(owner, |t| t["name"] == name && t["state"] == "off").await;
    }
}
