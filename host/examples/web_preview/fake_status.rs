//! Tunnels and the status of plugins.

use super::*;

pub struct FakeTunnels(pub watch::Sender<Vec<tunnel::Status>>);

impl FakeTunnels {
    pub(super) fn new() -> Self {
        let status = |name: &str, state, url: Option<&str>| tunnel::Status {
            name: name.into(),
            plugin: "tunnel-bore".into(),
            title: "bore".into(),
            encryption: tunnel::Encryption::None,
            state,
            url: url.map(Into::into),
            since: now(),
            figures: None,
            reach: None,
            swap: None,
        };
        let hint = Some("Is the server's address right, and its port open?".to_owned());
        let waiting = tunnel::State::Failed {
            why: "bore.example:7835 refused the connection.".into(),
            hint,
        };
        Self(watch::Sender::new(vec![
            status(
                "main",
                tunnel::State::Up { connections: 1 },
                Some("http://bore.example:40123"),
            ),
            status("spare", tunnel::State::Off, None),
            status("office", waiting, None),
        ]))
    }
    fn set(&self, name: &str, state: tunnel::State) -> Result<(), ApiError> {
        let mut found = false;
        self.0.send_modify(|list| {
            for status in list.iter_mut().filter(|status| status.name == name) {
                status.state = state.clone();
                found = true;
            }
        });
        if found {
            Ok(())
        } else {
            Err(ApiError::NotFound(format!("There is no tunnel {name}.")))
        }
    }
}

impl TunnelApi for FakeTunnels {
    fn tunnels(&self) -> watch::Receiver<Vec<tunnel::Status>> {
        self.0.subscribe()
    }
    fn start<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        let done = self.set(
            name,
            tunnel::State::Starting {
                what: "connecting to bore.example".into(),
            },
        );
        async move { done }.boxed()
    }
    fn stop<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        let done = self.set(name, tunnel::State::Off);
        async move { done }.boxed()
    }
    fn plugins(&self) -> &[String] {
        &[]
    }
    fn swap<'a>(&'a self, name: &'a str, _plugin: &'a str) -> Reply<'a, nexus::web::port::Swapped> {
        let why = format!("There is no other plugin for {name}.");
        async move { Err(ApiError::Refused(why)) }.boxed()
    }
}

pub struct FakeStatus(pub watch::Sender<Vec<plugin::Status>>);

impl FakeStatus {
    pub(super) fn new() -> Self {
        let status = |name: &str, kind, state| plugin::Status {
            name: name.into(),
            kind,
            version: "0.1.0".into(),
            state,
            restarts: 0,
            last_failure: None,
        };
        let mut chat = status("chat-opencode", plugin::Kind::Chat, plugin::State::Running);
        chat.restarts = 1;
        chat.last_failure = Some(plugin::Failure {
            at: now(),
            message: "trap: out of bounds memory access.".into(),
            hint: None,
            permanent: false,
        });
        let cause = "trap: all CPU of this plugin is used up".to_owned();
        Self(watch::Sender::new(vec![
            status("auth-local", plugin::Kind::Auth, plugin::State::Running),
            chat,
            status(
                "tunnel-bore",
                plugin::Kind::Tunnel,
                plugin::State::Restarting {
                    cause,
                    at: now() + 4000,
                },
            ),
        ]))
    }
}

impl StatusApi for FakeStatus {
    fn plugins(&self) -> watch::Receiver<Vec<plugin::Status>> {
        self.0.subscribe()
    }
    fn version(&self) -> &str {
        "0.1.0"
    }
    fn config_file(&self) -> &str {
        "/home/you/.config/nexus/nexus.toml"
    }
    fn workspace(&self) -> &str {
        "/project"
    }
}
