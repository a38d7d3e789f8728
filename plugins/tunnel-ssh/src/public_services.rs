//! Public services that take a remote forward and print the address that leads to it.
//!
//! None of them has a protocol for the address: it is in what the session writes for people. So a service is a pattern
//! of that text. Regular expressions were rejected: an operator who has to write one for an unknown service should need
//! no more than a copy of the line.

/// What is known of a service by its name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Preset {
    pub(crate) host: &'static str,
    pub(crate) port: u16,
    /// For who has no key.
    pub(crate) user: Option<&'static str>,
    pub(crate) bind: &'static str,
    pub(crate) patterns: &'static [&'static str],
}

pub(crate) fn preset(name: &str) -> Option<Preset> {
    Some(match name {
        // localhost.run/docs: `ssh -R 80:localhost:8080 nokey@localhost.run`.
        "localhost.run" => Preset {
            host: "localhost.run",
            port: 22,
            user: Some("nokey"),
            bind: "80",
            patterns: &["tunneled with tls termination, https://*"],
        },
        // serveo.net: `ssh -R 80:localhost:3000 serveo.net`.
        "serveo.net" => Preset {
            host: "serveo.net",
            port: 22,
            user: None,
            bind: "80",
            patterns: &["Forwarding HTTP traffic from https://*"],
        },
        // pinggy.io/docs: `ssh -p 443 -R0:localhost:8000 free.pinggy.io`. Beside the address it prints those of its own pages.
        "pinggy" => Preset {
            host: "free.pinggy.io",
            port: 443,
            user: None,
            bind: "0",
            patterns: &[
                "https://*.pinggy.link",
                "https://*.pinggy-free.link",
                "https://*.pinggy.net",
                "https://*.pinggy.online",
            ],
        },
        _ => return None,
    })
}

/// A text with `*` for one or more characters of a host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl Pattern {
    /// # Errors
    /// What is missing.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let address = text.find("https://").or_else(|| text.find("http://"));
        let Some(address) = address.and_then(|at| text.get(at..)) else {
            return Err("it does not contain `https://`, where the address starts".to_owned());
        };
        if !address.contains('*') {
            return Err("it has no `*` for the part of the address that changes".to_owned());
        }
        if text.chars().any(char::is_control) {
            return Err("it has a control character".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The address in a line.
    pub(crate) fn find(&self, line: &str) -> Option<String> {
        let found = line.char_indices().find_map(|(at, _)| {
            let rest = line.get(at..)?;
            rest.get(..matched(&self.0, rest)?)
        })?;
        let begin = found.find("https://").or_else(|| found.find("http://"))?;
        let url = found.get(begin..)?;
        let host = begin_of_host(url)?;
        // A port may follow; the rest of the pattern only says where to look.
        let length = url.get(host..)?.find(|c| !of_host(c) && c != ':');
        let end = length.map_or(url.len(), |length| host + length);
        Some(url.get(..end)?.trim_end_matches(['.', '-', ':']).to_owned())
    }
}

/// How many bytes at the beginning of `text` are as the pattern says, and end where a host name does.
fn matched(pattern: &str, text: &str) -> Option<usize> {
    let Some((literal, rest)) = pattern.split_once('*') else {
        let end = text.strip_prefix(pattern)?;
        return (!end.starts_with(of_host)).then_some(pattern.len());
    };
    let after = text.strip_prefix(literal)?;
    let most = after.find(|c| !of_host(c)).unwrap_or(after.len());
    // Characters of host names are of one byte. The longest first.
    (1..=most)
        .rev()
        .find_map(|length| Some(literal.len() + length + matched(rest, after.get(length..)?)?))
}

fn begin_of_host(url: &str) -> Option<usize> {
    url.find("://").map(|at| at + "://".len())
}

fn of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == '-'
}

/// Without the sequences that colour a terminal.
pub(crate) fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            if !c.is_control() || c == '\t' {
                plain.push(c);
            }
            continue;
        }
        // ESC [ parameters letter; any other sequence is of two characters.
        if chars.next() == Some('[') {
            chars.by_ref().find(|c| ('\u{40}'..='\u{7e}').contains(c));
        }
    }
    plain
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(service: &str, line: &str) -> Option<String> {
        let patterns = preset(service).unwrap().patterns;
        patterns
            .iter()
            .find_map(|pattern| Pattern::parse(pattern).unwrap().find(&plain(line)))
    }

    #[test]
    fn the_services_addresses_are_found() {
        for (service, line, url) in [
            (
                "localhost.run",
                "8beaa541ba3dc2.lhr.life tunneled with tls termination, https://8beaa541ba3dc2.lhr.life",
                "https://8beaa541ba3dc2.lhr.life",
            ),
            (
                "serveo.net",
                "\u{1b}[32mForwarding HTTP traffic from \u{1b}[0mhttps://relego.serveo.net\u{1b}[0m",
                "https://relego.serveo.net",
            ),
            (
                "pinggy",
                "https://sksnv-5-175-178-17.run.pinggy-free.link",
                "https://sksnv-5-175-178-17.run.pinggy-free.link",
            ),
            (
                "pinggy",
                "https://jlliv-103-184-18-52.a.free.pinggy.link ",
                "https://jlliv-103-184-18-52.a.free.pinggy.link",
            ),
        ] {
            assert_eq!(find(service, line).as_deref(), Some(url), "{line}");
        }
    }

    #[test]
    fn other_addresses_they_print_are_not_taken() {
        for (service, line) in [
            (
                "localhost.run",
                "see https://localhost.run/docs/forever-free/ for more information.",
            ),
            (
                "localhost.run",
                "** your connection id is xxxx-xxxx, please mention it **",
            ),
            (
                "serveo.net",
                "HTTP request from 203.0.113.7 to https://relego.serveo.net/",
            ),
            ("pinggy", "http://jlliv-103-184-18-52.a.free.pinggy.link"),
            ("pinggy", "Upgrade to Pinggy Pro: https://dashboard.pinggy.io"),
            ("pinggy", "https://x.pinggy.link.evil.example"),
        ] {
            assert_eq!(find(service, line), None, "{line}");
        }
    }

    #[test]
    fn a_pattern_of_ones_own_is_the_line_with_stars() {
        let pattern = Pattern::parse("at https://*.tunnels.example, enjoy").unwrap();
        let found = pattern.find("You are at https://a-1.b.tunnels.example, enjoy!");
        assert_eq!(found.as_deref(), Some("https://a-1.b.tunnels.example"));
        let found = Pattern::parse("at https://*.tunnels.example")
            .unwrap()
            .find("at https://a-1.tunnels.example, enjoy");
        assert_eq!(found.as_deref(), Some("https://a-1.tunnels.example"));
        for bad in ["", "*.example.org", "https://chat.example.org"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_an_address_is_one(line in "[ -~é]{0,40}(https://)?[a-z0-9.*/-]{0,40}") {
            let pattern = Pattern::parse("https://*").unwrap();
            if let Some(url) = pattern.find(&line) {
                let host = url.strip_prefix("https://").unwrap();
                prop_assert!(host.chars().all(of_host), "{url}");
                prop_assert!(line.contains(&url));
            }
        }

        #[test]
        fn a_name_between_two_texts_is_found(name in "[a-z0-9]{1,10}(-[a-z0-9]{1,5})?", before in "[A-Z ]{0,10}") {
            let pattern = Pattern::parse("from https://*.example.org").unwrap();
            let url = format!("https://{name}.example.org");
            prop_assert_eq!(pattern.find(&format!("{before}from {url} now")), Some(url));
        }
    }
}
