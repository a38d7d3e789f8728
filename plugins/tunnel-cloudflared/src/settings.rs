//! The configuration, parsed once, and what follows from it: how cloudflared is called.

use nexus_plugin_api::caps::process::{Signal, Spec, StopStep};
use nexus_plugin_api::job::permanent;
use nexus_plugin_api::process::Command;
use nexus_plugin_api::tunnel::{Failure, Origin};
use nexus_plugin_api::version::VersionRequirement;
use serde::Deserialize;

pub(crate) const BINARY: &str = "cloudflared";
/// `PROCESS` is the name that the contract requires; [`METRICS`] is the name of the port of cloudflared's own server.
pub(crate) const PROCESS: &str = "tunnel";
pub(crate) const METRICS: &str = "metrics";
pub(crate) const TOKEN: &str = "token";
pub(crate) const CREDENTIALS: &str = "credentials";
/// `GRACE_PERIOD` is how long cloudflared lets running requests end; over QUIC it waits for all of it even without
/// requests. So the plugin waits for running requests before it stops cloudflared.
const GRACE_PERIOD: &str = "1s";
/// `STOP_TIMEOUT` is in milliseconds: the grace period, and time for a machine under load.
const STOP_TIMEOUT: u64 = 9_000;

/// `Authored` are the settings as they are written.
#[derive(Debug, Deserialize)]
pub(crate) struct Authored {
    pub(crate) hostname: String,
    pub(crate) protocol: String,
}

/// `Secrets` are the secrets that the operator set; of the credentials, only the id of the tunnel.
#[derive(Default)]
pub(crate) struct Secrets {
    pub(crate) token: Option<String>,
    pub(crate) credentials: Option<String>,
}

/// `Mode` is the kind of tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `Quick`: the tunnel belongs to no account and has a random name until the process exits.
    Quick,
    /// `Token`: the dashboard manages the tunnel and its routes. `hostname` selects one of several routes that lead
    /// here.
    Token { hostname: Option<String> },
    /// `Credentials`: this plugin manages the tunnel.
    Credentials { tunnel: String, hostname: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Auto,
    Quic,
    Http2,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) protocol: Protocol,
    /// `token` is the part of the secret to use, if the secret contains more than the token.
    pub(crate) token: Option<Token>,
}

/// `Token` is a token that was extracted from a longer text.
#[derive(PartialEq, Eq)]
pub(crate) struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// `extract_token` finds the token in a longer text: Cloudflare's dashboard copies whole commands (`cloudflared tunnel
/// run --token ey…`, `sudo cloudflared service install ey…`), and mail programs and editors add quotes, line breaks or
/// a byte order mark. `None`: the secret is just the token, or contains none, which cloudflared reports.
fn extract_token(secret: &str) -> Option<Token> {
    let blank = |c: char| c.is_whitespace() || c.is_control() || "\u{feff}\u{200b}\u{2060}\u{a0}\"'`,;".contains(c);
    // Base64 of a JSON object.
    let is = |word: &&str| {
        let body = word.trim_end_matches('=');
        body.len() >= 40
            && body.starts_with("ey")
            && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b))
    };
    let words = || {
        let words = secret.split(blank).filter(|word| !word.is_empty());
        // `--token=ey…`, `TUNNEL_TOKEN=ey…`
        words.map(|word| {
            word.split_once("=ey")
                .map_or(word, |(name, _)| word.get(name.len() + 1..).unwrap_or(word))
        })
    };
    let first = words().find(|word| word.starts_with("ey"))?;
    // Broken over lines, by what is narrow: all that follows belongs to it.
    let whole: String = words().skip_while(|word| *word != first).collect();
    let token = if is(&first) && words().filter(|word| is(word)).count() == 1 && !is_broken(secret, first) {
        first.to_owned()
    } else {
        whole
    };
    (is(&token.as_str()) && token != secret.trim()).then_some(Token(token))
}

/// `is_broken` tells whether a line ends within the token, so that the rest of it is on the next line.
fn is_broken(secret: &str, first: &str) -> bool {
    let after = secret.split_once(first).map_or("", |(_, after)| after);
    after.starts_with(['\n', '\r']) && after.trim().chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
}

impl Settings {
    /// # Errors
    /// What does not go together, or is no host name.
    pub(crate) fn of(authored: Authored, given: Secrets) -> Result<Self, Failure> {
        let hostname = Some(authored.hostname).filter(|name| !name.is_empty());
        if let Some(name) = &hostname
            && !is_host_name(name)
        {
            return Err(permanent(
                format!("`hostname` is `{name}`, which is not a host name."),
                "use only the name, such as `chat.example.org`, without `https://`, port or path",
            ));
        }
        let token = given.token.as_deref().and_then(extract_token);
        let mode = match (given.token.is_some(), given.credentials, hostname) {
            (true, Some(_), _) => {
                return Err(permanent(
                    "Both `token` and `credentials` are set, but a tunnel uses only one of them.",
                    "remove one of them from [plugin.tunnel-cloudflared.secrets] in the configuration",
                ));
            }
            (true, None, hostname) => Mode::Token { hostname },
            (false, Some(tunnel), Some(hostname)) => Mode::Credentials { tunnel, hostname },
            (false, Some(_), None) => {
                return Err(permanent(
                    "`credentials` is set, but the public name of the tunnel is not.",
                    "add these lines to the configuration:\n[plugin.tunnel-cloudflared.config]\nhostname = \"chat.example.org\"   \
                     # the name of `cloudflared tunnel route dns`",
                ));
            }
            (false, None, None) => Mode::Quick,
            (false, None, Some(name)) => {
                return Err(permanent(
                    format!(
                        "`hostname` is `{name}`, but neither `token` nor `credentials` is set, and a quick tunnel has \
                         a random name."
                    ),
                    "set the secret of your own tunnel, or remove `hostname`",
                ));
            }
        };
        let protocol = match authored.protocol.as_str() {
            "quic" => Protocol::Quic,
            "http2" => Protocol::Http2,
            _ => Protocol::Auto,
        };
        Ok(Self { mode, protocol, token })
    }
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(label)
}

/// `tunnel_id` is the id of the tunnel in a credentials file.
///
/// # Errors
/// It is not what `cloudflared tunnel create` writes.
pub(crate) fn tunnel_id(credentials: &str) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct File {
        #[serde(rename = "TunnelID")]
        tunnel_id: String,
        #[serde(rename = "TunnelSecret")]
        _secret: String,
    }
    // The parser's own words could quote the secret.
    let bad = |why: &str| {
        permanent(
            format!("The secret `credentials` is not the content of a credentials file: {why}."),
            "use the file that `cloudflared tunnel create NAME` wrote, in the \
             configuration:\n[plugin.tunnel-cloudflared.secrets]\ncredentials = { file = \"/home/you/.cloudflared/ID.json\" }",
        )
    };
    let file: File = serde_json::from_str(credentials).map_err(|e| {
        bad(match e.classify() {
            serde_json::error::Category::Data => "it is JSON, but `TunnelID` or `TunnelSecret` is missing",
            _ => "it is not JSON",
        })
    })?;
    let plain = |c: char| c.is_ascii_hexdigit() || c == '-';
    if file.tunnel_id.len() != 36 || !file.tunnel_id.chars().all(plain) {
        return Err(bad("its `TunnelID` is not a UUID"));
    }
    Ok(file.tunnel_id)
}

/// `spec` is the command that runs cloudflared. Its configuration file is always written by this plugin: any other file
/// that it finds could change the address to which the tunnel leads. Options that older versions do not have are set in
/// the environment, where they are ignored; an unknown flag would end cloudflared.
pub(crate) fn spec(mode: &Mode, token: Option<&Token>, http2: bool, protocol: Protocol, origin: &Origin) -> Spec {
    let host = if origin.host.contains(':') {
        format!("[{}]", origin.host)
    } else {
        origin.host.clone()
    };
    let service = format!("http://{host}:{}", origin.port);
    let mut command = Command::new(BINARY)
        .args([
            "tunnel",
            "--config",
            "{file:config.yml}",
            "--loglevel",
            "info",
            "--no-autoupdate",
        ])
        .args(["--metrics", "127.0.0.1:{port:metrics}", "--grace-period", GRACE_PERIOD])
        .port(METRICS)
        .env("NO_AUTOUPDATE", "true")
        .env("TUNNEL_LOG_OUTPUT", "json")
        .env("TUNNEL_NO_PRECHECKS", "true")
        .stop(vec![StopStep::Signal(Signal::Terminate), StopStep::Wait(STOP_TIMEOUT)]);
    let mut file = "no-autoupdate: true\n".to_owned();
    command = match mode {
        Mode::Quick => command.args(["--url", &service]),
        Mode::Token { .. } => command
            .args(["run", "--url", &service])
            // The host fills the reference in; what was taken out of it has no braces.
            .env(
                "TUNNEL_TOKEN",
                token.map_or_else(|| format!("{{secret:{TOKEN}}}"), |token| token.0.clone()),
            ),
        Mode::Credentials { tunnel, hostname } => {
            file.push_str(&format!(
                "tunnel: \"{tunnel}\"\ncredentials-file: \"{{file:credentials.json}}\"\ningress:\n  - hostname: \
                 \"{hostname}\"\n    service: \"{service}\"\n  - service: \"http_status:404\"\n"
            ));
            command
                .args(["run"])
                .file("credentials.json", format!("{{secret:{CREDENTIALS}}}"))
        }
    };
    let named = match protocol {
        Protocol::Http2 => Some("http2"),
        Protocol::Quic => Some("quic"),
        Protocol::Auto => http2.then_some("http2"),
    };
    if let Some(protocol) = named {
        command = command.env("TUNNEL_TRANSPORT_PROTOCOL", protocol);
    }
    command.file("config.yml", file).0
}

/// `VERSION` requires the oldest cloudflared whose log and pages are known: it reports why it got no quick tunnel.
const VERSION: VersionRequirement<'static> = VersionRequirement {
    program: "cloudflared",
    command: "cloudflared version",
    minimum: "2024.9.0",
    update: "update it with `cloudflared update` or your package manager",
    other_program: "put cloudflared before the other program of this name on the PATH, or correct `path` in \
                    [plugin.tunnel-cloudflared.grants.process.cloudflared] in the configuration",
};

/// `version` is the version in the output of `cloudflared version`.
///
/// # Errors
/// The version is too old, or the program is not cloudflared; with the fix.
pub(crate) fn version(output: &str) -> Result<String, String> {
    let rest = output.trim_start().strip_prefix("cloudflared version ");
    match rest.and_then(|rest| rest.split_whitespace().next()) {
        // A build from source has no version number.
        Some("DEV") => Ok("DEV".to_owned()),
        found => VERSION.check(output, found),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
