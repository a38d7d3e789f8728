//! The configuration, parsed once: to which server, as whom, which key it has to show, and what address follows.

use crate::host_keys;
use crate::public_services::{self, Pattern};
use crate::server::Target;
use nexus_plugin_api::job::permanent;
use nexus_plugin_api::tunnel::{Encryption, Failure};
use serde::Deserialize;
use std::net::Ipv6Addr;

/// `IDENTITY` is the name of a secret in the manifest, as [`TOKEN`] is.
pub(crate) const IDENTITY: &str = "identity";
pub(crate) const TOKEN: &str = "token";

/// `Authored` are the settings as they are written.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Authored {
    pub(crate) service: String,
    pub(crate) host: String,
    pub(crate) port: i64,
    pub(crate) user: String,
    pub(crate) remote_bind: String,
    pub(crate) public_url: String,
    pub(crate) client_address_header: String,
    pub(crate) url_patterns: Vec<String>,
    pub(crate) host_keys: String,
    pub(crate) known_hosts: Vec<String>,
    pub(crate) known_hosts_file: String,
    pub(crate) identity_file: String,
    pub(crate) agent: String,
    pub(crate) keep_alive: i64,
}

/// `Secrets` are the secrets that the operator set. This plugin checks them; the host inserts them.
#[derive(Default)]
pub(crate) struct Secrets {
    pub(crate) identity: Option<String>,
    pub(crate) token: Option<String>,
}

/// `Bind` is where the server listens: the value of `-R`, and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) text: String,
    address: Option<String>,
    /// `port` is 0 if the server may choose.
    pub(crate) port: u16,
}

impl Bind {
    fn parse(text: &str) -> Option<Self> {
        let (address, port) = match text.rsplit_once(':') {
            Some((address, port)) => (Some(address), port),
            None => (None, text),
        };
        let port = port.parse().ok()?;
        let fits = address.is_none_or(|address| match address.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']').is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok()),
            None => address == "*" || is_name(address),
        });
        fits.then(|| Self {
            text: text.to_owned(),
            address: address.map(str::to_owned),
            port,
        })
    }

    /// `is_loopback` tells whether only the server itself can reach the address.
    fn is_loopback(&self) -> bool {
        self.address
            .as_deref()
            .is_some_and(|a| a == "localhost" || a == "[::1]" || a.starts_with("127."))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `Own`: the server is the operator's own. The address is configured, or it is the server's name with the port.
    Own { public_url: Option<String> },
    /// `Service`: a service prints the address.
    Service { name: String, patterns: Vec<Pattern> },
}

/// `Identity` is what the login uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// `Secret`: the key is the secret of that name.
    Secret,
    /// `File`: the key is in a file; the path is written as ssh reads it.
    File(String),
    /// `Agent`: the keys are in an agent behind this socket; the public key selects one of them.
    Agent {
        socket: String,
        key: Option<String>,
    },
    Nothing,
}

/// `HostKeys` are the host keys that are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostKeys {
    /// `Lines`: the keys are lines of a known_hosts file; without lines, no key is accepted yet.
    Lines(Vec<String>),
    File(String),
    /// `AcceptNew`: the keys are the stored ones, or else those that the server presents first.
    AcceptNew,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) target: Target,
    pub(crate) bind: Bind,
    pub(crate) mode: Mode,
    pub(crate) identity: Identity,
    pub(crate) host_keys: HostKeys,
    pub(crate) token: bool,
    pub(crate) keep_alive: u16,
    pub(crate) client_address_header: Option<String>,
}

impl Settings {
    /// # Errors
    /// What is missing, is not what it should be, or does not go together.
    pub(crate) fn of(authored: Authored, given: &Secrets) -> Result<Self, Failure> {
        let a = &authored;
        let preset = public_services::preset(&a.service);
        let mut patterns = patterns(&a.url_patterns)?;
        if let (Some(preset), true) = (&preset, patterns.is_empty()) {
            patterns = preset.patterns.iter().filter_map(|p| Pattern::parse(p).ok()).collect();
        }
        let identity = identity(a, given)?;
        let user = match (non_empty(&a.user), &preset) {
            (None, Some(preset)) if identity == Identity::Nothing && given.token.is_none() => {
                preset.user.map(str::to_owned)
            }
            (user, _) => user,
        };
        let target = Target {
            host: match (non_empty(&a.host), &preset) {
                (Some(host), _) => host_name(host)?,
                (None, Some(preset)) => preset.host.to_owned(),
                (None, None) => {
                    return Err(permanent(
                        "No ssh server is configured.",
                        "add your own server or a service to the configuration:\n[plugin.tunnel-ssh.config]\nhost = \"ssh.example.org\"   \
                         # or: service = \"localhost.run\"",
                    ));
                }
            },
            port: match (port(a.port)?, &preset) {
                (0, Some(preset)) => preset.port,
                (0, None) => 22,
                (port, _) => port,
            },
            user: user.map(user_name).transpose()?,
        };
        if let Some(token) = &given.token {
            check_token(token, &target)?;
        }
        let mode = if patterns.is_empty() {
            if identity == Identity::Nothing {
                return Err(no_identity());
            }
            let public_url = non_empty(&a.public_url).map(|url| public_url(&url)).transpose()?;
            Mode::Own { public_url }
        } else if a.public_url.is_empty() {
            let name = non_empty(&a.service).unwrap_or_else(|| target.host.clone());
            Mode::Service { name, patterns }
        } else {
            return Err(permanent(
                format!(
                    "`public_url` is {}, but a service reports its address itself.",
                    a.public_url
                ),
                "remove `public_url`, or remove `service` and `url_patterns` if the server is your own",
            ));
        };
        let bind = bind(a, preset.as_ref().map(|p| p.bind), &mode, &target)?;
        Ok(Self {
            host_keys: host_keys(a, &target)?,
            target,
            bind,
            mode,
            identity,
            token: given.token.is_some(),
            keep_alive: keep_alive(a.keep_alive)?,
            client_address_header: non_empty(&a.client_address_header).map(header).transpose()?,
        })
    }

    /// `url` is the address once the server listens on `port`. `None`: a service prints it.
    pub(crate) fn url(&self, port: u16) -> Option<String> {
        match &self.mode {
            Mode::Own { public_url: Some(url) } => Some(url.clone()),
            Mode::Own { public_url: None } if self.target.host.contains(':') => {
                Some(format!("http://[{}]:{port}", self.target.host))
            }
            Mode::Own { public_url: None } => Some(format!("http://{}:{port}", self.target.host)),
            Mode::Service { .. } => None,
        }
    }

    /// `is_stable` tells whether the address is the same at every start.
    pub(crate) fn is_stable(&self) -> bool {
        matches!(self.mode, Mode::Own { .. }) && self.bind.port != 0
    }

    pub(crate) fn encryption(&self) -> Encryption {
        match &self.mode {
            Mode::Own { public_url: Some(url) } if url.starts_with("https://") => Encryption::Edge,
            Mode::Own { .. } => Encryption::None,
            Mode::Service { .. } => Encryption::Edge,
        }
    }
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.chars().all(plain) && !text.starts_with(['-', '.'])
}

fn host_name(host: String) -> Result<String, Failure> {
    if is_name(&host) || host.parse::<Ipv6Addr>().is_ok() {
        return Ok(host);
    }
    Err(permanent(
        format!("`host` is `{host}`, which is neither a host name nor an address."),
        "use only the name, such as `ssh.example.org`; the account belongs in `user`, the port in `port`",
    ))
}

fn user_name(user: String) -> Result<String, Failure> {
    // `+` and `:` carry options of services.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | ':' | '@');
    if user.chars().all(plain) && !user.starts_with('-') {
        return Ok(user);
    }
    Err(permanent(
        format!("`user` is `{user}`, which is not an account name."),
        "use only the name, such as `user = \"tunnel\"`",
    ))
}

fn port(port: i64) -> Result<u16, Failure> {
    u16::try_from(port).map_err(|_| {
        permanent(
            format!("`port` is {port}, which is not a valid port."),
            "use 1 to 65535, or 0 for the default port",
        )
    })
}

fn keep_alive(seconds: i64) -> Result<u16, Failure> {
    let fits = u16::try_from(seconds).ok().filter(|s| (1..=3600).contains(s));
    fits.ok_or_else(|| {
        permanent(
            format!("`keep_alive` is {seconds}."),
            "use 1 to 3600 seconds; the default is 15",
        )
    })
}

fn header(name: String) -> Result<String, Failure> {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Ok(name.to_ascii_lowercase());
    }
    Err(permanent(
        format!("`client_address_header` is `{name}`, which is not a header name."),
        "use only the name, such as `client_address_header = \"x-real-ip\"`",
    ))
}

fn public_url(url: &str) -> Result<String, Failure> {
    let url = url.strip_suffix('/').unwrap_or(url);
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    match rest {
        Some(authority) if !authority.is_empty() && authority.chars().all(plain) => Ok(url.to_owned()),
        _ => Err(permanent(
            format!("`public_url` is `{url}`, which is not the address of a site."),
            "use the scheme and the name, such as `https://chat.example.org`, without a path or an account",
        )),
    }
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>, Failure> {
    let pattern = |text: &String| {
        Pattern::parse(text).map_err(|why| {
            permanent(
                format!("`url_patterns` has `{text}`, which cannot match an address: {why}."),
                "copy the line that the service prints and replace the part that changes with `*`: `Your address: \
                 https://*.example.org`",
            )
        })
    };
    texts.iter().map(pattern).collect()
}

fn bind(a: &Authored, usual: Option<&str>, mode: &Mode, target: &Target) -> Result<Bind, Failure> {
    let (own, url) = match mode {
        Mode::Own { public_url } => (true, public_url.as_deref()),
        Mode::Service { .. } => (false, None),
    };
    let text = match (non_empty(&a.remote_bind), usual) {
        (Some(text), _) => text,
        (None, Some(usual)) => usual.to_owned(),
        (None, None) if own => "*:0".to_owned(),
        (None, None) => "80".to_owned(),
    };
    let bind = Bind::parse(&text).ok_or_else(|| {
        permanent(
            format!("`remote_bind` is `{text}`, which is not an address to listen on."),
            "use PORT or ADDRESS:PORT, such as `127.0.0.1:8080` or `*:0`; write an IPv6 address in brackets",
        )
    })?;
    let write = |line: &str| format!("add this line under [plugin.tunnel-ssh.config] in the configuration:\n{line}");
    if let Some(url) = url
        && bind.port == 0
    {
        return Err(permanent(
            format!("`public_url` is {url}, but the server may choose any port, so the reverse proxy cannot know it."),
            write("remote_bind = \"127.0.0.1:8080\"   # the address that the reverse proxy forwards to"),
        ));
    }
    let here = target.host == "localhost" || target.host == "::1" || target.host.starts_with("127.");
    if own && url.is_none() && bind.is_loopback() && !here {
        return Err(permanent(
            format!(
                "On {}, only the server itself can reach {text}, but no `public_url` is set.",
                target.host
            ),
            write(
                "public_url = \"https://chat.example.org\"   # the address of a reverse proxy on the server\n# or, \
                 without TLS: remote_bind = \"*:0\"",
            ),
        ));
    }
    Ok(bind)
}

/// `path` is a path as an option of ssh takes it: ssh would expand `%h` and `${HOME}`.
fn path(key: &str, path: &str) -> Result<String, Failure> {
    let whole = path.starts_with('/') || path.starts_with("~/");
    if whole && !path.contains("${") && !path.chars().any(|c| c.is_control() || matches!(c, '"' | '\\')) {
        return Ok(path.replace('%', "%%"));
    }
    Err(permanent(
        format!("`{key}` is `{path}`, which is not a usable path."),
        format!("use an absolute path, or one that starts with ~/, such as `{key} = \"~/.ssh/id_ed25519\"`"),
    ))
}

fn identity(a: &Authored, given: &Secrets) -> Result<Identity, Failure> {
    let file = non_empty(&a.identity_file)
        .map(|file| path("identity_file", &file))
        .transpose()?;
    let agent = non_empty(&a.agent).map(|socket| path("agent", &socket)).transpose()?;
    match (&given.identity, file, agent) {
        (Some(key), None, None) => check_identity(key).map(|()| Identity::Secret),
        (Some(_), _, _) => Err(permanent(
            "The secret `identity` is set together with `identity_file` or `agent`, but only one key can be used.",
            "remove one of them",
        )),
        (None, key, Some(socket)) => Ok(Identity::Agent { socket, key }),
        (None, Some(file), None) => Ok(Identity::File(file)),
        (None, None, None) => Ok(Identity::Nothing),
    }
}

fn no_identity() -> Failure {
    permanent(
        "No key for the login to the server is configured.",
        "create one for this purpose only (`ssh-keygen -t ed25519 -N \"\" -f nexus_tunnel`), add nexus_tunnel.pub to \
         the server's authorized_keys as `restrict,port-forwarding ssh-ed25519 …`, and add these lines \
         to the configuration, then choose Apply on the status page:\n[plugin.tunnel-ssh.secrets]\nidentity = { file = \"nexus_tunnel\" }",
    )
}

/// `UNENCRYPTED_KEY` is the base64 of "openssh-key-v1" with the cipher "none".
const UNENCRYPTED_KEY: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";
const OPENSSH_HEADER: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

/// `check_identity` checks a private key. Its errors never contain any part of the key.
fn check_identity(key: &str) -> Result<(), Failure> {
    let key = key.trim_start();
    let Some(body) = key.strip_prefix("-----BEGIN ") else {
        return Err(permanent(
            "The secret `identity` is not a private key.",
            "use the file without .pub that `ssh-keygen` wrote, in the configuration:\n[plugin.tunnel-ssh.secrets]\nidentity = { file = \
             \"nexus_tunnel\" }",
        ));
    };
    let openssh = key.strip_prefix(OPENSSH_HEADER);
    let locked = match openssh {
        Some(body) => !body.trim_start().starts_with(UNENCRYPTED_KEY),
        None => body.contains("ENCRYPTED"),
    };
    if locked {
        return Err(encrypted_key_failure("The secret `identity`"));
    }
    Ok(())
}

/// `encrypted_key_failure` is the failure of a key that is protected with a passphrase.
pub(crate) fn encrypted_key_failure(what: &str) -> Failure {
    permanent(
        format!("{what} is protected with a passphrase, which nobody can enter here."),
        "create a key without a passphrase for this purpose only (`ssh-keygen -t ed25519 -N \"\" -f nexus_tunnel`), \
         or use an ssh agent: `agent`",
    )
}

fn check_token(token: &str, target: &Target) -> Result<(), Failure> {
    if target.user.is_some() {
        return Err(permanent(
            "Both `user` and the secret `token` are set, but only one of them can be the user name.",
            "remove one of them",
        ));
    }
    // It is in ssh's own configuration, between quotation marks.
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '%' | '$' | '#');
    if token.chars().all(plain) && !token.starts_with('-') {
        return Ok(());
    }
    Err(permanent(
        "The secret `token` has characters that are not allowed in an account name.",
        "copy it again; it is one word",
    ))
}

fn host_keys(a: &Authored, target: &Target) -> Result<HostKeys, Failure> {
    let line = |text: &String| {
        host_keys::line(text, target).map_err(|why| {
            permanent(
                format!("`known_hosts` has `{}`, which is not a host key: {why}.", text.trim()),
                format!(
                    "use the lines that `ssh-keyscan -p {} {}` prints, after comparing their fingerprints",
                    target.port, target.host
                ),
            )
        })
    };
    match (a.known_hosts.is_empty(), non_empty(&a.known_hosts_file)) {
        (false, Some(_)) => Err(permanent(
            "Both `known_hosts` and `known_hosts_file` are set.",
            "remove one of them",
        )),
        (false, None) => Ok(HostKeys::Lines(
            a.known_hosts.iter().map(line).collect::<Result<_, _>>()?,
        )),
        (true, Some(file)) => path("known_hosts_file", &file).map(HostKeys::File),
        (true, None) if a.host_keys == "accept-new" => Ok(HostKeys::AcceptNew),
        (true, None) => Ok(HostKeys::Lines(Vec::new())),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
