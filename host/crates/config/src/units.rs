//! Values that are written as people write them: `"30m"`, `"64 MiB"`, `https://*.example.org`.

use crate::resolved::HttpGrant;
use std::time::Duration;

/// Reads `"90s"`, `"30m"`, `"14d"`, `"1h30m"`. `None`: it is not a duration.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u32 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match rest.get(..end)? {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(24 * 3600),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number)?)?;
        rest = rest.get(end..)?;
    }
    Some(total)
}

/// Reads `"512"`, `"64 KiB"`, `"1 MiB"`, `"2GiB"` in bytes. `None`: it is not a size.
pub(super) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit = match text.get(digits..)?.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Reads a host name or an IP literal, and makes it lower case, as it may be in a Host header or a URL.
///
/// # Errors
/// What is wrong with it.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    let host = text.to_ascii_lowercase();
    if let Some(v6) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return v6
            .parse::<std::net::Ipv6Addr>()
            .map(|a| format!("[{a}]"))
            .map_err(|_| "not an IPv6 address".to_owned());
    }
    if host.is_empty() || host.len() > 253 {
        return Err("a host name has 1 to 253 characters".to_owned());
    }
    for label in host.split('.') {
        let fits = (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-');
        if !fits {
            return Err(format!("`{label}` is not a label of a host name"));
        }
    }
    Ok(host)
}

/// Splits a URL into scheme, host, port, and what follows the authority.
fn split_url(text: &str) -> Result<(String, String, Option<u16>, &str), String> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or("it does not start with https:// or http://")?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "https" && scheme != "http" {
        return Err(format!("the scheme is `{scheme}`, not https or http"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if authority.contains('@') {
        return Err("it contains a user name".to_owned());
    }
    // A colon within brackets belongs to an IPv6 address.
    let colon = authority
        .rfind(':')
        .filter(|at| authority.rfind(']').is_none_or(|bracket| *at > bracket));
    let (host, port) = match colon.and_then(|at| authority.split_at_checked(at)) {
        Some((host, port)) => {
            let port = port.trim_start_matches(':');
            let number = port.parse::<u16>().ok().filter(|p| *p != 0);
            (host, Some(number.ok_or_else(|| format!("`{port}` is not a port"))?))
        }
        None => (authority, None),
    };
    Ok((scheme, host.to_owned(), port, tail))
}

/// Reads `scheme://host[:port]` with nothing behind it, and returns its canonical form.
///
/// # Errors
/// What is wrong with it.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let (scheme, host, port, tail) = split_url(text)?;
    if !matches!(tail, "" | "/") {
        return Err(format!("`{tail}` follows the host"));
    }
    let port = port
        .filter(|p| *p != default_port(&scheme))
        .map(|p| format!(":{p}"))
        .unwrap_or_default();
    Ok(format!("{scheme}://{}{port}", host_name(&host)?))
}

fn default_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

impl HttpGrant {
    /// Reads `https://api.example.org`, `https://*.example.org`, `http://192.0.2.1:8080`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let grant = Self::of_url(text)?;
        match split_url(text)?.3 {
            "" | "/" => Ok(grant),
            tail => Err(format!("`{tail}` follows the host, but a grant is for a whole host")),
        }
    }

    /// `of_url` is the grant that a URL needs: its path does not matter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_url(text: &str) -> Result<Self, String> {
        let (scheme, host, port, _) = split_url(text)?;
        let port = port.filter(|p| *p != default_port(&scheme));
        let (star, plain) = match host.strip_prefix("*.") {
            Some(plain) => ("*.", plain),
            None => ("", host.as_str()),
        };
        if plain.contains('*') {
            return Err("`*` is only allowed at the front, for whole labels: https://*.example.org".to_owned());
        }
        let plain = host_name(plain)?;
        if !star.is_empty() && !plain.contains('.') {
            return Err(format!(
                "`*.{plain}` is too wide: name at least two labels after the star"
            ));
        }
        Ok(Self {
            scheme,
            host: format!("{star}{plain}"),
            port,
            private: false,
        })
    }

    /// Tells whether both name the same scheme, host and port.
    pub fn same_server(&self, other: &Self) -> bool {
        (&self.scheme, &self.host, self.port) == (&other.scheme, &other.host, other.port)
    }

    /// `intersect` is what both allow, with this one's `private`.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let under = |name: &str, pattern: &str| {
            name == pattern || pattern.strip_prefix('*').is_some_and(|suffix| name.ends_with(suffix))
        };
        if self.scheme != other.scheme || self.port != other.port {
            return None;
        }
        let host = if under(&other.host, &self.host) {
            &other.host
        } else if under(&self.host, &other.host) {
            &self.host
        } else {
            return None;
        };
        Some(Self {
            host: host.clone(),
            ..self.clone()
        })
    }
}

/// As the configuration takes it.
impl std::fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_model::units::exact_duration;

    #[test]
    fn durations_and_sizes_are_read_as_written() {
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        for wrong in [
            "",
            "30",
            "m",
            "30 m",
            "-3s",
            "5y",
            "99999999999d",
            "1.5h",
            "4294967295d4294967295d9",
        ] {
            let read = duration(wrong);
            assert!(read.is_none(), "{wrong}: {read:?}");
        }
        for text in ["14d", "90s", "5h", "250ms"] {
            assert_eq!(exact_duration(duration(text).unwrap()), text);
        }
        assert_eq!(size("64 MiB"), Some(64 << 20));
        assert_eq!(size("12"), Some(12));
        assert_eq!(size("64 MB"), None);
        assert_eq!(size("99999999999 GiB"), None);
    }

    #[test]
    fn an_origin_has_nothing_behind_its_host() {
        assert_eq!(
            origin("HTTPS://Chat.Example.org:443/").unwrap(),
            "https://chat.example.org"
        );
        assert_eq!(origin("http://[::1]:8080").unwrap(), "http://[::1]:8080");
        for wrong in [
            "example.org",
            "ftp://x",
            "https://x/path",
            "https://u@x",
            "https://x:0",
            "https://",
            "https://a..b",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn grants_meet_where_both_allow() {
        let grant = |text| HttpGrant::parse(text).unwrap();
        let both = |a, b| grant(a).intersect(&grant(b)).map(|g| g.host);
        assert_eq!(
            both("https://*.example.org", "https://api.example.org").unwrap(),
            "api.example.org"
        );
        assert_eq!(
            both("https://api.example.org", "https://*.example.org").unwrap(),
            "api.example.org"
        );
        assert_eq!(
            both("https://*.example.org", "https://*.a.example.org").unwrap(),
            "*.a.example.org"
        );
        assert_eq!(both("https://*.example.org", "https://example.org"), None);
        assert_eq!(both("https://*.example.org", "https://evilexample.org"), None);
        assert_eq!(both("https://a.example.org", "http://a.example.org"), None);
        assert_eq!(both("https://a.example.org", "https://a.example.org:8443"), None);
        for wrong in [
            "https://*",
            "https://*.org",
            "https://a.*.org",
            "https://a.org/v1",
            "*.example.org",
        ] {
            assert!(HttpGrant::parse(wrong).is_err(), "{wrong}");
        }
    }
}
