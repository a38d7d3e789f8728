//! What is asked of the client, and what it answers.

use crate::error::OutgoingError;
use nexus_config::resolved::HttpGrant;
use std::time::Duration;

/// `Target` says where a request may go. The gate decided which; the client keeps to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A loopback port that the host reserved for the plugin's own process.
    OwnProcess(u16),
    /// A host of this grant; resolved addresses are checked against it.
    Granted(HttpGrant),
}

/// `Request` is one request of a plugin.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where it may go.
    pub target: Target,
    /// GET, POST, …
    pub method: http::Method,
    /// For `OwnProcess` the path and query alone count.
    pub url: String,
    /// Without those that the client sets itself: it refuses them.
    pub headers: http::HeaderMap,
    /// All of it.
    pub body: bytes::Bytes,
    /// Until the response's headers are here.
    pub timeout: Duration,
    /// Between two chunks of the body; `None` waits for ever.
    pub idle_timeout: Option<Duration>,
}

/// `Response` is a response whose body may still be on its way.
#[derive(Debug)]
pub struct Response {
    /// 200, 404, …
    pub status: u16,
    /// As they came.
    pub headers: http::HeaderMap,
    /// Chunks as they arrive; an `Err` is the last item: the body is not complete.
    /// Dropping it closes the connection.
    pub body: tokio::sync::mpsc::Receiver<Result<bytes::Bytes, OutgoingError>>,
}
