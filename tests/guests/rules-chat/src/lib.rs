//! A chat backend that breaks the rule of the contract that a prompt names, in its answer to `prompt` ([`admission`]), in the events
//! of its turn ([`turns`], [`records`]) or in what it asks of the host ([`capabilities`]). What it answers where it is asked for a list, a file or a
//! change of a session is in [`optional`]: there the argument names the rule. Each turn ends with the text `done`.

mod capabilities;
mod optional;
mod programs;
mod records;
mod requests;
mod turns;

use nexus_plugin_api::FutureReader;
use nexus_plugin_api::caps::{clock, types::Error};
use nexus_plugin_api::chat::types::{Answer, BackendConnection, Event, SessionRef, Turn};
use nexus_plugin_api::chat::{
    self, Admission, Availability, CancelReason, Consent, Descriptor, Failure, FailureKind, Input, Options,
    RefusedSetting, Unfit,
};
use nexus_plugin_api::job::{Cancel, Events, HostDisconnected, Job, Sender, channel};
use nexus_plugin_api::{config, log};
use std::cell::RefCell;
use std::collections::BTreeMap;

#[derive(serde::Deserialize)]
struct Settings {
    start: String,
}

thread_local! {
    /// Leads to `events` while it is connected: a session, and the rule that its prompt names.
    static WORK: RefCell<Option<Sender<(String, String)>>> = RefCell::default();
    /// How often the host asked for what: prompts by their text, cancels by `cancel SESSION`.
    static CALLS: RefCell<BTreeMap<String, u32>> = RefCell::default();
}

fn called(what: &str) -> u32 {
    CALLS.with_borrow_mut(|calls| {
        let count = calls.entry(what.to_owned()).or_default();
        *count += 1;
        *count
    })
}

fn calls(what: &str) -> u32 {
    CALLS.with_borrow(|calls| calls.get(what).copied().unwrap_or(0))
}

fn start() -> String {
    config::<Settings>().unwrap().start
}

struct Plugin;

impl chat::Guest for Plugin {
    async fn describe() -> Descriptor {
        let refused = RefusedSetting {
            key: Some("start\u{202e}".to_owned()),
            cause: "`start` is refused\u{1b}[2J".to_owned(),
            fix: Some("choose another".to_owned()),
        };
        Descriptor {
            title: "Rules".to_owned(),
            example: false,
            refused: vec![refused; if start() == "refused" { 5_000 } else { 0 }],
        }
    }

    async fn check_availability() -> Availability {
        log::warn("asked whether it is fit");
        let unfit = Unfit {
            cause: "It is not there\u{202e}".to_owned(),
            fix: Some("install it".to_owned()),
        };
        match start().as_str() {
            "missing" => Availability::Missing(unfit),
            "unsuitable" => Availability::Unsuitable(unfit),
            _ => Availability::ready("1"),
        }
    }

    async fn events(cancel: FutureReader<CancelReason>) -> Job<Event> {
        log::warn("asked for its events");
        chat::job(cancel, async |mut events, mut cancel| {
            let end = run(&mut events, &mut cancel).await;
            WORK.take();
            match end {
                Some(End::NoOutcome) => {
                    drop(events);
                    std::future::pending().await
                }
                Some(End::Outcome(outcome)) => outcome,
                None => {
                    log::warn(&format!("cancelled: {:?}", cancel.reason().unwrap()));
                    Ok(())
                }
            }
        })
    }

    async fn prompt(s: SessionRef, client_id: String, parts: Vec<Input>, options: Options) -> Result<Admission, Error> {
        let text = parts.into_iter().map(|part| match part {
            Input::Text(text) | Input::File(text) => text,
            Input::Command(command) => command.name,
            Input::Attachment(file) => file.name,
            Input::Other(ext) => ext.value,
        });
        let rule = text.collect::<String>();
        called(&rule);
        // A client id is of its session.
        let prompt = format!("prompt {} {client_id}", s.id);
        called(&prompt);
        if let Some(answer) = admission(&rule, &options) {
            return answer;
        }
        let Some(work) = WORK.with_borrow(Clone::clone) else {
            return Err(Error::Unavailable("It is not connected.".to_owned()));
        };
        if calls(&prompt) > 1 {
            return Ok(Admission::Duplicate);
        }
        Ok(match work.send((s.id, rule)).await {
            Ok(()) => Admission::Admitted,
            Err(_) => Admission::Unknown("The connection has ended.".to_owned()),
        })
    }

    async fn cancel(s: SessionRef) -> Result<(), Error> {
        called(&format!("cancel {}", s.id));
        Ok(())
    }

    async fn reply(_: SessionRef, request: String, answer: Answer) -> Result<(), Error> {
        called(&format!("{request}: {answer:?}"));
        Err(match request.as_str() {
            "stays" => Error::Unavailable("Not now.".to_owned()),
            other => Error::NotFound(other.to_owned()),
        })
    }
}

nexus_plugin_api::export_chat!(Plugin with questions, models, agents, commands, attachments, fork, revert, compaction, archive,
    workspaces, files, providers);

/// What it answers to a prompt instead of taking it.
fn admission(rule: &str, options: &Options) -> Option<Result<Admission, Error>> {
    let text = || format!("It is {rule}\u{202e}.");
    Some(match rule {
        "unknown" => Ok(Admission::Unknown(text())),
        "unavailable" => Err(Error::Unavailable(text())),
        "timeout" => Err(Error::Timeout(text())),
        "other" => Err(Error::Other(text())),
        "cancelled" => Err(Error::Cancelled(text())),
        "invalid" => Err(Error::Invalid(text())),
        "denied" => Err(Error::Denied(text())),
        "limited" => Err(Error::Limited(text())),
        "not found" => Err(Error::NotFound(text())),
        "refused" => Ok(Admission::Refused(text())),
        "consent" if options.consent.as_deref() != Some("the-consent") => Ok(Admission::ConsentNeeded(Consent {
            id: "the-consent".to_owned(),
            text: text(),
        })),
        // It says that it has it, and never has.
        "duplicate" => Ok(Admission::Duplicate),
        "never begins" => Ok(Admission::Admitted),
        _ => return None,
    })
}

/// How `events` ends where nobody cancels it.
enum End {
    Outcome(Result<(), Failure>),
    /// The stream ends, and the outcome never comes.
    NoOutcome,
}

/// None: it was cancelled, or nobody listens.
async fn run(events: &mut Events<Event>, cancel: &mut Cancel) -> Option<End> {
    let (sender, mut prompts) = channel(8);
    let mut deaf = false;
    let work = async {
        if start() == "early" {
            turns::early(events).await?;
        }
        events.send(Event::Opened(connection())).await?;
        WORK.with_borrow_mut(|work| *work = Some(sender));
        while let Some((session, rule)) = prompts.recv().await {
            let failure = |kind| Failure {
                kind,
                message: format!("It ended: {rule}\u{202e}."),
                hint: Some("change something".to_owned()),
            };
            let end = match rule.as_str() {
                "end ok" => End::Outcome(Ok(())),
                "end retry" => End::Outcome(Err(failure(FailureKind::Retry))),
                "end later" => End::Outcome(Err(failure(FailureKind::RetryLater))),
                "end for good" => End::Outcome(Err(failure(FailureKind::Permanent))),
                "end without an outcome" => End::NoOutcome,
                "deaf" => {
                    deaf = true;
                    turns::say(events, &session, "deaf").await?;
                    continue;
                }
                rule => {
                    turns::perform(events, &session, rule).await?;
                    continue;
                }
            };
            // One that waits for longer leaves no turn behind: the host would wait for its end before it starts again.
            if !matches!(rule.as_str(), "end later" | "end for good") {
                events.send(turns::turn(&session, Turn::Running)).await?;
            }
            return Ok::<_, HostDisconnected>(end);
        }
        Ok(End::Outcome(Ok(())))
    };
    let end = cancel.select(work).await.and_then(Result::ok);
    if deaf && end.is_none() {
        // It was told to stop, and goes on.
        loop {
            clock::sleep(1_000).await;
        }
    }
    end
}

fn connection() -> BackendConnection {
    BackendConnection {
        id: clock::now().to_string(),
        version: "1".to_owned(),
        running: Vec::new(),
        requests: Vec::new(),
    }
}
