//! The body of a response, as its reader takes it.
//!
//! It is read from the connection by whoever wants it: a task in between, with a channel, would have each chunk wait for one
//! more wake.

use crate::error::OutgoingError;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use std::fmt;
use std::task::{Context, Poll};

/// `Body` gives the chunks of a body as they arrive; an `Err` is the last item: the body is not complete. Dropping it closes
/// the connection.
pub struct Body(BoxStream<'static, Result<Bytes, OutgoingError>>);

impl Body {
    /// Makes one of what `next` gives, until that is `None`.
    pub fn new<S: Send + 'static, F>(source: S, next: impl FnMut(S) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Option<(Result<Bytes, OutgoingError>, S)>> + Send + 'static,
    {
        Self(stream::unfold(source, next).boxed())
    }

    /// Polls for the next chunk; `None`: the body has ended.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, OutgoingError>>> {
        self.0.poll_next_unpin(cx)
    }

    /// Waits for the next chunk; `None`: the body has ended.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, OutgoingError>> {
        self.0.next().await
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}
