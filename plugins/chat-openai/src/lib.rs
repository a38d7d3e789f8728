//! Chat with a model of a server that speaks OpenAI's chat completions. The host keeps the chats: each request has what the
//! transcript of its session has.
//!
//! * `settings`, `wire`, `answer`, `request_body`, `files`, `refusal`, `retry_after` and `choices` decide; they do no I/O and are
//!   tested natively.
//! * `connection`, `client`, `turn`, `turns` and this file talk to the host.

pub mod answer;
pub mod choices;
pub mod client;
pub mod connection;
pub mod files;
pub mod refusal;
pub mod request_body;
pub mod retry_after;
pub mod settings;
pub mod turn;
pub mod turns;
pub mod wire;

use answer::Prompt;
use client::Listed;
use files::File;
use nexus_plugin_api::caps::{clock, types::Error};
use nexus_plugin_api::chat::types::{Answer, BackendConnection, Event, FileContent, SessionRef};
use nexus_plugin_api::chat::{
    self, Admission, Availability, CancelReason, Descriptor, Failure, FailureKind, Input, Options,
};
use nexus_plugin_api::error_text::cause_and_fix;
use nexus_plugin_api::job::{Events, HostDisconnected, Job, permanent_from_text};
use nexus_plugin_api::{FutureReader, attachments, config, log, models, refuse_settings};
use refusal::Refusal;
use settings::{Authored, Settings};

/// `VERSION` is the plugin's: a server states none.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// `NO_MODEL` is for a server that lists none.
const NO_MODEL: &str =
    "No model is chosen, and the server lists none. To fix: set `model` in [plugin.chat-openai.config].";

struct Plugin;

impl chat::Guest for Plugin {
    async fn describe() -> Descriptor {
        log::panics();
        let key = client::has_key().await.unwrap_or(false);
        let failures = match config::<Authored>() {
            Ok(authored) => authored.failures(key),
            Err(error) => vec![permanent_from_text(error.text(), "report it as a bug of the plugin")],
        };
        Descriptor {
            title: "OpenAI-compatible server".to_owned(),
            example: false,
            refused: refuse_settings(failures),
        }
    }

    /// Nothing is installed for it; whether the server answers is seen when it is connected to.
    async fn check_availability() -> Availability {
        Availability::ready(VERSION)
    }

    async fn events(cancel: FutureReader<CancelReason>) -> Job<Event> {
        chat::job(cancel, async |mut events, mut cancel| {
            let ended = cancel.select(connect(&mut events)).await;
            connection::close();
            match ended {
                Some(Err(End::Failed(failure))) => Err(failure),
                // Canceled, or the host has gone: both are a good end.
                Some(Err(End::HostDisconnected) | Ok(())) | None => Ok(()),
            }
        })
    }

    async fn prompt(s: SessionRef, client_id: String, parts: Vec<Input>, options: Options) -> Result<Admission, Error> {
        if connection::with(|c| c.knows(&s.id, &client_id))? {
            return Ok(Admission::Duplicate);
        }
        for part in parts {
            if let Some(why) = refused(part) {
                return Ok(Admission::Refused(why));
            }
        }
        let Some(model) = model(options.model).await? else {
            return Ok(Admission::Refused(NO_MODEL.to_owned()));
        };
        let prompt = Prompt {
            session: s.id,
            client_id,
            model,
        };
        // The second of two that came at the same time.
        let (turn, work) = match connection::with(|c| {
            let known = c.knows(&prompt.session, &prompt.client_id);
            (!known).then(|| c.take(prompt))
        })? {
            Some(taken) => taken,
            None => return Ok(Admission::Duplicate),
        };
        Ok(match work.send(turn).await {
            Ok(()) => Admission::Admitted,
            Err(_) => Admission::Unknown("The connection ended before the prompt was taken.".to_owned()),
        })
    }

    async fn cancel(s: SessionRef) -> Result<(), Error> {
        connection::with(|c| c.stop(&s.id))
    }

    async fn reply(_: SessionRef, request: String, _: Answer) -> Result<(), Error> {
        Err(Error::NotFound(format!(
            "A model without tools asks nothing, so nothing waits for an answer to {request:?}."
        )))
    }
}

impl models::Guest for Plugin {
    async fn list(_workspace: String) -> Result<models::ModelList, Error> {
        let (settings, key) = connection::with(|c| (c.settings.clone(), c.key))?;
        let listed = match client::models(&settings, key).await {
            Listed::Models(listed) => listed,
            Listed::Without(refusal) if settings.model.is_some() => {
                log::debug(&refusal.text);
                Vec::new()
            }
            Listed::Without(refusal) | Listed::KeyRefused(refusal) => return Err(Error::Unavailable(refusal.text)),
            Listed::NotSent(error) => return Err(error),
        };
        Ok(choices::list(&settings.server, &listed, settings.model.as_deref()))
    }
}

impl attachments::Guest for Plugin {
    /// The host keeps the files of its prompts, and models send none.
    async fn read(_: SessionRef, id: String) -> Result<FileContent, Error> {
        Err(Error::NotFound(format!(
            "The backend keeps no files, and none of the id {id:?}."
        )))
    }
}

nexus_plugin_api::export_chat!(Plugin with models, attachments);

/// `refused` is why a piece of a prompt cannot be sent; `None`: it can.
fn refused(part: Input) -> Option<String> {
    match part {
        Input::Text(_) => None,
        Input::Attachment(file) => File::read(&file.name, file.content.data).err(),
        // The host sends neither to a plugin without `commands` and `files`.
        Input::Command(call) => Some(format!("This backend has no command /{}.", call.name)),
        Input::File(path) => Some(format!("This backend reads no files of the workspace, and not {path}.")),
        Input::Other(ext) => Some(format!("This backend cannot send {:?}.", ext.name)),
    }
}

/// `model` is the model to ask, as the server names it; `None`: there is none. A server that listed none when it was connected
/// to may have one by now.
async fn model(chosen: Option<String>) -> Result<Option<String>, Error> {
    let (settings, key, default) = connection::with(|c| (c.settings.clone(), c.key, c.default_model.clone()))?;
    if let Some(id) = chosen {
        return Ok(Some(settings.server.model_name(&id).to_owned()));
    }
    if default.is_some() {
        return Ok(default);
    }
    let Listed::Models(listed) = client::models(&settings, key).await else {
        return Ok(None);
    };
    let default = choices::default(&listed, None).map(str::to_owned);
    connection::with(|c| c.default_model.clone_from(&default))?;
    Ok(default)
}

/// `End` is why a connection has ended.
enum End {
    Failed(Failure),
    HostDisconnected,
}

impl From<HostDisconnected> for End {
    fn from(_: HostDisconnected) -> Self {
        Self::HostDisconnected
    }
}

/// Connects, and runs all turns until the host has gone.
async fn connect(events: &mut Events<Event>) -> Result<(), End> {
    let report = "report it as a bug of the plugin";
    let of_host = |error: Error| End::Failed(permanent_from_text(error.text(), report));
    let authored: Authored = config().map_err(of_host)?;
    let settings = Settings::try_from(authored).map_err(End::Failed)?;
    let key = client::has_key().await.map_err(of_host)?;
    let host = &settings.server.host;
    events
        .send(Event::Starting(format!("Asking {host} for its models.")))
        .await?;
    let listed = match client::models(&settings, key).await {
        Listed::Models(listed) => listed,
        // It may answer prompts all the same.
        Listed::Without(refusal) => {
            log::info(format!("No list of models: {}", refusal.text));
            Vec::new()
        }
        Listed::KeyRefused(refusal) => return Err(End::Failed(failure(refusal.text, FailureKind::Permanent))),
        Listed::NotSent(Error::Denied(text)) => return Err(End::Failed(permanent_from_text(&text, report))),
        Listed::NotSent(error) => {
            let asked = refusal::Asked {
                server: &settings.server,
                model: "",
                key,
            };
            let Refusal { text, .. } = Refusal::of_host(asked, error, client::MODELS_TIMEOUT);
            return Err(End::Failed(failure(text, FailureKind::Retry)));
        }
    };
    let default = choices::default(&listed, settings.model.as_deref()).map(str::to_owned);
    let opened = BackendConnection {
        // No turn goes on in another connection.
        id: clock::now().to_string(),
        version: VERSION.to_owned(),
        running: Vec::new(),
        requests: Vec::new(),
    };
    // Before the host hears of the connection: its first prompt may come at once.
    let work = connection::open(settings, key, default);
    events.send(Event::Opened(opened)).await?;
    Ok(turns::run(events, work).await?)
}

fn failure(text: String, kind: FailureKind) -> Failure {
    let (message, hint) = cause_and_fix(&text);
    Failure {
        kind,
        message: message.to_owned(),
        hint: hint.map(str::to_owned),
    }
}
