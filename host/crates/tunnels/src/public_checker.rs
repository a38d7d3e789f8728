//! How this host checks a tunnel from its public side.

use crate::origin_secret::OriginSecret;
use futures::future::BoxFuture;
use nexus_config::resolved;
use nexus_model::tunnel::PublicCheckFailure;
use std::net::SocketAddr;
use std::time::Duration;

/// `PublicChecker` looks at a listener of this host from its tunnel's public side, at `url`.
pub trait PublicChecker: Send + Sync + 'static {
    /// Makes a plain request, and tells how long it took there and back.
    fn check_http<'a>(
        &'a self,
        how: &'a resolved::PublicCheckMode,
        url: &'a str,
        secret: &'a OriginSecret,
    ) -> BoxFuture<'a, Result<Duration, PublicCheckFailure>>;
    /// Does the same without the public side: it tells whether this host's own listener answers.
    fn check_local<'a>(&'a self, listener: SocketAddr, url: &'a str, secret: &'a OriginSecret) -> BoxFuture<'a, bool>;
    /// Makes a plain request, asks for an answer that streams, and opens a WebSocket.
    fn check_streaming<'a>(
        &'a self,
        how: &'a resolved::PublicCheckMode,
        url: &'a str,
        secret: &'a OriginSecret,
    ) -> BoxFuture<'a, Result<(), PublicCheckFailure>>;
}
