//! A real OpenSSH server on loopback, as whoever runs the tests, with keys of its own.

use crate::port::Port;
use crate::processes::{self, signal};
use crate::wait;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The account that the server lets in: whoever runs it.
pub fn account() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A program of OpenSSH's client.
pub fn client(name: &str) -> PathBuf {
    crate::part("NEXUS_TEST_SSH").with_file_name(name)
}

#[derive(Debug)]
pub struct Sshd {
    folder: tempfile::TempDir,
    pub port: Port,
    more: String,
    child: Option<Child>,
}

impl Sshd {
    /// `more`: lines of its sshd_config.
    pub fn start(more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("sshd-").tempdir().unwrap();
        let mut sshd = Self {
            folder,
            port: Port::reserve(),
            more: more.to_owned(),
            child: None,
        };
        sshd.new_host_key();
        fs::copy(sshd.key("user").with_extension("pub"), sshd.path("authorized_keys")).unwrap();
        sshd.up();
        sshd
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A pair of keys; the first one to be asked for is `user`, which the server lets in.
    pub fn key(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        if !path.exists() {
            keygen(&path);
        }
        path
    }

    /// From the next start on.
    pub fn new_host_key(&self) {
        let path = self.path("host");
        for old in [path.clone(), path.with_extension("pub")] {
            let _ = fs::remove_file(old);
        }
        keygen(&path);
    }

    /// Type and key, as they are in a known_hosts file.
    pub fn host_key(&self) -> String {
        let line = fs::read_to_string(self.path("host.pub")).unwrap();
        line.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// `SHA256:…`, as ssh-keygen says it.
    pub fn fingerprint(&self, key: &str) -> String {
        let output = Command::new(client("ssh-keygen"))
            .args(["-lf"])
            .arg(self.path(key).with_extension("pub"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split(' ').nth(1).unwrap().to_owned()
    }

    /// Starts it, on the same port as before.
    pub fn up(&mut self) {
        let config = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
             GatewayPorts clientspecified\n{}\n",
            self.port.number,
            self.path("host").display(),
            self.path("authorized_keys").display(),
            self.more
        );
        fs::write(self.path("config"), config).unwrap();
        // Root's sshd wants it; nobody else's does, nor could make it.
        let _ = fs::create_dir_all("/run/sshd");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let child = Command::new(crate::part("NEXUS_TEST_SSHD"))
            .args(["-D", "-e", "-f"])
            .arg(self.path("config"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let listens = || TcpStream::connect(("127.0.0.1", self.port.number)).is_ok();
        wait::seen("sshd listens", || self.log(), |_| listens());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The processes that serve connections.
    pub fn sessions(&self) -> Vec<u32> {
        self.child
            .as_ref()
            .map(|child| processes::descendants(child.id()))
            .unwrap_or_default()
    }

    /// kill -9 of the server and of all its connections.
    pub fn down(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let sessions = processes::descendants(child.id());
        let _ = child.kill();
        for pid in sessions {
            signal(pid, libc::SIGKILL);
        }
        let _ = child.wait();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.down();
    }
}

fn keygen(path: &Path) {
    let made = Command::new(client("ssh-keygen"))
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
