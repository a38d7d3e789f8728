//! `wasi:http` (of WASI 0.2 the interface `outgoing-handler`, of 0.3 `client`): requests by the libraries of other languages,
//! under the same grants, bounds and client as those of `nexus:plugin/http`.
//!
//! Problem: an implementation of `wasi:http` brings a client of its own, and with it a way out beside the gate. Mechanism:
//! wasmtime's is taken without its sender, so that all that is sent passes [`WasiHttpHooks::send_request`] here. An answer of
//! WASI has no room for a sentence: the plugin gets the code (`HTTP-request-denied`), and what its operator has to know is
//! written to the log, at the rate of the plugin's own lines.
//!
//! Limits: a request goes out when its body is whole, for the client states its length. References to secrets in header values
//! are left as they are: libraries write braces of their own. There are no trailers.

use super::send::{bounded_bytes, bounded_count, headers_within, method, send, target};
use crate::bindings::caps::log::Level;
use crate::bindings::caps::types::Error;
use crate::capabilities::context::{Capabilities, Context};
use crate::capabilities::gate::LimitReached;
use ::http::header::{CONTENT_LENGTH, TE, TRAILER};
use ::http::request::Parts;
use ::http::{HeaderMap, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use nexus_egress::{OutgoingError, Request as Outgoing};
use nexus_model::limits;
use nexus_model::trouble::sentence;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as WasiError, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx,
    WasiHttpCtxView, WasiHttpHooks,
};

type Sent = (Response<WasiBody>, Worker);
/// `Worker` would go on with a response after its headers: there is nothing left to do.
type Worker = Box<dyn Future<Output = Result<(), WasiError>> + Send>;

/// `WasiRequests` is `wasi:http` of one instance.
pub(crate) struct WasiRequests {
    requests: Requests,
    ctx: WasiHttpCtx,
}

impl WasiRequests {
    /// `bodies` bounds the bytes of all requests together that are being sent.
    pub(crate) fn new(caps: &Capabilities, bodies: usize) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(limits::HTTP_FIELDS_BYTES);
        Self {
            requests: Requests {
                caps: caps.clone(),
                bodies: Arc::new(Semaphore::new(bodies)),
                bodies_most: bodies,
            },
            ctx,
        }
    }

    pub(crate) fn view<'a>(&'a mut self, table: &'a mut ResourceTable) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView {
            hooks: &mut self.requests,
            table,
            ctx: &mut self.ctx,
        }
    }
}

#[derive(Clone)]
struct Requests {
    caps: Capabilities,
    bodies: Arc<Semaphore>,
    bodies_most: usize,
}

impl WasiHttpHooks for Requests {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| DEFAULT_FORBIDDEN_HEADERS.contains(name) || [TE, TRAILER].contains(name))
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        limits::HTTP_WRITTEN_CHUNK
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        limits::HTTP_WRITTEN_CHUNK
    }

    fn send_request(
        &mut self,
        request: ::http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Worker,
    ) -> Box<dyn Future<Output = Result<Sent, WasiError>> + Send> {
        // Decided here, in the plugin's own turn and on its share of CPU; what is denied reads no body.
        let (head, body) = request.into_parts();
        let admitted = self.admitted(head, options.unwrap_or_default());
        let this = self.clone();
        Box::new(async move { this.sent(admitted?, body).await })
    }
}

impl Requests {
    /// `admitted` is a request without its body, which may go out, and its place among the plugin's streams.
    fn admitted(&self, head: Parts, options: RequestOptions) -> Result<(Outgoing, OwnedSemaphorePermit), WasiError> {
        let ctx = &self.caps.ctx;
        let refused = |invalid: WasiError| |e: Error| told(ctx, e, invalid);
        let place = self.caps.admit().map_err(refused(WasiError::InternalError(None)))?;
        let method = method(head.method.as_str()).map_err(refused(WasiError::HttpRequestMethodInvalid))?;
        let url = head.uri.to_string();
        let target = target(ctx, &url).map_err(|e| {
            // The log shows no address that may hold what nobody should read.
            let e = match e {
                Error::Invalid(_) => Error::Invalid(format!(
                    "The plugin {} sent a request to an address that is not valid: it has a host, and no user name.",
                    ctx.gate.plugin()
                )),
                e => e,
            };
            told(ctx, e, WasiError::HttpRequestUriInvalid)
        })?;
        let headers = prepared(ctx, head.headers).map_err(refused(WasiError::HttpRequestHeaderSectionSize(None)))?;
        let request = Outgoing {
            target,
            method,
            url,
            headers,
            body: Bytes::new(),
            timeout: headers_within(options.first_byte_timeout),
            idle_timeout: options.between_bytes_timeout,
        };
        Ok((request, place))
    }

    async fn sent(
        &self,
        (request, place): (Outgoing, OwnedSemaphorePermit),
        body: WasiBody,
    ) -> Result<Sent, WasiError> {
        let ctx = &self.caps.ctx;
        let (body, _room) = self.whole(body).await?;
        let response = send(ctx, Outgoing { body, ..request })
            .await
            .map_err(|e| told(ctx, e, WasiError::HttpProtocolError))?;
        let body = ResponseBody {
            chunks: response.body,
            ctx: Arc::clone(ctx),
            _place: place,
        };
        let mut answer = Response::new(body.boxed_unsync());
        *answer.status_mut() = StatusCode::from_u16(response.status).map_err(|_| WasiError::HttpProtocolError)?;
        *answer.headers_mut() = response.headers;
        Ok((answer, Box::new(async { Ok(()) })))
    }

    /// `whole` is the body once all of it is here, and its room among those that are being sent.
    async fn whole(&self, mut body: WasiBody) -> Result<(Bytes, Option<OwnedSemaphorePermit>), WasiError> {
        let (mut all, mut room) = (BytesMut::new(), None::<OwnedSemaphorePermit>);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                return Err(WasiError::HttpRequestTrailerSectionSize(Some(0)));
            };
            let more = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let Ok(more) = Arc::clone(&self.bodies).try_acquire_many_owned(more) else {
                let refused = self.too_large().into();
                return Err(told(&self.caps.ctx, refused, WasiError::HttpRequestBodySize(None)));
            };
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            all.extend_from_slice(&data);
        }
        Ok((all.freeze(), room))
    }

    fn too_large(&self) -> LimitReached {
        let (gate, most) = (&self.caps.ctx.gate, self.bodies_most);
        let fix = (most < limits::PLUGIN_HANDED_OVER).then(|| gate.more_memory());
        let cause = format!(
            "The plugin {} sends bodies of more than {most} bytes at once, its limit.",
            gate.plugin()
        );
        gate.used_up(sentence(&cause, fix.as_deref()))
    }
}

/// `prepared` are the headers as the client takes them, which states the length of the body itself. What holds a secret of
/// the plugin is marked, so that no library shows it.
fn prepared(ctx: &Context, mut headers: HeaderMap) -> Result<HeaderMap, Error> {
    headers.remove(CONTENT_LENGTH);
    bounded_count(headers.len())?;
    bounded_bytes(
        headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum(),
    )?;
    for value in headers.values_mut() {
        let secret = value.to_str().is_ok_and(|text| ctx.mask.hide(text) != text);
        value.set_sensitive(secret);
    }
    Ok(headers)
}

/// `told` logs why there is no response, and is the code for it; `invalid` is the one for a request that is wrong.
fn told(ctx: &Context, error: Error, invalid: WasiError) -> WasiError {
    let (level, text, code) = match error {
        Error::Denied(text) => (Level::Warn, text, WasiError::HttpRequestDenied),
        Error::Limited(text) => {
            let code = match invalid {
                WasiError::HttpRequestBodySize(_) => invalid,
                _ => WasiError::ConnectionLimitReached,
            };
            (Level::Warn, text, code)
        }
        Error::Invalid(text) => (Level::Warn, text, invalid),
        Error::Timeout(text) => (Level::Debug, text, WasiError::HttpResponseTimeout),
        Error::Cancelled(text) | Error::NotFound(text) | Error::Unavailable(text) | Error::Other(text) => {
            (Level::Debug, text, WasiError::DestinationUnavailable)
        }
    };
    ctx.log.write(level, &text);
    code
}

/// `ResponseBody` holds its place among the plugin's streams until it is dropped, and its connection with it.
struct ResponseBody {
    chunks: nexus_egress::Body,
    ctx: Arc<Context>,
    _place: OwnedSemaphorePermit,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = WasiError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WasiError>>> {
        self.chunks.poll_chunk(cx).map(|chunk| match chunk? {
            Ok(chunk) => Some(Ok(Frame::data(chunk))),
            Err(error) => {
                let code = match error {
                    OutgoingError::Timeout(_) => WasiError::ConnectionReadTimeout,
                    _ => WasiError::ConnectionTerminated,
                };
                self.ctx.log.write(Level::Debug, &error.to_string());
                Some(Err(code))
            }
        })
    }
}
