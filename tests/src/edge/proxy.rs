//! The public side: a browser's request becomes one of HTTP/2 to cloudflared, and its answer the browser's again.

use super::quic;
use super::shared::{Shared, Tls, Towards, lock, nothing_at_all};
use crate::cloudflared::public::HEADERS;
use bytes::Bytes;
use futures::stream;
use h2::{RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

type Body = UnsyncBoxBody<Bytes, std::io::Error>;
const UPGRADED: &str = "cf-cloudflared-proxy-connection-upgrade";
const USER_HEADERS: &str = "cf-cloudflared-response-headers";

pub(super) async fn serve(tls: Tls, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, std::convert::Infallible>(answer(request, &shared).await) }
    });
    // Whoever hangs up knows it.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(tls), service)
        .with_upgrades()
        .await;
}

fn plain(status: u16, text: &'static str) -> Response<Body> {
    let body = Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

async fn answer(mut request: Request<Incoming>, shared: &Shared) -> Response<Body> {
    let faults = lock(&shared.faults).clone();
    if faults.black_hole {
        nothing_at_all().await;
    }
    let Some(connected) = shared.connected.borrow().first().cloned() else {
        return plain(530, "error code: 1033");
    };
    let socket = request
        .headers()
        .get(UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let upgrade = socket.then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let Some(towards) = towards(&parts, socket) else {
        return plain(400, "no host");
    };
    let held = faults.hold_event_streams && parts.method == Method::GET;
    let requests = match connected.requests {
        Towards::Http2(requests) => requests,
        Towards::Quic(connection) => {
            let answer = over_quic(&connection, &parts, towards.headers(), body, upgrade, held).await;
            return answer.unwrap_or_else(|_| plain(502, "the tunnel broke"));
        }
    };
    let Ok(mut requests) = requests.ready().await else {
        return plain(530, "error code: 1033");
    };
    let Ok((response, out)) = requests.send_request(towards, false) else {
        return plain(502, "the tunnel broke");
    };
    if upgrade.is_none() {
        tokio::spawn(upload(body, out));
        let Ok(response) = response.await else {
            return plain(502, "the tunnel broke");
        };
        return back(response, held).await;
    }
    let (Ok(response), Some(upgrade)) = (response.await, upgrade) else {
        return plain(502, "the tunnel broke");
    };
    let (head, from) = response.into_parts();
    let headers = user_headers(&head.headers);
    if !headers.contains_key("sec-websocket-accept") {
        return back(Response::from_parts(head, from), false).await;
    }
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            splice(TokioIo::new(upgraded), from, out).await;
        }
    });
    let mut switched = plain(101, "");
    *switched.headers_mut() = headers;
    switched
}

/// The same over QUIC, on a stream of its own.
async fn over_quic(
    connection: &quinn::Connection,
    parts: &http::request::Parts,
    headers: &HeaderMap,
    mut body: Incoming,
    upgrade: Option<hyper::upgrade::OnUpgrade>,
    held: bool,
) -> std::io::Result<Response<Body>> {
    let (mut out, mut from) = quic::send(connection, parts, headers, upgrade.is_some()).await?;
    let Some(upgrade) = upgrade else {
        tokio::spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data()
                    && out.write_all(&data).await.is_err()
                {
                    return;
                }
            }
            let _ = out.finish();
        });
        return quic_back(from, held).await;
    };
    let head = quic::receive(&mut from).await?;
    let mut switched = plain(head.status.as_u16(), "");
    *switched.headers_mut() = head.headers;
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(switched);
    }
    switched
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("upgrade"));
    switched
        .headers_mut()
        .insert(UPGRADE, HeaderValue::from_static("websocket"));
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
        if write.write_all(&head.body).await.is_err() {
            return;
        }
        tokio::select! {
            _ = tokio::io::copy(&mut read, &mut out) => {}
            _ = tokio::io::copy(&mut from, &mut write) => {}
        }
        let _ = write.shutdown().await;
    });
    Ok(switched)
}

async fn quic_back(mut from: quinn::RecvStream, held: bool) -> std::io::Result<Response<Body>> {
    let head = quic::receive(&mut from).await?;
    let events = head
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let body = if events && held {
        let rest = from.read_to_end(usize::MAX).await.map_err(std::io::Error::other)?;
        let whole = [head.body.as_ref(), &rest].concat();
        Full::new(Bytes::from(whole))
            .map_err(|never| match never {})
            .boxed_unsync()
    } else {
        let first = Some(head.body).filter(|body| !body.is_empty());
        let frames = stream::unfold((first, from), |(first, mut from)| async move {
            if let Some(first) = first {
                return Some((Ok(Frame::data(first)), (None, from)));
            }
            match from.read_chunk(64 * 1024, true).await {
                Ok(Some(chunk)) => Some((Ok(Frame::data(chunk.bytes)), (None, from))),
                Ok(None) => None,
                Err(error) => Some((Err(std::io::Error::other(error)), (None, from))),
            }
        });
        StreamBody::new(frames).boxed_unsync()
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    for hop in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        response.headers_mut().remove(hop);
    }
    Ok(response)
}

/// The request as the edge sends it on.
fn towards(parts: &http::request::Parts, socket: bool) -> Option<Request<()>> {
    let host = parts.headers.get(HOST)?.to_str().ok()?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(parts.method.clone())
        .uri(format!("https://{host}{path}"))
        .body(())
        .ok()?;
    let headers = request.headers_mut();
    for (name, value) in &parts.headers {
        let own = name.as_str().starts_with("cf-") || name.as_str().starts_with("x-forwarded-");
        let hop = [HOST, CONNECTION, UPGRADE, TRANSFER_ENCODING].contains(name) || name == "keep-alive";
        if !own && !hop {
            headers.append(name.clone(), value.clone());
        }
    }
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if socket {
        headers.insert(UPGRADED, HeaderValue::from_static("websocket"));
    }
    Some(request)
}

async fn upload(mut body: Incoming, mut out: SendStream<Bytes>) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data()
            && !send(&mut out, data).await
        {
            return;
        }
    }
    let _ = out.send_data(Bytes::new(), true);
}

/// No faster than the other side takes it. False: it is gone.
async fn send(out: &mut SendStream<Bytes>, mut data: Bytes) -> bool {
    while !data.is_empty() {
        out.reserve_capacity(data.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| out.poll_capacity(cx)).await else {
            return false;
        };
        let now = data.split_to(room.min(data.len()));
        if out.send_data(now, false).is_err() {
            return false;
        }
    }
    true
}

/// The origin's own headers, which cloudflared packs into one: `name:value;…`, each in Base64.
fn user_headers(headers: &HeaderMap) -> HeaderMap {
    let packed = headers
        .get(USER_HEADERS)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let decode = |text: &str| data_encoding::BASE64_NOPAD.decode(text.as_bytes()).ok();
    let mut all = HeaderMap::new();
    for (name, value) in packed.split(';').filter_map(|pair| pair.split_once(':')) {
        let name = decode(name).and_then(|name| HeaderName::from_bytes(&name).ok());
        let value = decode(value).and_then(|value| HeaderValue::from_bytes(&value).ok());
        if let (Some(name), Some(value)) = (name, value) {
            all.append(name, value);
        }
    }
    all
}

async fn next(from: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let data = from.data().await?;
    if let Ok(bytes) = &data {
        let _ = from.flow_control().release_capacity(bytes.len());
    }
    Some(data)
}

async fn back(response: Response<RecvStream>, hold_event_streams: bool) -> Response<Body> {
    let (head, mut from) = response.into_parts();
    let mut headers = user_headers(&head.headers);
    for hop in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(hop);
    }
    let events = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let body = if events && hold_event_streams {
        let mut whole = Vec::new();
        while let Some(Ok(bytes)) = next(&mut from).await {
            whole.extend_from_slice(&bytes);
        }
        Full::new(Bytes::from(whole))
            .map_err(|never| match never {})
            .boxed_unsync()
    } else {
        let frames = stream::unfold(from, |mut from| async move {
            let data = next(&mut from).await?;
            Some((data.map(Frame::data).map_err(std::io::Error::other), from))
        });
        StreamBody::new(frames).boxed_unsync()
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = headers;
    response
}

/// Both ways, until one side ends.
async fn splice(client: TokioIo<hyper::upgrade::Upgraded>, mut from: RecvStream, mut out: SendStream<Bytes>) {
    let (mut read, mut write) = tokio::io::split(client);
    let up = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = read.read(&mut buffer).await {
            if !send(&mut out, Bytes::copy_from_slice(&buffer[..count])).await {
                break;
            }
        }
    };
    let down = async {
        while let Some(Ok(bytes)) = next(&mut from).await {
            if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
    let _ = write.shutdown().await;
}
