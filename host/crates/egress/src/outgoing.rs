//! The network as a plugin's `http` capability sees it.

use crate::error::OutgoingError;
use crate::types::{Request, Response};
use futures::future::BoxFuture;

/// `Outgoing` sends requests: [`crate::Client`], or what a test has in its place.
pub trait Outgoing: Send + Sync + 'static {
    /// `fetch` sends one request and answers when the response's headers are here.
    fn fetch(&self, request: Request) -> BoxFuture<'_, Result<Response, OutgoingError>>;
}
