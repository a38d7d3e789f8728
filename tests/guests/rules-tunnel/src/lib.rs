//! A tunnel that breaks the rule of the contract that its configuration names.

use nexus_plugin_api::job::{Events, HostDisconnected, Job, permanent};
use nexus_plugin_api::tunnel::{
    Address, Availability, CancelReason, Descriptor, Encryption, Event, Failure, FailureKind, Guest, Liveness, Login,
    Origin, RefusedSetting, Statistics, Unfit, UrlKind, job,
};
use nexus_plugin_api::{FutureReader, config, log};

#[derive(serde::Deserialize)]
struct Settings {
    rule: String,
    address: Option<String>,
}

fn rule() -> String {
    config::<Settings>().unwrap().rule
}

struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Descriptor {
        let header = |named: &str, header: &str| (rule() == named).then(|| header.to_owned());
        let refused = RefusedSetting {
            key: Some("rule".to_owned()),
            cause: "`rule` is refused\u{202e}.".to_owned(),
            fix: None,
        };
        Descriptor {
            title: " ".to_owned(),
            url: UrlKind::Ephemeral,
            encryption: if rule() == "plain address" {
                Encryption::Edge
            } else {
                Encryption::None
            },
            liveness: if rule().starts_with("unknown") {
                Liveness::Unknown
            } else {
                Liveness::Reported
            },
            event_streams: true,
            client_address_header: header("client header", "Cookie"),
            public_name_header: header("name header", "no header"),
            refused: vec![refused; if rule() == "refused" { 5_000 } else { 0 }],
        }
    }

    async fn check_availability() -> Availability {
        let unfit = Unfit {
            cause: "It is not there\u{202e}".to_owned(),
            fix: Some("install it".to_owned()),
        };
        match rule().as_str() {
            "missing" => Availability::Missing(unfit),
            "unsuitable" => Availability::Unsuitable(unfit),
            _ => Availability::ready("1"),
        }
    }

    async fn run(origin: Origin, cancel: FutureReader<CancelReason>) -> Job<Event> {
        log::warn(&format!("asked to run, {}", rule()));
        job(cancel, async move |mut events, mut cancel| {
            let end = perform(&mut events, &origin).await;
            match end {
                Ok(End::Outcome(outcome)) => return outcome,
                Ok(End::NoOutcome) => {
                    drop(events);
                    std::future::pending::<()>().await;
                }
                Ok(End::Cancelled) => cancel.cancelled().await,
                Ok(End::Deaf) => std::future::pending::<()>().await,
                Err(HostDisconnected) => {}
            }
            log::warn(&format!("cancelled, {}: {:?}", rule(), cancel.reason()));
            Ok(())
        })
    }
}

nexus_plugin_api::export_tunnel!(Plugin);

enum End {
    Outcome(Result<(), Failure>),
    /// The stream ends, and the outcome never comes.
    NoOutcome,
    /// It goes on until it is cancelled.
    Cancelled,
    /// It goes on for ever.
    Deaf,
}

async fn perform(events: &mut Events<Event>, origin: &Origin) -> Result<End, HostDisconnected> {
    let own = format!("http://{}:{}", origin.host, origin.port);
    let address = |url: &str| Address {
        url: url.to_owned(),
        private: false,
    };
    let failure = |kind| Failure {
        kind,
        message: "It ended\u{202e}.".to_owned(),
        hint: Some("change something".to_owned()),
    };
    let open = vec![Event::address(own.clone()), Event::Ready(1)];
    match rule().as_str() {
        "no addresses" => {
            events
                .send_all(vec![Event::Addresses(Vec::new()), Event::Ready(1)])
                .await?
        }
        "ready first" => {
            events
                .send_all(vec![Event::Ready(u32::MAX), Event::address(own)])
                .await?
        }
        "mixed" => {
            let both = vec![address("https://secure.example"), address(&own)];
            events.send(Event::Addresses(both)).await?;
        }
        "plain address" => events.send(Event::address(own)).await?,
        "many" => {
            let all = (0..100).map(|n| address(&format!("http://name-{n}.example")));
            events
                .send_all(vec![Event::Addresses(all.collect()), Event::Ready(1)])
                .await?;
        }
        "unknown elsewhere" => {
            let elsewhere = config::<Settings>().unwrap().address.unwrap_or_default();
            events
                .send_all(vec![Event::address(elsewhere), Event::Ready(1)])
                .await?
        }
        "unknown and private" => {
            let private = Address {
                private: true,
                ..address(&own)
            };
            events
                .send_all(vec![Event::Addresses(vec![private]), Event::Ready(1)])
                .await?
        }
        "unknown and lost" => {
            events.send_all(open).await?;
            events
                .send(Event::Reconnecting("It lost it\u{202e}.".to_owned()))
                .await?
        }
        "deaf" => {
            events.send_all(open).await?;
            return Ok(End::Deaf);
        }
        "path" => events.send(Event::address(format!("{own}/path?query"))).await?,
        "login" => {
            let login = |url: &str| {
                Event::LoginNeeded(Login {
                    url: url.to_owned(),
                    code: Some("c\u{202e}".to_owned()),
                    expires_at: Some(u64::MAX),
                })
            };
            events
                .send_all(vec![login("https://name@login.example/"), login("javascript:alert(1)")])
                .await?;
        }
        "measured" => {
            events.send_all(open).await?;
            let measured = Event::Measured(Statistics {
                requests: Some(u64::MAX),
                errors: None,
                locations: vec!["fra\u{202e}".to_owned(); 500],
                ext: Vec::new(),
            });
            for _ in 0..2_000 {
                events.send(measured.clone()).await?;
            }
        }
        "end ok" => {
            events.send_all(open).await?;
            return Ok(End::Outcome(Ok(())));
        }
        "end retry" => return Ok(End::Outcome(Err(failure(FailureKind::Retry)))),
        "end later" => return Ok(End::Outcome(Err(failure(FailureKind::RetryLater)))),
        "end for good" => return Ok(End::Outcome(Err(permanent("It ended\u{202e}.", "change something")))),
        "end without an outcome" => {
            events.send_all(open).await?;
            return Ok(End::NoOutcome);
        }
        _ => events.send_all(open).await?,
    }
    Ok(End::Cancelled)
}
