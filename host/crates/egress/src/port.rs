//! What the `http` capability sees of the client.

use futures::future::BoxFuture;
use nexus_config::resolved::HttpGrant;
use std::time::Duration;

/// Where a request may go. The gate decided which; the client keeps to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A loopback port that the host reserved for the plugin's own process.
    OwnProcess(u16),
    /// A host of this grant; resolved addresses are checked against it.
    Granted(HttpGrant),
}

#[derive(Debug, Clone)]
pub struct Request {
    pub target: Target,
    pub method: http::Method,
    /// For `OwnProcess` the path and query alone count.
    pub url: String,
    pub headers: http::HeaderMap,
    pub body: bytes::Bytes,
    pub timeout: Duration,
    pub idle_timeout: Option<Duration>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: http::HeaderMap,
    /// Chunks as they arrive; an `Err` is the last item: the body is not complete.
    /// Dropping it closes the connection.
    pub body: tokio::sync::mpsc::Receiver<Result<bytes::Bytes, OutgoingError>>,
}

/// A sentence for the operator each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    #[error("{0}")]
    Denied(String),
    /// A granted host that is an address of this machine or its network, which the grant does not cover.
    #[error("{0}")]
    Private(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Timeout(String),
    #[error("{0}")]
    Unavailable(String),
}

pub trait Outgoing: Send + Sync + 'static {
    fn fetch(&self, request: Request) -> BoxFuture<'_, Result<Response, OutgoingError>>;
}
