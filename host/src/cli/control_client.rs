//! Asks the running host, on its control socket.

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
#[cfg(unix)]
use nexus_model::limits;
use serde_json::Value;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncWrite};

/// `Refusal` says why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// `Unreachable`: nothing runs, or it cannot be asked.
    #[error("{0}")]
    Unreachable(String),
    /// `Refused` is what the host says.
    #[error("{0}")]
    Refused(String),
    /// `Starting`: the host is not up yet; the text is what it does.
    #[error("Nexus is starting: {0}. Try again in a moment")]
    Starting(String),
    /// `Forbidden`: the host turns this process away, because what the agent runs does not act for the operator.
    #[error("{0}")]
    Forbidden(String),
}

/// Sends one request; `body` makes it a POST, `{}` an empty one.
///
/// # Errors
/// No host runs on the data folder, or it refuses.
#[cfg(unix)]
pub(super) async fn request(data_dir: &Path, path: &str, body: Option<Value>) -> Result<Value, Refusal> {
    use http_body_util::BodyExt as _;
    use nexus_web::http::control_socket::FILE;
    use tokio::net::UnixStream;

    let socket = data_dir.join(FILE);
    let stream = UnixStream::connect(&socket)
        .await
        .map_err(|error| unreachable(data_dir, &socket, &error))?;
    let lost = |error: hyper::Error| match nexus_store::lock::holder(data_dir) {
        // It ended meanwhile.
        None => unreachable(data_dir, &socket, &std::io::ErrorKind::ConnectionRefused.into()),
        Some(holder) => Refusal::Unreachable(format!(
            "the connection to the running Nexus was closed: {error}. To fix: run the command again. Nexus is running as process \
             {}; `nexus logs` shows what it did",
            holder.pid
        )),
    };
    let method = if body.is_some() { "POST" } else { "GET" };
    let bytes = body.map(|body| body.to_string()).unwrap_or_default();
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "nexus")
        .body(Full::new(Bytes::from(bytes)))
        .map_err(|error| Refusal::Refused(error.to_string()))?;
    let limit = if method == "GET" {
        limits::QUERY
    } else {
        limits::COMMAND
    };
    let exchange = async {
        let response = send(stream, request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    };
    let (status, bytes) = tokio::time::timeout(limit, exchange)
        .await
        .map_err(|_| {
            let limit = limit.as_secs();
            Refusal::Unreachable(format!(
                "the running Nexus did not answer within {limit} s. `nexus doctor` shows its process"
            ))
        })?
        .map_err(lost)?;
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status.is_success() {
        return Ok(answer);
    }
    if let Some(what) = answer.get("starting").and_then(Value::as_str) {
        return Err(Refusal::Starting(what.to_owned()));
    }
    let message = answer.get("detail").and_then(Value::as_str);
    let message = message.map_or_else(|| format!("the running Nexus answered {status}"), str::to_owned);
    Err(if status == http::StatusCode::FORBIDDEN {
        Refusal::Forbidden(message)
    } else {
        Refusal::Refused(message)
    })
}

/// Sends one request on a connection of its own, and returns the answer.
///
/// # Errors
/// The other side breaks off, or does not speak HTTP.
pub(super) async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: http::Request<Full<Bytes>>,
) -> hyper::Result<http::Response<hyper::body::Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    sender.send_request(request).await
}

/// `unreachable` says why the socket cannot be opened, as the operator needs it.
#[cfg(unix)]
fn unreachable(data_dir: &Path, socket: &Path, error: &std::io::Error) -> Refusal {
    use std::io::ErrorKind::{ConnectionRefused, InvalidInput, NotFound};
    let data = data_dir.display();
    Refusal::Unreachable(match (error.kind(), nexus_store::lock::holder(data_dir)) {
        (NotFound | ConnectionRefused, None) => format!(
            "Nexus is not running with the data folder {data}. To fix: start it with `nexus up`, or give its data \
             folder with --data-dir DIR"
        ),
        // It takes the lock first, then its address, then the socket.
        (NotFound | ConnectionRefused, Some(holder)) if holder.url.is_none() => format!(
            "Nexus is starting with {data} as process {}: try again in a moment",
            holder.pid
        ),
        (NotFound | ConnectionRefused, Some(holder)) => format!(
            "Nexus is running with {data} as process {pid}, but its control socket {socket} was deleted. The page \
             still works. To fix: kill {pid}, then start Nexus again; that creates the socket again",
            pid = holder.pid,
            socket = socket.display()
        ),
        (InvalidInput, _) => format!(
            "{} is too long for the path of a socket. To fix: use a shorter --data-dir",
            socket.display()
        ),
        _ => format!("{} cannot be opened: {error}", socket.display()),
    })
}

/// # Errors
/// Always, here.
#[cfg(not(unix))]
pub(super) async fn request(_: &Path, _: &str, _: Option<Value>) -> Result<Value, Refusal> {
    Err(Refusal::Unreachable(
        "the control socket is not supported on this system yet; use the status page".to_owned(),
    ))
}
