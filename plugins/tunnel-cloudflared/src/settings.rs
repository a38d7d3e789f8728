//! The configuration, parsed once, and what follows from it: how cloudflared is called.

use nexus_plugin_api::caps::process::{Signal, Spec, StopStep};
use nexus_plugin_api::job::permanent;
use nexus_plugin_api::process::Command;
use nexus_plugin_api::tunnel::{Failure, Origin};
use serde::Deserialize;

pub(crate) const BINARY: &str = "cloudflared";
/// The name the contract asks for, and the name of the port of cloudflared's own server.
pub(crate) const PROCESS: &str = "tunnel";
pub(crate) const METRICS: &str = "metrics";
pub(crate) const TOKEN: &str = "token";
pub(crate) const CREDENTIALS: &str = "credentials";
/// cloudflared lets running requests end for this long, and over QUIC waits for all of it also where none runs. Those that
/// run are waited for before it is told to stop.
const GRACE: &str = "1s";
/// The grace, and a machine under load.
const STOP_TIMEOUT: u64 = 9_000;

/// As it is written.
#[derive(Debug, Deserialize)]
pub(crate) struct Authored {
    pub(crate) hostname: String,
    pub(crate) protocol: String,
}

/// Which of the operator's secrets were given; of the credentials the id of the tunnel.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) token: Option<String>,
    pub(crate) credentials: Option<String>,
}

/// Whose tunnel it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nobody's: a random name for as long as the process lives.
    Quick,
    /// Managed in the dashboard, which also says where requests lead. The name is chosen where several lead here.
    Token { hostname: Option<String> },
    /// Managed here.
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
    /// Where the secret is more than the token: what is to be used of it.
    pub(crate) token: Option<Token>,
}

/// A token that was taken out of what was pasted.
#[derive(PartialEq, Eq)]
pub(crate) struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Cloudflare's dashboard copies whole commands (`cloudflared tunnel run --token ey…`, `sudo cloudflared service install
/// ey…`), and mail programs and editors add quotes, line breaks or a mark of the byte order. None: the secret is the token as
/// it stands, or there is none in it, which cloudflared says.
fn taken_out(secret: &str) -> Option<Token> {
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

/// Whether a line ends within the token: more of it stands on the next one.
fn is_broken(secret: &str, first: &str) -> bool {
    let after = secret.split_once(first).map_or("", |(_, after)| after);
    after.starts_with(['\n', '\r']) && after.trim().chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
}

impl Settings {
    /// # Errors
    /// What does not go together, or is no host name.
    pub(crate) fn of(authored: Authored, given: Given) -> Result<Self, Failure> {
        let hostname = Some(authored.hostname).filter(|name| !name.is_empty());
        if let Some(name) = &hostname
            && !is_name(name)
        {
            return Err(permanent(
                format!("`hostname` is `{name}`, which is not a host name."),
                "use only the name, such as `chat.example.org`, without `https://`, port or path",
            ));
        }
        let token = given.token.as_deref().and_then(taken_out);
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

fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(label)
}

/// The tunnel's id in a credentials file.
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

/// How cloudflared is called. Its own configuration file is always ours: any other it finds would replace the address
/// that the tunnel leads to. What older versions do not have goes through the environment, where they ignore it; an unknown
/// flag would end them.
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
        .args(["--metrics", "127.0.0.1:{port:metrics}", "--grace-period", GRACE])
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

/// The oldest cloudflared whose words and pages are known: it says why it got no quick tunnel.
const FLOOR: [u64; 3] = [2024, 9, 0];

/// Whether the text of `cloudflared version` names a version that will do.
///
/// # Errors
/// What was found, what is needed and what to do.
pub(crate) fn version(text: &str) -> Result<String, String> {
    let first = text.trim().lines().next().unwrap_or_default();
    let Some(rest) = first.strip_prefix("cloudflared version ") else {
        return Err(format!(
            "The program `cloudflared` is not cloudflared: `cloudflared version` prints `{}`. To fix: put cloudflared \
             before the other program of this name on the PATH, or correct `path` in \
             [plugin.tunnel-cloudflared.grants.process.cloudflared] in the configuration",
            first.chars().take(80).collect::<String>()
        ));
    };
    let found = rest.split(' ').next().unwrap_or_default();
    // What somebody built themselves says no number.
    if found == "DEV" {
        return Ok(found.to_owned());
    }
    let core = found.split(['-', '+']).next().unwrap_or_default();
    let numbers: Option<Vec<u64>> = core.split('.').map(|part| part.parse().ok()).collect();
    match numbers {
        Some(numbers) if numbers.len() == 3 && numbers.as_slice() >= FLOOR.as_slice() => Ok(found.to_owned()),
        _ => Err(format!(
            "cloudflared {found} is too old: 2024.9.0 or newer is required. To fix: update it with `cloudflared \
             update` or your package manager"
        )),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
