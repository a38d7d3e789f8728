//! The configuration, parsed once, and what follows from it.

use nexus_plugin_api::chat::Failure;
use nexus_plugin_api::job::permanent;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// `Authored` are the settings as they are written.
#[derive(Debug, Clone, Deserialize)]
pub struct Authored {
    pub base_url: String,
    #[serde(default)]
    pub model: Option<String>,
    pub system_prompt: String,
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    pub timeout: i64,
}

/// `Settings` are the settings as they are used.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub server: Server,
    /// `model` is as the server names it.
    pub model: Option<String>,
    pub system_prompt: String,
    pub parameters: Map<String, Value>,
    /// `timeout` is in milliseconds.
    pub timeout: u64,
}

/// `Server` is where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `base` is the address of the API, without a slash at its end.
    base: String,
    /// `host` is the name in error texts, and of the provider of its models: `api.openai.com`.
    pub host: String,
}

/// `OPENAI` is the host that answers nobody without a key.
const OPENAI: &str = "api.openai.com";
/// `OWN` are the parameters that the plugin sets itself, or has no use for the answers of.
const OWN: [&str; 10] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "n",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "modalities",
];
/// `NUMBERS` are the common parameters that every server takes as numbers.
const NUMBERS: [&str; 10] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "max_completion_tokens",
    "frequency_penalty",
    "presence_penalty",
    "repeat_penalty",
    "seed",
];
const MOST_SECONDS: i64 = 86_400;

impl TryFrom<Authored> for Settings {
    type Error = Failure;

    fn try_from(authored: Authored) -> Result<Self, Failure> {
        Ok(Self {
            server: Server::parse(&authored.base_url)?,
            model: model(authored.model.as_deref())?,
            system_prompt: authored.system_prompt.trim().to_owned(),
            parameters: parameters(&authored.parameters)?,
            timeout: timeout(authored.timeout)?,
        })
    }
}

impl Authored {
    /// `failures` are all settings that cannot be used; `key`: the operator gave one.
    pub fn failures(&self, key: bool) -> Vec<Failure> {
        let server = Server::parse(&self.base_url);
        let missing = matches!(&server, Ok(server) if server.host == OPENAI && !key).then(|| {
            permanent(
                format!("`api_key` is not set, and {OPENAI} answers nobody without a key."),
                "add api_key = { file = \"openai.key\" } to [plugin.chat-openai.secrets], or set `base_url` to another server",
            )
        });
        let results = [
            server.map(drop),
            model(self.model.as_deref()).map(drop),
            parameters(&self.parameters).map(drop),
            timeout(self.timeout).map(drop),
        ];
        results.into_iter().filter_map(Result::err).chain(missing).collect()
    }
}

impl Server {
    fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |what: &str, fix: &str| Err(permanent(format!("`base_url` is {text:?}, which {what}."), fix));
        let example = "write the address of the server's API, such as \"http://127.0.0.1:11434/v1\"";
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        if !matches!(scheme, "http" | "https") {
            return wrong("does not begin with http:// or https://", example);
        }
        let base = text.trim_end_matches('/');
        let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '{' | '}' | '\\' | '"' | '<' | '>');
        if rest.contains(odd) {
            return wrong("has characters that no address has", example);
        }
        if rest.contains(['?', '#']) {
            return wrong(
                "has a query, which requests have no place for",
                "leave out `?` or `#` and what follows",
            );
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return wrong(
                "has a user name or a key",
                "leave it out, and give the key as `api_key` in [plugin.chat-openai.secrets]",
            );
        }
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host,
            _ => authority,
        };
        if host.is_empty() {
            return wrong("has no host", example);
        }
        if ["/chat/completions", "/completions", "/models"]
            .iter()
            .any(|end| base.ends_with(end))
        {
            return wrong(
                "is the address of one function",
                "leave out its end: what is before /chat/completions is the address of the API",
            );
        }
        Ok(Self {
            base: base.to_owned(),
            host: host.to_ascii_lowercase(),
        })
    }

    /// `url` is the address of one of its functions: `/models`.
    pub fn url(&self, function: &str) -> String {
        format!("{}{function}", self.base)
    }

    /// `model_id` is a model as the contract names it.
    pub fn model_id(&self, model: &str) -> String {
        format!("{}/{model}", self.host)
    }

    /// `model_name` is a model as the server names it.
    pub fn model_name<'a>(&self, id: &'a str) -> &'a str {
        let name = id.strip_prefix(&self.host).and_then(|rest| rest.strip_prefix('/'));
        name.unwrap_or(id)
    }
}

fn model(written: Option<&str>) -> Result<Option<String>, Failure> {
    match written.map(str::trim) {
        Some("") => Err(permanent(
            "`model` is empty.",
            "write a model as the server names it, or remove the key to use the first one that the server lists",
        )),
        written => Ok(written.map(str::to_owned)),
    }
}

fn timeout(seconds: i64) -> Result<u64, Failure> {
    match u64::try_from(seconds) {
        Ok(whole @ 1..) if seconds <= MOST_SECONDS => Ok(whole * 1000),
        _ => Err(permanent(
            format!("`timeout` is {seconds}, which is not a number of seconds that can be waited for."),
            format!("use 1 to {MOST_SECONDS}"),
        )),
    }
}

fn parameters(written: &BTreeMap<String, String>) -> Result<Map<String, Value>, Failure> {
    let mut all = Map::new();
    for (name, text) in written {
        if OWN.contains(&name.as_str()) {
            let fix = match name.as_str() {
                "model" => "set `model` in [plugin.chat-openai.config] instead",
                "messages" => "set `system_prompt` in [plugin.chat-openai.config] instead",
                _ => "remove it",
            };
            return Err(permanent(
                format!("`parameters` has {name:?}, which this plugin sets or leaves out itself."),
                fix,
            ));
        }
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
        if NUMBERS.contains(&name.as_str()) && !value.is_number() {
            return Err(permanent(
                format!("`parameters` has {name} = {text:?}, which is not a number."),
                format!("write a number between the quotes, such as {name} = \"1\", or remove it"),
            ));
        }
        all.insert(name.clone(), value);
    }
    Ok(all)
}

#[cfg(test)]
#[path = "settings_tests.rs"]
pub(crate) mod tests;
