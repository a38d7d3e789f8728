//! A tunnel as the host sees it.

use crate::time::Millis;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    Edge,
    Passthrough,
    None,
}

/// What a provider says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    pub title: String,
    pub stable_url: bool,
    pub encryption: Encryption,
    pub event_streams: bool,
    /// Lower case.
    pub client_address_header: Option<String>,
}

/// A public address in the one form that is shown and compared: scheme, host in ASCII and lower case, port where it is not the
/// scheme's own.
///
/// # Errors
/// Why it is none, to be read after the address.
pub fn public_address(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "expected http://… or https://…";
    let url = reqwest::Url::parse(text).map_err(|_| EXPECTED)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(EXPECTED);
    }
    // Whoever trusts what stands before an @ is led elsewhere.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected an address without a user name or a password");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("expected a whole host, with nothing after its name");
    }
    Ok(url.origin().ascii_serialization())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Starting(String),
    Url(String),
    Ready(u32),
    Degraded(String),
    Reconnecting(String),
    Measured(Figures),
}

/// What a provider's program counts since its start, as far as it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    pub requests: Option<u64>,
    /// Requests that did not reach this machine.
    pub errors: Option<u64>,
    pub locations: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Off,
    /// Wanted, but not before an owner account exists.
    WaitingForAccount,
    Starting {
        what: String,
    },
    Up {
        connections: u32,
    },
    Degraded {
        why: String,
    },
    Reconnecting {
        why: String,
    },
    /// Tried again at `at`.
    Waiting {
        why: String,
        hint: Option<String>,
        at: Millis,
    },
    Failed {
        why: String,
        hint: Option<String>,
    },
    Stopping,
}

/// For the status page and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `main` in `[tunnel.main]`.
    pub name: String,
    pub plugin: String,
    pub title: String,
    /// None: the plugin has not said it yet.
    pub encryption: Option<Encryption>,
    #[serde(flatten)]
    pub state: State,
    pub url: Option<String>,
    /// The address was made just now and may not be known everywhere: whoever asks for it too early makes resolvers keep
    /// that there is no such name. Not to be given out yet.
    pub fresh: bool,
    /// `listen` has a fixed port: one plugin has to close before another can open the tunnel.
    pub fixed_listen: bool,
    pub since: Millis,
    /// The last ones of the present run, and when they were taken.
    pub figures: Option<(Millis, Figures)>,
    /// How often it was open again after it had been lost, since it was opened.
    pub reconnects: u32,
    /// The last look at it from its public side.
    pub reach: Option<Reach>,
    /// Another plugin that is taking its place, or the last one that could not.
    pub swap: Option<Swap>,
}

/// A request of this host to itself, by the tunnel's public address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    pub at: Millis,
    #[serde(flatten)]
    pub result: Reached,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reach", rename_all = "snake_case")]
pub enum Reached {
    /// There and back, in milliseconds.
    Yes {
        latency: u64,
    },
    No {
        why: String,
    },
}

/// A plugin on its way to take over a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    pub plugin: String,
    pub since: Millis,
    #[serde(flatten)]
    pub step: Step,
}

impl Swap {
    pub fn is_under_way(&self) -> bool {
        !matches!(self.step, Step::Failed { .. })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The old one still serves.
    Opening { what: String },
    /// It is open; whether it really leads here is being tried, from its public side.
    Probing { url: String },
    /// The new one serves; clients of the old one are told, and it closes.
    Draining { url: Option<String> },
    /// Everything is as it was before.
    Failed { why: String, hint: Option<String> },
}

/// A public check that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// A sentence for the operator.
    pub why: String,
    pub network: Network,
}

/// What a failed public check proves of the network between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// It is there: somebody answered or refused, or took the connection and said nothing.
    Answered,
    /// The name was not found.
    Unresolved,
    /// It may be away.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::public_address;

    #[test]
    fn an_address_is_shown_in_one_form_or_refused() {
        for (reported, shown) in [
            ("https://a.example.org", "https://a.example.org"),
            ("HTTPS://A.Example.ORG:443/", "https://a.example.org"),
            ("http://[::1]:7000", "http://[::1]:7000"),
            ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
            ("https://\u{440}\u{430}ypal.com", "https://xn--ypal-43d9g.com"),
        ] {
            assert_eq!(public_address(reported).as_deref(), Ok(shown));
        }
        for (reported, why) in [
            ("no address at all", "http"),
            ("javascript:alert(1)", "http"),
            ("file:///etc/passwd", "http"),
            ("https://", "http"),
            ("https://user:pw@a.example.org", "user name"),
            ("https://good.example.org@evil.example", "user name"),
            ("https://a.example.org/path", "whole host"),
            ("https://a.example.org/?q", "whole host"),
            ("https://a.example.org/#f", "whole host"),
        ] {
            assert!(
                public_address(reported).is_err_and(|said| said.contains(why)),
                "{reported}"
            );
        }
    }
}
