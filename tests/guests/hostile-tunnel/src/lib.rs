//! A tunnel that says it is ready and then does what `attack` says, beside [`attack`] these:
//!
//! * `flood`: events without an end. `giant`: events of some megabytes, and an address of one.
//! * `no-url`, `script-url`: an address that is none. `call-hang`: never says that it has begun.
//!
//! * `words`: each text that it may say holds what a terminal or a reader obeys. `start = "words"`: its name too.
//!
//! What it survives ends the tunnel for good, with what there is to tell as the reason.

#[path = "../../attack.rs"]
mod attack;

use nexus_plugin_api::caps::clock;
use nexus_plugin_api::job::{Events, HostDisconnected, permanent};
use nexus_plugin_api::tunnel::{
    __world::wit_stream, Availability, CancelReason, Descriptor, Encryption, Event, Guest, Liveness, Login, Origin,
    Statistics, UrlKind, job,
};
use nexus_plugin_api::{FutureReader, config, job::Job, log};

/// Moves a cursor, sets a title, forges a line, reorders, hides.
const WORDS: &str =
    "hidden\u{1b}[2K\u{1b}[1A\u{1b}]0;forged\u{7}\u{9b}2J\u{202e}\u{2066}\u{200b}\nRequested permissions:\n  nothing";

#[derive(serde::Deserialize)]
struct Settings {
    attack: String,
    start: String,
}

fn settings() -> Settings {
    config::<Settings>().unwrap()
}

pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Descriptor {
        let title = match settings().start.as_str() {
            "huge" => "h".repeat(100 << 20),
            "long" => "l".repeat(8 << 20),
            "words" => WORDS.to_owned(),
            attack => {
                attack::perform(attack, open_stream).await;
                "hostile".to_owned()
            }
        };
        Descriptor {
            title,
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
        let attack = settings().attack;
        if attack == "call-hang" {
            clock::sleep(24 * 3600 * 1000).await;
        }
        job(cancel, async move |mut events, mut cancel| {
            // The address of the listener itself: reachable, and on this machine only.
            let url = format!("http://{}:{}", origin.host, origin.port);
            if events
                .send_all(vec![Event::address(url), Event::Ready(1)])
                .await
                .is_err()
            {
                return Ok(());
            }
            if garbage(&attack, &mut events).await.is_err() {
                return Ok(());
            }
            if attack == "words" {
                return Err(permanent(WORDS, WORDS));
            }
            if let Some(words) = attack::perform(&attack, open_stream).await {
                return Err(permanent(words, "It is a test."));
            }
            cancel.cancelled().await;
            Ok(())
        })
    }
}

/// Both ends, kept for ever.
fn open_stream() {
    std::mem::forget(wit_stream::new::<Event>());
}

async fn garbage(attack: &str, events: &mut Events<Event>) -> Result<(), HostDisconnected> {
    let statistics = |locations| {
        Event::Measured(Statistics {
            requests: Some(u64::MAX),
            errors: Some(u64::MAX),
            locations,
            ext: Vec::new(),
        })
    };
    match attack {
        "flood" => {
            for n in 0u64.. {
                let words = (0..64).map(|m| Event::Starting(format!("{n} {m}")));
                events.send_all(words.collect()).await?;
            }
        }
        "giant" => {
            for _ in 0..32 {
                events.send(Event::Degraded("g".repeat(4 << 20))).await?;
            }
            events.send(statistics(vec!["l".repeat(1000); 4_000])).await?;
            events
                .send(Event::LoginNeeded(Login {
                    url: format!("https://{}", "u".repeat(4 << 20)),
                    code: Some("c".repeat(4 << 20)),
                    expires_at: Some(u64::MAX),
                }))
                .await?;
            events
                .send(Event::address(format!("http://{}", "u".repeat(4 << 20))))
                .await?;
        }
        "words" => {
            log::warn(WORDS);
            eprintln!("{WORDS}");
            events
                .send_all(vec![
                    Event::Starting(WORDS.to_owned()),
                    Event::Degraded(WORDS.to_owned()),
                ])
                .await?;
            events.send(statistics(vec![WORDS.to_owned()])).await?;
        }
        "no-url" => events.send(Event::address("no address at all")).await?,
        "script-url" => events.send(Event::address("javascript:alert(1)")).await?,
        _ => {}
    }
    Ok(())
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_tunnel!(Plugin);
