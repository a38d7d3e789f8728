//! A login by the header of a reverse proxy of this machine: `x-remote-user`. Subjects are `proxy:USER`.

use nexus_plugin_api::auth::types::{Answer, Context, Denial, Denied, Identity, Step};
use nexus_plugin_api::auth::{Error, Facts, Guest, Method, MethodKind, Route, Verdict};
use nexus_plugin_api::config;

const HEADER: &str = "X-Remote-User";

#[derive(serde::Deserialize)]
struct Settings {
    route: String,
    user: u32,
}

pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Vec<Method> {
        vec![Method {
            id: "proxy".to_owned(),
            kind: MethodKind::Ambient,
            title: "the proxy".to_owned(),
            headers: vec![HEADER.to_owned()],
        }]
    }

    async fn begin(_method: String, _context: Context) -> Result<Step, Error> {
        Err(Error::Invalid("there is nothing to begin".to_owned()))
    }

    async fn proceed(_state: Vec<u8>, _answer: Answer, _context: Context) -> Result<Step, Error> {
        Err(Error::Invalid("there is nothing to go on with".to_owned()))
    }

    async fn authenticate(facts: Facts) -> Result<Verdict, Error> {
        let settings: Settings = config()?;
        let route = match facts.route {
            Route::Loopback => "loopback",
            Route::Name(_) => "name",
            Route::Tunnel(_) => "tunnel",
        };
        if route != settings.route || facts.peer_user != Some(settings.user) {
            return Ok(Verdict::None);
        }
        Ok(match facts.headers.as_slice() {
            [] => Verdict::None,
            [one] if !one.value.is_empty() => Verdict::Identity(Identity {
                subject: format!("proxy:{}", one.value),
                display_name: Some(one.value.clone()),
            }),
            // The proxy sends one: another is the client's.
            _ => Verdict::Deny(Denied {
                reason: Denial::BadCredential,
                message: None,
            }),
        })
    }
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_auth!(Plugin);
