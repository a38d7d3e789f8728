//! Whether a URL is one that the operator meant by `https://*.example.org:8443`.
//!
//! This is the second look, below the gate and with the parser of the client itself: where the two read a URL
//! differently (odd spellings of IP addresses, backslashes, punycode), this one knows where the request would go.

use nexus_config::resolved::HttpGrant;
pub use reqwest::Url;
use std::net::IpAddr;

/// Tells whether `url` goes to the host of this grant. A URL with a user name or password in it never does.
pub fn matches(grant: &HttpGrant, url: &Url) -> bool {
    if url.scheme() != grant.scheme || !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    let default = if grant.scheme == "https" { 443 } else { 80 };
    if url.port_or_known_default() != Some(grant.port.unwrap_or(default)) {
        return false;
    }
    let Some(host) = host(url) else { return false };
    match grant.host.strip_prefix("*.") {
        Some(suffix) => {
            literal(url).is_none()
                && host
                    .strip_suffix(suffix)
                    .and_then(|h| h.strip_suffix('.'))
                    .is_some_and(|h| !h.is_empty())
        }
        None => host == grant.host,
    }
}

/// `literal` is the IP address, where the host is one.
pub fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host)
        .parse()
        .ok()
}

/// `host` is in lower case, without the dot that ends a fully qualified name.
fn host(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn allowed(pattern: &str, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| matches(&HttpGrant::parse(pattern).unwrap(), &url))
    }

    #[test]
    fn a_url_of_the_host_matches() {
        for (pattern, url) in [
            ("https://example.org", "https://example.org/a?b"),
            ("https://example.org", "https://EXAMPLE.org:443/"),
            ("https://example.org", "https://example.org./"),
            ("HTTPS://Example.ORG:443", "https://example.org/"),
            ("https://*.example.org", "https://a.example.org/"),
            ("https://*.example.org", "https://a.b.example.org/"),
            ("https://*.example.org:8443", "https://a.example.org:8443/"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example/"),
            ("https://xn--bcher-kva.example", "https://BÜCHER.example/"),
            ("http://127.0.0.1:8080", "http://127.1:8080/"),
            ("http://127.0.0.1", "http://2130706433/"),
            ("http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080/"),
        ] {
            assert!(allowed(pattern, url), "{pattern} {url}");
        }
    }

    #[test]
    fn a_url_of_another_host_does_not() {
        for (pattern, url) in [
            ("https://example.org", "http://example.org/"),
            ("https://example.org", "https://example.org:8443/"),
            ("https://example.org:8443", "https://example.org/"),
            ("https://example.org", "https://example.org.evil/"),
            ("https://example.org", "https://example.org@evil/"),
            ("https://example.org", "https://user@example.org/"),
            ("https://example.org", "https://:secret@example.org/"),
            ("https://example.org", "https://evil/https://example.org"),
            ("https://example.org", "https://evil\\@example.org/"),
            ("https://example.org", "https://evil#@example.org/"),
            ("https://example.org", "https://a.example.org/"),
            ("https://example.org", "https://example.org../"),
            ("https://*.example.org", "https://example.org/"),
            ("https://*.example.org", "https://.example.org/"),
            ("https://*.example.org", "https://evilexample.org/"),
            ("https://*.example.org", "https://a.example.org.evil/"),
            ("https://*.example.org", "https://evil/?.example.org"),
            ("http://127.0.0.1", "http://127.0.0.2/"),
            ("http://127.0.0.1", "http://[::ffff:127.0.0.1]/"),
        ] {
            assert!(!allowed(pattern, url), "{pattern} {url}");
        }
    }
}
