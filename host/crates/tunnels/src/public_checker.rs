//! How this host checks a tunnel from its public side.

use crate::origin_secret::OriginSecret;
use futures::future::BoxFuture;
use nexus_config::resolved;
use nexus_model::tunnel::Unreached;
use std::net::SocketAddr;
use std::time::Duration;

/// Looks at a listener of this host from its tunnel's public side, at `url`.
pub trait PublicChecker: Send + Sync + 'static {
    /// A plain request; how long it took there and back.
    fn plain<'a>(
        &'a self,
        how: &'a resolved::PublicCheckMode,
        url: &'a str,
        secret: &'a OriginSecret,
    ) -> BoxFuture<'a, Result<Duration, Unreached>>;
    /// The same without the public side: whether this host's own listener answers.
    fn own<'a>(&'a self, listener: SocketAddr, url: &'a str, secret: &'a OriginSecret) -> BoxFuture<'a, bool>;
    /// A plain request, an answer that streams, and a WebSocket.
    fn whole<'a>(
        &'a self,
        how: &'a resolved::PublicCheckMode,
        url: &'a str,
        secret: &'a OriginSecret,
    ) -> BoxFuture<'a, Result<(), Unreached>>;
}
