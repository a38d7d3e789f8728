//! The check of a tunnel with real requests.

use crate::origin_secret::OriginSecret;
use crate::public_checker::PublicChecker;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_config::resolved;
use nexus_egress::public_check::{self, Challenge, CheckTarget, PublicCheck};
use nexus_model::limits;
use nexus_model::tunnel::{Network, PublicCheckFailure};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// `HttpChecker` checks with requests of its own, by the public address.
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
    fn check_http<'a>(
        &'a self,
        how: &'a resolved::PublicCheckMode,
        url: &'a str,
        secret: &'a OriginSecret,
    ) -> BoxFuture<'a, Result<Duration, PublicCheckFailure>> {
        async move { self.0.check_http(target(how, url), &|| challenge(secret)).await }.boxed()
    }
    fn check_local<'a>(&'a self, listener: SocketAddr, url: &'a str, secret: &'a OriginSecret) -> BoxFuture<'a, bool> {
        async move {
            let challenges = || challenge(secret);
            let answers = public_check::own(listener, url, &challenges);
            timeout(limits::PUBLIC_CHECK / 2, answers).await.unwrap_or(false)
        }
        .boxed()
    }
    fn check_streaming<'a>(
        &'a self,
        how: &'a resolved::PublicCheckMode,
        url: &'a str,
        secret: &'a OriginSecret,
    ) -> BoxFuture<'a, Result<(), PublicCheckFailure>> {
        async move {
            let (target, challenges) = (target(how, url), || challenge(secret));
            self.0.check_http(target, &challenges).await?;
            // The plain one came through: these say nothing more of the network.
            let answered = |cause| PublicCheckFailure {
                cause,
                network: Network::Answered,
            };
            self.0.streamed(target, &challenges).await.map_err(answered)?;
            self.0.socket(target, &challenges).await.map_err(answered)
        }
        .boxed()
    }
}
