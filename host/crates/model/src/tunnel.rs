//! A tunnel as the host sees it.

use crate::chat::Ext;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `TunnelEncryption` says where the TLS encryption of a tunnel ends: at the provider (`edge`; the provider can read the
/// requests), at Nexus (`passthrough`; it cannot), in the network itself (`network`; it encrypts everything, also without TLS), or
/// `none` (nothing is encrypted).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TunnelEncryption)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// `Edge`: the provider ends TLS, and sees what passes.
    Edge,
    /// `Passthrough`: TLS ends at Nexus, and the provider sees nothing.
    Passthrough,
    /// `Network`: the network between the client and this machine encrypts everything.
    Network,
    /// `None`: nothing is encrypted.
    None,
}

/// `TunnelAddress` is an address by which a tunnel is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TunnelAddress)]
pub struct Address {
    /// `url` has a scheme, a host, and the port if it is not the default port of the scheme.
    #[schema(format = "uri", examples("https://a.example.org"))]
    pub url: String,
    /// `private` is true if only members of the provider's network reach the address.
    pub private: bool,
}

/// `ProviderLogin` is where the owner logs in with the provider of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderLogin {
    /// `login_url` is the address of the page where that is done.
    #[schema(format = "uri")]
    pub login_url: String,
    /// `code` is to be typed there. Null: nothing is.
    #[schema(required)]
    pub code: Option<String>,
    /// `expires_at` is the time after which it is too late. Null: it is not known.
    #[schema(required)]
    pub expires_at: Option<Millis>,
}

impl std::fmt::Display for ProviderLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = &self.login_url;
        match &self.code {
            Some(code) => write!(f, "log in with the provider: open {url} and enter the code {code}"),
            None => write!(f, "log in with the provider: open {url}"),
        }
    }
}

/// `Liveness` says who notices that a tunnel's connection is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// `Reported`: the provider, and its plugin says so.
    Reported,
    /// `Unknown`: the host, by its public check.
    Unknown,
}

/// `Descriptor` is what a provider says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// `title` is the provider's name, for people: `bore`.
    pub title: String,
    /// `stable_url`: the address stays the same as long as the configuration does; else each start has another one.
    pub stable_url: bool,
    /// `encryption` is where TLS ends.
    pub encryption: Encryption,
    /// `event_streams`: an endless answer to a GET is passed on as it is written.
    pub event_streams: bool,
    /// `client_address_header` is the request header, in lower case, that holds the client's address; `None`: the
    /// provider sets none.
    pub client_address_header: Option<String>,
    /// `public_name_header` is the request header, in lower case, that holds the name by which the client reached the
    /// tunnel; `None`: it is in `Host`.
    pub public_name_header: Option<String>,
    /// `liveness` says who notices that the connection is dead.
    pub liveness: Liveness,
}

/// `public_address` is an address in the one form that is shown and compared: scheme, host in ASCII and lower case,
/// port where it is not the scheme's own.
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

/// `TunnelEvent` is what a provider reports while a tunnel is open or opening. The texts are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelEvent {
    /// `Starting` is what is being done now.
    Starting(String),
    /// `LoginNeeded`: the owner has to log in with the provider before it goes on.
    LoginNeeded(ProviderLogin),
    /// `Addresses` are all by which the tunnel is reached from now on. The first is shown first.
    Addresses(Vec<Address>),
    /// `Ready`: requests can arrive, over so many connections.
    Ready(u32),
    /// `Degraded`: there are fewer connections than wanted; requests still arrive. The text is why.
    Degraded(String),
    /// `Reconnecting`: no request arrives now, and the provider's program tries by itself. The text is why.
    Reconnecting(String),
    /// `Measured` is what the provider's program has counted so far.
    Measured(TunnelStatistics),
    /// `Note` is something that only the plugin has a word for.
    Note(Ext),
}

impl TunnelEvent {
    /// `url` is a single address, which everybody reaches.
    pub fn url(url: impl Into<String>) -> Self {
        let (url, private) = (url.into(), false);
        Self::Addresses(vec![Address { url, private }])
    }
}

/// `TunnelStatistics` are the counts of a tunnel's program since it started. Null: the program does not report the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TunnelStatistics {
    /// `requests` is the number of requests that came through the tunnel.
    #[schema(required)]
    pub requests: Option<u64>,
    /// `errors` is the number of requests that did not reach this machine.
    #[schema(required)]
    pub errors: Option<u64>,
    /// `locations` are the data centers that the tunnel is connected to.
    pub locations: Vec<String>,
    /// `ext` has what the plugin counts beside all that.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}

/// `TunnelMeasurement` is the statistics of a tunnel and the time at which its program reported them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TunnelMeasurement)]
pub struct Measurement {
    /// `at` is the time at which the program reported the values.
    pub at: Millis,
    /// The values; their keys are in the same object.
    #[serde(flatten)]
    pub statistics: TunnelStatistics,
}

/// `TunnelState` is the state of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TunnelState {
    /// `off`: the tunnel is closed.
    Off,
    /// `waiting_for_account`: the tunnel opens when an account has been created.
    WaitingForAccount,
    /// `starting`: the tunnel is opening.
    Starting {
        /// `progress` describes the current step.
        progress: String,
    },
    /// `login_needed`: the owner has to log in with the provider before the tunnel opens.
    LoginNeeded(ProviderLogin),
    /// `up`: the tunnel is open.
    Up {
        /// `connections` is the number of connections from the tunnel's program to the servers of the provider.
        connections: u32,
    },
    /// `degraded`: the tunnel is open, but it does not work as it should.
    Degraded {
        /// `cause` says what is wrong.
        cause: String,
    },
    /// `reconnecting`: the tunnel was open and lost its connection. It recovers by itself.
    Reconnecting {
        /// `cause` says why the connection was lost.
        cause: String,
    },
    /// `waiting`: the tunnel did not open. Nexus tries again at `at`.
    Waiting {
        /// `cause` says why the tunnel did not open.
        cause: String,
        /// `fix` says how to fix it. Null: no fix is known.
        #[schema(required)]
        fix: Option<String>,
        /// `at` is the time of the next attempt.
        at: Millis,
    },
    /// `failed`: the tunnel did not open, and Nexus does not try again until it is told to.
    Failed {
        /// `cause` says why the tunnel did not open.
        cause: String,
        /// `fix` says how to fix it. Null: no fix is known.
        #[schema(required)]
        fix: Option<String>,
    },
    /// `stopping`: the tunnel is closing.
    Stopping,
}

/// `TunnelStatus` describes a tunnel and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TunnelStatus {
    /// `name` is the `NAME` of `[tunnel.NAME]` in the configuration.
    #[schema(examples("main"))]
    pub name: String,
    /// `plugin` is the name of the plugin that provides the tunnel.
    #[schema(examples("tunnel-cloudflared"))]
    pub plugin: String,
    /// `title` is the name of the provider, for people.
    pub title: String,
    /// `encryption` says where TLS ends. Null: the plugin has not reported it yet.
    #[schema(required)]
    pub encryption: Option<Encryption>,
    /// The state of the tunnel; its keys are in the same object.
    #[serde(flatten)]
    pub state: TunnelState,
    /// `url` is the public address: scheme, host, and the port if it is not the default port of the scheme. Null: there
    /// is none yet.
    #[schema(required, format = "uri", examples("https://a.example.org"))]
    pub url: Option<String>,
    /// `addresses` are all by which the tunnel is reached; `url` is the first of them.
    #[serde(default)]
    #[schema(required)]
    pub addresses: Vec<Address>,
    /// `url_propagating` is true while the address is so new that DNS servers may not know it yet. Do not open or share
    /// the address before this is false: a resolver that is asked too early remembers that the name does not exist.
    pub url_propagating: bool,
    /// `fixed_listen` is true if `listen` has a fixed port. During a swap, one plugin then has to close the port before
    /// the other can open it, which disconnects clients of the tunnel.
    pub fixed_listen: bool,
    /// `since` is the time at which the state began.
    pub since: Millis,
    /// `statistics` are the last statistics since the tunnel was opened. Null: there are none.
    #[schema(required)]
    pub statistics: Option<Measurement>,
    /// `reconnects` is the number of times that the tunnel recovered from a lost connection since it was opened.
    pub reconnects: u32,
    /// `public_check` is the result of the last public check. Null: there was none.
    #[schema(required)]
    pub public_check: Option<PublicCheck>,
    /// `swap` is the swap that is in progress, or the last one if it failed. Null: there is none.
    #[schema(required)]
    pub swap: Option<Swap>,
    /// `ext` has what the plugin says of the tunnel beside all that, while it is open.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}

impl TunnelStatus {
    /// `checked_address` is the one by which Nexus asks itself: the first that everybody reaches.
    pub fn checked_address(&self) -> Option<&str> {
        let public = self.addresses.iter().find(|address| !address.private);
        public.map(|address| address.url.as_str())
    }
}

/// `PublicCheck` is a request of Nexus to itself through the public address of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicCheck {
    /// `at` is the time of the check.
    pub at: Millis,
    /// The result of the check; its keys are in the same object.
    #[serde(flatten)]
    pub result: PublicCheckResult,
}

/// `PublicCheckResult` is the result of a public check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PublicCheckResult {
    /// `passed`: the request reached Nexus.
    Passed {
        /// `latency_ms` is the time between the request and its answer, in milliseconds.
        latency_ms: u64,
    },
    /// `failed`: the request did not reach Nexus.
    Failed {
        /// `cause` says why the request did not reach Nexus.
        cause: String,
    },
}

/// `TunnelSwap` is the replacement of the plugin of a tunnel by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TunnelSwap)]
pub struct Swap {
    /// `plugin` is the name of the new plugin.
    pub plugin: String,
    /// `since` is the time at which the swap began.
    pub since: Millis,
    /// The state of the swap; its keys are in the same object.
    #[serde(flatten)]
    pub step: Step,
}

impl Swap {
    /// Tells whether the swap goes on; one that failed does not.
    pub fn is_under_way(&self) -> bool {
        !matches!(self.step, Step::Failed { .. })
    }
}

/// `TunnelSwapState` is the state of a swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TunnelSwapState)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Step {
    /// `opening`: the new plugin is opening its tunnel. The old one is still in use.
    Opening {
        /// `progress` describes the current step.
        progress: String,
    },
    /// `checking`: the new tunnel is open, and Nexus checks that its public address leads to Nexus.
    Checking {
        /// `url` is the address of the new tunnel.
        url: String,
    },
    /// `draining`: the new tunnel is in use. Clients of the old one are told the new address, and the old one closes.
    Draining {
        /// `url` is the address of the new tunnel. Null: it is not known yet.
        #[schema(required)]
        url: Option<String>,
    },
    /// `failed`: the swap failed, and the old plugin is still in use.
    Failed {
        /// `cause` says why the swap failed.
        cause: String,
        /// `fix` says how to fix it. Null: no fix is known.
        #[schema(required)]
        fix: Option<String>,
    },
}

/// `PublicCheckFailure` is a public check that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicCheckFailure {
    /// `cause` is a sentence for the operator.
    pub cause: String,
    /// `network` is what the failure proves of the network.
    pub network: Network,
}

/// `Network` is what a failed public check proves of the network between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// `Answered`: it is there, since somebody answered or refused, or took the connection and said nothing.
    Answered,
    /// `Unresolved`: the name was not found.
    Unresolved,
    /// `Unknown`: it may be away.
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
        for (reported, cause) in [
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
                public_address(reported).is_err_and(|said| said.contains(cause)),
                "{reported}"
            );
        }
    }
}
