//! `http`: requests through the host's one client. References in header values are filled in here, so that the plugin
//! never sees what it sends.

use super::send::{bounded_bytes, bounded_count, failed, headers_within, method, send, target};
use crate::bindings::caps::http::{self as wit, Header, Request, Response};
use crate::bindings::caps::types::Error;
use crate::capabilities::capability::Capability;
use crate::capabilities::context::{Capabilities, Context as PluginContext, Granted, enter};
use crate::capabilities::secrets::references::PluginReferences;
use crate::capabilities::stream_producers::{ByteProducer, Chunks};
use ::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use nexus_egress::Request as Outgoing;
use nexus_model::limits;
use nexus_process::References;
use nexus_process::references::{HeaderError, fill_header};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::oneshot;
use wasmtime::component::{Accessor, FutureReader, StreamReader};

type Fetched = (Response, StreamReader<u8>, FutureReader<Result<(), Error>>);

pub(in crate::capabilities) fn capability<T: Send + 'static>() -> Capability<T> {
    Capability::new("http", |linker, caps| wit::add_to_linker::<T, Granted>(linker, caps))
}

impl wit::Host for Capabilities {}

impl<T: Send + 'static> wit::HostWithStore<T> for Granted {
    async fn fetch(a: &Accessor<T, Self>, request: Request) -> wasmtime::Result<Result<Fetched, Error>> {
        let (ctx, place) = match enter(a) {
            Ok(entered) => entered,
            Err(e) => return Ok(Err(e)),
        };
        let request = match prepare(&ctx, request) {
            Ok(request) => request,
            Err(e) => return Ok(Err(e)),
        };
        let response = match send(&ctx, request).await {
            Ok(response) => response,
            Err(e) => return Ok(Err(e)),
        };
        let headers = response.headers.iter().map(|(name, value)| Header {
            name: name.as_str().to_owned(),
            value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
        });
        let head = Response {
            status: response.status,
            headers: headers.collect(),
        };
        let (end, ended) = oneshot::channel();
        let body = FetchedBody {
            body: response.body,
            end: Some(end),
        };
        a.with(|mut s| {
            let stream = StreamReader::new(&mut s, ByteProducer::new(body, place))?;
            let outcome = FutureReader::new(&mut s, async move {
                Ok::<_, wasmtime::Error>(ended.await.unwrap_or(Err(Error::Cancelled(
                    "the plugin was stopped during the request".to_owned(),
                ))))
            })?;
            Ok(Ok((head, stream, outcome)))
        })
    }
}

/// `FetchedBody` is a response's body, and where its end is told.
struct FetchedBody {
    body: nexus_egress::Body,
    /// `end` is dropped without a word where the plugin reads the body no further.
    end: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Chunks for FetchedBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let end = match ready!(self.body.poll_chunk(cx)) {
            Some(Ok(chunk)) => return Poll::Ready(Some(chunk)),
            Some(Err(e)) => Err(failed(e)),
            None => Ok(()),
        };
        if let Some(told) = self.end.take() {
            // Nobody may be waiting for it; that is the plugin's choice.
            let _ = told.send(end);
        }
        Poll::Ready(None)
    }
}

/// `prepare` is the plugin's request as the client takes it: checked, granted, references filled in.
fn prepare(ctx: &PluginContext, request: Request) -> Result<Outgoing, Error> {
    let method = method(&request.method)?;
    let target = target(ctx, &request.url)?;
    let refs = PluginReferences {
        gate: Arc::clone(&ctx.gate),
        generated: Arc::clone(&ctx.states.secrets.generated),
    };
    Ok(Outgoing {
        target,
        method,
        url: request.url,
        headers: filled(request.headers, &refs)?,
        body: request.body.into(),
        timeout: headers_within(request.timeout.map(Duration::from_millis)),
        idle_timeout: request.idle_timeout.map(Duration::from_millis),
    })
}

/// `filled` are the headers with what their references stand for.
fn filled(list: Vec<Header>, refs: &dyn References) -> Result<HeaderMap, Error> {
    bounded_count(list.len())?;
    let mut headers = HeaderMap::new();
    let mut bytes: usize = 0;
    for Header { name, value } in list {
        let bad = |cause: String| Error::Invalid(format!("the header `{name}` cannot be sent: {cause}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|e| bad(e.to_string()))?;
        let filled = fill_header(&value, refs, limits::HTTP_HEADER_BYTES).map_err(|e| match e {
            HeaderError::Template(cause) => bad(cause),
            HeaderError::Refused(cause) => Error::Denied(cause),
        })?;
        let secret = filled != value;
        bytes = bytes.saturating_add(name.len() + filled.len());
        bounded_bytes(bytes)?;
        // The value may hold a secret: it is never part of the text of an error.
        let mut value = HeaderValue::from_str(&filled)
            .map_err(|_| bad("its value has characters that are not allowed in a header".into()))?;
        value.set_sensitive(secret);
        headers.append(key, value);
    }
    Ok(headers)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// Each secret nearly fills a request.
    struct Long;

    impl References for Long {
        fn secret(&self, _: &str) -> Result<String, String> {
            Ok("s".repeat(limits::HTTP_HEADER_BYTES - 100))
        }
        fn generated(&self, name: &str) -> Result<String, String> {
            Err(format!("there is no {name}"))
        }
    }

    fn headers(count: usize, value: &str) -> Vec<Header> {
        let header = |n| Header {
            name: format!("x-{n}"),
            value: value.to_owned(),
        };
        (0..count).map(header).collect()
    }

    #[test]
    fn the_headers_of_a_request_have_an_end_with_the_secrets_in_them() {
        let refused = |list| match filled(list, &Long) {
            Err(Error::Invalid(cause) | Error::Denied(cause)) => cause,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            filled(headers(limits::HTTP_HEADER_COUNT, "v"), &Long).unwrap().len(),
            64
        );
        assert!(refused(headers(limits::HTTP_HEADER_COUNT + 1, "v")).contains("at most 64 headers"));
        let long = "v".repeat(limits::HTTP_HEADER_BYTES);
        for list in [
            headers(1, &long),
            headers(2, "{secret:token}"),
            headers(1, "{secret:a}{secret:b}"),
        ] {
            let refused = refused(list);
            assert!(refused.contains("65536 bytes"), "{refused}");
            assert!(!refused.contains("sss"), "a secret is in no error");
        }
    }
}
