//! opencode's HTTP interface.

use crate::wire;
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::http::{Request, Response, encode};
use nexus_plugin_api::log;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// `PAGE` is the number of messages in one snapshot.
pub const PAGE: u32 = 50;

/// `PROCESS` is the name of the process; [`PORT`] is the name of its port.
pub const PROCESS: &str = "opencode";
pub const PORT: &str = "http";
pub const AUTHORIZATION: &str = "{basic:opencode:generated:server-password}";
/// `MAX_BODY` is the longest response in bytes: a page of messages with the output of their tools.
const MAX_BODY: usize = 48 * 1024 * 1024;
const MAX_ERROR_BODY: usize = 64 * 1024;
/// `SILENCE_TIMEOUT` is the time in milliseconds without a byte of the event stream, in which opencode sends three
/// heartbeats.
pub const SILENCE_TIMEOUT: u64 = 30_000;

/// `RequestError` is the reason why a request failed.
#[derive(Debug, Clone, PartialEq)]
pub enum RequestError {
    /// `Refused`: opencode answered with an error.
    Refused { status: u16, name: String, message: String },
    /// `Host`: opencode did not answer, or the host did not send the request.
    Host(Error),
}

impl From<Error> for RequestError {
    fn from(error: Error) -> Self {
        Self::Host(error)
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Host(error) => error,
            RequestError::Refused { status: 401, .. } => Error::Unavailable(
                "opencode does not accept the password it was started with. Restart the chat backend.".to_owned(),
            ),
            RequestError::Refused {
                status: 404, message, ..
            } => Error::NotFound(message),
            RequestError::Refused { status: 409, .. } => {
                Error::Unavailable("The chat is busy. Wait for the answer to finish, or stop it.".to_owned())
            }
            RequestError::Refused { status, message, .. } => {
                Error::Other(format!("opencode answered {status}: {message}"))
            }
        }
    }
}

pub fn url(path: &str) -> String {
    format!("process://{PROCESS}:{PORT}{path}")
}

pub(crate) fn request(method: &str, path: &str, workspace: &str) -> Request {
    let request = Request::new(method, url(path)).header("authorization", AUTHORIZATION);
    if workspace.is_empty() {
        request
    } else {
        request.header("x-opencode-directory", encode(workspace))
    }
}

pub(crate) async fn send(request: Request) -> Result<Response, RequestError> {
    let response = request.send().await?;
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let status = response.status;
    let body = response.bytes(MAX_ERROR_BODY).await.unwrap_or_default();
    let fault = serde_json::from_slice::<wire::ErrorInfo>(&body).unwrap_or_default();
    let message = invalid_config(&fault).unwrap_or_else(|| fault.text());
    Err(RequestError::Refused {
        status,
        name: fault.name,
        message,
    })
}

/// `ConfigInvalidError` names the file and the fields, beside a message that says neither.
fn invalid_config(fault: &wire::ErrorInfo) -> Option<String> {
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

pub(crate) async fn get<T: DeserializeOwned>(path: &str, workspace: &str) -> Result<T, RequestError> {
    Ok(send(request("GET", path, workspace)).await?.json(MAX_BODY).await?)
}

/// `list` is a list without the entries that cannot be read.
pub(crate) async fn list<T: DeserializeOwned>(path: &str, workspace: &str) -> Result<Vec<T>, RequestError> {
    let (good, lost) = wire::parse_each(get(path, workspace).await?);
    if lost > 0 {
        log::warn(format!(
            "skipped {lost} unreadable entries in opencode's response to GET {path}"
        ));
    }
    Ok(good)
}

pub(crate) async fn send_json(
    method: &str,
    path: &str,
    workspace: &str,
    body: &Value,
) -> Result<Response, RequestError> {
    send(request(method, path, workspace).json(body)?).await
}

pub(crate) fn session_path(session: &str, rest: &str) -> String {
    format!("/session/{}{rest}", encode(session))
}

/// `Ok(version)` when it is opencode that answers, and healthy.
pub async fn health() -> Result<String, RequestError> {
    #[derive(serde::Deserialize)]
    struct Health {
        healthy: bool,
        version: String,
    }
    let response = send(request("GET", "/global/health", "").timeout(3_000)).await?;
    let health: Health = response.json(MAX_ERROR_BODY).await?;
    if health.healthy {
        Ok(health.version)
    } else {
        Err(Error::Unavailable("opencode reports that it is not healthy".to_owned()).into())
    }
}

/// `directory` is opencode's working directory, as it names it.
pub async fn directory() -> Result<String, RequestError> {
    #[derive(serde::Deserialize)]
    struct Paths {
        directory: String,
    }
    Ok(get::<Paths>("/path", "").await?.directory)
}

/// `configured_model` is the model in opencode's configuration. An invalid configuration is reported by this request
/// first.
pub async fn configured_model(workspace: &str) -> Result<Option<String>, RequestError> {
    #[derive(serde::Deserialize)]
    struct Config {
        model: Option<String>,
    }
    Ok(get::<Config>("/config", workspace).await?.model)
}

/// `instructions` are the files with instructions for the model, from all of opencode's configuration and from its
/// plugins.
pub async fn instructions(workspace: &str) -> Result<Vec<String>, RequestError> {
    #[derive(serde::Deserialize)]
    struct Config {
        #[serde(default)]
        instructions: Vec<String>,
    }
    Ok(get::<Config>("/config", workspace).await?.instructions)
}

/// `agents` are the agents, with the rules that follow from all of opencode's configuration.
pub async fn agents(workspace: &str) -> Result<Value, RequestError> {
    get("/agent", workspace).await
}

/// `has_provider` tells whether the provider with this id can be used. The response contains the keys of providers;
/// only the ids are read.
pub async fn has_provider(provider: &str, workspace: &str) -> Result<bool, RequestError> {
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

pub async fn events() -> Result<Response, RequestError> {
    send(request("GET", "/global/event", "").idle_timeout(SILENCE_TIMEOUT + 5_000)).await
}

pub async fn statuses(workspace: &str) -> Result<wire::Statuses, RequestError> {
    get("/session/status", workspace).await
}

pub async fn permissions(workspace: &str) -> Result<Vec<wire::Permission>, RequestError> {
    let mut all: Vec<wire::Permission> = list("/permission", workspace).await?;
    all.iter_mut().for_each(|p| workspace.clone_into(&mut p.directory));
    Ok(all)
}

/// `branch` is what is checked out in a folder, where it is under version control.
pub async fn branch(workspace: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Vcs {
        branch: Option<String>,
    }
    get::<Vcs>("/vcs", workspace).await.ok()?.branch
}

/// `questions` are the open questions; none from an older version of opencode, which answers with a page.
pub async fn questions(workspace: &str) -> Vec<wire::Question> {
    list("/question", workspace).await.unwrap_or_default()
}

pub async fn session(id: &str, workspace: &str) -> Result<wire::Session, RequestError> {
    get(&session_path(id, ""), workspace).await
}

/// `todo` is what the agent has set itself to do in a session.
pub async fn todo(id: &str, workspace: &str) -> Result<Vec<wire::Todo>, RequestError> {
    list(&session_path(id, "/todo"), workspace).await
}

pub async fn sessions(workspace: &str, limit: u32) -> Result<Vec<wire::Session>, RequestError> {
    list(&format!("/session?roots=true&limit={limit}"), workspace).await
}

pub async fn create(workspace: &str, title: Option<String>) -> Result<wire::Session, RequestError> {
    let body = title.map_or_else(|| json!({}), |title| json!({ "title": title }));
    Ok(send_json("POST", "/session", workspace, &body)
        .await?
        .json(MAX_BODY)
        .await?)
}

pub async fn rename(id: &str, workspace: &str, title: &str) -> Result<(), RequestError> {
    send_json("PATCH", &session_path(id, ""), workspace, &json!({ "title": title }))
        .await
        .map(drop)
}

pub async fn delete(id: &str, workspace: &str) -> Result<(), RequestError> {
    send(request("DELETE", &session_path(id, ""), workspace))
        .await
        .map(drop)
}

pub async fn abort(id: &str, workspace: &str) -> Result<(), RequestError> {
    send_json("POST", &session_path(id, "/abort"), workspace, &json!({}))
        .await
        .map(drop)
}

/// `messages` are a page of messages, oldest first, and the value of `before` for the page before it.
pub async fn messages(
    id: &str,
    workspace: &str,
    limit: u32,
    before: Option<&str>,
) -> Result<(Vec<wire::WithParts>, Option<String>), RequestError> {
    let before = before.map(|b| format!("&before={}", encode(b))).unwrap_or_default();
    let response = send(request(
        "GET",
        &session_path(id, &format!("/message?limit={limit}{before}")),
        workspace,
    ))
    .await?;
    let next = response.header("x-next-cursor").map(str::to_owned);
    let all: Vec<Value> = response.json(MAX_BODY).await?;
    let messages: Vec<_> = all.iter().filter_map(wire::parse_message).collect();
    if messages.len() < all.len() {
        log::warn(format!(
            "skipped {} unreadable messages of {id}",
            all.len() - messages.len()
        ));
    }
    Ok((messages, next))
}

pub async fn message(session: &str, id: &str, workspace: &str) -> Result<Option<wire::WithParts>, RequestError> {
    match get::<Value>(&session_path(session, &format!("/message/{}", encode(id))), workspace).await {
        Ok(message) => Ok(wire::parse_message(&message)),
        Err(RequestError::Refused { status: 404, .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

pub async fn prompt(session: &str, workspace: &str, body: &Value) -> Result<(), RequestError> {
    send_json("POST", &session_path(session, "/prompt_async"), workspace, body)
        .await
        .map(drop)
}

/// Sends a command; opencode answers when its turn has ended. `timeout`: how many milliseconds are waited for that.
pub async fn command(session: &str, workspace: &str, body: &Value, timeout: u64) -> Result<(), RequestError> {
    let request = request("POST", &session_path(session, "/command"), workspace);
    send(request.timeout(timeout).json(body)?).await.map(drop)
}

/// `once`, `always` or `reject`.
pub async fn reply_permission(
    id: &str,
    workspace: &str,
    reply: &str,
    message: Option<&str>,
) -> Result<(), RequestError> {
    let mut body = json!({ "reply": reply });
    if let (Some(message), Some(map)) = (message, body.as_object_mut()) {
        map.insert("message".to_owned(), json!(message));
    }
    send_json("POST", &format!("/permission/{}/reply", encode(id)), workspace, &body)
        .await
        .map(drop)
}

/// `answers`: for each question the labels that were chosen. `None`: the user will not answer.
pub async fn reply_question(id: &str, workspace: &str, answers: Option<Value>) -> Result<(), RequestError> {
    let id = encode(id);
    match answers {
        Some(answers) => {
            send_json(
                "POST",
                &format!("/question/{id}/reply"),
                workspace,
                &json!({ "answers": answers }),
            )
            .await
        }
        None => send_json("POST", &format!("/question/{id}/reject"), workspace, &json!({})).await,
    }
    .map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_configuration_is_reported_with_file_and_field() {
        let fault = serde_json::from_str::<wire::ErrorInfo>(
            r#"{"name":"ConfigInvalidError","data":{"path":"/p/opencode.json","issues":[{"message":"Expected string, got 3","path":["provider","x","name"]}]}}"#,
        )
        .unwrap();
        assert_eq!(
            invalid_config(&fault).unwrap(),
            "/p/opencode.json is not valid; provider.x.name: Expected string, got 3"
        );
    }
}
