//! Starts opencode, follows its events, connects again. The decisions about events are `normalize`'s.

use crate::client::{self, PROCESS, RequestError, SILENCE_TIMEOUT};
use crate::connection_state::{self, Connection};
use crate::folders::Folders;
use crate::normalize::{Action, Normalizer, Output};
use crate::settings::{self, Settings};
use crate::stream_event::Envelope;
use crate::{convert, permission_rules, prompts, wire};
use nexus_plugin_api::caps::{clock, config, process as raw, types::Error};
use nexus_plugin_api::chat::types::{BackendConnection, Event};
use nexus_plugin_api::chat::{Failure, FailureKind};
use nexus_plugin_api::error_text::cause_and_fix;
use nexus_plugin_api::http::Response;
use nexus_plugin_api::job::{Events, HostDisconnected, permanent, permanent_from_text, race, retry, timeout};
use nexus_plugin_api::{json, log, process, sse};
use std::convert::Infallible;

/// `START_TIMEOUT` is the time in milliseconds from the start of the process to its first response.
const START_TIMEOUT: u64 = 60_000;
/// `RESPONSE_TIMEOUT` is the least time in milliseconds for the first response of a process that has been running for a
/// while.
const RESPONSE_TIMEOUT: u64 = 15_000;
/// `PROGRESS_INTERVAL` is the time in milliseconds between two progress reports about a slow start.
const PROGRESS_INTERVAL: u64 = 8_000;
/// `GRANTS` is the fix for a denial that names none.
const GRANTS: &str = "correct the grants of the plugin in the configuration";
const RESTART: &str = "restart the chat backend once that is changed";
const WAITING_TEXT: &str = "Waiting for opencode to answer";
/// `RECONNECT_ATTEMPTS` is how often a lost stream is opened again before the host is told. The pause starts at a
/// quarter of a second and doubles.
const RECONNECT_ATTEMPTS: u32 = 6;
/// `CALL_ATTEMPTS` is how often opencode is asked about the tool call of a permission request; [`CALL_PAUSE`] is the
/// pause between two attempts in milliseconds.
const CALL_ATTEMPTS: u32 = 20;
const CALL_PAUSE: u64 = 50;

/// `StreamEnd` is the reason why the event stream ended.
pub enum StreamEnd {
    /// `HostDisconnected`: the host canceled, or it stopped reading.
    HostDisconnected,
    Failed(Failure),
}

impl From<HostDisconnected> for StreamEnd {
    fn from(_: HostDisconnected) -> Self {
        Self::HostDisconnected
    }
}

impl From<Failure> for StreamEnd {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Runs until something breaks.
pub async fn run(events: &mut Events<Event>) -> StreamEnd {
    match follow_events(events).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    }
}

async fn follow_events(events: &mut Events<Event>) -> Result<Infallible, StreamEnd> {
    let settings: Settings = nexus_plugin_api::config().map_err(|e| permanent(e.text(), "update the plugin"))?;
    settings
        .check()
        .map_err(|e| permanent_from_text(&e, settings::CORRECT))?;
    events.send(Event::Starting("Starting opencode".to_owned())).await?;
    let running = settings.server().ensure(PROCESS).await.map_err(|e| start_failure(&e))?;
    let age = clock::now().saturating_sub(running.started_at);
    if age > RESPONSE_TIMEOUT {
        events.send(Event::Starting(WAITING_TEXT.to_owned())).await?;
    }
    let version = with_progress(
        events,
        until_healthy(START_TIMEOUT.saturating_sub(age).max(RESPONSE_TIMEOUT)),
    )
    .await??;
    match settings::version(&version) {
        Some(Ok(_)) => {}
        Some(Err(why)) => return Err(permanent_from_text(&why, settings::INSTALL).into()),
        None => {
            let why = format!("opencode reports the version {version:?}, which is not valid.");
            return Err(permanent(why, settings::INSTALL).into());
        }
    }
    let directory = with_progress(events, client::directory())
        .await?
        .map_err(request_failure)?;
    let folders = Folders::new(&config::workspaces(), &directory);
    for folder in folders.names() {
        if let Some(why) = settings::folder_error(folder) {
            let _ = raw::stop(PROCESS.to_owned()).await;
            return Err(permanent_from_text(&why, "rename the folder").into());
        }
        with_progress(events, client::configured_model(folder))
            .await?
            .map_err(request_failure)?;
        with_progress(events, check_permission_rules(&settings, folder)).await??;
    }
    connection_state::set(None);
    let mut fresh = Some(Normalizer::new(clock::now(), folders));
    let connection = format!("{}-{}", running.pid, running.started_at);
    let mut failures = 0;
    loop {
        match follow_connection(events, &connection, &version, &mut fresh, &mut failures).await {
            Err(StreamEnd::HostDisconnected) => return Err(StreamEnd::HostDisconnected),
            Err(StreamEnd::Failed(failure)) if failure.kind == FailureKind::Permanent => return Err(failure.into()),
            Err(StreamEnd::Failed(failure)) => {
                failures += 1;
                log::warn(format!(
                    "The event stream of opencode was interrupted: {}",
                    failure.message
                ));
                if let Some(exit) = timeout(500, raw::exited(PROCESS.to_owned())).await {
                    connection_state::set(None);
                    return Err(exit_failure(exit).await.into());
                }
                // A prompt makes sure of the process too.
                let now = settings.server().ensure(PROCESS).await;
                if now.is_ok_and(|now| (now.pid, now.started_at) != (running.pid, running.started_at)) {
                    connection_state::set(None);
                    return Err(retry("opencode exited and was restarted").into());
                }
                // One that lives and does not answer is not there, whatever its process is: the host has to know.
                if failures >= RECONNECT_ATTEMPTS || !is_responding(events).await? {
                    connection_state::set(None);
                    return Err(failure.into());
                }
                clock::sleep(250 << failures.min(5)).await;
            }
            Ok(never) => match never {},
        }
    }
}

/// `with_progress` waits for `work` and reports progress with the possible causes meanwhile: opencode reports nothing
/// before it is ready.
async fn with_progress<T>(events: &mut Events<Event>, work: impl Future<Output = T>) -> Result<T, HostDisconnected> {
    let mut work = std::pin::pin!(work);
    let mut waited = 0;
    loop {
        if let Some(done) = timeout(PROGRESS_INTERVAL, work.as_mut()).await {
            return Ok(done);
        }
        waited += PROGRESS_INTERVAL / 1000;
        let progress = format!(
            "opencode is not ready after {waited} s. It may be downloading a plugin or a provider's package from a \
             slow registry, or waiting for an MCP server. Its log in ~/.local/share/opencode/log shows the cause"
        );
        events.send(Event::Starting(progress)).await?;
    }
}

/// `check_permission_rules` asks opencode for the rules that follow from all of its configuration in a folder, some of which
/// overrides the environment.
async fn check_permission_rules(settings: &Settings, folder: &str) -> Result<(), Failure> {
    let policy = settings
        .policy()
        .map_err(|e| permanent_from_text(&e, settings::CORRECT))?;
    let agents = client::agents(folder).await.map_err(request_failure)?;
    if !agents.is_array() {
        return Err(retry("opencode did not report the permissions of its agents"));
    }
    let instructions = client::instructions(folder).await.map_err(request_failure)?;
    let guarded = instructions.iter().any(|file| file == settings::GUARD_MARKER);
    let unguarded = (!guarded).then(|| {
        "opencode did not load the guard of this plugin. Without it, opencode runs some shell commands and reads \
         files through links without a permission request. Its log (~/.local/share/opencode/log) shows the cause; \
         OPENCODE_PURE in its environment prevents loading any plugin"
            .to_owned()
    });
    match permission_rules::permissive_rule(&agents, &policy).or(unguarded) {
        None => Ok(()),
        Some(why) => {
            let _ = raw::stop(PROCESS.to_owned()).await;
            Err(permanent_from_text(&why, RESTART))
        }
    }
}

/// `is_responding` tells whether opencode answers in time; the page shows that it is being waited for.
async fn is_responding(events: &mut Events<Event>) -> Result<bool, HostDisconnected> {
    if timeout(1_000, until_responding()).await.is_some() {
        return Ok(true);
    }
    events.send(Event::Starting(WAITING_TEXT.to_owned())).await?;
    Ok(timeout(RESPONSE_TIMEOUT, until_responding()).await.is_some())
}

async fn until_responding() {
    while let Err(RequestError::Host(_)) = client::health().await {
        clock::sleep(250).await;
    }
}

/// Waits until it is opencode that answers, or until it has ended. One that does neither is ended: it would only be adopted
/// again.
async fn until_healthy(limit: u64) -> Result<String, Failure> {
    let answers = async {
        loop {
            match client::health().await {
                Ok(version) => return Ok(version),
                // Something answers, but not what it should: it does not get better by asking again.
                Err(RequestError::Refused { status, message, .. }) => {
                    return Err(retry(format!(
                        "opencode answered the first request with {status}: {message}"
                    )));
                }
                Err(RequestError::Host(Error::Denied(why))) => {
                    return Err(permanent_from_text(&why, GRANTS));
                }
                Err(RequestError::Host(_)) => clock::sleep(50).await,
            }
        }
    };
    let ends = async { Err(exit_failure(raw::exited(PROCESS.to_owned()).await).await) };
    match timeout(limit, race(answers, ends)).await {
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

/// `exit_failure` is the failure of a process that exited, with its last output.
async fn exit_failure(exit: Result<raw::Exit, Error>) -> Failure {
    let how = match &exit {
        Ok(exit) => process::describe_exit(exit),
        Err(e) => e.text().to_owned(),
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
        Error::Denied(why) | Error::Invalid(why) => permanent_from_text(why, GRANTS),
        Error::NotFound(why) => {
            permanent_from_text(&process::program_not_found(why, settings::INSTALL), settings::INSTALL)
        }
        // What it would run of the workspace.
        Error::Other(why) => permanent_from_text(why, RESTART),
        other => {
            let (why, fix) = cause_and_fix(other.text());
            Failure {
                hint: fix.map(str::to_owned),
                ..retry(format!("Cannot start opencode: {why}"))
            }
        }
    }
}

fn request_failure(error: RequestError) -> Failure {
    match error {
        RequestError::Refused {
            status: 400,
            name,
            message,
        } if name.starts_with("Config") => permanent(
            message,
            "correct opencode's configuration, then restart the chat backend",
        ),
        other => retry(Error::from(other).text()),
    }
}

/// `follow_connection` follows one connection: it opens the stream before it reads the state, so that no event is
/// missed.
async fn follow_connection(
    events: &mut Events<Event>,
    connection: &str,
    version: &str,
    fresh: &mut Option<Normalizer>,
    failures: &mut u32,
) -> Result<Infallible, StreamEnd> {
    let mut response = client::events().await.map_err(request_failure)?;
    let mut parser = sse::Parser::default();
    let mut early = parser.push(&read_chunk(&mut response).await?);

    let folders: Vec<String> = match &*fresh {
        Some(normalizer) => normalizer.folders().names().map(str::to_owned).collect(),
        None => connection_state::all_folders().map_err(|e| retry(e.text()))?,
    };
    let (mut statuses, mut permissions, mut questions) = (wire::Statuses::new(), Vec::new(), Vec::new());
    // The sessions of requests, with their folders.
    let mut asking: Vec<(String, &str)> = Vec::new();
    for folder in &folders {
        statuses.extend(client::statuses(folder).await.map_err(request_failure)?);
        let (asked, questioned) = (
            client::permissions(folder).await.map_err(request_failure)?,
            client::questions(folder).await,
        );
        asking.extend(asked.iter().map(|p| (p.session.clone(), folder.as_str())));
        asking.extend(questioned.iter().map(|q| (q.session.clone(), folder.as_str())));
        permissions.extend(asked);
        questions.extend(questioned);
    }
    if let Some(normalizer) = fresh.take() {
        connection_state::set(Some(Connection {
            normalizer,
            taken: Default::default(),
            commands: Default::default(),
            reload_due: Default::default(),
            reloading: Default::default(),
            sending: Default::default(),
            clients: Default::default(),
            count: 0,
        }));
    } else {
        connection_state::with(|c| c.normalizer.interrupted()).map_err(|e| retry(e.text()))?;
    }
    for (session, folder) in asking {
        learn_session(&session, folder).await;
    }
    learn_tool_calls(&permissions).await;
    let now = clock::now();
    let (running, requests) = connection_state::with(|c| c.normalizer.opened(&statuses, &permissions, &questions, now))
        .map_err(|e| retry(e.text()))?;
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
            handle_event(events, &data).await?;
        }
        // It need not wake this loop: opencode sends something every ten seconds.
        let news = connection_state::with(|c| c.normalizer.news()).map_err(|e| retry(e.text()))?;
        events.send_all(news).await?;
        early = parser.push(&read_chunk(&mut response).await?);
        *failures = 0;
    }
}

async fn read_chunk(response: &mut Response) -> Result<Vec<u8>, Failure> {
    match timeout(SILENCE_TIMEOUT, response.chunk()).await {
        Some(Ok(Some(bytes))) => Ok(bytes),
        Some(Ok(None)) => Err(retry("opencode closed the event stream")),
        Some(Err(e)) => Err(retry(e.text())),
        None => Err(retry(format!("opencode sent nothing for {} s", SILENCE_TIMEOUT / 1000))),
    }
}

async fn handle_event(events: &mut Events<Event>, data: &str) -> Result<(), StreamEnd> {
    let envelope = match Envelope::read(&json::well_formed_str(data)) {
        Ok(envelope) => envelope,
        Err(why) => {
            log::warn(format!("An event of opencode was left out. {why}"));
            return Ok(());
        }
    };
    if let Ok(Some(id)) = connection_state::with(|c| c.normalizer.unknown_session(&envelope)) {
        learn_session(&id, &envelope.directory).await;
    }
    if let Ok(Some(permission)) = connection_state::with(|c| c.normalizer.unknown_call(&envelope)) {
        learn_tool_calls(&[permission]).await;
    }
    let (Envelope { directory, event }, now) = (envelope, clock::now());
    let output = connection_state::with(|c| c.normalizer.apply(event, &directory, now)).map_err(|e| retry(e.text()))?;
    deliver(events, output, &directory).await
}

/// `deliver` passes on what followed from an event of a folder, and does what it asks for.
async fn deliver(events: &mut Events<Event>, output: Output, folder: &str) -> Result<(), StreamEnd> {
    let Output {
        events: mut batch,
        actions,
    } = output;
    for event in &mut batch {
        if let Event::Message(message) = event {
            prompts::add_client_id(message).await;
        }
    }
    events.send_all(batch).await?;
    for action in actions {
        match action {
            Action::Abort { session, why } => {
                log::warn(&why);
                log_failure("stop a turn", client::abort(&session, folder).await);
            }
            Action::Rename { session, title } => {
                log_failure("keep a name", client::rename(&session, folder, &title).await)
            }
            Action::Reverted { session, revert } => {
                if let Ok((messages, _)) = client::messages(&session, folder, client::PAGE, None).await
                    && let Ok(batch) = connection_state::with(|c| c.normalizer.reverted(messages, revert.as_ref()))
                {
                    events.send_all(batch).await?;
                }
            }
            // It may have been answered in between.
            Action::Reject { request } => drop(reject(&request, folder).await),
            Action::Fetch { session, message } => match client::message(&session, &message, folder).await {
                Ok(Some(whole)) => {
                    let Ok(output) = connection_state::with(|c| c.normalizer.restore(&whole)) else {
                        continue;
                    };
                    events.send_all(output.events).await?;
                }
                Ok(None) => {}
                Err(e) => log_failure("read a message", Err(e)),
            },
        }
    }
    Ok(())
}

pub async fn reject(request: &str, workspace: &str) -> Result<(), RequestError> {
    if wire::is_question(request) {
        client::reply_question(request, workspace, None).await
    } else {
        client::reply_permission(request, workspace, "reject", None).await
    }
}

fn log_failure(what: &str, result: Result<(), RequestError>) {
    if let Err(e) = result {
        log::warn(format!("Could not {what}: {}", Error::from(e).text()));
    }
}

/// Reads what the agent has set itself to do in a session, which no snapshot has.
pub async fn read_todo(session: &str, workspace: &str) -> Result<(), Error> {
    connection_state::with(|c| c.normalizer.ask_todo(session))?;
    match client::todo(session, workspace).await {
        Ok(items) => connection_state::with(|c| c.normalizer.read_todo(session, &items)),
        Err(e) => {
            log_failure("read what the agent has set itself to do", Err(e));
            Ok(())
        }
    }
}

/// Reads a session and those above it, so that its requests can be shown at the root.
pub async fn learn_session(id: &str, folder: &str) {
    let mut wanted = connection_state::with(|c| c.normalizer.unknown_ancestor(id))
        .ok()
        .flatten();
    while let Some(id) = wanted {
        match client::session(&id, folder).await {
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
pub async fn learn_tool_calls(permissions: &[wire::Permission]) {
    for permission in permissions {
        let Some(tool) = &permission.tool else { continue };
        for _ in 0..CALL_ATTEMPTS {
            if !matches!(
                connection_state::with(|c| c.normalizer.call_is_unknown(permission)),
                Ok(true)
            ) {
                break;
            }
            if let Ok(Some(message)) = client::message(&permission.session, &tool.message, &permission.directory).await
                && matches!(
                    connection_state::with(|c| {
                        c.normalizer.learn_calls(&message);
                        c.normalizer.call_is_unknown(permission)
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
