//! To which servers a plugin may send requests.

use super::asked::Asked;
use super::grantable::{Grantable, Lines};
use super::request::Request;
use crate::diagnostic::Diagnostic;
use crate::permission::Permission;
use crate::resolved::{Grants, HttpGrant};
use crate::toml_reader::Findings;
use crate::toml_text;
use nexus_plugin_api::manifest::Manifest;
use std::fmt::Write as _;
use std::net::IpAddr;

pub(super) const HTTP: Grantable = Grantable {
    requested,
    granted,
    missing,
    lines,
};

fn requested(manifest: &Manifest) -> Vec<Request> {
    let requests = manifest.capabilities.http.iter();
    requests
        .map(|request| Request {
            permission: Permission::Http {
                server: request.url.clone(),
                private: false,
            },
            reason: request.reason.clone(),
            env: Vec::new(),
        })
        .collect()
}

fn granted(grants: &Grants) -> Vec<Permission> {
    grants.http.iter().map(Permission::http).collect()
}

/// `requested_http` are the hosts that a manifest asks for, as far as they are addresses (a configuration with others is refused).
pub fn requested_http(manifest: &Manifest, config: &serde_json::Map<String, serde_json::Value>) -> Vec<HttpGrant> {
    let urls = manifest.capabilities.http.iter();
    urls.filter_map(|request| HttpGrant::of_url(&expand(&request.url, config)?).ok())
        .collect()
}

/// Manifest ∩ operator.
pub(crate) fn http(
    asked: &Asked<'_>,
    config: &serde_json::Map<String, serde_json::Value>,
    findings: &mut Findings,
) -> Vec<HttpGrant> {
    let mut requests = Vec::new();
    for request in &asked.manifest.capabilities.http {
        let Some(url) = expand(&request.url, config) else {
            continue;
        };
        match HttpGrant::of_url(&url) {
            Ok(grant) => requests.push((url, grant)),
            Err(why) => findings.push(
                Diagnostic::new(
                    asked.place.clone(),
                    format!("plugin.{}", asked.name),
                    format!("the plugin `{}` requests an invalid address", asked.name),
                )
                .found(format!("{:?} (from {:?} in its manifest): {why}", url, request.url))
                .expected("https://HOST"),
            ),
        }
    }
    let Some(written) = &asked.table.grants.http else {
        return if asked.builtin {
            requests.into_iter().map(|(_, grant)| grant).collect()
        } else {
            Vec::new()
        };
    };
    let mut grants = Vec::new();
    for grant in written {
        let before = grants.len();
        grants.extend(
            requests
                .iter()
                .filter_map(|(_, request)| grant.value.intersect(request)),
        );
        if grants.len() == before {
            let shown = format!("{}://{}", grant.value.scheme, grant.value.host);
            findings.push(asked.not_asked(grant, &shown, requests.iter().map(|(url, _)| url.as_str())));
        }
    }
    grants
}

/// A private address is missing, too, where the server is granted without it.
fn missing(asked: &Asked<'_>, config: &serde_json::Map<String, serde_json::Value>, grants: &Grants) -> Vec<Permission> {
    let mut missing = Vec::new();
    for mut wanted in requested_http(asked.manifest, config) {
        wanted.private = is_private(&wanted.host);
        let mut granted = grants.http.iter().filter(|grant| grant.same_server(&wanted));
        let permission = Permission::http(&wanted);
        if !granted.any(|grant| grant.private || !wanted.private) && !missing.contains(&permission) {
            missing.push(permission);
        }
    }
    missing
}

/// The whole list, for it replaces the one that is written.
fn lines(lines: &mut Lines<'_>) {
    let there = lines.written("http").cloned();
    let mut entries: Vec<(Option<HttpGrant>, String)> = match &there {
        Some(there) => {
            let there = there.as_array().into_iter().flatten();
            there.map(|entry| (server(entry), entry.to_string())).collect()
        }
        // The file is not at hand.
        None => {
            let granted = lines.plugin.grants.http.iter();
            granted.map(|grant| (Some(grant.clone()), grant.to_toml())).collect()
        }
    };
    let mut changed = false;
    for permission in lines.permissions {
        let Permission::Http { server, private } = permission else {
            continue;
        };
        let Ok(parsed) = HttpGrant::parse(server) else { continue };
        let wanted = HttpGrant {
            private: *private || is_private(&parsed.host),
            ..parsed
        };
        changed = true;
        // The one that is there has no `private`.
        let same = |known: &HttpGrant| known.same_server(&wanted);
        let entry = wanted.to_toml();
        match entries.iter_mut().find(|(known, _)| known.as_ref().is_some_and(same)) {
            Some((_, known)) => *known = entry,
            None => entries.push((None, entry)),
        }
    }
    if changed || there.is_some() && !entries.is_empty() {
        let note = if changed {
            lines.note(there.as_ref())
        } else {
            String::new()
        };
        let entries: Vec<String> = entries.into_iter().map(|(_, entry)| entry).collect();
        let _ = writeln!(lines.own, "http = [{}]{note}", entries.join(", "));
    }
}

/// The server that an entry of the list names.
fn server(entry: &toml::Value) -> Option<HttpGrant> {
    let url = entry.as_str().or_else(|| entry.get("url")?.as_str())?;
    HttpGrant::parse(url).ok()
}

impl Permission {
    /// `http` is to send the requests that a grant allows.
    pub fn http(grant: &HttpGrant) -> Self {
        Self::Http {
            server: grant.to_string(),
            private: grant.private,
        }
    }
}

impl HttpGrant {
    /// `to_toml` is the entry of the list `http` in `[plugin.NAME.grants]`.
    pub fn to_toml(&self) -> String {
        let url = toml_text::string(&self.to_string());
        if self.private {
            format!("{{ url = {url}, private = true }}")
        } else {
            url
        }
    }
}

/// `{config:KEY}` replaced. None: the key has no value, so nothing is asked for.
fn expand(url: &str, config: &serde_json::Map<String, serde_json::Value>) -> Option<String> {
    let Some((before, rest)) = url.split_once("{config:") else {
        return Some(url.to_owned());
    };
    let (key, after) = rest.split_once('}')?;
    let value = config.get(key)?.as_str().filter(|v| !v.is_empty())?;
    Some(format!("{before}{value}{}", expand(after, config)?))
}

fn is_private(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let local = bare == "localhost" || bare.ends_with(".localhost");
    local
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|ip| !nexus_model::address::is_global(ip))
}
