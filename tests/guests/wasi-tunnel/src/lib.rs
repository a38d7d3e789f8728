//! A tunnel that uses WASI itself: its requests go by `wasi:http` of 0.2 and 0.3, it reads their clocks, and tries their sockets
//! and files. What became of it is in its log, a line each, and ends the tunnel for good as the reason.

mod by_0_2;
mod by_0_3;

use nexus_plugin_api::caps::secrets;
use nexus_plugin_api::job::{Job, permanent};
use nexus_plugin_api::tunnel::{
    Availability, CancelReason, Descriptor, Encryption, Event, Guest, Liveness, Origin, UrlKind, job,
};
use nexus_plugin_api::{FutureReader, config, log};

#[derive(serde::Deserialize)]
struct Settings {
    attempt: String,
    url: String,
}

pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Descriptor {
        Descriptor {
            title: "WASI".to_owned(),
            url: UrlKind::Ephemeral,
            encryption: Encryption::None,
            liveness: Liveness::Reported,
            event_streams: true,
            client_address_header: None,
            public_name_header: None,
            refused: Vec::new(),
        }
    }

    async fn check_availability() -> Availability {
        Availability::ready("0.1.0")
    }

    async fn run(origin: Origin, cancel: FutureReader<CancelReason>) -> Job<Event> {
        job(cancel, async move |_, _| {
            let Settings { attempt, url } = config().map_err(|e| permanent(e.text(), "It is a test."))?;
            let token = secrets::get("token".to_owned()).await.unwrap_or_default();
            let results = match attempt.as_str() {
                "granted" => vec![by_0_2::get(&url, &[("authorization", &token)])],
                "by-0-3" => vec![
                    by_0_3::get(&url, &token).await,
                    by_0_3::post(&url, vec![b'x'; 100_000]).await,
                    by_0_3::get("http://other.example/", &token).await,
                ],
                "interfaces" => by_0_3::interfaces().await,
                "methods" => by_0_2::methods(&url),
                "headers" => by_0_2::headers(&url),
                "large-headers" => vec![by_0_2::get(&url, &[("x-large", &"v".repeat(20_000))])],
                "redirect" => by_0_2::redirects(&url),
                "upload" => vec![by_0_2::post(&url, 300_000)],
                "endless" => vec![by_0_2::post(&url, u64::MAX)],
                "flood" => by_0_2::flood(&url),
                "hoard" => by_0_2::hoard(),
                _ => by_0_3::outside(origin.port).await,
            };
            for result in &results {
                log::info(result);
            }
            Err(permanent(results.join("; "), "It is a test."))
        })
    }
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_tunnel!(Plugin);
