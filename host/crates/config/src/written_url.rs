//! Addresses as people write them into a configuration or a manifest: `https://api.example.org`, `chat.example.org`, `[::1]`.
//!
//! `url` reads them, as it does when a request is sent. It also takes what nobody means here (an address in octal, letters
//! beyond ASCII, a line break within the name), so a host has to be written as `url` writes it: what an operator reads is
//! what is compared.

use url::{Host, Position, Url};

/// Reads a host name or an IP literal, as it may be in a Host header or a URL.
///
/// # Errors
/// What is wrong with it.
pub(super) fn host_name(text: &str) -> Result<Host, String> {
    let written = text.to_ascii_lowercase();
    if written.starts_with('[') {
        // It has more than one spelling, and none of them is another host.
        return Host::parse(&written).map_err(|_| "not an IPv6 address".to_owned());
    }
    if written.is_empty() || written.len() > 253 {
        return Err("a host name has 1 to 253 characters".to_owned());
    }
    for label in written.split('.') {
        let fits = (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-');
        if !fits {
            return Err(format!("`{label}` is not a label of a host name"));
        }
    }
    let host = Host::parse(&written).map_err(|error| error.to_string())?;
    if host.to_string() == written {
        Ok(host)
    } else {
        Err(format!("the host is `{host}`; write it like this"))
    }
}

/// Reads a URL with `http` or `https`, without a user name, whose host is written as `url` writes it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn written_url(text: &str) -> Result<Url, String> {
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = lower
        .split_once("://")
        .ok_or("it does not start with https:// or http://")?;
    if !matches!(scheme, "https" | "http") {
        return Err(format!("the scheme is `{scheme}`, not https or http"));
    }
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it contains a user name".to_owned());
    }
    if url.port() == Some(0) {
        return Err("`0` is not a port".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    let after = match url.host() {
        Some(Host::Ipv6(_)) => rest.split_once(']').map(|(_, after)| after),
        _ => rest.strip_prefix(host),
    };
    match after {
        Some(after) if after.is_empty() || after.starts_with([':', '/', '?', '#']) => Ok(url),
        _ => Err(format!("the host is `{host}`; write it like this")),
    }
}

/// Reads `scheme://host[:port]` with nothing behind it, and returns its canonical form.
///
/// # Errors
/// What is wrong with it.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let url = written_url(text)?;
    match &url[Position::BeforePath..] {
        "/" => {}
        tail => return Err(format!("`{tail}` follows the host")),
    }
    host_name(url.host_str().unwrap_or_default())?;
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_nothing_behind_its_host() {
        assert_eq!(
            origin("HTTPS://Chat.Example.org:443/").unwrap(),
            "https://chat.example.org"
        );
        assert_eq!(origin("http://[::1]:8080").unwrap(), "http://[::1]:8080");
        assert_eq!(origin("http://192.0.2.1").unwrap(), "http://192.0.2.1");
        for wrong in [
            "example.org",
            "ftp://x",
            "https://x/path",
            "https://x?y",
            "https://x#y",
            "https://u@x",
            "https://x:0",
            "https://x:+80",
            "https://",
            "https://a..b",
            "https://a.",
            "https://*.example.org",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_name_is_written_as_it_is_compared() {
        assert_eq!(host_name("Chat.Example.org").unwrap().to_string(), "chat.example.org");
        assert_eq!(host_name("[0:0:0:0:0:0:0:1]").unwrap().to_string(), "[::1]");
        assert_eq!(host_name("192.168.1.5").unwrap().to_string(), "192.168.1.5");
        assert_eq!(host_name("my_nas").unwrap().to_string(), "my_nas");
        for wrong in [
            "",
            "a b",
            "a..b",
            "a.",
            "-a",
            "a-",
            "*.a.org",
            "bücher.example",
            "127.1",
            "0177.0.0.1",
            "0x7f000001",
            "2130706433",
            "::1",
            "[::1",
            "[fe80::1%eth0]",
            "a:80",
        ] {
            assert!(host_name(wrong).is_err(), "{wrong}");
        }
    }
}
