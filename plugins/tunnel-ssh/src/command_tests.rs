use super::*;
use crate::settings::{Authored, Secrets};

fn settings(change: impl FnOnce(&mut Authored), given: &Secrets) -> Settings {
    let mut authored: Authored = serde_json::from_value(serde_json::json!({
        "service": "", "host": "ssh.example.org", "port": 2222, "user": "tunnel", "remote_bind": "*:8080", "public_url": "",
        "client_address_header": "", "url_patterns": [], "host_keys": "pinned", "known_hosts": [], "known_hosts_file": "",
        "identity_file": "/keys/a {b", "agent": "", "keep_alive": 15
    }))
    .unwrap();
    change(&mut authored);
    Settings::of(authored, given).unwrap()
}

fn origin() -> Origin {
    Origin {
        host: "127.0.0.1".to_owned(),
        port: 4711,
    }
}

fn of(settings: &Settings) -> Spec {
    spec(settings, &settings.host_keys, &origin())
}

fn has(spec: &Spec, option: &str) -> bool {
    spec.args.windows(2).any(|pair| pair == ["-o", option])
}

fn secrets() -> Secrets {
    Secrets {
        identity: Some(
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUPRIVATE\n-----END OPENSSH PRIVATE KEY-----"
                .to_owned(),
        ),
        token: Some("T0KEN".to_owned()),
    }
}

#[test]
fn one_forward_and_nothing_else_is_opened() {
    let spec = of(&settings(|_| {}, &Secrets::default()));
    assert_eq!(spec.args.last().map(String::as_str), Some("ssh.example.org"));
    for pair in [
        ["-R", "*:8080:127.0.0.1:4711"],
        ["-p", "2222"],
        ["-l", "tunnel"],
        ["-F", "none"],
        ["-e", "none"],
    ] {
        assert!(
            spec.args.windows(2).any(|two| two == pair),
            "{pair:?} in {:?}",
            spec.args
        );
    }
    for flag in ["-N", "-T", "-x", "-a"] {
        assert!(spec.args.iter().any(|argument| argument == flag), "{flag}");
    }
    for option in [
        "BatchMode=yes",
        "ExitOnForwardFailure=yes",
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=/dev/null",
        "UserKnownHostsFile=\"{file:known_hosts}\"",
        "IdentityFile=\"/keys/a {{b\"",
        "IdentityAgent=none",
        "IdentitiesOnly=yes",
        "ServerAliveInterval=15",
        "PreferredAuthentications=publickey",
    ] {
        assert!(has(&spec, option), "{option} in {:?}", spec.args);
    }
    assert_eq!(spec.base, nexus_plugin_api::process::EnvironmentBase::Clean);
    assert!(!spec.stdin);
}

#[test]
fn secrets_stand_in_private_files_alone() {
    let change = |a: &mut Authored| (a.user, a.identity_file) = (String::new(), String::new());
    let spec = of(&settings(change, &secrets()));
    let outside = format!("{:?} {:?}", spec.args, spec.env);
    assert!(
        !outside.contains("{secret:") && !outside.contains("T0KEN") && !outside.contains("PRIVATE"),
        "{outside}"
    );
    let file = |name: &str| {
        spec.files
            .iter()
            .find(|file| file.name == name)
            .unwrap()
            .content
            .clone()
    };
    assert_eq!(file("identity"), "{secret:identity}\n");
    assert_eq!(file("ssh_config"), "User \"{secret:token}\"\n");
    assert!(has(&spec, "IdentityFile=\"{file:identity}\""));
    assert!(spec.args.windows(2).any(|two| two == ["-F", "{file:ssh_config}"]));
}

#[test]
fn an_agent_is_named_and_offers_all_or_the_one_that_was_chosen() {
    let chosen = of(&settings(|a| a.agent = "/run/agent".into(), &Secrets::default()));
    assert!(has(&chosen, "IdentityAgent=\"/run/agent\"") && has(&chosen, "IdentitiesOnly=yes"));
    let all = |a: &mut Authored| (a.agent, a.identity_file) = ("/run/agent".into(), String::new());
    let all = of(&settings(all, &Secrets::default()));
    assert!(has(&all, "IdentityFile=none") && has(&all, "IdentitiesOnly=no"));
}

#[test]
fn a_service_has_a_session_whose_input_stays_open() {
    let service = |a: &mut Authored| {
        a.service = "serveo.net".into();
        (a.host, a.remote_bind, a.identity_file) = (String::new(), String::new(), String::new());
    };
    let spec = of(&settings(service, &Secrets::default()));
    assert!(!spec.args.iter().any(|argument| argument == "-N") && spec.stdin);
    assert!(has(&spec, "IdentityFile=none") && has(&spec, "PasswordAuthentication=no"));
    assert!(spec.args.iter().any(|argument| argument == "80:127.0.0.1:4711"));
}

#[test]
fn known_hosts_are_a_private_file_or_the_operators() {
    let blob = "AAAAC3NzaC1lZDI1NTE5AAAAIMf3lztukhBKByINHhMhNa4twv0jQbhw+qcFltp7ReP2";
    let pinned = of(&settings(
        |a| a.known_hosts = vec![format!("ssh-ed25519 {blob}")],
        &Secrets::default(),
    ));
    let content = &pinned.files[0].content;
    assert_eq!(content, &format!("[ssh.example.org]:2222 ssh-ed25519 {blob}\n"));
    let own = of(&settings(
        |a| a.known_hosts_file = "~/.ssh/known_hosts".into(),
        &Secrets::default(),
    ));
    assert!(has(&own, "UserKnownHostsFile=\"~/.ssh/known_hosts\"") && own.files.is_empty());
}

#[test]
fn old_and_foreign_versions_are_distinguished() {
    let debian = "OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026\n";
    assert_eq!(version(debian), Ok("9.2p1".to_owned()));
    assert_eq!(version("OpenSSH_10.0p2, LibreSSL 3.3.6"), Ok("10.0p2".to_owned()));
    assert_eq!(version("OpenSSH_8.5p1"), Ok("8.5p1".to_owned()));
    assert_eq!(
        version("OpenSSH_for_Windows_9.5p1, LibreSSL 3.8.2"),
        Ok("9.5p1".to_owned())
    );
    assert!(
        version("OpenSSH_8.0p1, OpenSSL 1.1.1k")
            .unwrap_err()
            .contains("8.5 or newer")
    );
    assert!(version("Dropbear v2022.83").unwrap_err().contains("not OpenSSH"));
    assert!(version("").is_err());
}
