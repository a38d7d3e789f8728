//! cloudflared's own pages, on a loopback port: what is true of the tunnel now. All of them say that they are plain text.

use crate::settings::{METRICS, Mode, PROCESS};
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::http::Request;
use nexus_plugin_api::tunnel::{Origin, Statistics};
use serde::Deserialize;
use std::collections::BTreeSet;

const TIMEOUT: u64 = 5_000;
const MAX_PAGE: usize = 1024 * 1024;

async fn page(path: &str) -> Result<(u16, Vec<u8>), Error> {
    let url = format!("process://{PROCESS}:{METRICS}{path}");
    let response = Request::get(url).timeout(TIMEOUT).idle_timeout(TIMEOUT).send().await?;
    let status = response.status;
    Ok((status, response.bytes(MAX_PAGE).await?))
}

/// `connections` is the number of connections over which requests arrive; `None` while the pages are not available.
/// (The gauge of connections includes those that are only being tried.)
pub(crate) async fn connections() -> Option<u32> {
    #[derive(Deserialize)]
    struct Ready {
        #[serde(rename = "readyConnections")]
        connections: u32,
    }
    let (status, body) = page("/ready").await.ok()?;
    match status {
        200 => Some(serde_json::from_slice::<Ready>(&body).map_or(1, |ready| ready.connections)),
        _ => Some(0),
    }
}

/// `Address` is the public address of the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Known(String),
    /// `Unknown`: it is not known yet.
    Unknown,
    /// `RoutedElsewhere`: the dashboard routes requests to another service; the sentence is for the operator.
    RoutedElsewhere(String),
}

pub(crate) async fn address(mode: &Mode, origin: &Origin) -> Address {
    let body = |path: &'static str| async move { page(path).await.map(|(_, body)| body).unwrap_or_default() };
    match mode {
        Mode::Credentials { hostname, .. } => Address::Known(format!("https://{hostname}")),
        Mode::Quick => quick_tunnel_address(&body("/quicktunnel").await),
        Mode::Token { hostname } => address_from_routes(&body("/config").await, hostname.as_deref(), origin),
    }
}

fn quick_tunnel_address(body: &[u8]) -> Address {
    #[derive(Deserialize)]
    struct Quick {
        hostname: String,
    }
    match serde_json::from_slice::<Quick>(body) {
        Ok(quick) if !quick.hostname.is_empty() => Address::Known(format!("https://{}", quick.hostname)),
        _ => Address::Unknown,
    }
}

#[derive(Deserialize)]
struct Remote {
    version: i64,
    config: Routes,
}

#[derive(Deserialize)]
struct Routes {
    #[serde(default)]
    ingress: Vec<Route>,
}

#[derive(Deserialize)]
struct Route {
    #[serde(default)]
    hostname: String,
    /// `path` is null if there is none.
    path: Option<String>,
    #[serde(default)]
    service: String,
}

/// `address_from_routes` is the address of the dashboard's route that leads here.
fn address_from_routes(body: &[u8], wanted: Option<&str>, origin: &Origin) -> Address {
    let Ok(remote) = serde_json::from_slice::<Remote>(body) else {
        return Address::Unknown;
    };
    // -1: cloudflared runs on its own arguments until the dashboard's word arrives.
    if remote.version < 0 {
        return Address::Unknown;
    }
    // As cloudflared does: the first rule that takes the name. One with a path is for that path alone.
    let rules = || {
        remote
            .config
            .ingress
            .iter()
            .filter(|route| route.path.as_deref().unwrap_or_default().is_empty())
    };
    let named = match wanted {
        Some(wanted) => rules().find(|route| matches_hostname(&route.hostname, wanted)),
        None => {
            let names = || rules().filter(|route| !route.hostname.is_empty() && !route.hostname.starts_with('*'));
            let here = names().find(|route| {
                let first = names().find(|other| other.hostname.eq_ignore_ascii_case(&route.hostname));
                first.is_some_and(|first| routes_to(&first.service, origin))
            });
            here.or_else(|| names().next())
        }
    };
    if let Some(route) = named.filter(|route| routes_to(&route.service, origin)) {
        let name = wanted.unwrap_or(&route.hostname).to_ascii_lowercase();
        return Address::Known(format!("https://{name}"));
    }
    let here = format!("http://{}:{}", origin.host, origin.port);
    let fix = format!(
        "In Cloudflare's dashboard, set the service of this tunnel's public hostname to {here}, and keep the port \
         fixed with `listen = \"{}:{}\"` in this tunnel's table.",
        origin.host, origin.port
    );
    Address::RoutedElsewhere(match (named, wanted) {
        (Some(route), Some(wanted)) => format!("{wanted} is routed to {}, not to Nexus. {fix}", route.service),
        (Some(route), None) => format!("{} is routed to {}, not to Nexus. {fix}", route.hostname, route.service),
        (None, Some(wanted)) => format!("The dashboard has no route for {wanted}. {fix}"),
        (None, None) => format!("The dashboard has no public hostname for this tunnel. {fix}"),
    })
}

/// `matches_hostname` tells whether a rule's host name matches `name`: it is equal, a wildcard above it, or empty,
/// which matches all.
fn matches_hostname(rule: &str, name: &str) -> bool {
    match rule.strip_prefix('*') {
        Some(domain) => name.to_ascii_lowercase().ends_with(&domain.to_ascii_lowercase()),
        None => rule.is_empty() || rule.eq_ignore_ascii_case(name),
    }
}

fn routes_to(service: &str, origin: &Origin) -> bool {
    let Some(authority) = service.strip_prefix("http://") else {
        return false;
    };
    let authority = authority.trim_end_matches('/');
    let Some((host, port)) = authority.rsplit_once(':') else {
        return false;
    };
    let here = host.trim_matches(['[', ']']) == origin.host || host == "localhost";
    here && port.parse() == Ok(origin.port)
}

/// `MetricsSample` is what cloudflared counts.
pub(crate) struct MetricsSample {
    pub(crate) statistics: Statistics,
    /// `registration_failures` are the registrations that Cloudflare refused or did not answer since the start. Over
    /// QUIC nothing else reports them.
    pub(crate) registration_failures: u64,
    /// `running` is the number of requests that are running now.
    pub(crate) running: u64,
}

pub(crate) async fn sample() -> Option<MetricsSample> {
    let (status, body) = page("/metrics").await.ok()?;
    (status == 200).then(|| parse_metrics(&String::from_utf8_lossy(&body)))
}

fn parse_metrics(text: &str) -> MetricsSample {
    let samples = || text.lines().filter(|line| !line.starts_with('#'));
    let sum = |name: &str| {
        let mut values = samples().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            // Another connection to the same place, which cloudflared tries elsewhere: no refusal.
            if rest.contains("dup_edge_conn") {
                return None;
            }
            let rest = match rest.strip_prefix('{') {
                Some(labels) => labels.rsplit_once('}')?.1,
                None => rest,
            };
            // Another metric whose name only begins the same.
            rest.strip_prefix(' ')?.trim().parse::<f64>().ok()
        });
        let first = values.next()?;
        let all = values.fold(first, |sum, value| sum + value);
        // Counters are whole, and written as floats.
        (0.0..9e15).contains(&all).then_some(all as u64)
    };
    // A location that was left is set to 0.
    let locations: BTreeSet<String> = samples()
        .filter_map(|line| line.strip_prefix("cloudflared_tunnel_server_locations{"))
        .filter(|rest| rest.rsplit_once(' ').is_some_and(|(_, value)| value.trim() != "0"))
        .filter_map(|rest| rest.split_once("edge_location=\"")?.1.split('"').next())
        .map(str::to_owned)
        .collect();
    MetricsSample {
        statistics: Statistics {
            requests: sum("cloudflared_tunnel_total_requests"),
            errors: sum("cloudflared_tunnel_request_errors"),
            locations: locations.into_iter().collect(),
            ext: Vec::new(),
        },
        registration_failures: sum("cloudflared_tunnel_tunnel_register_fail").unwrap_or_default(),
        running: sum("cloudflared_tunnel_concurrent_requests_per_tunnel").unwrap_or_default(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            host: "127.0.0.1".to_owned(),
            port: 7861,
        }
    }

    #[test]
    fn a_quick_tunnels_name_is_there_or_not_yet() {
        assert_eq!(
            quick_tunnel_address(br#"{"hostname":"a-b-c.trycloudflare.com"}"#),
            Address::Known("https://a-b-c.trycloudflare.com".to_owned())
        );
        for none in [&br#"{"hostname":""}"#[..], b"", b"404 page not found"] {
            assert_eq!(quick_tunnel_address(none), Address::Unknown);
        }
    }

    fn config(routes: &str) -> Vec<u8> {
        format!(
            r#"{{"version":3,"config":{{"ingress":[{routes}{{"service":"http_status:404"}}],"warp-routing":{{}}}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn the_route_that_leads_here_is_the_address() {
        let here = r#"{"hostname":"other.example.org","path":null,"service":"http://localhost:80"},{"hostname":"Chat.example.org","service":"http://localhost:7861"},"#;
        assert_eq!(
            address_from_routes(&config(here), None, &origin()),
            Address::Known("https://chat.example.org".to_owned())
        );
        assert_eq!(
            address_from_routes(&config(here), Some("chat.example.org"), &origin()),
            Address::Known("https://chat.example.org".to_owned())
        );
        assert_eq!(
            address_from_routes(br#"{"version":-1,"config":{"ingress":[]}}"#, None, &origin()),
            Address::Unknown
        );
        assert_eq!(address_from_routes(b"", None, &origin()), Address::Unknown);
    }

    #[test]
    fn routes_that_lead_elsewhere_are_reported_with_the_address_to_write() {
        for (routes, wanted, word) in [
            (
                r#"{"hostname":"chat.example.org","service":"http://localhost:80"},"#,
                None,
                "chat.example.org is routed to http://localhost:80",
            ),
            (
                r#"{"hostname":"chat.example.org","service":"https://localhost:7861"},"#,
                None,
                "is routed to https://",
            ),
            (
                r#"{"hostname":"x.example.org","service":"http://localhost:7861"},"#,
                Some("chat.example.org"),
                "chat.example.org is routed to http_status:404",
            ),
            ("", None, "no public hostname"),
        ] {
            let Address::RoutedElsewhere(why) = address_from_routes(&config(routes), wanted, &origin()) else {
                panic!("{routes}")
            };
            assert!(
                why.contains(word) && why.contains("http://127.0.0.1:7861") && why.contains("listen = "),
                "{why}"
            );
        }
    }

    #[test]
    fn the_first_rule_that_takes_the_name_is_the_one() {
        let route = |host: &str, path: &str, service: &str| {
            format!(r#"{{"hostname":"{host}","path":"{path}","service":"{service}"}},"#)
        };
        let (here, there) = ("http://localhost:7861", "http://localhost:80");
        let known = |rules: String, wanted| {
            matches!(
                address_from_routes(&config(&rules), wanted, &origin()),
                Address::Known(_)
            )
        };
        let wanted = Some("chat.example.org");
        assert!(known(route("*.example.org", "", here), wanted));
        assert!(known(route("", "", here), wanted), "the catch-all");
        assert!(!known(
            route("*.example.org", "", there) + &route("chat.example.org", "", here),
            wanted
        ));
        assert!(
            !known(route("chat.example.org", "/api", here), wanted),
            "for a path alone"
        );
        assert!(known(
            route("chat.example.org", "/api", there) + &route("chat.example.org", "", here),
            wanted
        ));
        assert!(!known(
            route("chat.example.org", "", there) + &route("chat.example.org", "", here),
            None
        ));
        assert!(
            !known(route("chat.example.org", "", "http://[::1]:7861"), wanted),
            "nobody listens there"
        );
    }

    #[test]
    fn statistics_are_read_from_the_metrics() {
        let text = "# HELP cloudflared_tunnel_total_requests Amount\n# TYPE cloudflared_tunnel_total_requests counter\n\
                    cloudflared_tunnel_total_requests 17\ncloudflared_tunnel_total_requests_other 5\n\
                    cloudflared_tunnel_request_errors 2\n\
                    cloudflared_tunnel_server_locations{connection_id=\"0\",edge_location=\"fra03\"} 1\n\
                    cloudflared_tunnel_server_locations{connection_id=\"1\",edge_location=\"ams01\"} 1\n\
                    cloudflared_tunnel_server_locations{connection_id=\"1\",edge_location=\"lhr01\"} 0\n";
        let MetricsSample {
            statistics,
            registration_failures,
            running,
        } = parse_metrics(text);
        assert_eq!((registration_failures, running), (0, 0));
        assert_eq!((statistics.requests, statistics.errors), (Some(17), Some(2)));
        assert_eq!(statistics.locations, ["ams01", "fra03"]);
        assert_eq!(
            parse_metrics("").statistics.requests,
            None,
            "not used yet, or not there"
        );
        let refused = "cloudflared_tunnel_tunnel_register_fail{error=\"dup_edge_conn\",rpcName=\"registerConnection\"} 5\n\
                       cloudflared_tunnel_tunnel_register_fail{error=\"server_error\",rpcName=\"registerConnection\"} 3\n\
                       cloudflared_tunnel_tunnel_register_success{rpcName=\"registerConnection\"} 1\n\
                       cloudflared_tunnel_concurrent_requests_per_tunnel 2\n";
        assert_eq!(
            (
                parse_metrics(refused).registration_failures,
                parse_metrics(refused).running
            ),
            (3, 2)
        );
    }
}
