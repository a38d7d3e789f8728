use super::*;
use nexus_plugin_api::tunnel::FailureKind;

const BLOB: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIMf3lztukhBKByINHhMhNa4twv0jQbhw+qcFltp7ReP2";

fn authored() -> Authored {
    serde_json::from_value(serde_json::json!({
        "service": "", "host": "ssh.example.org", "port": 0, "user": "", "remote_bind": "", "public_url": "",
        "client_address_header": "", "url_patterns": [], "host_keys": "pinned", "known_hosts": [], "known_hosts_file": "",
        "identity_file": "~/.ssh/nexus", "agent": "", "keep_alive": 15
    }))
    .unwrap()
}

fn settings(change: impl FnOnce(&mut Authored)) -> Result<Settings, Failure> {
    settings_with(&Secrets::default(), change)
}

fn settings_with(given: &Secrets, change: impl FnOnce(&mut Authored)) -> Result<Settings, Failure> {
    let mut authored = authored();
    change(&mut authored);
    Settings::of(authored, given)
}

fn refused(change: impl FnOnce(&mut Authored)) -> Failure {
    let failure = settings(change).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.hint.is_some());
    failure
}

#[test]
fn without_more_it_is_a_port_of_ones_own_server_without_tls() {
    let own = settings(|_| {}).unwrap();
    assert_eq!((own.target.port, own.bind.text.as_str()), (22, "*:0"));
    assert_eq!(own.url(5).as_deref(), Some("http://ssh.example.org:5"));
    assert!(own.encryption() == Encryption::None && !own.is_stable());
    assert_eq!(own.target.known_as(), "ssh.example.org");
    assert_eq!(
        settings(|a| a.host = "::1".into()).unwrap().url(5).as_deref(),
        Some("http://[::1]:5")
    );
}

#[test]
fn an_address_of_a_reverse_proxy_ends_tls_at_the_server() {
    let proxied = settings(|a| {
        a.public_url = "https://chat.example.org/".into();
        a.remote_bind = "127.0.0.1:8080".into();
        a.client_address_header = "X-Real-IP".into();
    })
    .unwrap();
    assert_eq!(proxied.url(8080).as_deref(), Some("https://chat.example.org"));
    assert!(proxied.encryption() == Encryption::Edge && proxied.is_stable());
    assert_eq!(proxied.client_address_header.as_deref(), Some("x-real-ip"));
    let plain = settings(|a| {
        a.public_url = "http://chat.example.org".into();
        a.remote_bind = "8080".into();
    });
    assert_eq!(plain.unwrap().encryption(), Encryption::None);
    assert!(
        refused(|a| a.public_url = "https://chat.example.org".into())
            .hint
            .unwrap()
            .contains("remote_bind")
    );
}

#[test]
fn a_port_that_only_the_server_reaches_needs_an_address() {
    let failure = refused(|a| a.remote_bind = "127.0.0.1:8080".into());
    assert!(failure.hint.unwrap().contains("public_url"));
    assert!(
        settings(|a| {
            a.host = "127.0.0.1".into();
            a.remote_bind = "127.0.0.1:0".into();
        })
        .is_ok()
    );
}

#[test]
fn a_service_has_defaults_and_the_configuration_overrides_them() {
    let service = settings(|a| {
        a.service = "localhost.run".into();
        (a.host, a.identity_file) = (String::new(), String::new());
    })
    .unwrap();
    assert_eq!(
        (service.target.host.as_str(), service.bind.text.as_str()),
        ("localhost.run", "80")
    );
    assert_eq!(service.target.user.as_deref(), Some("nokey"));
    assert_eq!((service.url(80), service.encryption()), (None, Encryption::Edge));
    let known = settings(|a| {
        a.service = "localhost.run".into();
        a.host = String::new();
        a.remote_bind = "chat.example.org:80".into();
    })
    .unwrap();
    assert_eq!(known.target.user, None, "with a key nobody is `nokey`");
    assert_eq!(known.bind.text, "chat.example.org:80");
    let another = settings(|a| a.url_patterns = vec!["at https://*.example.org".into()]).unwrap();
    assert!(matches!(another.mode, Mode::Service { name, .. } if name == "ssh.example.org"));
    let both = refused(|a| {
        a.service = "serveo.net".into();
        a.public_url = "https://chat.example.org".into();
    });
    assert!(both.message.contains("public_url"));
}

#[test]
fn what_would_be_something_else_to_ssh_is_refused_with_a_message() {
    for host in [
        "-oProxyCommand=x",
        "a b",
        "me@example.org",
        "example.org:22",
        "{secret:token}",
        "a\nb",
        "%h",
    ] {
        assert!(refused(|a| a.host = host.into()).message.contains("host"));
    }
    for user in ["-oProxyCommand=x", "a b", "a{b", "a\"b"] {
        assert!(refused(|a| a.user = user.into()).message.contains("user"));
    }
    for bind in ["x", "1.2.3.4", "*:70000", "a b:1", "[::1:1", "-x:1", "::1:1", "1:2:3"] {
        assert!(
            refused(|a| a.remote_bind = bind.into()).message.contains("remote_bind"),
            "{bind}"
        );
    }
    for path in ["id_ed25519", "../x", "/a\"b", "/${HOME}/x", "/a\nb", "~other/x"] {
        assert!(
            refused(|a| a.identity_file = path.into())
                .message
                .contains("identity_file"),
            "{path}"
        );
        assert!(refused(|a| a.agent = path.into()).message.contains("agent"), "{path}");
        assert!(
            refused(|a| a.known_hosts_file = path.into())
                .message
                .contains("known_hosts_file"),
            "{path}"
        );
    }
    for url in ["chat.example.org", "https://", "https://a/b", "https://me@a", "ftp://a"] {
        assert!(
            refused(|a| a.public_url = url.into()).message.contains("public_url"),
            "{url}"
        );
    }
    assert!(refused(|a| a.port = 70_000).message.contains("70000"));
    assert!(refused(|a| a.keep_alive = 0).message.contains("keep_alive"));
    assert!(
        refused(|a| a.url_patterns = vec!["x".into()])
            .message
            .contains("url_patterns")
    );
    assert!(
        refused(|a| a.known_hosts = vec!["SHA256:abc".into()])
            .message
            .contains("known_hosts")
    );
    assert!(refused(|a| a.host = String::new()).hint.unwrap().contains("service"));
    assert!(
        refused(|a| a.identity_file = String::new())
            .hint
            .unwrap()
            .contains("ssh-keygen")
    );
}

#[test]
fn host_keys_are_pinned_unless_one_says_otherwise() {
    assert_eq!(settings(|_| {}).unwrap().host_keys, HostKeys::Lines(Vec::new()));
    let new = settings(|a| a.host_keys = "accept-new".into()).unwrap();
    assert_eq!(new.host_keys, HostKeys::AcceptNew);
    let pinned = settings(|a| {
        a.host_keys = "accept-new".into();
        a.known_hosts = vec![format!("ssh-ed25519 {BLOB}")];
    });
    let line = format!("ssh.example.org ssh-ed25519 {BLOB}");
    assert_eq!(pinned.unwrap().host_keys, HostKeys::Lines(vec![line]));
    let file = settings(|a| a.known_hosts_file = "/etc/100%/known".into()).unwrap();
    assert_eq!(file.host_keys, HostKeys::File("/etc/100%%/known".into()));
}

fn key(text: &str) -> Secrets {
    Secrets {
        identity: Some(text.to_owned()),
        token: None,
    }
}

#[test]
fn a_key_as_a_secret_has_to_be_one_without_a_passphrase_and_is_never_shown() {
    let open = key(&format!(
        "{OPENSSH_HEADER}\n{UNENCRYPTED_KEY}AAAAEbm9uZQ\n-----END OPENSSH PRIVATE KEY-----"
    ));
    let settings = settings_with(&open, |a| a.identity_file = String::new()).unwrap();
    assert_eq!(settings.identity, Identity::Secret);
    let locked = format!("{OPENSSH_HEADER}\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0\n");
    for (text, word) in [
        (locked.as_str(), "passphrase"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nb3Blbn",
            "passphrase",
        ),
        ("b3Blbn", "not a private key"),
    ] {
        let failure = settings_with(&key(text), |a| a.identity_file = String::new()).unwrap_err();
        assert!(
            failure.message.contains(word) && !format!("{failure:?}").contains("b3Blbn"),
            "{failure:?}"
        );
    }
    assert!(
        settings_with(&open, |_| {})
            .unwrap_err()
            .message
            .contains("only one key")
    );
}

#[test]
fn an_agent_is_asked_only_where_its_socket_is_named() {
    let agent = settings(|a| a.agent = "/run/agent".into()).unwrap().identity;
    let key = Some("~/.ssh/nexus".to_owned());
    let socket = "/run/agent".to_owned();
    assert_eq!(agent, Identity::Agent { socket, key });
}

#[test]
fn a_token_takes_the_place_of_the_user() {
    let token = |text: &str| Secrets {
        identity: None,
        token: Some(text.to_owned()),
    };
    let pinggy = |a: &mut Authored| (a.service, a.host) = ("pinggy".into(), String::new());
    let settings = settings_with(&token("aB3+force"), pinggy).unwrap();
    assert!(settings.token && settings.target.user.is_none() && settings.target.port == 443);
    for bad in ["a b", "a\"\nProxyCommand x", "$HOME", "-x"] {
        let failure = settings_with(&token(bad), pinggy).unwrap_err();
        assert!(!format!("{failure:?}").contains("ProxyCommand"), "{failure:?}");
    }
    assert!(settings_with(&token("x"), |a| a.user = "me".into()).is_err());
}
