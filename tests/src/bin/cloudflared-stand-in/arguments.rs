//! The command line of `cloudflared tunnel`: which flags there are, and on which side of `run` they stand.

use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Flags of `tunnel`, and whether a value follows.
const TUNNEL: [(&str, bool); 18] = [
    ("config", true),
    ("metrics", true),
    ("loglevel", true),
    ("logfile", true),
    ("output", true),
    ("no-autoupdate", false),
    ("no-prechecks", false),
    ("pidfile", true),
    ("grace-period", true),
    ("edge", true),
    ("cacert", true),
    ("region", true),
    ("retries", true),
    ("label", true),
    ("edge-ip-version", true),
    ("quick-service", true),
    ("url", true),
    ("protocol", true),
];
/// Flags of `run`.
const RUN: [(&str, bool); 6] = [
    ("token", true),
    ("token-file", true),
    ("credentials-file", true),
    ("protocol", true),
    ("post-quantum", false),
    ("url", true),
];

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) metrics: String,
    pub(crate) level: String,
    pub(crate) grace: Duration,
    config: Option<PathBuf>,
    url: Option<String>,
    run: bool,
    token: Option<String>,
}

/// Whose tunnel it is, and where it leads.
#[derive(Debug)]
pub(crate) enum Kind {
    Quick { url: String },
    Token { url: Option<String> },
    Credentials { service: String },
}

impl Kind {
    /// `HOST:PORT` of the origin. A dashboard's word replaces the flag.
    pub(crate) fn origin(&self, remote: Option<&Value>) -> Option<String> {
        match self {
            Self::Quick { url } => super::authority(url),
            Self::Credentials { service } => super::authority(service),
            Self::Token { url } => match remote {
                Some(remote) => super::services(remote).find_map(super::authority),
                None => url.as_deref().and_then(super::authority),
            },
        }
    }
}

impl Arguments {
    /// # Errors
    /// What follows `Incorrect Usage. `.
    pub(crate) fn read(all: &[String], unknown: Option<&str>) -> Result<Self, String> {
        let mut this = Self {
            metrics: "127.0.0.1:0".to_owned(),
            level: "info".to_owned(),
            grace: Duration::from_secs(30),
            config: None,
            url: None,
            run: false,
            token: std::env::var("TUNNEL_TOKEN").ok(),
        };
        let mut rest = all.iter();
        while let Some(argument) = rest.next() {
            if argument == "run" {
                this.run = true;
                continue;
            }
            let Some(name) = argument.strip_prefix("--") else {
                continue;
            };
            let known: &[(&str, bool)] = if this.run { &RUN } else { &TUNNEL };
            let flag = known
                .iter()
                .find(|(known, _)| *known == name && unknown != Some(*known));
            let Some((_, takes)) = flag else {
                return Err(format!("flag provided but not defined: -{name}"));
            };
            let value = if *takes {
                rest.next()
                    .cloned()
                    .ok_or_else(|| format!("flag needs an argument: -{name}"))?
            } else {
                String::new()
            };
            match name {
                "metrics" => this.metrics = value,
                "loglevel" => this.level = value,
                "grace-period" => this.grace = seconds(&value)?,
                "config" => this.config = Some(value.into()),
                "url" => this.url = Some(value),
                "token" => this.token = Some(value),
                _ => {}
            }
        }
        Ok(this)
    }

    /// # Errors
    /// The exit code and the last words.
    pub(crate) fn kind(&self) -> Result<Kind, (i32, String)> {
        if !self.run {
            let url = self.url.clone();
            return Ok(Kind::Quick {
                url: url.ok_or((
                    1,
                    "the stand-in knows no other tunnel without `run` than a quick one".to_owned(),
                ))?,
            });
        }
        if let Some(token) = &self.token {
            let decoded = data_encoding::BASE64.decode(token.as_bytes()).ok();
            let json: Option<Value> = decoded.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if !json.is_some_and(|json| ["a", "s", "t"].iter().all(|key| json[key].is_string())) {
                let words = "Provided Tunnel token is not valid.\nSee 'cloudflared tunnel run --help'.";
                return Err((255, words.to_owned()));
            }
            return Ok(Kind::Token { url: self.url.clone() });
        }
        let config = self.config.as_deref().map(super::read).transpose()?.unwrap_or_default();
        let value = |key: &str| {
            let line = config
                .lines()
                .find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key));
            line.map(|value| value.trim().trim_matches('"').to_owned())
        };
        let (Some(_), Some(file)) = (value("tunnel:"), value("credentials-file:")) else {
            return Err((255, "tunnel credentials file not found".to_owned()));
        };
        let credentials = super::read(file.as_ref())?;
        if serde_json::from_str::<Value>(&credentials).is_err() {
            return Err((1, "Invalid JSON when parsing tunnel credentials file".to_owned()));
        }
        if !config.trim_end().ends_with("service: \"http_status:404\"") {
            let words = "The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)";
            return Err((1, words.to_owned()));
        }
        Ok(Kind::Credentials {
            service: value("service:").unwrap_or_default(),
        })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').and_then(|number| number.parse().ok());
    number
        .map(Duration::from_secs)
        .ok_or_else(|| format!("invalid value \"{text}\" for flag -grace-period: parse error"))
}
