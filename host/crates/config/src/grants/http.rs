//! To which servers a plugin may send requests.

use super::grant_context::GrantContext;
use super::grant_kind::{GrantKind, GrantNotes, PluginTables};
use super::http_grant::{HttpGrant, SOCKET_SCHEME, encoded_path};
use super::lines::Lines;
use super::request::Request;
use crate::diagnostic::Diagnostic;
use crate::permission::Permission;
use crate::toml_reader::{Findings, InvalidValue, Located, describe};
use crate::toml_text;
use nexus_plugin_api::manifest::Manifest;
use std::fmt::Write as _;
use toml::de::DeValue;

const CAPABILITY: &str = "http";

/// `HttpGrants` are the servers that a plugin may send requests to.
pub type HttpGrants = Vec<HttpGrant>;

type Settings = serde_json::Map<String, serde_json::Value>;

impl Permission {
    /// `http` is to send the requests that a grant allows.
    pub fn http(grant: &HttpGrant) -> Self {
        Self::http_to(&grant.to_string(), grant.private)
    }

    /// `http_to` is to send requests to a server; `private`: also where it is an address of this machine or its network.
    pub fn http_to(server: &str, private: bool) -> Self {
        let near = if private { ", including private addresses" } else { "" };
        let socket = HttpGrant::parse(server)
            .ok()
            .and_then(|grant| Some(grant.socket()?.display().to_string()));
        let shown = socket.map_or_else(|| server.to_owned(), |path| format!("the socket {path}"));
        Self {
            capability: CAPABILITY,
            target: server.to_owned(),
            extended: private,
            text: format!("send requests to {shown}{near}"),
        }
    }
}

impl GrantKind for HttpGrants {
    /// Absent is not empty: a built-in plugin has what it asks for until the operator names less.
    type Written = Option<Vec<Located<HttpGrant>>>;

    fn read(tables: &mut PluginTables<'_, '_, '_>, findings: &mut Findings) -> Self::Written {
        let expected = "\"https://api.example.org\", { url = \"http://10.0.0.5:8080\", private = true }, or \"http+unix://%2Frun%2Fprogram.sock\" for a unix socket";
        let whole = "a list such as [\"https://api.example.org\", { url = \"http://10.0.0.5:8080\", private = true }]";
        tables.grants.as_mut()?.list("http", (expected, whole), findings, entry)
    }

    fn requested(manifest: &Manifest) -> Vec<Request> {
        let requests = manifest.capabilities.http.iter();
        requests
            .map(|request| Request {
                permission: Permission::http_to(&request.url, false),
                reason: request.reason.clone(),
                optional: request.optional,
                env: Vec::new(),
            })
            .collect()
    }

    fn resolve(written: &Self::Written, asked: &GrantContext<'_>, notes: &mut GrantNotes<'_>) -> Self {
        let grants = granted(written.as_deref(), asked, notes);
        for mut wanted in requested_http(asked.manifest, &asked.settings) {
            wanted.private = wanted.is_private();
            let mut granted = grants.iter().filter(|grant| grant.same_server(&wanted));
            let permission = Permission::http(&wanted);
            // A private address is missing, too, where the server is granted without it.
            if !granted.any(|grant| grant.private || !wanted.private) && !notes.missing.contains(&permission) {
                notes.missing.push(permission);
            }
        }
        grants
    }

    fn permissions(&self) -> Vec<Permission> {
        self.iter().map(Permission::http).collect()
    }

    /// The whole list, for it replaces the one that is written.
    fn lines(&self, lines: &mut Lines<'_>) {
        let there = lines.written("http").cloned();
        let mut entries: Vec<(Option<HttpGrant>, String)> = match &there {
            Some(there) => {
                let there = there.as_array().into_iter().flatten();
                there.map(|entry| (server(entry), entry.to_string())).collect()
            }
            // The file is not at hand.
            None => self
                .iter()
                .map(|grant| (Some(grant.clone()), grant.to_toml()))
                .collect(),
        };
        let mut changed = false;
        for permission in lines.of(CAPABILITY) {
            let Ok(mut wanted) = HttpGrant::parse(&permission.target) else {
                continue;
            };
            wanted.private = permission.extended || wanted.is_private();
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
}

/// `requested_http` are the hosts that a manifest asks for, as far as they are addresses (a configuration with others is refused).
pub fn requested_http(manifest: &Manifest, config: &Settings) -> HttpGrants {
    let urls = manifest.capabilities.http.iter();
    urls.filter_map(|request| HttpGrant::of_url(&expand(&request.url, config)?).ok())
        .collect()
}

fn granted(written: Option<&[Located<HttpGrant>]>, asked: &GrantContext<'_>, notes: &mut GrantNotes<'_>) -> HttpGrants {
    let mut requests = Vec::new();
    for request in &asked.manifest.capabilities.http {
        let Some(url) = expand(&request.url, &asked.settings) else {
            continue;
        };
        match HttpGrant::of_url(&url) {
            Ok(grant) => requests.push((url, grant)),
            Err(cause) => notes.findings.push(
                Diagnostic::new(
                    asked.place.clone(),
                    format!("plugin.{}", asked.name),
                    format!("the plugin `{}` requests an invalid address", asked.name),
                )
                .found(format!("{:?} (from {:?} in its manifest): {cause}", url, request.url))
                .expected("https://HOST"),
            ),
        }
    }
    let Some(written) = written else {
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
            let shown = grant.value.to_string();
            let refused = asked.not_asked(grant, &shown, requests.iter().map(|(url, _)| url.as_str()));
            notes.findings.push(refused);
        }
    }
    grants
}

/// Reads an entry of the list.
fn entry(v: &DeValue<'_>) -> Result<HttpGrant, InvalidValue> {
    let parse = |text: &str| {
        HttpGrant::parse(text).map_err(|cause| InvalidValue {
            found: Some(format!("{text:?}: {cause}")),
            fix: None,
        })
    };
    let Some(table) = v.as_table() else {
        return parse(v.as_str().ok_or(InvalidValue::PLAIN)?);
    };
    let (mut url, mut private) = (None, false);
    for (name, value) in table {
        match (name.get_ref().as_ref(), value.get_ref()) {
            ("url", DeValue::String(text)) => url = Some(text.to_string()),
            ("private", DeValue::Boolean(b)) => private = *b,
            (other, value) => {
                return Err(InvalidValue {
                    found: Some(format!("{other:?} = {}", describe(value))),
                    fix: None,
                });
            }
        }
    }
    Ok(parse(&url.ok_or(InvalidValue::PLAIN)?)?.with_private(private))
}

/// The server that an entry of the list names.
fn server(entry: &toml::Value) -> Option<HttpGrant> {
    let url = entry.as_str().or_else(|| entry.get("url")?.as_str())?;
    HttpGrant::parse(url).ok()
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
fn expand(url: &str, config: &Settings) -> Option<String> {
    let Some((before, rest)) = url.split_once("{config:") else {
        return Some(url.to_owned());
    };
    let (key, after) = rest.split_once('}')?;
    let value = config.get(key)?.as_str().filter(|v| !v.is_empty())?;
    // The path of a socket is in a URL as a host is.
    let value = match before.strip_suffix("://") {
        Some(SOCKET_SCHEME) if after.is_empty() => encoded_path(value),
        _ => value.to_owned(),
    };
    Some(format!("{before}{value}{}", expand(after, config)?))
}
