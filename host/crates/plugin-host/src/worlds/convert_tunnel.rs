//! What a tunnel's plugin says, as the host has it.

use super::convert::{sentence, titled};
use super::convert_chat::Speaker;
use crate::bindings::tunnel::exports::nexus::plugin::tunnel as wit_tunnel;
use crate::truncate;
use nexus_model::limits;
use nexus_model::tunnel::{self, TunnelEvent, TunnelStatistics};

/// `OTHER_MEANING` are headers that say something else than a client's address or a name, or that a proxy sets for itself.
const OTHER_MEANING: [&str; 17] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// `tunnel_descriptor` is the plugin's own; `name` is that of the plugin, for one that calls itself nothing.
///
/// # Errors
/// The client's address, or the public name, is to be taken from what cannot be trusted to hold one.
pub(crate) fn tunnel_descriptor(
    d: wit_tunnel::Descriptor,
    name: &str,
) -> Result<tunnel::Descriptor, nexus_plugin_traits::CallError> {
    Ok(tunnel::Descriptor {
        title: titled(d.title, name),
        stable_url: d.url == wit_tunnel::UrlKind::Stable,
        encryption: match d.encryption {
            wit_tunnel::Encryption::Edge => tunnel::Encryption::Edge,
            wit_tunnel::Encryption::Passthrough => tunnel::Encryption::Passthrough,
            wit_tunnel::Encryption::Network => tunnel::Encryption::Network,
            wit_tunnel::Encryption::None => tunnel::Encryption::None,
        },
        event_streams: d.event_streams,
        client_address_header: d
            .client_address_header
            .map(|header| header_name(header, "client addresses", Some("host")))
            .transpose()?,
        public_name_header: d
            .public_name_header
            .map(|header| header_name(header, "the public name", None))
            .transpose()?,
        liveness: match d.liveness {
            wit_tunnel::Liveness::Reported => tunnel::Liveness::Reported,
            wit_tunnel::Liveness::Unknown => tunnel::Liveness::Unknown,
        },
    })
}

/// `header_name` is it in lower case. `other` is one more header that means something else than `what`.
fn header_name(header: String, what: &str, other: Option<&str>) -> Result<String, nexus_plugin_traits::CallError> {
    let refused = |cause: &str, header: String| {
        let header = truncate::literal(header, limits::TITLE_BYTES);
        Err(nexus_plugin_traits::CallError::Invalid(format!(
            "the plugin reports {what} in the header `{header}`, {cause}. This is a bug of the plugin"
        )))
    };
    if header.len() > limits::ADDRESS_HEADER {
        return refused("which is too long for a header name", header);
    }
    match http::HeaderName::from_bytes(header.as_bytes()) {
        Err(_) => refused("which is not a header name", header),
        Ok(name) => {
            let name = name.as_str();
            if OTHER_MEANING.contains(&name) || other == Some(name) || name.starts_with("sec-") {
                return refused("which has another meaning", header);
            }
            Ok(name.to_owned())
        }
    }
}

/// `tunnel_event` is the event as the host has it.
pub(crate) fn tunnel_event(e: wit_tunnel::Event, by: &Speaker<'_>) -> TunnelEvent {
    let text = |text| sentence(text, by.mask);
    match e {
        wit_tunnel::Event::Starting(t) => TunnelEvent::Starting(text(t)),
        wit_tunnel::Event::LoginNeeded(login) => TunnelEvent::LoginNeeded(tunnel::ProviderLogin {
            login_url: login_url(by.mask.hide_in(login.url)),
            code: login.code.map(|code| truncate::title(by.mask.hide_in(code))),
            expires_at: login.expires_at.map(truncate::time),
        }),
        wit_tunnel::Event::Addresses(all) => {
            let all = truncate::list(all, limits::TUNNEL_ADDRESSES).into_iter();
            TunnelEvent::Addresses(all.map(address).collect())
        }
        wit_tunnel::Event::Ready(n) => TunnelEvent::Ready(n),
        wit_tunnel::Event::Degraded(t) => TunnelEvent::Degraded(text(t)),
        wit_tunnel::Event::Reconnecting(t) => TunnelEvent::Reconnecting(text(t)),
        wit_tunnel::Event::Measured(f) => TunnelEvent::Measured(TunnelStatistics {
            requests: f.requests,
            errors: f.errors,
            locations: truncate::list(f.locations, limits::LIST_ENTRIES)
                .into_iter()
                .map(truncate::title)
                .collect(),
            ext: by.ext(f.ext),
        }),
        wit_tunnel::Event::Other(note) => TunnelEvent::Note(by.ext(vec![note])),
    }
}

/// `address` is one as it is shown. One that is none is refused by who publishes it, in words that show it.
fn address(a: wit_tunnel::Address) -> tunnel::Address {
    let url = truncate::text(a.url, limits::URL_BYTES);
    tunnel::Address {
        url: tunnel::public_address(&url).unwrap_or_else(|_| truncate::literal(url, limits::URL_BYTES)),
        private: a.private,
    }
}

/// `login_url` is an address that the owner is sent to: an `https://` one without a user name, which would hide where it leads; what
/// is not so is shown as what it is, in angle brackets, and is no link.
fn login_url(url: String) -> String {
    let shown = truncate::literal(url, limits::URL_BYTES);
    match url::Url::parse(&shown) {
        Ok(url) if url.scheme() == "https" && url.username().is_empty() && url.password().is_none() => url.into(),
        _ => format!("⟨{shown}⟩"),
    }
}

#[cfg(test)]
#[path = "convert_tunnel_tests.rs"]
mod tests;
