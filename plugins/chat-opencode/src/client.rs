//! opencode's HTTP interface.

use crate::wire;
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::http::{Request, Response, encode};
use nexus_plugin_api::log;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Messages in one snapshot.
pub const PAGE: u32 = 50;

/// The name of the process, and of its port.
pub const PROCESS: &str = "opencode";
pub const PORT: &str = "http";
pub const AUTHORIZATION: &str = "{basic:opencode:generated:server-password}";
/// A page of messages with the output of its tools.
const BODY: usize = 48 * 1024 * 1024;
const WORDS: usize = 64 * 1024;
/// No byte for so long: three of its heartbeats are missing.
pub const SILENCE: u64 = 30_000;

/// Why a call did not do what was asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// opencode answered, in its own words.
    Refused { status: u16, name: String, words: String },
    /// It did not, or the host did not let the request through.
    Host(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Host(error)
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Host(error) => error,
            Trouble::Refused { status: 401, .. } => Error::Unavailable(
                "opencode does not accept the password it was started with. Restart the chat backend.".to_owned(),
            ),
            Trouble::Refused { status: 404, words, .. } => Error::NotFound(words),
            Trouble::Refused { status: 409, .. } => {
                Error::Unavailable("The chat is busy. Wait for the answer to finish, or stop it.".to_owned())
            }
            Trouble::Refused { status, words, .. } => Error::Other(format!("opencode answered {status}: {words}")),
        }
    }
}

pub fn url(path: &str) -> String {
    format!("process://{PROCESS}:{PORT}{path}")
}

fn request(method: &str, path: &str, workspace: &str) -> Request {
    let request = Request::new(method, url(path)).header("authorization", AUTHORIZATION);
    if workspace.is_empty() {
        request
    } else {
        request.header("x-opencode-directory", encode(workspace))
    }
}

async fn send(request: Request) -> Result<Response, Trouble> {
    let response = request.send().await?;
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let status = response.status;
    let body = response.bytes(WORDS).await.unwrap_or_default();
    let fault = serde_json::from_slice::<wire::Fault>(&body).unwrap_or_default();
    let words = invalid_config(&fault).unwrap_or_else(|| fault.words());
    Err(Trouble::Refused {
        status,
        name: fault.name,
        words,
    })
}

/// `ConfigInvalidError` names the file and the fields, beside a message that says neither.
fn invalid_config(fault: &wire::Fault) -> Option<String> {
    if !fault.name.starts_with("Config") {
        return None;
    }
    let mut words = fault
        .data
        .get("path")
        .and_then(Value::as_str)
        .unwrap_or("opencode's configuration")
        .to_owned();
    words.push_str(" is not valid");
    for issue in fault.data.get("issues").and_then(Value::as_array).into_iter().flatten() {
        let at: Vec<String> = issue
            .get("path")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned))
            .collect();
        let what = issue.get("message").and_then(Value::as_str).unwrap_or("not valid");
        words.push_str(&format!(
            "; {}: {what}",
            if at.is_empty() { "it".to_owned() } else { at.join(".") }
        ));
    }
    if let Some(message) = fault.data.get("message").and_then(Value::as_str) {
        words.push_str(&format!(": {message}"));
    }
    Some(words)
}

async fn get<T: DeserializeOwned>(path: &str, workspace: &str) -> Result<T, Trouble> {
    Ok(send(request("GET", path, workspace)).await?.json(BODY).await?)
}

/// A list, less what of it is not understood.
async fn list<T: DeserializeOwned>(path: &str, workspace: &str) -> Result<Vec<T>, Trouble> {
    let (good, lost) = wire::each(get(path, workspace).await?);
    if lost > 0 {
        log::warn(format!(
            "skipped {lost} unreadable entries in opencode's response to GET {path}"
        ));
    }
    Ok(good)
}

async fn act(method: &str, path: &str, workspace: &str, body: &Value) -> Result<Response, Trouble> {
    send(request(method, path, workspace).json(body)?).await
}

fn at(session: &str, rest: &str) -> String {
    format!("/session/{}{rest}", encode(session))
}

/// `Ok(version)` when it is opencode that answers, and healthy.
pub async fn health() -> Result<String, Trouble> {
    #[derive(serde::Deserialize)]
    struct Health {
        healthy: bool,
        version: String,
    }
    let response = send(request("GET", "/global/health", "").timeout(3_000)).await?;
    let health: Health = response.json(WORDS).await?;
    if health.healthy {
        Ok(health.version)
    } else {
        Err(Error::Unavailable("opencode reports that it is not healthy".to_owned()).into())
    }
}

/// The working directory, as opencode names it.
pub async fn directory() -> Result<String, Trouble> {
    #[derive(serde::Deserialize)]
    struct Paths {
        directory: String,
    }
    Ok(get::<Paths>("/path", "").await?.directory)
}

/// The model of opencode's configuration. An invalid configuration shows here first.
pub async fn configured_model(workspace: &str) -> Result<Option<String>, Trouble> {
    #[derive(serde::Deserialize)]
    struct Config {
        model: Option<String>,
    }
    Ok(get::<Config>("/config", workspace).await?.model)
}

/// The files with words for the model, as opencode has made them of all its configuration and of what it has loaded.
pub async fn instructions() -> Result<Vec<String>, Trouble> {
    #[derive(serde::Deserialize)]
    struct Config {
        #[serde(default)]
        instructions: Vec<String>,
    }
    Ok(get::<Config>("/config", "").await?.instructions)
}

/// The agents with the rules that opencode has made of all its configuration.
pub async fn agents() -> Result<Value, Trouble> {
    get("/agent", "").await
}

/// Whether the provider of that id can be used. The answer holds keys of providers: only the ids are read.
pub async fn offers(provider: &str, workspace: &str) -> Result<bool, Trouble> {
    #[derive(serde::Deserialize)]
    struct Providers {
        providers: Vec<Provider>,
    }
    #[derive(serde::Deserialize)]
    struct Provider {
        id: String,
    }
    Ok(get::<Providers>("/config/providers", workspace)
        .await?
        .providers
        .iter()
        .any(|p| p.id == provider))
}

pub async fn events() -> Result<Response, Trouble> {
    send(request("GET", "/global/event", "").idle_timeout(SILENCE + 5_000)).await
}

pub async fn statuses(workspace: &str) -> Result<wire::Statuses, Trouble> {
    get("/session/status", workspace).await
}

pub async fn permissions(workspace: &str) -> Result<Vec<wire::Permission>, Trouble> {
    list("/permission", workspace).await
}

/// Older versions have no questions, and answer with a page.
pub async fn questions(workspace: &str) -> Vec<wire::Question> {
    list("/question", workspace).await.unwrap_or_default()
}

pub async fn session(id: &str, workspace: &str) -> Result<wire::Session, Trouble> {
    get(&at(id, ""), workspace).await
}

pub async fn sessions(workspace: &str, limit: u32) -> Result<Vec<wire::Session>, Trouble> {
    list(&format!("/session?roots=true&limit={limit}"), workspace).await
}

pub async fn create(workspace: &str, title: Option<String>) -> Result<wire::Session, Trouble> {
    let body = title.map_or_else(|| json!({}), |title| json!({ "title": title }));
    Ok(act("POST", "/session", workspace, &body).await?.json(BODY).await?)
}

pub async fn rename(id: &str, workspace: &str, title: &str) -> Result<(), Trouble> {
    act("PATCH", &at(id, ""), workspace, &json!({ "title": title }))
        .await
        .map(drop)
}

pub async fn delete(id: &str, workspace: &str) -> Result<(), Trouble> {
    send(request("DELETE", &at(id, ""), workspace)).await.map(drop)
}

pub async fn abort(id: &str, workspace: &str) -> Result<(), Trouble> {
    act("POST", &at(id, "/abort"), workspace, &json!({})).await.map(drop)
}

/// A page of messages, oldest first, and what to give as `before` for the one before it.
pub async fn messages(
    id: &str,
    workspace: &str,
    limit: u32,
    before: Option<&str>,
) -> Result<(Vec<wire::WithParts>, Option<String>), Trouble> {
    let before = before.map(|b| format!("&before={}", encode(b))).unwrap_or_default();
    let response = send(request(
        "GET",
        &at(id, &format!("/message?limit={limit}{before}")),
        workspace,
    ))
    .await?;
    let next = response.header("x-next-cursor").map(str::to_owned);
    let all: Vec<Value> = response.json(BODY).await?;
    let messages: Vec<_> = all.iter().filter_map(wire::with_parts).collect();
    if messages.len() < all.len() {
        log::warn(format!(
            "skipped {} unreadable messages of {id}",
            all.len() - messages.len()
        ));
    }
    Ok((messages, next))
}

pub async fn message(session: &str, id: &str, workspace: &str) -> Result<Option<wire::WithParts>, Trouble> {
    match get::<Value>(&at(session, &format!("/message/{}", encode(id))), workspace).await {
        Ok(message) => Ok(wire::with_parts(&message)),
        Err(Trouble::Refused { status: 404, .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

pub async fn prompt(session: &str, workspace: &str, body: &Value) -> Result<(), Trouble> {
    act("POST", &at(session, "/prompt_async"), workspace, body)
        .await
        .map(drop)
}

/// `once`, `always` or `reject`.
pub async fn reply_permission(id: &str, workspace: &str, reply: &str, message: Option<&str>) -> Result<(), Trouble> {
    let mut body = json!({ "reply": reply });
    if let (Some(words), Some(map)) = (message, body.as_object_mut()) {
        map.insert("message".to_owned(), json!(words));
    }
    act("POST", &format!("/permission/{}/reply", encode(id)), workspace, &body)
        .await
        .map(drop)
}

/// `answers`: for each question the labels that were chosen. `None`: the user will not answer.
pub async fn reply_question(id: &str, workspace: &str, answers: Option<Value>) -> Result<(), Trouble> {
    let id = encode(id);
    match answers {
        Some(answers) => {
            act(
                "POST",
                &format!("/question/{id}/reply"),
                workspace,
                &json!({ "answers": answers }),
            )
            .await
        }
        None => act("POST", &format!("/question/{id}/reject"), workspace, &json!({})).await,
    }
    .map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_configuration_is_told_with_file_and_field() {
        let fault = serde_json::from_str::<wire::Fault>(
            r#"{"name":"ConfigInvalidError","data":{"path":"/p/opencode.json","issues":[{"message":"Expected string, got 3","path":["provider","x","name"]}]}}"#,
        )
        .unwrap();
        assert_eq!(
            invalid_config(&fault).unwrap(),
            "/p/opencode.json is not valid; provider.x.name: Expected string, got 3"
        );
    }
}
