//! A tunnel over ssh with the real OpenSSH, client and server, on the loopback.

use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::port::Port;
use nexus_tests::processes::{self, signal};
use nexus_tests::sshd::{Sshd, account, client};
use nexus_tests::tunnels::{action, chats, stop, tunnel, watch};
use nexus_tests::{wait, write_with_mode};
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// In the command line of the tunnel's ssh, and of no other.
const SSH: &str = "ExitOnForwardFailure";

/// `keys`: lines of the plugin's own table besides host, port and account; `more`: what follows it.
fn config(sshd: &Sshd, tunnel: &str, keys: &str, more: &str) -> String {
    format!(
        "[chat.main]\nplugin = \"chat-echo\"\n[tunnel.home]\nplugin = \"tunnel-ssh\"\n{tunnel}\n[plugin.tunnel-ssh.config]\nhost = \
         \"127.0.0.1\"\nport = {}\nuser = {:?}\n{keys}\n{}{more}\n",
        sshd.port.number,
        account(),
        grants(&client("ssh"))
    )
}

fn grants(ssh: &Path) -> String {
    format!(
        "[plugin.tunnel-ssh.grants.process.ssh]\npath = {ssh:?}\n[plugin.tunnel-ssh.grants.process.ssh-keyscan]\npath = {:?}\n",
        client("ssh-keyscan")
    )
}

const PLAIN: &str = "allow_plaintext = true";

/// The server's key and ours, as they should be.
fn pinned(sshd: &Sshd) -> String {
    format!("known_hosts = [{:?}]\n{}", sshd.host_key(), identity(sshd))
}

fn identity(sshd: &Sshd) -> String {
    format!("identity_file = {:?}\n", sshd.key("user"))
}

async fn opened(start: &Start) -> (Nexus, Browser) {
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "home", "start").await;
    (nexus, owner)
}

async fn up(owner: &Browser) -> String {
    let status = tunnel(owner, |t| {
        t["state"] == "failed" || t["state"] == "up" && !t["url"].is_null()
    })
    .await;
    assert_eq!(status["state"], "up", "{status}");
    status["url"].as_str().unwrap().to_owned()
}

async fn failed(owner: &Browser) -> (String, String) {
    let status = tunnel(owner, |t| t["state"] == "failed").await;
    let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    (text("cause"), text("fix"))
}

async fn reconnecting(owner: &Browser, word: &str) -> Value {
    tunnel(owner, |t| {
        t["state"] == "reconnecting" && t["cause"].as_str().unwrap().contains(word)
    })
    .await
}

/// The status of a page, as it is asked for under another name.
async fn page(port: u16, host: &str) -> u16 {
    let http = nexus_tests::http().build().unwrap();
    let request = http.get(format!("http://127.0.0.1:{port}/login")).header("host", host);
    request.send().await.map_or(0, |answer| answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real OpenSSH: ./tests/run"]
async fn the_page_opens_a_tunnel_that_leads_to_the_login_and_the_chat_and_closes_it() {
    let sshd = Sshd::start("");
    let keys = format!("known_hosts = [{:?}]\nremote_bind = \"127.0.0.1:0\"\n", sshd.host_key());
    // The key as a secret: ssh gets it in a private file.
    let secret = format!(
        "[plugin.tunnel-ssh.secrets]\nidentity = {{ file = {:?} }}\n",
        sshd.key("user")
    );
    let start = Start::new().config(config(&sshd, PLAIN, &keys, &secret));
    let mut nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    tunnel(&owner, |t| t["state"] == "off").await;
    assert_eq!(nexus.find_process(SSH), None);
    let begun = Instant::now();
    action(&owner, "home", "start").await;
    let url = up(&owner).await;
    println!("open after {:.2} s: {url}", begun.elapsed().as_secs_f64());
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let status = tunnel(&owner, |t| t["state"] == "up").await;
    assert_eq!(
        (&status["encryption"], &status["title"]),
        (&json!("none"), &json!("ssh"))
    );

    // A stranger sees the login and no more; the owner logs in and chats.
    let phone = Browser::new(&url);
    assert_eq!(phone.get("/").await.headers()["location"], "/login");
    let health: Value = phone.get("/healthz").await.json().await.unwrap();
    assert_eq!(health, json!({ "status": "ok" }));
    assert!(phone.socket("/live").await.is_err());
    assert!(phone.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    assert_eq!(phone.get("/").await.status(), 200);
    chats(&phone).await;

    let pid = nexus.find_process(SSH).unwrap();
    let line = processes::command_line(pid);
    assert!(line.contains("-F none") && !line.contains("PRIVATE"), "{line}");
    let private = line.split("IdentityFile=\"").nth(1).unwrap().split('"').next().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(private).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let mut live = watch(&phone).await;
    live.until(|f| f["type"] == "list").await;
    action(&owner, "home", "stop").await;
    tunnel(&owner, |t| t["state"] == "off" && t["url"].is_null()).await;
    live.closed().await;
    assert_eq!(nexus.find_process(SSH), None);
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    wait::until("the port is free", || TcpListener::bind(("127.0.0.1", port)).is_ok());
    let log = stop(nexus);
    assert!(!log.contains("PRIVATE") && !log.contains(" is not open: "), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real OpenSSH: ./tests/run"]
async fn what_is_killed_or_hangs_comes_back_at_the_same_address() {
    let mut sshd = Sshd::start("");
    let reserved = Port::reserve();
    let port = reserved.number;
    let keys = format!("{}remote_bind = \"127.0.0.1:{port}\"\nkeep_alive = 1\n", pinned(&sshd));
    let start = Start::new().config(config(&sshd, PLAIN, &keys, ""));
    let (mut nexus, owner) = opened(&start).await;
    let url = up(&owner).await;
    assert_eq!(url, format!("http://127.0.0.1:{port}"));

    // ssh itself.
    let mut states = watch(&owner).await;
    let first = nexus.find_process(SSH).unwrap();
    assert!(signal(first, libc::SIGKILL));
    let lost = states
        .until(|f| f["type"] == "status" && f["tunnels"][0]["state"] == "reconnecting")
        .await;
    assert!(
        lost.last().unwrap()["tunnels"][0]["cause"]
            .as_str()
            .unwrap()
            .contains("signal 9")
    );
    assert_eq!(lost.last().unwrap()["tunnels"][0]["url"], json!(url));
    assert_eq!(up(&owner).await, url);
    assert!(nexus.find_process(SSH).is_some_and(|pid| pid != first));
    assert_eq!(Browser::new(&url).get("/login").await.status(), 200);

    // The server.
    sshd.down();
    reconnecting(&owner, "Connection refused").await;
    sshd.up();
    assert_eq!(up(&owner).await, url);
    assert_eq!(Browser::new(&url).get("/login").await.status(), 200);

    // A connection that becomes silent; the server keeps its port until it notices that too.
    let silent = sshd.sessions();
    assert!(!silent.is_empty());
    for pid in &silent {
        assert!(signal(*pid, libc::SIGSTOP));
    }
    reconnecting(&owner, "stopped answering").await;
    reconnecting(&owner, &format!("does not listen on 127.0.0.1:{port}")).await;
    for pid in silent {
        signal(pid, libc::SIGKILL);
    }
    assert_eq!(up(&owner).await, url);

    nexus.kill();
    assert_eq!(nexus.survivors(), []);
    wait::until("the port is closed", || {
        TcpStream::connect(("127.0.0.1", port)).is_err()
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real OpenSSH: ./tests/run"]
async fn a_server_that_nobody_knows_is_refused_with_the_lines_that_take_it() {
    let sshd = Sshd::start("");
    let keys = format!("{}remote_bind = \"127.0.0.1:0\"\n", identity(&sshd));
    let start = Start::new().config(config(&sshd, PLAIN, &keys, ""));
    let (nexus, owner) = opened(&start).await;
    let (why, hint) = failed(&owner).await;
    assert!(
        why.contains("is not confirmed") && why.contains(&sshd.fingerprint("host")),
        "{why}"
    );
    let (_, toml) = hint.split_once(" in the configuration:\n").unwrap();
    assert!(toml.contains(&sshd.host_key()), "{hint}");
    assert!(
        owner
            .get("/status")
            .await
            .text()
            .await
            .unwrap()
            .contains("known_hosts = [")
    );
    stop(nexus);
    // What was said is what works.
    let start = start.config(config(&sshd, PLAIN, &format!("{keys}{toml}\n"), ""));
    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    up(&owner).await;
    stop(nexus);

    // Another server in its place.
    let mut sshd = sshd;
    sshd.down();
    sshd.new_host_key();
    sshd.up();
    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    let (why, hint) = failed(&owner).await;
    assert!(
        why.contains("different host key") && why.contains(&sshd.fingerprint("host")),
        "{why}"
    );
    assert!(hint.contains(&sshd.host_key()), "{hint}");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real OpenSSH: ./tests/run"]
async fn the_first_key_is_remembered_only_where_the_operator_says_so_and_no_other_is_taken_then() {
    let mut sshd = Sshd::start("");
    let keys = format!(
        "{}remote_bind = \"127.0.0.1:0\"\nhost_keys = \"accept-new\"\n",
        identity(&sshd)
    );
    let start = Start::new().config(config(&sshd, PLAIN, &keys, ""));
    let (nexus, owner) = opened(&start).await;
    up(&owner).await;
    let log = stop(nexus);
    assert!(
        log.contains("at the first connection") && log.contains(&sshd.fingerprint("host")),
        "{log}"
    );
    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    up(&owner).await;
    assert!(!stop(nexus).contains("at the first connection"), "it is remembered");
    sshd.down();
    sshd.new_host_key();
    sshd.up();
    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    let (why, _) = failed(&owner).await;
    assert!(why.contains("different host key"), "{why}");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real OpenSSH: ./tests/run"]
async fn a_key_that_the_server_refuses_waits_for_the_operator() {
    let sshd = Sshd::start("");
    let keys = format!(
        "known_hosts = [{:?}]\nidentity_file = {:?}\nremote_bind = \"127.0.0.1:0\"\n",
        sshd.host_key(),
        sshd.key("stranger")
    );
    let start = Start::new().config(config(&sshd, PLAIN, &keys, ""));
    let (mut nexus, owner) = opened(&start).await;
    let (why, hint) = failed(&owner).await;
    assert!(
        why.contains(&sshd.fingerprint("stranger")) && why.contains(&account()),
        "{why}"
    );
    assert!(hint.contains("authorized_keys"), "{hint}");
    let tries = || sshd.log().matches("Connection closed by authenticating user").count();
    let before = tries();
    assert!(
        !wait::happens(Duration::from_secs(3), || tries() > before),
        "it is not tried again"
    );
    assert_eq!(nexus.find_process(SSH), None);
    stop(nexus);

    // Neither is a key that is not there replaced by one of the user's own.
    let keys = keys.replace("stranger", "nothing");
    let start = start.config(config(&sshd, PLAIN, &keys, ""));
    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    let (why, _) = failed(&owner).await;
    assert!(why.contains("nothing: No such file"), "{why}");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real OpenSSH: ./tests/run"]
async fn a_port_in_use_is_reported_and_used_once_it_is_free() {
    let sshd = Sshd::start("");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let keys = format!("{}remote_bind = \"127.0.0.1:{port}\"\n", pinned(&sshd));
    let start = Start::new().config(config(&sshd, PLAIN, &keys, ""));
    let (nexus, owner) = opened(&start).await;
    let waiting = tunnel(&owner, |t| t["state"] == "waiting" && t["at"].is_number()).await;
    assert!(
        waiting["cause"]
            .as_str()
            .unwrap()
            .contains(&format!("127.0.0.1:{port}")),
        "{waiting}"
    );
    assert!(waiting["fix"].as_str().unwrap().contains("remote_bind"), "{waiting}");
    drop(taken);
    assert_eq!(up(&owner).await, format!("http://127.0.0.1:{port}"));
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real OpenSSH: ./tests/run"]
async fn a_server_that_forwards_nothing_and_one_that_is_unreachable_are_distinguished() {
    let mut sshd = Sshd::start("AllowTcpForwarding no");
    let keys = format!("{}remote_bind = \"127.0.0.1:0\"\n", pinned(&sshd));
    let start = Start::new().config(config(&sshd, PLAIN, &keys, ""));
    let (nexus, owner) = opened(&start).await;
    let (why, hint) = failed(&owner).await;
    assert!(
        why.contains("remote port forwarding") && hint.contains("AllowTcpForwarding"),
        "{why} {hint}"
    );
    sshd.down();
    action(&owner, "home", "start").await;
    let away = tunnel(&owner, |t| t["state"] == "waiting").await;
    assert!(away["cause"].as_str().unwrap().contains("Connection refused"), "{away}");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real OpenSSH: ./tests/run"]
async fn behind_a_reverse_proxy_with_tls_it_needs_no_word_for_plain_http() {
    let sshd = Sshd::start("");
    let reserved = Port::reserve();
    let port = reserved.number;
    let keys = format!(
        "{}remote_bind = \"127.0.0.1:{port}\"\npublic_url = \"https://chat.example.org\"\nclient_address_header = \"X-Real-IP\"\n",
        pinned(&sshd)
    );
    let start = Start::new().config(config(&sshd, "", &keys, ""));
    let (nexus, owner) = opened(&start).await;
    assert_eq!(up(&owner).await, "https://chat.example.org");
    let status = tunnel(&owner, |t| t["state"] == "up").await;
    assert_eq!(status["encryption"], "edge");
    assert_eq!(page(port, "chat.example.org").await, 200);
    assert_eq!(page(port, "127.0.0.1").await, 421);
    stop(nexus);

    // Without that address there is no TLS.
    let keys = keys.replace("public_url", "#");
    let start = start.config(config(&sshd, "", &keys, ""));
    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    let (why, hint) = failed(&owner).await;
    assert!(
        why.contains("no TLS") && hint.contains("allow_plaintext = true"),
        "{why} {hint}"
    );
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real OpenSSH: ./tests/run"]
async fn a_service_is_open_at_the_address_that_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let (script, later) = (folder.path().join("service"), folder.path().join("later"));
    // As localhost.run does it: words for people, and another address after a while. It ends when its input does.
    let content = format!(
        "#!/bin/sh\necho '** your connection id is 1234 **'\necho 'see https://localhost.run/docs/ for more'\n\
         echo 'a1.lhr.example tunneled with tls termination, https://a1.lhr.example'\n\
         (while [ ! -e {later} ]; do sleep 0.1; done\n\
         echo 'b2.lhr.example tunneled with tls termination, https://b2.lhr.example') &\ncat >/dev/null\n",
        later = later.display()
    );
    write_with_mode(&script, &content, 0o755);
    let sshd = Sshd::start(&format!("ForceCommand {}", script.display()));
    let reserved = Port::reserve();
    let port = reserved.number;
    let keys = format!(
        "{}remote_bind = \"127.0.0.1:{port}\"\nservice = \"localhost.run\"\n",
        pinned(&sshd)
    );
    let start = Start::new().config(config(&sshd, "", &keys, ""));
    let (mut nexus, owner) = opened(&start).await;
    assert_eq!(up(&owner).await, "https://a1.lhr.example");
    let status = tunnel(&owner, |t| t["state"] == "up").await;
    assert_eq!(
        (&status["encryption"], &status["title"]),
        (&json!("edge"), &json!("ssh, over localhost.run"))
    );
    assert_eq!(page(port, "a1.lhr.example").await, 200);
    std::fs::write(&later, "").unwrap();
    tunnel(&owner, |t| t["state"] == "up" && t["url"] == "https://b2.lhr.example").await;
    assert_eq!(page(port, "b2.lhr.example").await, 200);
    assert_eq!(page(port, "a1.lhr.example").await, 421, "it is nobody's any more");
    action(&owner, "home", "stop").await;
    tunnel(&owner, |t| t["state"] == "off").await;
    assert_eq!(nexus.find_process(SSH), None);
    stop(nexus);

    // One that ends the session has said why.
    write_with_mode(&script, "#!/bin/sh\necho 'no free tunnels today'\nexit 1\n", 0o755);
    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    action(&owner, "home", "start").await;
    let waiting = tunnel(&owner, |t| t["state"] == "waiting").await;
    assert!(
        waiting["cause"].as_str().unwrap().contains("no free tunnels today"),
        "{waiting}"
    );
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real OpenSSH: ./tests/run"]
async fn an_ssh_that_is_missing_or_too_old_is_reported_with_its_fix() {
    let sshd = Sshd::start("");
    let keys = format!("{}remote_bind = \"127.0.0.1:0\"\n", pinned(&sshd));
    let start = Start::new();
    let ssh = start.folder().join("ssh");
    let table = config(&sshd, PLAIN, &keys, "").replace(&grants(&client("ssh")), &grants(&ssh));
    let start = start.config(table);
    let (nexus, owner) = opened(&start).await;
    let missing = tunnel(&owner, |t| t["state"] == "waiting").await;
    assert!(
        missing["fix"].as_str().unwrap().contains("apt install openssh-client"),
        "{missing}"
    );
    // The real one says its version on stderr too.
    write_with_mode(
        &ssh,
        "#!/bin/sh\necho 'OpenSSH_7.4p1, OpenSSL 1.0.2k-fips' >&2\n",
        0o755,
    );
    let old = tunnel(&owner, |t| {
        t["state"] == "waiting" && t["cause"].as_str().unwrap().contains("7.4p1")
    })
    .await;
    assert!(old["cause"].as_str().unwrap().contains("8.5 or newer"), "{old}");
    stop(nexus);
}
