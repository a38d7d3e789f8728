//! The lines are recorded from OpenSSH 9.2p1, client and server.

use super::*;
use crate::settings::{Authored, Secrets};
use nexus_plugin_api::tunnel::FailureKind;
use proptest::prelude::*;

fn authored() -> Authored {
    serde_json::from_value(serde_json::json!({
        "service": "", "host": "ssh.example.org", "port": 2299, "user": "tunnel", "remote_bind": "*:0", "public_url": "",
        "client_address_header": "", "url_patterns": [], "host_keys": "pinned", "known_hosts": [], "known_hosts_file": "",
        "identity_file": "/keys/user", "agent": "", "keep_alive": 15
    }))
    .unwrap()
}

fn own(bind: &str) -> Settings {
    let authored = Authored {
        remote_bind: bind.to_owned(),
        ..authored()
    };
    Settings::of(authored, &Secrets::default()).unwrap()
}

fn service() -> Settings {
    let authored = Authored {
        service: "localhost.run".to_owned(),
        host: String::new(),
        user: String::new(),
        remote_bind: String::new(),
        identity_file: String::new(),
        ..authored()
    };
    Settings::of(authored, &Secrets::default()).unwrap()
}

fn read(settings: &Settings, text: &str) -> (LogReader, Vec<LineEvent>) {
    let mut log_reader = LogReader::new(None);
    let meanings = text
        .lines()
        .map(|line| log_reader.read(settings, false, line))
        .filter(|meaning| *meaning != LineEvent::Ignored)
        .collect();
    (log_reader, meanings)
}

fn failure(settings: &Settings, text: &str) -> Failure {
    read(settings, text).0.failure(settings, Exit::Code(255))
}

const LOGIN: &str = r#"debug3: ssh.c:main():1598 (pid=27561): timeout: 2000 ms remain after connect
debug1: ssh.c:load_public_identity_files():2315 (pid=27561): identity file user type 3
debug1: sshconnect2.c:pubkey_prepare():1996 (pid=27561): Will attempt key: user ED25519 SHA256:11JyAqBTD1mEBWgJ1XAPP1/9sfLFcKUOBpWC7MOlYo8 explicit
debug1: sshconnect2.c:input_userauth_failure():743 (pid=27561): Authentications that can continue: publickey
debug1: sshconnect2.c:userauth_pubkey():2066 (pid=27561): Offering public key: user ED25519 SHA256:11JyAqBTD1mEBWgJ1XAPP1/9sfLFcKUOBpWC7MOlYo8 explicit
debug1: sshconnect2.c:input_userauth_pk_ok():840 (pid=27561): Server accepts key: user ED25519 SHA256:11JyAqBTD1mEBWgJ1XAPP1/9sfLFcKUOBpWC7MOlYo8 explicit
debug3: sshconnect2.c:sign_and_send_pubkey():1581 (pid=27561): signing using ssh-ed25519 SHA256:11JyAqBTD1mEBWgJ1XAPP1/9sfLFcKUOBpWC7MOlYo8
sshconnect2.c:ssh_userauth2():580 (pid=27561): Authenticated to 127.0.0.1 ([127.0.0.1]:2299) using "publickey".
debug1: ssh.c:ssh_init_forwarding():2003 (pid=27561): Remote connections from 127.0.0.1:0 forwarded to local address 127.0.0.1:1234
"#;
const ALLOCATED: &str = "debug1: ssh.c:ssh_confirm_remote_forward():1827 (pid=27561): remote forward success for: listen 127.0.0.1:0, connect 127.0.0.1:1234
ssh.c:ssh_confirm_remote_forward():1848 (pid=27561): Allocated port 44153 for remote forward to 127.0.0.1:1234
debug1: ssh.c:forwarding_success():1809 (pid=27561): all expected forwarding replies received";
const FIXED: &str = "debug1: ssh.c:ssh_confirm_remote_forward():1827 (pid=27594): remote forward success for: listen 2299, connect 127.0.0.1:1234";
const DENIED: &str = r"debug1: sshconnect2.c:userauth_pubkey():2066 (pid=27565): Offering public key: other ED25519 SHA256:DWiTvAH4sfLdapqyh2mwrz+hF0MsReEJFoRv85VfkWM explicit
debug1: sshconnect2.c:authmethod_get():2510 (pid=27565): No more authentication methods to try.
sshconnect2.c:userauth():640 (pid=27565): root@127.0.0.1: Permission denied (publickey).";
const OPEN_KEY: &str = r#"debug1: sshconnect2.c:input_userauth_pk_ok():840 (pid=27578): Server accepts key: user ED25519 SHA256:11JyAqBTD1mEBWgJ1XAPP1/9sfLFcKUOBpWC7MOlYo8 explicit
debug3: sshconnect2.c:sign_and_send_pubkey():1581 (pid=27578): signing using ssh-ed25519 SHA256:11JyAqBTD1mEBWgJ1XAPP1/9sfLFcKUOBpWC7MOlYo8
@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @
Permissions 0644 for 'user' are too open.
It is required that your private key files are NOT accessible by others.
This private key will be ignored.
sshconnect2.c:load_identity_file():1752 (pid=27578): Load key "user": bad permissions
sshconnect2.c:userauth():640 (pid=27578): root@127.0.0.1: Permission denied (publickey)."#;
const UNKNOWN: &str =
    "debug3: sshconnect2.c:order_hostkeyalgs():211 (pid=27598): no algorithms matched; accept original
No ED25519 host key is known for [127.0.0.1]:2299 and you have requested strict checking.
sshconnect2.c:verify_host_key_callback():109 (pid=27598): Host key verification failed.";
const CHANGED: &str = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
It is also possible that a host key has just been changed.
The fingerprint for the ED25519 key sent by the remote host is
SHA256:9haN0Vm+YeKK854fu1ZYBASjXiFtHgoEKgeGAJ43jMo.
Please contact your system administrator.
Host key for [127.0.0.1]:2299 has changed and you have requested strict checking.
sshconnect2.c:verify_host_key_callback():109 (pid=27602): Host key verification failed.";

#[test]
fn it_is_open_when_the_server_has_answered_that_it_listens() {
    let any = own("*:0");
    assert!(read(&any, LOGIN).1.is_empty(), "a login is no tunnel");
    let (_, meanings) = read(&any, &format!("{LOGIN}{ALLOCATED}"));
    assert_eq!(
        meanings,
        [LineEvent::Open("http://ssh.example.org:44153".to_owned())],
        "the port, and once"
    );
    let (_, meanings) = read(&own("2299"), &format!("{LOGIN}{FIXED}"));
    assert_eq!(meanings, [LineEvent::Open("http://ssh.example.org:2299".to_owned())]);
}

#[test]
fn a_key_that_is_not_accepted_waits_for_the_operator_with_its_fingerprint() {
    let failure = failure(&own("*:0"), DENIED);
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(
        failure
            .message
            .contains("SHA256:DWiTvAH4sfLdapqyh2mwrz+hF0MsReEJFoRv85VfkWM")
            && failure.message.contains("as tunnel"),
        "{failure:?}"
    );
    assert!(failure.hint.unwrap().contains("authorized_keys"));
}

#[test]
fn a_private_key_that_cannot_be_used_is_reported() {
    let settings = own("*:0");
    let open = failure(&settings, OPEN_KEY);
    assert!(open.message.contains("0644") && open.hint.unwrap().contains("chmod 600"));
    let missing = "debug3: sshconnect2.c:load_identity_file():1714 (pid=1): no such identity: /keys/user: No such file or directory\nsshconnect2.c:userauth():640 (pid=1): root@127.0.0.1: Permission denied (publickey).";
    assert!(failure(&settings, missing).message.contains("/keys/user: No such file"));
    let locked = "debug1: sshconnect2.c:input_userauth_pk_ok():840 (pid=1): Server accepts key: user ED25519 SHA256:x explicit\nroot@127.0.0.1: Permission denied (publickey).";
    assert!(failure(&settings, locked).message.contains("passphrase"));
}

#[test]
fn a_servers_key_that_is_not_the_known_one_is_distinguished() {
    let settings = own("*:0");
    let (log_reader, _) = read(&settings, UNKNOWN);
    assert_eq!(log_reader.refused_host(), Some((HostKey::Unknown, None)));
    let (log_reader, _) = read(&settings, CHANGED);
    let fingerprint = "SHA256:9haN0Vm+YeKK854fu1ZYBASjXiFtHgoEKgeGAJ43jMo";
    assert_eq!(log_reader.refused_host(), Some((HostKey::Changed, Some(fingerprint))));
    assert_eq!(read(&settings, LOGIN).0.refused_host(), None);
    let revoked = "sshconnect2.c:verify_host_key_callback():109 (pid=1): Host key verification failed.";
    assert_eq!(failure(&settings, revoked).kind, FailureKind::Permanent);
}

#[test]
fn a_port_that_is_taken_may_be_free_later_and_none_at_all_never() {
    let taken = format!("{LOGIN}Error: remote port forwarding failed for listen port 8080");
    let failed = failure(&own("*:8080"), &taken);
    assert_eq!(failed.kind, FailureKind::Retry, "ssh's own old connection may have it");
    assert!(failed.message.contains("*:8080") && failed.hint.unwrap().contains("AllowTcpForwarding"));
    let forbidden = format!("{LOGIN}Error: remote port forwarding failed for listen port 0");
    let failed = failure(&own("*:0"), &forbidden);
    assert_eq!(failed.kind, FailureKind::Permanent);
}

#[test]
fn a_server_that_is_away_is_tried_again() {
    let settings = own("*:0");
    for (line, word) in [
        (
            "ssh: connect to host 127.0.0.1 port 2298: Connection refused",
            "Connection refused",
        ),
        (
            "ssh: connect to host 10.255.255.1 port 22: Connection timed out",
            "timed out",
        ),
        (
            "ssh: Could not resolve hostname nosuch.invalid: Name or service not known",
            "nosuch.invalid: Name or service not known",
        ),
        (
            "Connection timed out during banner exchange\nConnection to 10.255.255.1 port 2299 timed out",
            "timed out",
        ),
        (
            "kex_exchange_identification: Connection closed by remote host",
            "closed by remote host",
        ),
    ] {
        let failure = failure(&settings, line);
        assert_eq!(failure.kind, FailureKind::Retry, "{line}");
        assert!(failure.message.contains(word) && failure.hint.is_some(), "{failure:?}");
    }
    for line in [
        "Timeout, server 127.0.0.1 not responding.",
        "Connection to 127.0.0.1 closed by remote host.",
        "client_loop: send disconnect: Broken pipe",
    ] {
        let failure = failure(&settings, &format!("{LOGIN}{line}"));
        assert_eq!(failure.kind, FailureKind::Retry, "{line}");
        assert!(failure.message.contains(line.trim_end_matches('.')), "{failure:?}");
    }
}

#[test]
fn an_ssh_that_does_not_understand_us_and_one_without_an_algorithm_wait_for_the_operator() {
    for line in [
        "command-line: line 0: Bad configuration option: logverbose",
        "unknown option -- Q",
        "Unable to negotiate with 127.0.0.1 port 22: no matching host key type found. Their offer: ssh-rsa,ssh-dss",
    ] {
        assert_eq!(failure(&own("*:0"), line).kind, FailureKind::Permanent, "{line}");
    }
    let killed = read(&own("*:0"), LOGIN).0.failure(&own("*:0"), Exit::Signal(9));
    assert!(killed.kind == FailureKind::Retry && killed.message.contains("signal 9"));
}

#[test]
fn a_service_is_open_at_the_address_it_prints_and_at_each_later_one() {
    let settings = service();
    let mut log_reader = LogReader::new(None);
    assert_eq!(
        log_reader.read(&settings, true, "** your connection id is x **"),
        LineEvent::Ignored
    );
    for name in ["8beaa541ba3dc2", "9239ab27cc1ba2"] {
        let line = format!("{name}.lhr.life tunneled with tls termination, https://{name}.lhr.life");
        assert_eq!(
            log_reader.read(&settings, true, &line),
            LineEvent::Open(format!("https://{name}.lhr.life"))
        );
    }
    let lost = log_reader.failure(&settings, Exit::Code(0));
    assert!(!lost.message.contains("connection id"), "{lost:?}");
}

#[test]
fn a_service_without_a_known_address_is_quoted() {
    let settings = service();
    let mut log_reader = LogReader::new(None);
    for line in LOGIN.lines() {
        log_reader.read(&settings, false, line);
    }
    log_reader.read(&settings, true, "Your address: https://a.example.org");
    let failure = log_reader.timeout_failure(&settings);
    assert!(failure.message.contains("https://a.example.org") && failure.hint.unwrap().contains("url_patterns"));
    assert!(
        log_reader
            .failure(&settings, Exit::Code(1))
            .message
            .contains("https://a.example.org")
    );
}

#[test]
fn a_complaint_is_passed_on_and_nothing_holds_the_token() {
    let mut log_reader = LogReader::new(Some("T0KEN".to_owned()));
    let settings = own("*:0");
    assert_eq!(
        log_reader.read(&settings, false, "connect_to 127.0.0.1 port 1234: failed."),
        LineEvent::Warning("connect_to 127.0.0.1 port 1234: failed".to_owned())
    );
    log_reader.read(
        &settings,
        false,
        "Connection closed by authenticating user T0KEN 127.0.0.1 port 22",
    );
    let failure = log_reader.failure(&settings, Exit::Code(255));
    assert!(
        !failure.message.contains("T0KEN") && failure.message.contains('…'),
        "{failure:?}"
    );
}

proptest! {
    #[test]
    fn no_line_upsets_it(lines in proptest::collection::vec("(debug[123]: )?([a-z]{1,5}\\.c:\\(\\):)?( \\(pid=[0-9)]{0,3})?.{0,60}", 0..20)) {
        for settings in [own("*:0"), service()] {
            let mut log_reader = LogReader::new(Some("x".to_owned()));
            for line in &lines {
                log_reader.read(&settings, true, line);
            }
            prop_assert!(!log_reader.failure(&settings, Exit::Code(255)).message.is_empty());
            prop_assert!(!log_reader.timeout_failure(&settings).message.is_empty());
        }
    }
}
