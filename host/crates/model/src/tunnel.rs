//! A tunnel as the host sees it.

use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where the encryption of a tunnel ends: at the provider's `edge`, at Nexus (`passthrough`), or there is `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TunnelEncryption)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// The provider ends TLS, and sees what passes.
    Edge,
    /// TLS ends at Nexus, and the provider sees nothing.
    Passthrough,
    /// There is no TLS.
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
    let url = url::Url::parse(text).map_err(|_| EXPECTED)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(EXPECTED);
    }
    // Whoever trusts what stands before an @ is led elsewhere.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected an address without a user name or a password");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("expected a host name with nothing after it");
    }
    Ok(url.origin().ascii_serialization())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelEvent {
    Starting(String),
    Url(String),
    Ready(u32),
    Degraded(String),
    Reconnecting(String),
    Measured(TunnelStatistics),
}

/// What a provider's program counts since its start. Null: it does not count that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]

pub struct TunnelStatistics {
    #[schema(required)]
    pub requests: Option<u64>,
    /// `errors` counts the requests that did not reach this machine.
    #[schema(required)]
    pub errors: Option<u64>,
    /// `locations` are the data centers that it is connected to.
    pub locations: Vec<String>,
}

/// Whether a tunnel is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TunnelState {
    /// It is closed.
    Off,
    /// It opens as soon as an owner account exists.
    WaitingForAccount,
    /// It is opening.
    Starting {
        /// `what` is what takes the time.
        what: String,
    },
    /// It is open.
    Up {
        /// `connections` counts those of the provider's program to its servers.
        connections: u32,
    },
    /// It is open, and something is wrong with it.
    Degraded { why: String },
    /// It was open, and comes back by itself.
    Reconnecting { why: String },
    /// It did not open, and is tried again at `at`.
    Waiting {
        why: String,
        /// `hint` is what to do.
        #[schema(required)]
        hint: Option<String>,
        /// `at` is when it is tried again, in milliseconds since the Unix epoch.
        at: Millis,
    },
    /// It did not open, and is not tried again before someone does something.
    Failed {
        why: String,
        /// `hint` is what to do.
        #[schema(required)]
        hint: Option<String>,
    },
    /// It is closing.
    Stopping,
}

/// A tunnel and how it is, for the status page and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]

pub struct TunnelStatus {
    /// `name` is the `NAME` of `[tunnel.NAME]`.
    #[schema(examples("main"))]
    pub name: String,
    /// `plugin` is the name of the plugin that serves it.
    #[schema(examples("tunnel-cloudflared"))]
    pub plugin: String,
    /// `title` is the provider's name, for people.
    pub title: String,
    /// `encryption` is null while the plugin has not said it yet.
    #[schema(required)]
    pub encryption: Option<Encryption>,
    #[serde(flatten)]
    pub state: TunnelState,
    /// `url` is the public address: scheme, host, and the port where it is not the scheme's own. Null: there is none
    /// yet.
    #[schema(required, format = "uri", examples("https://a.example.org"))]
    pub url: Option<String>,
    /// `fresh`: the address was made just now and may not be known everywhere. A client that asks for it too early makes
    /// resolvers keep that there is no such name: do not open it, and do not give it out, before this is false.
    pub fresh: bool,
    /// `fixed_listen`: `listen` has a fixed port, so that one plugin has to close before another can open the tunnel. A
    /// swap cuts off a client that came through it.
    pub fixed_listen: bool,
    /// `since` is when `state` began, in milliseconds since the Unix epoch.
    pub since: Millis,
    /// `statistics` are the last ones of the present run, behind the time they were taken at, in milliseconds since the
    /// Unix epoch.
    #[schema(required)]
    pub statistics: Option<(Millis, TunnelStatistics)>,
    /// `reconnects` counts how often it was open again after it had been lost, since it was opened.
    pub reconnects: u32,
    /// `public_check` is the last check of it by its public address.
    #[schema(required)]
    pub public_check: Option<PublicCheck>,
    /// `swap` is another plugin that is taking its place, or the last one that could not.
    #[schema(required)]
    pub swap: Option<Swap>,
}

/// A public check: a request of this host to itself, by the tunnel's public address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicCheck {
    /// `at` is when it was made, in milliseconds since the Unix epoch.
    pub at: Millis,
    #[serde(flatten)]
    pub result: PublicCheckResult,
}

/// What came of a public check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum PublicCheckResult {
    /// The request arrived.
    Passed {
        /// `latency` is the time there and back, in milliseconds.
        latency: u64,
    },
    /// The request did not arrive.
    Failed {
        /// `why` is a sentence.
        why: String,
    },
}

/// A plugin that is replacing the provider of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TunnelSwap)]
pub struct Swap {
    /// `plugin` is the name of the plugin that replaces it.
    pub plugin: String,
    /// `since` is when it began, in milliseconds since the Unix epoch.
    pub since: Millis,
    #[serde(flatten)]
    pub step: Step,
}

impl Swap {
    pub fn is_under_way(&self) -> bool {
        !matches!(self.step, Step::Failed { .. })
    }
}

/// How far a swap is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TunnelSwapStep)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The new one is opening, and the old one still serves.
    Opening {
        /// `what` is what takes the time.
        what: String,
    },
    /// The new one is open; whether it really leads here is being checked, by its public address.
    Checking { url: String },
    /// The new one serves; clients of the old one are told, and it closes.
    Draining {
        /// `url` is the address of the new one.
        #[schema(required)]
        url: Option<String>,
    },
    /// The new one could not replace it, and everything is as it was before.
    Failed {
        why: String,
        /// `hint` is what to do.
        #[schema(required)]
        hint: Option<String>,
    },
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
            ("https://a.example.org/path", "nothing after it"),
            ("https://a.example.org/?q", "nothing after it"),
            ("https://a.example.org/#f", "nothing after it"),
        ] {
            assert!(
                public_address(reported).is_err_and(|said| said.contains(why)),
                "{reported}"
            );
        }
    }
}
