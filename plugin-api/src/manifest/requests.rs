//! `[capabilities]` and `[limits]`: what a plugin asks for.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `Capabilities` are what the plugin asks to be allowed. What it gets is this ∩ the operator's grants.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// `process` are the programs, by the binary's name.
    #[serde(default)]
    pub process: BTreeMap<String, ProcessRequest>,
    /// `http` are the servers.
    #[serde(default)]
    pub http: Vec<HttpRequest>,
    /// `store` asks for a store of its own.
    #[serde(default)]
    pub store: Option<StoreRequest>,
}

/// `ProcessRequest` asks to run one program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessRequest {
    /// `reason` says what the plugin does with it.
    pub reason: String,
    /// `inherit_env`: it wants to start with the operator's environment.
    #[serde(default)]
    pub inherit_env: bool,
    /// `env` are the environment variables that it sets: `NAME`; `PREFIX_*`; `{config:KEY}` for the names that the
    /// operator wrote into that table. It may set no other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// `optional`: the plugin works without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// `HttpRequest` asks to send requests to one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// `url` is its scheme and host: `https://api.example.org`, `https://*.example.org`, `{config:KEY}`.
    pub url: String,
    /// `reason` says what the plugin does there.
    pub reason: String,
    /// `optional`: the plugin works without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// `StoreRequest` asks to keep data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreRequest {
    /// `quota` is in bytes over all keys and values.
    pub quota: u64,
    /// `reason` says what the plugin keeps.
    pub reason: String,
    /// `optional`: the plugin works without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// `Limits` are what the plugin needs beyond the host's defaults. The operator may set less or more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// `memory` is in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}
