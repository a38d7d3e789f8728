//! Asks the running host, on its control socket.

use serde_json::Value;
use std::path::Path;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Nothing runs, or it cannot be asked.
    #[error("{0}")]
    Unreachable(String),
    /// What the host says.
    #[error("{0}")]
    Said(String),
}

/// One request; `body` makes it a POST, `{}` an empty one.
///
/// # Errors
/// No host runs on the data directory, or it refuses.
#[cfg(unix)]
pub(super) async fn ask(data_dir: &Path, path: &str, body: Option<Value>) -> Result<Value, Refusal> {
    use crate::web::control::FILE;
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::TokioIo;
    use tokio::net::UnixStream;

    let socket = data_dir.join(FILE);
    let stream = UnixStream::connect(&socket).await.map_err(|error| {
        Refusal::Unreachable(match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => format!(
                "no nexus runs on {}. Start one with `nexus up`; one that runs elsewhere is named with --data-dir DIR",
                data_dir.display()
            ),
            _ => format!("{} cannot be opened: {error}", socket.display()),
        })
    })?;
    let lost = |error: hyper::Error| Refusal::Unreachable(format!("the running nexus broke off: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(lost)?;
    tokio::spawn(connection);
    let method = if body.is_some() { "POST" } else { "GET" };
    let bytes = body.map(|body| body.to_string()).unwrap_or_default();
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "nexus")
        .body(Full::new(bytes::Bytes::from(bytes)))
        .map_err(|error| Refusal::Said(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(lost)?;
    let status = response.status();
    let bytes = response.into_body().collect().await.map_err(lost)?.to_bytes();
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status.is_success() {
        return Ok(answer);
    }
    let said = answer.get("detail").and_then(Value::as_str);
    Err(Refusal::Said(said.map_or_else(
        || format!("the running nexus answered {status}"),
        str::to_owned,
    )))
}

/// # Errors
/// Always, here.
#[cfg(not(unix))]
pub(super) async fn ask(_: &Path, _: &str, _: Option<Value>) -> Result<Value, Refusal> {
    Err(Refusal::Unreachable(
        "on this system there is no control socket yet; use the status page".to_owned(),
    ))
}
