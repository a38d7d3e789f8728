//! What is done to a session as a whole: another one made of it, messages taken back, summarized, archived.

use crate::choices;
use crate::client::{self, RequestError};
use crate::settings::{Settings, split_model};
use crate::{convert, prompts, provider_sign_in, wire};
use nexus_plugin_api::caps::{clock, types::Error};
use nexus_plugin_api::chat::types::{SessionInfo, SessionRef};
use nexus_plugin_api::job::timeout;
use serde_json::json;

/// `BEGUN` is how many milliseconds of silence mean that opencode has begun to summarize: it answers when it has ended, and an
/// error at once.
const BEGUN: u64 = 1_500;

async fn post(s: &SessionRef, what: &str, body: serde_json::Value) -> Result<wire::Session, Error> {
    let response = client::send_json("POST", &client::session_path(&s.id, what), &s.workspace, &body).await?;
    response.json(1024 * 1024).await
}

async fn message(s: &SessionRef, id: &str) -> Result<wire::WithParts, Error> {
    let found = client::message(&s.id, id, &s.workspace).await;
    match found {
        Ok(Some(message)) => Ok(message),
        // opencode takes no id that is not of its form.
        Ok(None) | Err(RequestError::Refused { status: 400, .. }) => {
            Err(Error::NotFound("There is no such message in this chat.".to_owned()))
        }
        Err(other) => Err(other.into()),
    }
}

pub async fn fork(s: &SessionRef, before: Option<&str>) -> Result<SessionInfo, Error> {
    // opencode copies what is taken back, too. Ids increase with time.
    let reverted = client::session(&s.id, &s.workspace)
        .await?
        .revert
        .map(|revert| revert.message);
    let end = match before {
        Some(before) => Some(message(s, before).await?.info.id),
        None => None,
    };
    let end = match (end, reverted) {
        (Some(end), Some(reverted)) => Some(end.min(reverted)),
        (end, reverted) => end.or(reverted),
    };
    let body = end.map_or_else(|| json!({}), |end| json!({ "messageID": end }));
    Ok(convert::session(&post(s, "/fork", body).await?))
}

pub async fn revert(s: &SessionRef, id: &str) -> Result<SessionInfo, Error> {
    if message(s, id).await?.info.role != "user" {
        return Err(Error::Invalid(
            "Only a message of the user can be taken back.".to_owned(),
        ));
    }
    Ok(convert::session(&post(s, "/revert", json!({ "messageID": id })).await?))
}

pub async fn restore(s: &SessionRef) -> Result<SessionInfo, Error> {
    Ok(convert::session(&post(s, "/unrevert", json!({})).await?))
}

pub async fn set_archived(s: &SessionRef, archived: bool) -> Result<(), Error> {
    let at = if archived { clock::now() } else { 0 };
    let body = json!({ "time": { "archived": at } });
    client::send_json("PATCH", &client::session_path(&s.id, ""), &s.workspace, &body).await?;
    Ok(())
}

pub async fn compact(s: &SessionRef, model: Option<String>) -> Result<(), Error> {
    if client::statuses(&s.workspace).await?.contains_key(&s.id) {
        return Err(Error::Unavailable(
            "An answer is running. Summarize when it is finished, or stop it.".to_owned(),
        ));
    }
    // The credentials are not read again in between, which would end it.
    let key = (s.id.clone(), "summarize".to_owned());
    let Some(_sending) = prompts::begin(&key)? else {
        return Err(Error::Unavailable("This chat is already being summarized.".to_owned()));
    };
    provider_sign_in::reload_if_due(&nexus_plugin_api::config()?, Some(&key)).await?;
    let (provider, model) = summarizing_model(s, model).await?;
    prompts::check_model_consent(s, &format!("{provider}/{model}")).await?;
    let body = json!({ "providerID": provider, "modelID": model });
    let path = client::session_path(&s.id, "/summarize");
    let summarized = client::send_json("POST", &path, &s.workspace, &body);
    match timeout(BEGUN, summarized).await {
        // It goes on without the request.
        None | Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(error.into()),
    }
}

/// The model that is to summarize: the one that is wanted, the session's, the configured one, or the first that can be used.
async fn summarizing_model(s: &SessionRef, wanted: Option<String>) -> Result<(String, String), Error> {
    let pair = |model: &str| split_model(model).map(|(provider, name)| (provider.to_owned(), name.to_owned()));
    let providers = choices::providers(&s.workspace).await?;
    if let Some(wanted) = wanted {
        let found = pair(&wanted).filter(|(provider, name)| providers.has(provider, name));
        return found.ok_or_else(|| Error::Invalid(choices::no_such_model(&wanted)));
    }
    let of_session = client::session(&s.id, &s.workspace).await?.model;
    if let Some(model) = of_session.filter(|m| providers.has(&m.provider, &m.id)) {
        return Ok((model.provider, model.id));
    }
    let settings: Settings = nexus_plugin_api::config()?;
    let configured = match settings.model {
        Some(model) => Some(model),
        None => client::configured_model(&s.workspace).await?,
    };
    let model = configured
        .as_deref()
        .and_then(pair)
        .or_else(|| providers.default_model());
    model.ok_or_else(|| {
        Error::Unavailable("opencode has no model that could summarize. To fix: sign in to a provider.".to_owned())
    })
}
