//! Prompts are sent once.
//!
//! opencode appends the parts again when a message id is sent twice, and stores a message some time after it has
//! answered. So the id is made and stored in the store before the first try, and each later try looks for the message first.

use crate::client::{self, PROCESS, RequestError};
use crate::prompt_body::{self, Body, Words};
use crate::settings::{Hosted, Settings, split_model};
use crate::{connection_state, message_ids, provider_sign_in};
use nexus_plugin_api::caps::{clock, store, types::Error};
use nexus_plugin_api::chat::types::{Message, Role, SessionRef};
use nexus_plugin_api::chat::{Admission, Consent, Input, Options};
use nexus_plugin_api::job::race;
use nexus_plugin_api::process::Outcome;
use serde_json::json;
use std::rc::Rc;

/// `HOSTED` is the provider whose public models the makers of opencode host.
const HOSTED: &str = "opencode";
const CONSENT: &str = "hosted-models";
/// `LOOKUP_ATTEMPTS` is how often a message is looked up, every 500 ms: opencode may store it some time after its
/// response.
const LOOKUP_ATTEMPTS: u32 = 10;
/// `COMMAND_TIMEOUT` is how many milliseconds of the host's minute opencode has to begin with a command, which may run programs
/// before.
const COMMAND_TIMEOUT: u64 = 45_000;
/// `CLOCK_TOLERANCE` is by how many milliseconds the clock may be behind without an error.
const CLOCK_TOLERANCE: u64 = 2_000;

/// `send` sends a prompt, as WIT `chat.prompt` says.
pub async fn send(
    session: SessionRef,
    client_id: String,
    parts: Vec<Input>,
    options: Options,
) -> Result<Admission, Error> {
    let key = (session.id.clone(), client_id);
    let Some(_sending) = begin(&key)? else {
        return Ok(Admission::Unknown("This prompt is already being sent.".to_owned()));
    };
    admit_prompt(&session, &key, parts, options).await
}

/// `begin` notes that something is on its way to opencode for as long as the result is held. `None`: it is already.
pub fn begin(key: &(String, String)) -> Result<Option<Rc<()>>, Error> {
    connection_state::with(|c| {
        c.sending.retain(|_, held| held.strong_count() > 0);
        let sending = Rc::new(());
        let first = !c.sending.contains_key(key);
        first.then(|| {
            c.sending.insert(key.clone(), Rc::downgrade(&sending));
            sending
        })
    })
}

async fn admit_prompt(
    session: &SessionRef,
    key: &(String, String),
    parts: Vec<Input>,
    options: Options,
) -> Result<Admission, Error> {
    let (_, client_id) = key;
    let settings: Settings = nexus_plugin_api::config()?;
    let hosted = settings.check().map_err(Error::Other)?;
    let words = match prompt_body::words(parts) {
        Ok(words) => words,
        Err(why) => return Ok(Admission::Refused(why)),
    };

    let stored = store::get(client_key(&session.id, client_id))
        .await?
        .and_then(|id| String::from_utf8(id).ok());
    if let Some(id) = &stored {
        cache_client_id(id, client_id);
        if connection_state::with(|c| c.taken.contains(id))? || wait_for_message(session, id).await? {
            return Ok(Admission::Duplicate);
        }
    }
    provider_sign_in::reload_if_due(&settings, Some(key)).await?;
    // opencode loads the workspace's own code at the first prompt, and again after an hour without one.
    match settings.server().ensure(PROCESS).await {
        Ok(running) if running.outcome == Outcome::Adopted => {}
        Ok(_) => {
            return Ok(Admission::Refused(
                "opencode exited and was just restarted. To fix: send the message again.".to_owned(),
            ));
        }
        Err(Error::Other(why)) => return Ok(Admission::Refused(why)),
        Err(other) => return Err(other),
    }
    let found = client::session(&session.id, &session.workspace).await?;
    // Its own folder is where the prompt runs, whichever one is named with it.
    let here = connection_state::with(|c| {
        let folders = c.normalizer.folders();
        folders
            .of(&found.directory)
            .is_some_and(|folder| folders.of(&session.workspace) == Some(folder))
    })?;
    if !here {
        return Ok(Admission::Refused(format!(
            "This chat belongs to the folder {}. To fix: start a new chat here.",
            found.directory
        )));
    }
    if let Some(rule) = found.permissive_rule() {
        return Ok(Admission::Refused(format!(
            "This chat was created outside Nexus with its own rule, by which {rule} runs without a permission \
             request. To fix: start a new chat."
        )));
    }
    let consent = options.consent.clone();
    let body = match prompt_body::make(session, &settings, words, options).await? {
        Ok(body) => body,
        Err(why) => return Ok(Admission::Refused(why)),
    };
    if let Some(answer) = check_consent(session, hosted, body.answers.as_deref(), consent.as_deref()).await? {
        return Ok(answer);
    }
    let id = match stored {
        Some(id) => id,
        None => {
            if let Some(why) = clock_is_behind(session).await? {
                return Ok(Admission::Refused(why));
            }
            create_message_id(&session.id, client_id).await?
        }
    };
    match hand_over(session, &id, body).await {
        Ok(()) => {
            connection_state::with(|c| c.taken.insert(id))?;
            Ok(Admission::Admitted)
        }
        Err(RequestError::Refused {
            status: 400, message, ..
        }) => Ok(Admission::Refused(message)),
        Err(RequestError::Host(Error::Unavailable(why) | Error::Timeout(why) | Error::Other(why))) => {
            Ok(Admission::Unknown(why))
        }
        Err(other) => Err(other.into()),
    }
}

/// `Some`: opencode would take the prompt and never answer it, for its newest message has a later time than now.
async fn clock_is_behind(session: &SessionRef) -> Result<Option<String>, Error> {
    let (newest, _) = client::messages(&session.id, &session.workspace, 1, None).await?;
    let Some(by) = newest
        .last()
        .and_then(|m| message_ids::behind(&m.info.id, clock::now()))
    else {
        return Ok(None);
    };
    if by <= CLOCK_TOLERANCE {
        clock::sleep(by + 1).await;
        return Ok(None);
    }
    let by = match by / 60_000 {
        0 => format!("{} seconds", by / 1000),
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    Ok(Some(format!(
        "This machine's clock is {by} behind the newest message of this chat, and opencode does not answer older \
         messages. To fix: set the clock, or start a new chat."
    )))
}

/// Looks for a message for a while: an earlier try may have got through a moment ago.
async fn wait_for_message(session: &SessionRef, id: &str) -> Result<bool, Error> {
    for look in 0..LOOKUP_ATTEMPTS {
        if look > 0 {
            clock::sleep(500).await;
        }
        if client::message(&session.id, id, &session.workspace).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Gives opencode the prompt. A command is answered when its turn has ended: that opencode has it is seen from its message, and
/// what it does goes on without the request.
async fn hand_over(session: &SessionRef, id: &str, body: Body) -> Result<(), RequestError> {
    let command = matches!(body.words, Words::Command(_));
    let json = body.json(id);
    if !command {
        return client::prompt(&session.id, &session.workspace, &json).await;
    }
    let first = connection_state::with(|c| c.commands.insert(id.to_owned()))?;
    let sent = async {
        if !first {
            clock::sleep(COMMAND_TIMEOUT).await;
            return Err(Error::Timeout("opencode has not begun with the command yet".to_owned()).into());
        }
        client::command(&session.id, &session.workspace, &json, COMMAND_TIMEOUT).await
    };
    let taken = async {
        loop {
            clock::sleep(150).await;
            if let Ok(Some(_)) = client::message(&session.id, id, &session.workspace).await {
                return Ok(());
            }
        }
    };
    race(sent, taken).await
}

/// Refuses a hosted model that the owner has not agreed to.
pub async fn check_model_consent(session: &SessionRef, model: &str) -> Result<(), Error> {
    let settings: Settings = nexus_plugin_api::config()?;
    let hosted = settings.check().map_err(Error::Other)?;
    match check_consent(session, hosted, Some(model), None).await? {
        None => Ok(()),
        Some(Admission::Refused(why)) => Err(Error::Denied(why)),
        Some(_) => Err(Error::Denied(format!(
            "{model} is a public model that the makers of opencode host, and the owner has not agreed to it. To fix: send a \
             message with it first, or choose another model."
        ))),
    }
}

/// `Some`: the prompt must not be sent now.
async fn check_consent(
    session: &SessionRef,
    hosted: Hosted,
    model: Option<&str>,
    given: Option<&str>,
) -> Result<Option<Admission>, Error> {
    if hosted == Hosted::Allow || !may_be_hosted(session, model).await? {
        return Ok(None);
    }
    if hosted == Hosted::Deny {
        return Ok(Some(Admission::Refused(
            "This prompt could be sent to a public model that the makers of opencode host, but hosted_models = \
             \"deny\". To fix: choose another model with [plugin.chat-opencode.config] model = \"provider/model\"."
                .to_owned(),
        )));
    }
    let key = format!("consent/{CONSENT}");
    if given == Some(CONSENT) {
        store::set(key, b"given".to_vec()).await?;
        return Ok(None);
    }
    if store::get(key).await?.is_some() {
        return Ok(None);
    }
    Ok(Some(Admission::ConsentNeeded(Consent {
        id: CONSENT.to_owned(),
        text: "No model is selected, so opencode may use a public model that its makers host. Your prompts, and \
            the files and command output that the agent reads, would be sent to opencode.ai and its partners, who may \
            keep and use them. If you agree, Nexus remembers it. To use another model instead, set model = \
            \"provider/model\" under [plugin.chat-opencode.config] in the configuration."
            .to_owned(),
    })))
}

/// `may_be_hosted` tells whether opencode could choose a hosted model; if that is not known, it could.
async fn may_be_hosted(session: &SessionRef, model: Option<&str>) -> Result<bool, Error> {
    let hosted = |model: &str| split_model(model).is_none_or(|(provider, _)| provider == HOSTED);
    if let Some(model) = model {
        return Ok(hosted(model));
    }
    // A model stays with its session.
    let info = client::session(&session.id, &session.workspace).await?;
    if let Some(provider) = info.model.map(|m| m.provider).filter(|p| !p.is_empty()) {
        return Ok(provider == HOSTED);
    }
    if let Some(model) = client::configured_model(&session.workspace).await? {
        return Ok(hosted(&model));
    }
    Ok(client::has_provider(HOSTED, &session.workspace).await?)
}

fn client_key(session: &str, client: &str) -> String {
    format!("c/{session}/{client}")
}

fn message_key(message: &str) -> String {
    format!("m/{message}")
}

/// Makes the id for a client id and keeps both directions, before anything is sent.
async fn create_message_id(session: &str, client: &str) -> Result<String, Error> {
    let now = clock::now();
    let count = connection_state::with(|c| {
        c.count = c.count.wrapping_add(1);
        c.count
    })?;
    let id = message_ids::message_id(now, count, session, client);
    if let Err(Error::Limited(full)) = store_message_id(session, client, &id).await {
        // The quota is used up: the oldest prompts are never asked for again.
        if delete_oldest_messages().await? == 0 {
            return Err(Error::Limited(full));
        }
        store_message_id(session, client, &id).await?;
    }
    cache_client_id(&id, client);
    Ok(id)
}

async fn store_message_id(session: &str, client: &str, id: &str) -> Result<(), Error> {
    let back = json!([session, client]).to_string();
    store::set(message_key(id), back.into_bytes()).await?;
    store::set(client_key(session, client), id.as_bytes().to_vec()).await
}

/// `delete_oldest_messages` deletes the oldest stored messages: message ids sort by time, so those keys are first.
async fn delete_oldest_messages() -> Result<usize, Error> {
    let keys = store::keys("m/".to_owned(), None).await?;
    for key in &keys {
        if let Some((session, client)) = client_of_message(key).await? {
            store::delete(client_key(&session, &client)).await?;
        }
        store::delete(key.clone()).await?;
    }
    Ok(keys.len())
}

async fn client_of_message(message_key: &str) -> Result<Option<(String, String)>, Error> {
    let value = store::get(message_key.to_owned()).await?;
    Ok(value.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// `delete_session` deletes what the store has about a session.
pub async fn delete_session(session: &str) -> Result<(), Error> {
    loop {
        let keys = store::keys(format!("c/{session}/"), None).await?;
        if keys.is_empty() {
            return Ok(());
        }
        for key in keys {
            if let Some(id) = store::get(key.clone()).await?.and_then(|id| String::from_utf8(id).ok()) {
                store::delete(message_key(&id)).await?;
            }
            store::delete(key).await?;
        }
    }
}

fn cache_client_id(message: &str, client: &str) {
    // Without a connection there is no event that could need it.
    let _ = connection_state::with(|c| c.clients.insert(message.to_owned(), client.to_owned()));
}

/// Puts the client's id to a message of the user.
pub async fn add_client_id(message: &mut Message) {
    if message.role != Role::User {
        return;
    }
    if let Ok(Some(client)) = connection_state::with(|c| c.clients.get(&message.id).cloned()) {
        message.client_id = Some(client);
        return;
    }
    if let Ok(Some((_, client))) = client_of_message(&message_key(&message.id)).await {
        cache_client_id(&message.id, &client);
        message.client_id = Some(client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_the_store() {
        assert!(client_key("ses_dfbdb485fffeN6QtZ7I9DZ2MPQ", &"x".repeat(128)).len() <= 256);
    }
}
