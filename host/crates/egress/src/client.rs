//! The one HTTP client of all plugins.
//!
//! A pool for each kind of target, because a pooled connection must never be lent to a request with fewer rights: own processes
//! (plain HTTP on loopback), granted hosts, granted hosts that may be private addresses, and each granted socket. Names are resolved by
//! [`Resolver`], whose answer is what gets connected to: there is no second look-up for a rebinding name to answer
//! differently. Each pool is made at its first request; reading the machine's certificates takes longer than the start
//! of the host may.

use crate::body::Body;
use crate::error::OutgoingError;
use crate::failure_cause::chain;
use crate::outgoing::Outgoing;
use crate::socket;
use crate::tls::{install_provider, no_tls};
use crate::types::{Request, Response, Target};
use bytes::Bytes;
use futures::future::BoxFuture;
use nexus_model::address::{is_global, literal};
use nexus_model::limits;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// `HOST_HEADERS` are set by the client itself; a plugin that could set them would speak for another host or cut the
/// framing.
const HOST_HEADERS: [&str; 10] = [
    "host",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// `Client` is the client of all plugins.
#[derive(Debug, Default)]
pub struct Client {
    own: OnceLock<reqwest::Client>,
    global: OnceLock<reqwest::Client>,
    private: OnceLock<reqwest::Client>,
    /// `sockets` are as many as there are grants for one.
    sockets: Mutex<BTreeMap<PathBuf, reqwest::Client>>,
}

impl Client {
    /// `new` makes no pool yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn pool(&self, target: &Target) -> Result<reqwest::Client, OutgoingError> {
        if let Target::Granted(grant) = target
            && let Some(path) = grant.socket()
        {
            return self.socket(path);
        }
        let slot = match target {
            Target::OwnProcess(_) => &self.own,
            Target::Granted(grant) if grant.private => &self.private,
            Target::Granted(_) => &self.global,
        };
        if let Some(client) = slot.get() {
            return Ok(client.clone());
        }
        let base = base();
        let builder = match target {
            // Never used for TLS: an empty trust store spares reading the machine's.
            Target::OwnProcess(_) => base.http1_only().tls_backend_preconfigured(no_tls()?),
            Target::Granted(grant) => {
                install_provider();
                base.dns_resolver(Arc::new(Resolver { private: grant.private }))
            }
        };
        let client = builder.build().map_err(not_started)?;
        Ok(slot.get_or_init(|| client).clone())
    }

    fn socket(&self, path: &Path) -> Result<reqwest::Client, OutgoingError> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = sockets.get(path) {
            return Ok(client.clone());
        }
        // Each request has a connection of its own: one that is kept was made to the socket of before.
        let builder = base()
            .http1_only()
            .tls_backend_preconfigured(no_tls()?)
            .pool_max_idle_per_host(0);
        let client = builder.unix_socket(path).build().map_err(not_started)?;
        sockets.insert(path.to_owned(), client.clone());
        Ok(client)
    }
}

/// `base` is what all pools have in common.
fn base() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(limits::HTTP_CONNECT)
}

fn not_started(error: reqwest::Error) -> OutgoingError {
    OutgoingError::Unavailable(format!("cannot start the HTTP client: {}", chain(&error)))
}

impl Outgoing for Client {
    fn fetch(&self, request: Request) -> BoxFuture<'_, Result<Response, OutgoingError>> {
        Box::pin(async move {
            let url = checked_url(&request)?;
            let socket = request.target.socket().map(Path::to_owned);
            // A socket leads to one program, whatever the name; some take but one.
            let free = |name: &str| name == "host" && socket.is_some();
            let headers = &request.headers;
            if let Some(name) = HOST_HEADERS
                .iter()
                .find(|name| !free(name) && headers.contains_key(**name))
            {
                return Err(OutgoingError::Invalid(format!(
                    "the header `{name}` is set by the host; leave it out of the request"
                )));
            }
            let shown = match &socket {
                Some(path) => format!("the socket {}", path.display()),
                None => shown(&url),
            };
            let asked = self
                .pool(&request.target)?
                .request(request.method, url)
                .headers(request.headers)
                .body(request.body);
            let sending = async {
                if let Some(path) = &socket {
                    socket::check(path, rustix::process::getuid().as_raw()).await?;
                }
                asked.send().await.map_err(|e| classify(&shown, &e))
            };
            let response = tokio::time::timeout(request.timeout, sending).await.map_err(|_| {
                OutgoingError::Timeout(format!(
                    "{shown} sent no response within {} ms",
                    request.timeout.as_millis()
                ))
            })??;
            let status = response.status().as_u16();
            let headers = response.headers().clone();
            let idle = request.idle_timeout;
            let reading = (response, shown);
            let body = Body::new(Some(reading), move |reading| next_chunk(reading, idle));
            Ok(Response { status, headers, body })
        })
    }
}

/// `checked_url` is the URL to ask, where the target allows it.
fn checked_url(request: &Request) -> Result<Url, OutgoingError> {
    match &request.target {
        Target::OwnProcess(port) => {
            let url = format!("http://127.0.0.1:{port}{}", path_and_query(&request.url));
            Url::parse(&url).map_err(|e| OutgoingError::Invalid(format!("`{}` is not a URL: {e}", request.url)))
        }
        Target::Granted(grant) => {
            let url = Url::parse(&request.url)
                .map_err(|e| OutgoingError::Invalid(format!("`{}` is not a URL: {e}", request.url)))?;
            if !grant.admits(&url) {
                return Err(OutgoingError::Denied(format!("{} is not a granted host", shown(&url))));
            }
            if grant.socket().is_some() {
                let url = format!("http://localhost{}", path_and_query(&request.url));
                return Url::parse(&url)
                    .map_err(|e| OutgoingError::Invalid(format!("`{}` is not a URL: {e}", request.url)));
            }
            match url.host_str().and_then(literal) {
                Some(address) if !grant.private && !is_global(address) => Err(not_global(&address.to_string())),
                _ => Ok(url),
            }
        }
    }
}

/// `path_and_query` of `process://name:port/a?b#c` is `/a?b`.
fn path_and_query(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    match rest.find(['/', '?']).and_then(|at| rest.get(at..)) {
        Some(query) if query.starts_with('?') => format!("/{query}"),
        Some(path) => path.to_owned(),
        None => "/".to_owned(),
    }
}

/// `shown` leaves out path and query: they may hold what nobody should read in a log.
fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn not_global(what: &str) -> OutgoingError {
    OutgoingError::Private(format!(
        "{what} is an address of this machine or its private network, but the grant does not have `private = true`"
    ))
}

/// `Reading` is a response that is read, and the name of where it comes from; `None`: it is over.
type Reading = Option<(reqwest::Response, String)>;

/// Reads on, until the body ends, fails, or stays silent too long.
async fn next_chunk(reading: Reading, idle: Option<Duration>) -> Option<(Result<Bytes, OutgoingError>, Reading)> {
    let (mut response, shown) = reading?;
    let next = match idle {
        Some(limit) => tokio::time::timeout(limit, response.chunk()).await.map_err(|_| limit),
        None => Ok(response.chunk().await),
    };
    let failed = match next {
        Ok(Ok(Some(chunk))) => {
            nexus_model::event_trace::Hop::Received.reached();
            return Some((Ok(chunk), Some((response, shown))));
        }
        Ok(Ok(None)) => return None,
        Ok(Err(error)) => {
            OutgoingError::Unavailable(format!("the response of {shown} was interrupted: {}", chain(&error)))
        }
        Err(limit) => OutgoingError::Timeout(format!("{shown} sent nothing for {} ms", limit.as_millis())),
    };
    // The connection goes first: a reader that sees the error may count on it.
    drop(response);
    Some((Err(failed), None))
}

/// `Resolver` resolves a name once, and refuses it where no address is left that the grant covers.
#[derive(Debug)]
struct Resolver {
    private: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(OutgoingError);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(covered(name.as_str(), found, private)?.into_iter()) as Addrs)
        })
    }
}

fn covered(name: &str, found: Vec<SocketAddr>, private: bool) -> Result<Vec<SocketAddr>, Refused> {
    let refused = found.iter().map(|a| a.ip()).find(|ip| !private && !is_global(*ip));
    let left: Vec<_> = found.into_iter().filter(|a| private || is_global(a.ip())).collect();
    match refused {
        Some(ip) if left.is_empty() => Err(Refused(not_global(&format!("{name} ({ip})")))),
        _ => Ok(left),
    }
}

fn classify(shown: &str, error: &reqwest::Error) -> OutgoingError {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(Refused(denied)) = inner.downcast_ref() {
            return denied.clone();
        }
        cause = inner.source();
    }
    if error.is_builder() {
        return OutgoingError::Invalid(format!("not a valid request to {shown}: {}", chain(error)));
    }
    if error.is_timeout() {
        return OutgoingError::Timeout(format!("no connection to {shown} in time: {}", chain(error)));
    }
    OutgoingError::Unavailable(format!("no response from {shown}: {}", chain(error)))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
