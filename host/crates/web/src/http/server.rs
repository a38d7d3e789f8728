//! The listener: accepts, limits, hands each connection to the router, and ends in order.
//!
//! Not `axum::serve`: it has no limit for reading a header, so one slow client per file descriptor would be enough
//! to stop the page.

use super::connection_limits::{ConnectionActivity, FromClient, Slots, WriteTimeout};
use crate::{Connection, Ingress, WebState, router};
use axum::body::Body;
use axum::response::Response;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use nexus_model::limits::{CONNECTIONS, HTTP_HEAD_BYTES, HTTP_HEAD_FIELDS, HTTP_READ};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// `DRAIN` is the time for requests that run when the listener shuts down.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);
/// `ACCEPT_PAUSE` is the pause after a failed accept (no file descriptor left), before the next.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// `ACCEPT_SAID` is the time between two lines about failed ones.
const ACCEPT_SAID: Duration = Duration::from_secs(60);

/// Serves until `shutdown` is cancelled; then refuses new connections, closes live sockets and lets running requests
/// end for a few seconds.
pub async fn serve(listener: TcpListener, ingress: Ingress, state: WebState, shutdown: CancellationToken) {
    serve_app(listener, ingress, router(state), shutdown).await;
}

/// Does the same, for an `app` that is more than the page.
pub async fn serve_app(listener: TcpListener, ingress: Ingress, app: axum::Router, shutdown: CancellationToken) {
    let ingress = Arc::new(ingress);
    let port = listener.local_addr().map(|address| address.port()).ok();
    let each = |stream: WriteTimeout<TcpStream>, peer| {
        let connection = Connection::accepted(Arc::clone(&ingress), peer, shutdown.child_token()).at_port(port);
        one(stream, connection, app.clone())
    };
    accept(listener, CONNECTIONS, &shutdown, each).await;
}

/// Hands at most `connections` at a time to `each` ([`super::connection_limits`]), until `shutdown` is cancelled; then waits a few
/// seconds for those that run.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    connections: usize,
    shutdown: &CancellationToken,
    each: impl Fn(WriteTimeout<TcpStream>, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Slots::new(connections);
    let tasks = TaskTracker::new();
    let (mut failed, mut said) = (0_u64, None);
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let pulse = ConnectionActivity::new();
                    let Some(slot) = slots.enter(peer, &pulse).await else {
                        continue;
                    };
                    // Streamed answers are small frames; waiting to fill a packet only adds delay.
                    let _ = stream.set_nodelay(true);
                    let served = each(WriteTimeout::new(stream, pulse), peer);
                    tasks.spawn(async move {
                        tokio::select! {
                            () = served => {}
                            () = slot.close.cancelled() => {}
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    failed += 1;
                    // A stranger must not be able to fill the log.
                    if said.is_none_or(|at: Instant| at.elapsed() >= ACCEPT_SAID) {
                        tracing::warn!(%error, failed, "cannot accept connections");
                        said = Some(Instant::now());
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown.cancelled() => {}
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::debug!("aborted requests that did not finish");
    }
}

/// Serves one connection of the page, to its end.
pub(crate) async fn one(
    stream: WriteTimeout<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    connection: Connection,
    app: axum::Router,
) {
    let (closing, pulse) = (connection.closing.clone(), stream.pulse());
    let stream = connection.counting(stream);
    let handler = move |request: hyper::Request<Incoming>| {
        let mut request = request.map(|body| Body::new(FromClient::new(body, Arc::clone(&pulse))));
        request.extensions_mut().insert(connection.clone());
        let (working, response) = (pulse.work(), app.clone().oneshot(request));
        async move {
            let Ok(response) = response.await;
            drop(working);
            response
        }
    };
    converse(stream, handler, HTTP_HEAD_BYTES, closing).await;
}

/// `Stream` is what a connection is read from and written to.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Serves HTTP over one connection with `handler` until the connection ends; when `closing` is cancelled, until the request
/// that runs has ended. `header_bytes` bounds the head of a request.
///
/// The stream and the handler are boxed, so that hyper's connection is compiled once and not for each kind of listener.
pub(crate) async fn converse<F>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    handler: impl Fn(hyper::Request<Incoming>) -> F + Send + 'static,
    header_bytes: usize,
    closing: CancellationToken,
) where
    F: Future<Output = Response> + Send + 'static,
{
    let handler: Handler = Box::new(move |request| handler(request).map(Ok::<_, Infallible>).boxed());
    converse_boxed(Box::new(stream), handler, header_bytes, closing).await;
}

type Handler = Box<dyn Fn(hyper::Request<Incoming>) -> BoxFuture<'static, Result<Response, Infallible>> + Send>;

async fn converse_boxed(stream: Box<dyn Stream>, handler: Handler, header_bytes: usize, closing: CancellationToken) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_READ)
        .max_buf_size(header_bytes)
        .max_headers(HTTP_HEAD_FIELDS)
        .serve_connection(TokioIo::new(stream), hyper::service::service_fn(handler))
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = closing.cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
}
