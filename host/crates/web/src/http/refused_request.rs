//! Why a request is turned away before any handler, and the cure.
//!
//! Problem: behind a reverse proxy a page is refused for its name or its origin, and only some of the keys that look right
//! help. Mechanism: each case that can be told apart names its own cure, as the lines to paste; host/crates/web/tests/web/refusals.rs
//! takes them out of the message, lets the configuration read them, and sends the same request again. Limit: the request
//! of another site is not told apart from a proxy that changes `Host` where the browser does not say (plain HTTP); then
//! the cure is said under a condition.

use crate::{Connection, Ingress, SiteContext};
use http::HeaderMap;
use http::header;

/// `NAME` is how many characters of a name are repeated.
const NAME: usize = 120;

fn line(text: &str) -> String {
    nexus_plugin_api::text::line(text).chars().take(NAME).collect()
}

/// Splits a name from the port behind it, with its colon, where it is what a configuration may hold.
fn split(authority: &str) -> Option<(&str, &str)> {
    let at = match authority.rfind(':') {
        Some(at) if !authority.ends_with(']') => at,
        _ => authority.len(),
    };
    let (host, port) = authority.split_at_checked(at)?;
    let proper = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    let digits = port
        .strip_prefix(':')
        .unwrap_or_default()
        .bytes()
        .all(|b| b.is_ascii_digit());
    (!host.is_empty() && host.len() <= NAME && host.chars().all(proper) && digits)
        .then_some((host.trim_end_matches('.'), port))
}

/// `unknown_name` says that the listener does not know the name.
pub(crate) fn unknown_name(connection: &Connection, host: &str) -> String {
    let known = "To fix: open the page as localhost or at the address of a tunnel.\n";
    let told = format!("Nexus does not accept the host name \"{}\" here.\n{known}", line(host));
    let Some((name, port)) = split(host) else { return told };
    match connection.ingress.as_ref() {
        Ingress::Tunnel { name: tunnel, .. } => {
            format!(
                "{told}If this name is your own, add it to nexus.toml:\n\n[tunnel.{tunnel}]\nhosts = [\"{name}\"]\n"
            )
        }
        _ => format!(
            "{told}If this name is your own, add it to nexus.toml. If a reverse proxy in front of Nexus handles \
             HTTPS:\n\n[web]\npublic_url = \"https://{name}{port}\"\n\nWithout HTTPS:\n\n[web]\nhosts = [\"{name}\"]\n"
        ),
    }
}

/// `foreign_page` says that the page that sent it is of another origin than this one.
pub(crate) fn foreign_page(connection: &Connection, site: &SiteContext, headers: &HeaderMap) -> String {
    let only = format!("This request is only accepted from pages of {}.", site.origin);
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = get(header::ORIGIN.as_str()).filter(|origin| *origin != "null");
    let parts = origin.and_then(|origin| {
        let (scheme, authority) = origin.split_once("://")?;
        let (name, _) = split(authority)?;
        matches!(scheme, "https" | "http").then_some((origin, scheme, authority, name))
    });
    let Some((origin, scheme, authority, name)) = parts.filter(|_| connection.tunnel().is_none()) else {
        return format!("{only} Open the page there and try again.\n");
    };
    let same = site
        .origin
        .split_once("://")
        .is_some_and(|(_, here)| here.eq_ignore_ascii_case(authority));
    let key = if scheme == "https" {
        format!("[web]\npublic_url = \"{origin}\"\n")
    } else {
        format!("[web]\nhosts = [\"{name}\"]\n")
    };
    if same && scheme == "https" {
        return format!(
            "{only} This page was opened as {origin}: a reverse proxy in front of Nexus handles HTTPS.\n\
             To fix: write into nexus.toml:\n\n{key}"
        );
    }
    let here = site.origin.split_once("://").map_or("", |(_, here)| here);
    let pass = format!(
        "To fix: configure the proxy to forward the Host header (nginx: proxy_set_header Host $http_host; Apache: \
         ProxyPreserveHost On), and write into nexus.toml:\n\n{key}"
    );
    match get("sec-fetch-site") {
        Some("same-origin") => {
            format!(
                "{only} This page was opened as {origin}, but a proxy in front of Nexus forwards it as \
                {here}.\n{pass}"
            )
        }
        // The browser says that it is another site's.
        Some(_) => format!("{only} Open the page there and try again.\n"),
        None => format!(
            "{only} Open the page there and try again.\nIf {origin} is a reverse proxy of your own in front of Nexus, \
             it changes the Host header.\n{pass}"
        ),
    }
}
