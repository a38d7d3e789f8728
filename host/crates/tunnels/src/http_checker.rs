//! The check of a tunnel with real requests.

use crate::origin_secret::OriginSecret;
use crate::public_checker::PublicChecker;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_config::resolved;
use nexus_egress::public_check::{self, Challenge, CheckTarget, PublicCheck};
use nexus_model::limits;
use nexus_model::tunnel::{Network, Unreached};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// Checks with requests of its own, by the public address.
#[derive(Default)]
pub struct HttpChecker(PublicCheck);

fn target<'a>(how: &resolved::PublicCheckMode, url: &'a str) -> CheckTarget<'a> {
    let at = match how {
        resolved::PublicCheckMode::At(at) => Some(*at),
        resolved::PublicCheckMode::On | resolved::PublicCheckMode::Off => None,
    };
    CheckTarget { url, at }
}

fn challenge(secret: &OriginSecret) -> Result<Challenge, String> {
    let nonce = secret.nonce().map_err(|error| error.to_string())?;
    let answer = secret.answer(&nonce).unwrap_or_default();
    Ok(Challenge { nonce, answer })
}

impl PublicChecker for HttpChecker {
    fn plain<'a>(
        &'a self,
        how: &'a resolved::PublicCheckMode,
        url: &'a str,
        secret: &'a OriginSecret,
    ) -> BoxFuture<'a, Result<Duration, Unreached>> {
        async move { self.0.plain(target(how, url), &|| challenge(secret)).await }.boxed()
    }
    fn own<'a>(&'a self, listener: SocketAddr, url: &'a str, secret: &'a OriginSecret) -> BoxFuture<'a, bool> {
        async move {
            let challenges = || challenge(secret);
            let answers = public_check::own(listener, url, &challenges);
            timeout(limits::PUBLIC_CHECK / 2, answers).await.unwrap_or(false)
        }
        .boxed()
    }
    fn whole<'a>(
        &'a self,
        how: &'a resolved::PublicCheckMode,
        url: &'a str,
        secret: &'a OriginSecret,
    ) -> BoxFuture<'a, Result<(), Unreached>> {
        async move {
            let (target, challenges) = (target(how, url), || challenge(secret));
            self.0.plain(target, &challenges).await?;
            // The plain one came through: these say nothing more of the network.
            let answered = |why| Unreached {
                why,
                network: Network::Answered,
            };
            self.0.streamed(target, &challenges).await.map_err(answered)?;
            self.0.socket(target, &challenges).await.map_err(answered)
        }
        .boxed()
    }
}
