//! Public services that take a remote forward and print the address that leads to it.
//!
//! None of them has a protocol for the address: it is in what the session writes for people. So a service is a pattern
//! of that text. Regular expressions were rejected: an operator who has to write one for an unknown service should need
//! no more than a copy of the line.

/// `Preset` are the settings of a known service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Preset {
    pub(crate) host: &'static str,
    pub(crate) port: u16,
    /// `user` is the user name without a key.
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

/// `Pattern` is a text with `*` for one or more characters of a host name.
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

    /// `find` is the address in a line.
    pub(crate) fn find(&self, line: &str) -> Option<String> {
        let found = line.char_indices().find_map(|(at, _)| {
            let rest = line.get(at..)?;
            rest.get(..matched(&self.0, rest)?)
        })?;
        let begin = found.find("https://").or_else(|| found.find("http://"))?;
        let url = found.get(begin..)?;
        let host = host_start(url)?;
        // A port may follow; the rest of the pattern only says where to look.
        let length = url.get(host..)?.find(|c| !is_host_char(c) && c != ':');
        let end = length.map_or(url.len(), |length| host + length);
        Some(url.get(..end)?.trim_end_matches(['.', '-', ':']).to_owned())
    }
}

/// `matched` is how many bytes at the start of `text` match the pattern and end where a host name does. There is only one
/// such number: a `*` stays within a host name, so the pattern decides how many of them the match has. After a mismatch
/// the last `*` takes one more character; an earlier one never has to. So the time is at most the product of the lengths.
fn matched(pattern: &str, text: &str) -> Option<usize> {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    // Characters of host names are one byte.
    let host_at = |at: usize| text.get(at).is_some_and(|byte| is_host_char(char::from(*byte)));
    let (mut p, mut t) = (0, 0);
    // The place after the last `*`, and the end of what it has taken.
    let mut star = None;
    loop {
        match pattern.get(p) {
            None if !host_at(t) => return Some(t),
            Some(b'*') if host_at(t) => {
                (p, t) = (p + 1, t + 1);
                star = Some((p, t));
            }
            Some(byte) if *byte != b'*' && text.get(t) == Some(byte) => (p, t) = (p + 1, t + 1),
            _ => {
                let (after, taken) = star.filter(|(_, taken)| host_at(*taken))?;
                star = Some((after, taken + 1));
                (p, t) = (after, taken + 1);
            }
        }
    }
}

fn host_start(url: &str) -> Option<usize> {
    url.find("://").map(|at| at + "://".len())
}

fn is_host_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == '-'
}

/// `strip_escapes` removes the escape sequences that color a terminal.
pub(crate) fn strip_escapes(line: &str) -> String {
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
            .find_map(|pattern| Pattern::parse(pattern).unwrap().find(&strip_escapes(line)))
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

    #[test]
    fn a_pattern_with_many_stars_ends_soon() {
        let started = std::time::Instant::now();
        let pattern = Pattern::parse(&("https://".to_owned() + &"*a".repeat(200) + ".example")).unwrap();
        assert_eq!(pattern.find(&("https://".to_owned() + &"a".repeat(4_000))), None);
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }

    /// `defined` is the definition of a match.
    fn defined(pattern: &str, text: &str) -> Option<usize> {
        let Some((literal, rest)) = pattern.split_once('*') else {
            let end = text.strip_prefix(pattern)?;
            return (!end.starts_with(is_host_char)).then_some(pattern.len());
        };
        let after = text.strip_prefix(literal)?;
        let most = after.find(|c| !is_host_char(c)).unwrap_or(after.len());
        (1..=most)
            .rev()
            .find_map(|length| Some(literal.len() + length + defined(rest, after.get(length..)?)?))
    }

    proptest! {
        #[test]
        fn the_loop_matches_what_is_defined(pattern in "[ab.* é]{0,8}", text in "[ab. é]{0,10}") {
            prop_assert_eq!(matched(&pattern, &text), defined(&pattern, &text));
        }

        #[test]
        fn whatever_is_written_an_address_is_one(line in "[ -~é]{0,40}(https://)?[a-z0-9.*/-]{0,40}") {
            let pattern = Pattern::parse("https://*").unwrap();
            if let Some(url) = pattern.find(&line) {
                let host = url.strip_prefix("https://").unwrap();
                prop_assert!(host.chars().all(is_host_char), "{url}");
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
