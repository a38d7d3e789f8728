//! The server's HTTP interface.

use crate::refusal::{Asked, Refusal, is_of_stream_options};
use crate::retry_after;
use crate::settings::Settings;
use crate::wire::{self, Model};
use nexus_plugin_api::caps::{clock, secrets, types::Error};
use nexus_plugin_api::http::{Request, Response};
use serde_json::Value;

/// `API_KEY` is the secret's name.
const API_KEY: &str = "api_key";
/// `MODELS_BYTES` is how long the list of models may be: OpenRouter's has about a megabyte.
const MODELS_BYTES: usize = 16 * 1024 * 1024;
/// `FAULT_BYTES` is how much of an error is read.
const FAULT_BYTES: usize = 64 * 1024;
/// `MODELS_TIMEOUT` is in milliseconds. A list is no work, so that a server which does not answer it in that time is taken for
/// one that is not there.
pub const MODELS_TIMEOUT: u64 = 20_000;

/// `has_key` tells whether the operator gave a key.
pub async fn has_key() -> Result<bool, Error> {
    secrets::has(API_KEY.to_owned()).await
}

fn keyed(request: Request, key: bool) -> Request {
    if key {
        request.header("authorization", format!("Bearer {{secret:{API_KEY}}}"))
    } else {
        request
    }
}

/// `Listed` is what a server answers to the question for its models.
pub enum Listed {
    Models(Vec<Model>),
    /// `Without`: it has no such list, or fails at it; in words.
    Without(Refusal),
    /// `KeyRefused`: it answers nobody without another key.
    KeyRefused(Refusal),
    /// `NotSent`: the host does not send the request, or the server does not answer.
    NotSent(Error),
}

/// `models` asks for the list of models.
pub async fn models(settings: &Settings, key: bool) -> Listed {
    let asked = Asked {
        server: &settings.server,
        model: settings.model.as_deref().unwrap_or_default(),
        key,
    };
    let request = Request::get(settings.server.url("/models")).header("accept", "application/json");
    let request = keyed(request, key).timeout(MODELS_TIMEOUT).idle_timeout(MODELS_TIMEOUT);
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Listed::NotSent(error),
    };
    let status = response.status;
    if status != 200 {
        let refusal = refusal(asked, response).await.0;
        return if status == 401 {
            Listed::KeyRefused(refusal)
        } else {
            Listed::Without(refusal)
        };
    }
    match response.json::<Value>(MODELS_BYTES).await {
        Ok(list) => Listed::Models(wire::models(&list)),
        Err(error) => Listed::Without(Refusal::lasting(error.text(), None)),
    }
}

/// `complete` asks for an answer, and returns when its headers are here.
///
/// # Errors
/// Why there is none; and whether it is `stream_options` that the server does not know.
pub async fn complete(settings: &Settings, asked: Asked<'_>, body: &Value) -> Result<Response, (Refusal, bool)> {
    let of_host = |error| (Refusal::of_host(asked, error, settings.timeout), false);
    let request = Request::post(settings.server.url("/chat/completions")).header("accept", "text/event-stream");
    let request = keyed(request, asked.key)
        .timeout(settings.timeout)
        .idle_timeout(settings.timeout);
    let response = request.json(body).map_err(of_host)?.send().await.map_err(of_host)?;
    if response.status == 200 {
        return Ok(response);
    }
    Err(refusal(asked, response).await)
}

/// `refusal` is an answer of another status than 200, in words; and whether it is about `stream_options`.
async fn refusal(asked: Asked<'_>, mut response: Response) -> (Refusal, bool) {
    let (milliseconds, after) = (response.header("retry-after-ms"), response.header("retry-after"));
    let after = retry_after::pause(milliseconds, after, clock::now());
    let (status, location) = (response.status, response.header("location").map(str::to_owned));
    let mut body = Vec::new();
    while body.len() < FAULT_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend(chunk);
    }
    body.truncate(FAULT_BYTES);
    let mut fault = wire::fault(&body);
    if (300..400).contains(&status) {
        fault.text = wire::shortened(&location.unwrap_or_default());
    }
    (
        Refusal::of_status(asked, status, &fault, after),
        is_of_stream_options(status, &fault),
    )
}
