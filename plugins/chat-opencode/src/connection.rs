//! Starts opencode, follows its events, connects again. The decisions about events are `normalize`'s.

use crate::client::{self, PROCESS, SILENCE, Trouble};
use crate::connection_state::{self, Connection};
use crate::normalize::{Action, Normalizer, Output};
use crate::settings::{self, Settings};
use crate::{convert, permission_rules, prompts, wire};
use nexus_plugin_api::caps::{clock, process as raw, types::Error};
use nexus_plugin_api::chat::types::{BackendConnection, Event};
use nexus_plugin_api::chat::{Failure, FailureKind};
use nexus_plugin_api::http::Response;
use nexus_plugin_api::job::{Events, Gone, explained, permanent, race, retry, within};
use nexus_plugin_api::{json, log, process, sse};

/// From the start of the process until it answers.
const START: u64 = 60_000;
/// At least, for one that has run for a while. One that is only busy answers sooner.
const ANSWER: u64 = 15_000;
/// Between two words about a start that takes long.
const SLOW: u64 = 8_000;
/// What is to be done about a refusal that names nothing itself.
const GRANTS: &str = "correct the grants of the plugin in the configuration";
const RESTART: &str = "restart the chat backend once that is changed";
const WAITING: &str = "Waiting for opencode to answer";
/// How often a lost stream is opened again before the host is told. The pause doubles from a quarter of a second.
const ATTEMPTS: u32 = 6;
/// How often, and how many milliseconds apart, it is asked what a call is that it wants allowed.
const CALL_TRIES: u32 = 20;
const CALL_PAUSE: u64 = 50;

/// Why the events ended.
pub enum Ended {
    /// The host has what it wanted, or is gone.
    Gone,
    Failed(Failure),
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Runs until something breaks.
pub async fn run(events: &mut Events<Event>) -> Ended {
    match follow(events).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    }
}

enum Never {}

async fn follow(events: &mut Events<Event>) -> Result<Never, Ended> {
    let settings: Settings = nexus_plugin_api::config().map_err(|e| permanent(words(&e), "update the plugin"))?;
    settings.check().map_err(|e| explained(&e, settings::CORRECT))?;
    events.send(Event::Starting("Starting opencode".to_owned())).await?;
    let running = settings.server().ensure(PROCESS).await.map_err(|e| start_failure(&e))?;
    let age = clock::now().saturating_sub(running.started_at);
    if age > ANSWER {
        events.send(Event::Starting(WAITING.to_owned())).await?;
    }
    let version = patient(events, healthy(START.saturating_sub(age).max(ANSWER))).await??;
    let (_, numbers) = settings::parse_version(&version).ok_or_else(|| {
        permanent(
            format!("opencode reports the version {version:?}, which is not valid."),
            settings::INSTALL,
        )
    })?;
    if let Some(why) = settings::unsuitable(numbers) {
        return Err(explained(&why, settings::INSTALL).into());
    }
    let directory = patient(events, client::directory()).await?.map_err(refused)?;
    patient(events, client::configured_model("")).await?.map_err(refused)?;
    patient(events, keeps_to(&settings)).await??;

    let mut normalizer = Normalizer::new(clock::now());
    if let Some(why) = settings::unfit_folder(&directory) {
        let _ = raw::stop(PROCESS.to_owned()).await;
        return Err(explained(&why, "rename the folder").into());
    }
    normalizer.watch(&directory);
    connection_state::set(None);
    let mut fresh = Some(normalizer);
    let connection = format!("{}-{}", running.pid, running.started_at);
    let mut failures = 0;
    loop {
        match stream(events, &connection, &version, &mut fresh, &mut failures).await {
            Err(Ended::Gone) => return Err(Ended::Gone),
            Err(Ended::Failed(failure)) if failure.kind == FailureKind::Permanent => return Err(failure.into()),
            Err(Ended::Failed(failure)) => {
                failures += 1;
                log::warn(format!(
                    "The event stream of opencode was interrupted: {}",
                    failure.message
                ));
                if let Some(exit) = within(500, raw::exited(PROCESS.to_owned())).await {
                    connection_state::set(None);
                    return Err(exited(exit).await.into());
                }
                // A prompt makes sure of the process too.
                let now = settings.server().ensure(PROCESS).await;
                if now.is_ok_and(|now| (now.pid, now.started_at) != (running.pid, running.started_at)) {
                    connection_state::set(None);
                    return Err(retry("opencode exited and was restarted").into());
                }
                // One that lives and does not answer is not there, whatever its process is: the host has to know.
                if failures >= ATTEMPTS || !reached(events).await? {
                    connection_state::set(None);
                    return Err(failure.into());
                }
                clock::sleep(250 << failures.min(5)).await;
            }
            Ok(never) => match never {},
        }
    }
}

/// What takes long says so meanwhile, and what it may be: opencode itself says nothing before it is done.
async fn patient<T>(events: &mut Events<Event>, work: impl Future<Output = T>) -> Result<T, Gone> {
    let mut work = std::pin::pin!(work);
    let mut waited = 0;
    loop {
        if let Some(done) = within(SLOW, work.as_mut()).await {
            return Ok(done);
        }
        waited += SLOW / 1000;
        let words = format!(
            "opencode is not ready after {waited} s. It may be downloading a plugin or a provider's package from a \
             slow registry, or waiting for an MCP server. Its log in ~/.local/share/opencode/log shows the cause"
        );
        events.send(Event::Starting(words)).await?;
    }
}

/// opencode is asked what it has made of all that it was told: some of its configuration outranks its environment.
async fn keeps_to(settings: &Settings) -> Result<(), Failure> {
    let policy = settings.policy().map_err(|e| explained(&e, settings::CORRECT))?;
    let agents = client::agents().await.map_err(refused)?;
    if !agents.is_array() {
        return Err(retry("opencode did not report the permissions of its agents"));
    }
    let instructions = client::instructions().await.map_err(refused)?;
    let guarded = instructions.iter().any(|file| file == settings::GUARDED);
    let unguarded = (!guarded).then(|| {
        "opencode did not load the guard of this plugin. Without it, opencode runs some shell commands and reads \
         files through links without a permission request. Its log (~/.local/share/opencode/log) shows the cause; \
         OPENCODE_PURE in its environment prevents loading any plugin"
            .to_owned()
    });
    match permission_rules::lax(&agents, &policy).or(unguarded) {
        None => Ok(()),
        Some(why) => {
            let _ = raw::stop(PROCESS.to_owned()).await;
            Err(explained(&why, RESTART))
        }
    }
}

/// Whether it answers anything in time; where not at once, the page says so meanwhile.
async fn reached(events: &mut Events<Event>) -> Result<bool, Gone> {
    if within(1_000, answers()).await.is_some() {
        return Ok(true);
    }
    events.send(Event::Starting(WAITING.to_owned())).await?;
    Ok(within(ANSWER, answers()).await.is_some())
}

async fn answers() {
    while let Err(Trouble::Host(_)) = client::health().await {
        clock::sleep(250).await;
    }
}

/// Waits until it is opencode that answers, or until it has ended. One that does neither is ended: it would only be adopted
/// again.
async fn healthy(limit: u64) -> Result<String, Failure> {
    let answers = async {
        loop {
            match client::health().await {
                Ok(version) => return Ok(version),
                // Something answers, but not what it should: it does not get better by asking again.
                Err(Trouble::Refused { status, words, .. }) => {
                    return Err(retry(format!(
                        "opencode answered the first request with {status}: {words}"
                    )));
                }
                Err(Trouble::Host(Error::Denied(why))) => {
                    return Err(explained(&why, GRANTS));
                }
                Err(Trouble::Host(_)) => clock::sleep(50).await,
            }
        }
    };
    let ends = async { Err(exited(raw::exited(PROCESS.to_owned()).await).await) };
    match within(limit, race(answers, ends)).await {
        Some(result) => result,
        None => {
            let _ = raw::stop(PROCESS.to_owned()).await;
            Err(retry(format!(
                "opencode is running but did not answer within {} s, so it is restarted",
                limit / 1000
            )))
        }
    }
}

/// An ended process, with its last words.
async fn exited(exit: Result<raw::Exit, Error>) -> Failure {
    let how = match &exit {
        Ok(exit) => process::describe(exit),
        Err(e) => words(e),
    };
    let lines = process::last_lines(PROCESS, 8).await;
    let said = if lines.is_empty() {
        String::new()
    } else {
        format!(". Its last output: {}", lines.join(" | "))
    };
    let mut failure = retry(format!("opencode exited ({how}){said}"));
    failure.hint = Some("run `opencode serve` in the workspace, which shows what is wrong".to_owned());
    failure
}

fn start_failure(error: &Error) -> Failure {
    match error {
        Error::Denied(why) | Error::Invalid(why) => explained(why, GRANTS),
        Error::NotFound(why) => explained(&process::missing(why, settings::INSTALL), settings::INSTALL),
        // What it would run of the workspace.
        Error::Other(why) => explained(why, RESTART),
        other => retry(format!("Cannot start opencode: {}", words(other))),
    }
}

fn refused(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Refused {
            status: 400,
            name,
            words,
        } if name.starts_with("Config") => {
            permanent(words, "correct opencode's configuration, then restart the chat backend")
        }
        other => retry(words(&other.into())),
    }
}

pub fn words(error: &Error) -> String {
    match error {
        Error::Denied(w)
        | Error::Invalid(w)
        | Error::NotFound(w)
        | Error::Timeout(w)
        | Error::Unavailable(w)
        | Error::Other(w) => w.clone(),
        Error::Cancelled => "the plugin is being stopped".to_owned(),
    }
}

/// One connection: first the stream, then the state, so that nothing is missed.
async fn stream(
    events: &mut Events<Event>,
    connection: &str,
    version: &str,
    fresh: &mut Option<Normalizer>,
    failures: &mut u32,
) -> Result<Never, Ended> {
    let mut response = client::events().await.map_err(refused)?;
    let mut parser = sse::Parser::default();
    let mut early = parser.push(&chunk(&mut response).await?);

    let statuses = client::statuses("").await.map_err(refused)?;
    let permissions = client::permissions("").await.map_err(refused)?;
    let questions = client::questions("").await;
    if let Some(normalizer) = fresh.take() {
        connection_state::set(Some(Connection {
            normalizer,
            taken: Default::default(),
            sending: Default::default(),
            clients: Default::default(),
            count: 0,
        }));
    } else {
        connection_state::with(|c| c.normalizer.interrupted()).map_err(|e| retry(words(&e)))?;
    }
    for id in permissions
        .iter()
        .map(|p| &p.session)
        .chain(questions.iter().map(|q| &q.session))
    {
        learn(id).await;
    }
    learn_calls(&permissions).await;
    let now = clock::now();
    let (running, requests) = connection_state::with(|c| c.normalizer.opened(&statuses, &permissions, &questions, now))
        .map_err(|e| retry(words(&e)))?;
    events
        .send(Event::Opened(BackendConnection {
            id: connection.to_owned(),
            version: version.to_owned(),
            running,
            requests,
        }))
        .await?;
    loop {
        for data in early.drain(..) {
            event(events, &data).await?;
        }
        early = parser.push(&chunk(&mut response).await?);
        *failures = 0;
    }
}

async fn chunk(response: &mut Response) -> Result<Vec<u8>, Failure> {
    match within(SILENCE, response.chunk()).await {
        Some(Ok(Some(bytes))) => Ok(bytes),
        Some(Ok(None)) => Err(retry("opencode closed the event stream")),
        Some(Err(e)) => Err(retry(words(&e))),
        None => Err(retry(format!("opencode sent nothing for {} s", SILENCE / 1000))),
    }
}

async fn event(events: &mut Events<Event>, data: &str) -> Result<(), Ended> {
    let Ok(envelope) = serde_json::from_str::<wire::Envelope>(&json::well_formed_str(data)) else {
        log::warn("skipped an event of opencode that was not understood");
        return Ok(());
    };
    if let Ok(Some(id)) = connection_state::with(|c| c.normalizer.unknown_session(&envelope)) {
        learn(&id).await;
    }
    if let Ok(Some(permission)) = connection_state::with(|c| c.normalizer.unknown_call(&envelope)) {
        learn_calls(&[permission]).await;
    }
    let now = clock::now();
    let output = connection_state::with(|c| c.normalizer.apply(&envelope, now)).map_err(|e| retry(words(&e)))?;
    deliver(events, output).await
}

async fn deliver(events: &mut Events<Event>, output: Output) -> Result<(), Ended> {
    let Output {
        events: mut batch,
        actions,
    } = output;
    for event in &mut batch {
        if let Event::Message(message) = event {
            prompts::name(message).await;
        }
    }
    events.send_all(batch).await?;
    for action in actions {
        match action {
            Action::Abort { session, why } => {
                log::warn(&why);
                note("stop a turn", client::abort(&session, "").await);
            }
            Action::Rename { session, title } => note("keep a name", client::rename(&session, "", &title).await),
            Action::Reverted { session, revert } => {
                if let Ok((messages, _)) = client::messages(&session, "", client::PAGE, None).await
                    && let Ok(batch) = connection_state::with(|c| c.normalizer.reverted(messages, revert.as_ref()))
                {
                    events.send_all(batch).await?;
                }
            }
            // It may have been answered in between.
            Action::Reject { request } => drop(reject(&request, "").await),
            Action::Fetch { session, message } => match client::message(&session, &message, "").await {
                Ok(Some(whole)) => {
                    let Ok(output) = connection_state::with(|c| c.normalizer.restore(&whole)) else {
                        continue;
                    };
                    events.send_all(output.events).await?;
                }
                Ok(None) => {}
                Err(e) => note("read a message", Err(e)),
            },
        }
    }
    Ok(())
}

pub async fn reject(request: &str, workspace: &str) -> Result<(), Trouble> {
    if request.starts_with("que") {
        client::reply_question(request, workspace, None).await
    } else {
        client::reply_permission(request, workspace, "reject", None).await
    }
}

fn note(what: &str, result: Result<(), Trouble>) {
    if let Err(e) = result {
        log::warn(format!("Could not {what}: {}", words(&e.into())));
    }
}

/// Reads a session and those above it, so that its requests can be shown at the root.
pub async fn learn(id: &str) {
    let mut wanted = connection_state::with(|c| c.normalizer.unknown_ancestor(id))
        .ok()
        .flatten();
    while let Some(id) = wanted {
        match client::session(&id, "").await {
            Ok(session) => {
                let info = convert::session(&session);
                wanted = connection_state::with(|c| {
                    c.normalizer.learn(info);
                    c.normalizer.unknown_ancestor(&id)
                })
                .ok()
                .flatten();
            }
            Err(_) => return,
        }
    }
}

/// Reads what the calls are that these are about. opencode may ask a moment before it has written that down; where it does
/// not come, the request says that it is not known.
pub async fn learn_calls(permissions: &[wire::Permission]) {
    for permission in permissions {
        let Some(tool) = &permission.tool else { continue };
        for _ in 0..CALL_TRIES {
            if !matches!(
                connection_state::with(|c| c.normalizer.needs_call(permission)),
                Ok(true)
            ) {
                break;
            }
            if let Ok(Some(message)) = client::message(&permission.session, &tool.message, "").await
                && matches!(
                    connection_state::with(|c| {
                        c.normalizer.calls_of(&message);
                        c.normalizer.needs_call(permission)
                    }),
                    Ok(false)
                )
            {
                break;
            }
            clock::sleep(CALL_PAUSE).await;
        }
    }
}
