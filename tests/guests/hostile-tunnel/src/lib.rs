//! A tunnel that says it is ready and then does what `attack` says.

#[path = "../../attack.rs"]
mod attack;

use nexus_plugin_api::tunnel::{Availability, Descriptor, Encryption, Event, Guest, Origin, UrlKind, job};
use nexus_plugin_api::{FutureReader, config, job::Job};

#[derive(serde::Deserialize)]
struct Settings {
    attack: String,
}

pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Descriptor {
        Descriptor {
            title: "hostile".to_owned(),
            url: UrlKind::Ephemeral,
            encryption: Encryption::None,
            event_streams: true,
            client_address_header: None,
            ext: Vec::new(),
        }
    }

    async fn probe() -> Availability {
        Availability::Ready("0.1.0".to_owned())
    }

    async fn run(origin: Origin, cancel: FutureReader<()>) -> Job<Event> {
        job(cancel, async move |mut events, mut cancel| {
            // The address of the listener itself: reachable, and on this machine only.
            let url = format!("http://{}:{}", origin.host, origin.port);
            if events.send_all(vec![Event::Url(url), Event::Ready(1)]).await.is_err() {
                return Ok(());
            }
            if let Ok(settings) = config::<Settings>() {
                attack::perform(&settings.attack);
            }
            cancel.cancelled().await;
            Ok(())
        })
    }
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_tunnel!(Plugin);
