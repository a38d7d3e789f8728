//! The configuration, parsed once, and what follows from it: the arguments and the address.

use nexus_plugin_api::job::permanent;
use nexus_plugin_api::tunnel::{Failure, Origin};
use nexus_plugin_api::version::VersionRequirement;
use serde::Deserialize;
use std::net::Ipv6Addr;

/// `Authored` are the settings as they are written.
#[derive(Debug, Deserialize)]
pub(crate) struct Authored {
    pub(crate) server: String,
    pub(crate) port: i64,
}

/// `Settings` are the settings as they are used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `server` is a host name or an address that is safe as an argument.
    pub(crate) server: String,
    /// `port` is `None` if the server may choose.
    pub(crate) port: Option<u16>,
}

impl TryFrom<Authored> for Settings {
    type Error = Failure;

    fn try_from(authored: Authored) -> Result<Self, Failure> {
        let port = port(authored.port)?;
        check_server(&authored.server)?;
        Ok(Self {
            server: authored.server,
            port: (port != 0).then_some(port),
        })
    }
}

impl Authored {
    /// `failures` are all settings that cannot be used.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        let (server, port) = (check_server(&self.server), port(self.port).map(drop));
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

fn check_server(server: &str) -> Result<(), Failure> {
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
    /// `arguments` are the arguments of `bore`. They never contain the secret.
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

    /// `url` is the public address, once the server has reported its port.
    pub(crate) fn url(&self, port: u16) -> String {
        if self.server.contains(':') {
            format!("http://[{}]:{port}", self.server)
        } else {
            format!("http://{}:{port}", self.server)
        }
    }
}

/// `VERSION` requires the oldest bore whose output and arguments are known.
const VERSION: VersionRequirement<'static> = VersionRequirement {
    program: "bore",
    command: "bore --version",
    minimum: "0.5.0",
    update: "update it with `cargo install bore-cli`",
    other_program: "put bore before the other program of this name on the PATH, or correct `path` in \
                    [plugin.tunnel-bore.grants.process.bore] in the configuration",
};

/// `version` is the version in the output of `bore --version`.
///
/// # Errors
/// The version is too old, or the program is not bore; with the fix.
pub(crate) fn version(output: &str) -> Result<String, String> {
    let text = output.trim();
    let found = text.strip_prefix("bore-cli ").or_else(|| text.strip_prefix("bore "));
    VERSION.check(output, Some(found.unwrap_or(text)))
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
    fn each_key_that_is_wrong_is_reported_at_once() {
        let (server, port) = (String::new(), 99_999_999);
        let said: Vec<String> = Authored { server, port }
            .failures()
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
    fn what_is_no_server_is_refused_with_a_message() {
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
    fn old_and_foreign_versions_are_distinguished() {
        assert_eq!(version("bore-cli 0.6.0\n"), Ok("0.6.0".to_owned()));
        assert_eq!(version("bore-cli 0.5.0"), Ok("0.5.0".to_owned()));
        assert_eq!(version("bore-cli 1.0.0-rc.1"), Ok("1.0.0-rc.1".to_owned()));
        assert!(version("bore-cli 0.4.1").unwrap_err().contains("0.5.0 or newer"));
        assert!(version("BORE - a game").unwrap_err().contains("is not bore"));
        assert!(version("").is_err());
    }
}
