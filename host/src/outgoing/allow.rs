//! The operator's allowlist: what `https://*.example.org:8443` means, and whether a URL is meant by it.
//!
//! Both sides go through the same URL parser, so that case, punycode, default ports and odd spellings of IP addresses
//! (`http://2130706433`) cannot make them disagree.

use crate::config::resolved::HttpGrant;
pub use reqwest::Url;
use std::net::IpAddr;

/// Reads `SCHEME://HOST[:PORT]`; `*.` before the host stands for one or more labels. `private` is left false.
///
/// # Errors
/// A sentence that says what is wrong and how to write it.
pub fn parse(pattern: &str) -> Result<HttpGrant, String> {
    let wrong = |what: &str| {
        format!(
            "`{pattern}` {what}; write it as `https://api.example.org`, `https://*.example.org` or `http://192.0.2.1:8080`"
        )
    };
    let (scheme, rest) = pattern.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "https" && scheme != "http" {
        return Err(wrong("is neither http nor https"));
    }
    let (wildcard, authority) = match rest.strip_prefix("*.") {
        Some(authority) => (true, authority),
        None => (false, rest),
    };
    if authority.contains(['/', '?', '#', '\\']) {
        return Err(wrong("has something after the host; a grant is for a whole host"));
    }
    if authority.contains('@') {
        return Err(wrong("has a user name in it"));
    }
    if authority.contains('*') {
        return Err(wrong("has a `*` that is not the whole first label"));
    }
    if authority.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(wrong("has white space in it"));
    }
    let url = Url::parse(&format!("{scheme}://{authority}/")).map_err(|e| wrong(&format!("is not a URL ({e})")))?;
    let host = host(&url).ok_or_else(|| wrong("has no host"))?;
    if wildcard && (literal(&url).is_some() || !host.contains('.')) {
        return Err(wrong("is wider than one organisation's names"));
    }
    Ok(HttpGrant {
        scheme,
        host: if wildcard { format!("*.{host}") } else { host },
        port: url.port(),
        private: false,
    })
}

/// Whether `url` goes to the host of this grant. A URL with a user name or password in it never does.
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

/// The IP address, where the host is one.
pub fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host)
        .parse()
        .ok()
}

/// Lower case, without the dot that ends a fully qualified name.
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
        Url::parse(url).is_ok_and(|url| matches(&parse(pattern).unwrap(), &url))
    }

    #[test]
    fn a_url_of_the_host_matches() {
        for (pattern, url) in [
            ("https://example.org", "https://example.org/a?b"),
            ("https://example.org", "https://EXAMPLE.org:443/"),
            ("https://example.org", "https://example.org./"),
            ("HTTPS://Example.ORG:443", "https://example.org/"),
            ("https://example.org.", "https://example.org/"),
            ("https://*.example.org", "https://a.example.org/"),
            ("https://*.example.org", "https://a.b.example.org/"),
            ("https://*.example.org:8443", "https://a.example.org:8443/"),
            ("https://bücher.example", "https://xn--bcher-kva.example/"),
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

    #[test]
    fn a_pattern_that_is_no_host_is_refused_in_words() {
        for pattern in [
            "example.org",
            "ftp://example.org",
            "https://",
            "https://*",
            "https://*.",
            "https://*.org",
            "https://a*.org",
            "https://example.org/",
            "https://example.org/path",
            "https://u@example.org",
            "https://*.127.0.0.1",
            "https://example.org:99999",
            "https://example .org",
            "https://*.*.org",
            "https://[::1",
        ] {
            let error = parse(pattern).unwrap_err();
            assert!(error.contains(pattern) && error.contains("write it as"), "{error}");
        }
    }
}
