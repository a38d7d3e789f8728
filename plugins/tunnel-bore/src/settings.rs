//! The configuration, parsed once, and what follows from it: the arguments and the address.

use nexus_plugin_api::job::permanent;
use nexus_plugin_api::tunnel::{Failure, Origin};
use serde::Deserialize;
use std::net::Ipv6Addr;

/// As it is written.
#[derive(Debug, Deserialize)]
pub(crate) struct Authored {
    pub(crate) server: String,
    pub(crate) port: i64,
}

/// As it is used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// A name or an address, safe as an argument.
    pub(crate) server: String,
    /// None: whichever the server gives.
    pub(crate) port: Option<u16>,
}

impl TryFrom<Authored> for Settings {
    type Error = Failure;

    fn try_from(authored: Authored) -> Result<Self, Failure> {
        let port = port(authored.port)?;
        is_server(&authored.server)?;
        Ok(Self {
            server: authored.server,
            port: (port != 0).then_some(port),
        })
    }
}

impl Authored {
    /// All that cannot be used.
    pub(crate) fn unfit(&self) -> Vec<Failure> {
        let (server, port) = (is_server(&self.server), port(self.port).map(drop));
        [server, port].into_iter().filter_map(Result::err).collect()
    }
}

fn port(port: i64) -> Result<u16, Failure> {
    u16::try_from(port).map_err(|_| {
        permanent(
            format!("`port` is {port}, which is not a valid port."),
            "use 1 to 65535, or 0 for any free port",
        )
    })
}

fn is_server(server: &str) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let name = !server.is_empty() && server.chars().all(plain) && !server.starts_with(['-', '.']);
    if name || server.parse::<Ipv6Addr>().is_ok() {
        return Ok(());
    }
    Err(permanent(
        format!("`server` is `{server}`, which is neither a host name nor an address."),
        "use only the name, such as `bore.example.org`, without `https://` and without a port: bore always uses 7835",
    ))
}

impl Settings {
    /// The arguments of `bore`. The secret is never among them.
    pub(crate) fn arguments(&self, origin: &Origin) -> Vec<String> {
        let local = origin.port.to_string();
        let mut arguments: Vec<String> = ["local", &local, "--local-host", &origin.host, "--to", &self.server]
            .map(str::to_owned)
            .into();
        if let Some(port) = self.port {
            arguments.extend(["--port".to_owned(), port.to_string()]);
        }
        arguments
    }

    /// The public address once the server has told its port.
    pub(crate) fn url(&self, port: u16) -> String {
        if self.server.contains(':') {
            format!("http://[{}]:{port}", self.server)
        } else {
            format!("http://{}:{port}", self.server)
        }
    }
}

/// The oldest bore whose lines and arguments are known.
const FLOOR: [u64; 3] = [0, 5, 0];

/// Whether the text of `bore --version` names a version that will do.
///
/// # Errors
/// What was found, what is needed and what to do.
pub(crate) fn version(text: &str) -> Result<String, String> {
    let text = text.trim();
    let found = text
        .strip_prefix("bore-cli ")
        .or_else(|| text.strip_prefix("bore "))
        .unwrap_or(text);
    let core = found.split(['-', '+']).next().unwrap_or_default();
    let numbers: Option<Vec<u64>> = core.split('.').map(|part| part.parse().ok()).collect();
    match numbers {
        Some(numbers) if numbers.len() == 3 && numbers.as_slice() >= FLOOR.as_slice() => Ok(found.to_owned()),
        Some(numbers) if numbers.len() == 3 => Err(format!(
            "bore {found} is too old: 0.5.0 or newer is required. To fix: update it with `cargo install bore-cli`"
        )),
        _ => Err(format!(
            "The program `bore` is not bore: `bore --version` prints `{}`. To fix: put bore before the other program \
             of this name on the PATH, or correct `path` in [plugin.tunnel-bore.grants.process.bore] in the \
             configuration",
            found
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(80)
                .collect::<String>()
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    fn settings(server: &str, port: i64) -> Result<Settings, Failure> {
        Authored {
            server: server.to_owned(),
            port,
        }
        .try_into()
    }

    fn origin() -> Origin {
        Origin {
            host: "127.0.0.1".to_owned(),
            port: 4711,
        }
    }

    #[test]
    fn names_and_addresses_are_servers() {
        assert_eq!(settings("bore.pub", 0).unwrap().url(5), "http://bore.pub:5");
        assert_eq!(settings("127.0.0.1", 0).unwrap().url(5), "http://127.0.0.1:5");
        assert_eq!(settings("::1", 0).unwrap().url(5), "http://[::1]:5");
    }

    #[test]
    fn each_key_that_is_wrong_is_told_at_once() {
        let (server, port) = (String::new(), 99_999_999);
        let said: Vec<String> = Authored { server, port }
            .unfit()
            .into_iter()
            .map(|f| f.message)
            .collect();
        assert_eq!(
            said,
            [
                "`server` is ``, which is neither a host name nor an address.",
                "`port` is 99999999, which is not a valid port."
            ]
        );
    }

    #[test]
    fn what_is_no_server_is_refused_in_words() {
        for server in [
            "",
            "https://bore.pub",
            "bore.pub:7835",
            "--help",
            "a b",
            "{secret:secret}",
            "bore.pub/x",
        ] {
            let failure = settings(server, 0).unwrap_err();
            assert!(failure.message.contains(&format!("`{server}`")), "{failure:?}");
        }
    }

    #[test]
    fn a_port_is_one_of_tcp() {
        assert_eq!(settings("bore.pub", 0).unwrap().port, None);
        assert_eq!(settings("bore.pub", 65535).unwrap().port, Some(65535));
        for port in [-1, 65536] {
            assert!(
                settings("bore.pub", port)
                    .unwrap_err()
                    .message
                    .contains(&port.to_string())
            );
        }
    }

    #[test]
    fn the_arguments_name_both_ends() {
        let free = settings("bore.pub", 0).unwrap().arguments(&origin());
        assert_eq!(free, ["local", "4711", "--local-host", "127.0.0.1", "--to", "bore.pub"]);
        let fixed = settings("bore.pub", 2000).unwrap().arguments(&origin());
        assert_eq!(fixed[6..], ["--port", "2000"]);
    }

    #[test]
    fn old_and_foreign_versions_are_told_apart() {
        assert_eq!(version("bore-cli 0.6.0\n"), Ok("0.6.0".to_owned()));
        assert_eq!(version("bore-cli 0.5.0"), Ok("0.5.0".to_owned()));
        assert_eq!(version("bore-cli 1.0.0-rc.1"), Ok("1.0.0-rc.1".to_owned()));
        assert!(version("bore-cli 0.4.1").unwrap_err().contains("0.5.0 or newer"));
        assert!(version("BORE - a game").unwrap_err().contains("is not bore"));
        assert!(version("").is_err());
    }
}
