//! What holds for each request of a plugin, whichever interface it comes by (`nexus:plugin/http`, `wasi:http`): where it
//! may go, its methods, the bounds of its headers, and the one client that sends it.

use crate::bindings::caps::types::Error;
use crate::capabilities::context::Context;
use ::http::Method;
use nexus_config::grants::{HttpGrant, SOCKET_SCHEME};
use nexus_egress::{OutgoingError, Request, Response, Target};
use nexus_model::limits;
use nexus_process::Key;
use std::time::Duration;
use url::Url;

/// `failed` is an error of the client as the plugin gets it.
pub(super) fn failed(e: OutgoingError) -> Error {
    match e {
        OutgoingError::Denied(t) | OutgoingError::Private(t) => Error::Denied(t),
        OutgoingError::Invalid(t) => Error::Invalid(t),
        OutgoingError::Timeout(t) => Error::Timeout(t),
        OutgoingError::Unavailable(t) => Error::Unavailable(t),
    }
}

/// `send` hands the request to the client, and answers when the response's headers are here.
///
/// # Errors
/// What the client says; where the grant does not cover a private address, with the lines that would.
pub(super) async fn send(ctx: &Context, request: Request) -> Result<Response, Error> {
    let target = request.target.clone();
    match (ctx.states.http.outgoing.fetch(request).await, target) {
        (Err(OutgoingError::Private(cause)), Target::Granted(grant)) => Err(ctx.gate.private(&cause, &grant).into()),
        (response, _) => response.map_err(failed),
    }
}

/// `method` is the method of this name.
///
/// # Errors
/// No request of a plugin has it.
pub(super) fn method(name: &str) -> Result<Method, Error> {
    match name {
        "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS" => {
            Method::from_bytes(name.as_bytes()).map_err(|e| Error::Invalid(format!("`{name}` is not a method: {e}")))
        }
        other => Err(Error::Invalid(format!(
            "`{}` is not a supported method; GET, POST, PUT, PATCH, DELETE, HEAD and OPTIONS are",
            other.chars().take(20).collect::<String>()
        ))),
    }
}

/// `headers_within` is how long the headers of the response may take, where a plugin asks for so long.
pub(super) fn headers_within(asked: Option<Duration>) -> Duration {
    asked.map_or(limits::HTTP_HEADERS, |asked| asked.min(limits::HTTP_HEADERS_MOST))
}

/// Refuses more headers than a request can have.
pub(super) fn bounded_count(headers: usize) -> Result<(), Error> {
    if headers <= limits::HTTP_HEADER_COUNT {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "a request can have at most {} headers, but this one has {headers}",
        limits::HTTP_HEADER_COUNT
    )))
}

/// Refuses headers that are larger together than a request can hold.
pub(super) fn bounded_bytes(bytes: usize) -> Result<(), Error> {
    if bytes <= limits::HTTP_HEADER_BYTES {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the headers of a request hold at most {} bytes together",
        limits::HTTP_HEADER_BYTES
    )))
}

/// `target` is where a request to this URL may go.
///
/// # Errors
/// It is no URL for a request, no grant covers it, or there is no such process.
pub(super) fn target(ctx: &Context, url: &str) -> Result<Target, Error> {
    let invalid = |cause: &str| Error::Invalid(format!("`{url}` is not a valid URL for a request: {cause}"));
    if let Some(rest) = url.strip_prefix("process://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (name, port) = authority
            .split_once(':')
            .ok_or_else(|| invalid("expected process://NAME:PORT-NAME/…"))?;
        let key = Key {
            plugin: ctx.owner.clone(),
            name: name.to_owned(),
        };
        let found = ctx.states.process.processes.port(&key, port);
        return found.map(Target::OwnProcess).ok_or_else(|| {
            Error::Unavailable(format!(
                "the plugin {} has no running process `{name}` with a port `{port}`",
                ctx.name()
            ))
        });
    }
    let parsed = Url::parse(url).map_err(|e| invalid(&e.to_string()))?;
    if parsed.scheme() == SOCKET_SCHEME {
        HttpGrant::of_url(url).map_err(|cause| invalid(&cause))?;
    } else if !matches!(parsed.scheme(), "http" | "https") {
        return Err(invalid("expected http://, https://, http+unix:// or process://"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(invalid("a user name in it would appear in logs; send a header instead"));
    }
    let grant = ctx.gate.http(&parsed)?;
    Ok(Target::Granted(grant.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_plugin_waits_for_headers_for_ever() {
        assert_eq!(headers_within(None), limits::HTTP_HEADERS);
        for (asked, within) in [
            (Duration::ZERO, Duration::ZERO),
            (limits::HTTP_HEADERS * 2, limits::HTTP_HEADERS * 2),
            (Duration::from_millis(u64::MAX), limits::HTTP_HEADERS_MOST),
        ] {
            assert_eq!(headers_within(Some(asked)), within, "{asked:?}");
        }
    }
}
