//! The public side: a browser's request becomes one of HTTP/2 to cloudflared, and its answer the browser's again.

use super::{Shared, Tls, lock, nothing_at_all};
use crate::cloudflared::public::HEADERS;
use base64::Engine as _;
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

type Body = UnsyncBoxBody<Bytes, h2::Error>;
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
    let Ok(mut requests) = connected.requests.ready().await else {
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
        let held = faults.hold_event_streams && parts.method == Method::GET;
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
    let decode = |text: &str| base64::engine::general_purpose::STANDARD_NO_PAD.decode(text).ok();
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
            Some((data.map(Frame::data), from))
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
