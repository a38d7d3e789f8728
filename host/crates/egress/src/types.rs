//! What is asked of the client, and what it answers.

use crate::body::Body;
use nexus_config::grants::HttpGrant;
use std::path::Path;
use std::time::Duration;

/// `Target` says where a request may go. The gate decided which; the client keeps to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `OwnProcess` is a loopback port that the host reserved for the plugin's own process.
    OwnProcess(u16),
    /// `Granted` is a host of this grant; resolved addresses are checked against it.
    Granted(HttpGrant),
}

impl Target {
    /// `socket` is the path of the unix socket that is meant, where it is one.
    pub fn socket(&self) -> Option<&Path> {
        match self {
            Self::OwnProcess(_) => None,
            Self::Granted(grant) => grant.socket(),
        }
    }
}

/// `Request` is one request of a plugin.
#[derive(Debug, Clone)]
pub struct Request {
    /// `target` says where the request may go.
    pub target: Target,
    /// `method` is GET, POST, …
    pub method: http::Method,
    /// `url` is absolute; for `OwnProcess` its path and query alone are used.
    pub url: String,
    /// `headers` are without those that the client sets itself: it refuses them.
    pub headers: http::HeaderMap,
    /// `body` is all of it.
    pub body: bytes::Bytes,
    /// `timeout` lasts until the response's headers are here.
    pub timeout: Duration,
    /// `idle_timeout` is the time between two chunks of the response's body; `None` waits for ever.
    pub idle_timeout: Option<Duration>,
}

/// `Response` is a response whose body may still be on its way.
#[derive(Debug)]
pub struct Response {
    /// `status` is 200, 404, …
    pub status: u16,
    /// `headers` are as they came.
    pub headers: http::HeaderMap,
    /// `body` gives the chunks as they arrive; an `Err` is the last item: the body is not complete. Dropping it closes
    /// the connection.
    pub body: Body,
}
