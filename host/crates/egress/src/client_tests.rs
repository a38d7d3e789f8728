#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use http::{HeaderMap, HeaderValue, Method};
use nexus_config::grants::HttpGrant;
use nexus_test_wait as wait;
use std::net::IpAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const LONG: Duration = Duration::from_secs(60);

fn request(target: Target, url: &str) -> Request {
    Request {
        target,
        method: Method::GET,
        url: url.into(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: LONG,
        idle_timeout: None,
    }
}

/// A grant of exactly the origin of `url`, as the client reads it.
fn granted(url: &str, private: bool) -> Target {
    let origin = Url::parse(url).unwrap().origin().ascii_serialization();
    Target::Granted(HttpGrant::parse(&origin).unwrap().with_private(private))
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Answers once with these bytes and closes; gives the request's head.
async fn answering(answer: &'static str) -> (u16, oneshot::Receiver<String>) {
    let (listener, port) = listener().await;
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        drop(stream);
        let _ = sender.send(head);
    });
    (port, receiver)
}

async fn chunk(response: &mut Response) -> Option<Result<Bytes, OutgoingError>> {
    wait::within("the next part of the body", response.body.chunk()).await
}

async fn text(mut response: Response) -> Result<String, OutgoingError> {
    let mut all = Vec::new();
    while let Some(chunk) = chunk(&mut response).await {
        all.extend(chunk?);
    }
    Ok(String::from_utf8(all).unwrap())
}

#[tokio::test]
async fn an_own_process_is_asked_at_its_port_by_path_and_query() {
    let (port, head) = answering("HTTP/1.1 201 Created\r\nx-a: b\r\ncontent-length: 2\r\n\r\nhi").await;
    let mut wanted = request(Target::OwnProcess(port), "process://server:http/a/b?c=d&e#f");
    wanted
        .headers
        .insert("authorization", HeaderValue::from_static("Basic x"));
    let response = Client::new().fetch(wanted).await.unwrap();
    assert_eq!((response.status, response.headers["x-a"].to_str().unwrap()), (201, "b"));
    assert_eq!(text(response).await.unwrap(), "hi");
    let head = wait::within("the request has come", head).await.unwrap();
    assert!(head.starts_with("GET /a/b?c=d&e HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("authorization: Basic x") && head.contains(&format!("host: 127.0.0.1:{port}")),
        "{head}"
    );
}

#[test]
fn the_path_of_an_own_process_is_cut_out() {
    for (url, path) in [
        ("process://a:b", "/"),
        ("process://a:b?c", "/?c"),
        ("process://a:b/c#d", "/c"),
        ("/x/y", "/x/y"),
    ] {
        assert_eq!(path_and_query(url), path);
    }
    // Nothing in the path can change the authority.
    let url = checked_url(&request(Target::OwnProcess(1), "process://a:b@evil.example/c")).unwrap();
    assert_eq!((url.host_str(), url.path()), (Some("127.0.0.1"), "/c"));
    let url = checked_url(&request(Target::OwnProcess(1), "process://a:b//evil.example/c")).unwrap();
    assert_eq!((url.host_str(), url.path()), (Some("127.0.0.1"), "//evil.example/c"));
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (port, _head) =
        answering("HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n").await;
    let url = format!("http://127.0.0.1:{port}/");
    let response = Client::new()
        .fetch(request(granted(&format!("http://127.0.0.1:{port}"), true), &url))
        .await
        .unwrap();
    assert_eq!(
        (response.status, response.headers["location"].to_str().unwrap()),
        (302, "http://192.0.2.1/")
    );
}

#[tokio::test]
async fn addresses_of_this_network_need_their_own_word_in_the_grant() {
    let (listener, port) = listener().await;
    let client = Client::new();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        let pattern = format!("http://{host}:{port}");
        let error = client
            .fetch(request(granted(&pattern, false), &format!("{pattern}/")))
            .await
            .unwrap_err();
        let OutgoingError::Private(text) = error else {
            panic!("{host}: {error:?}")
        };
        assert!(text.contains("private = true"), "{text}");
    }
    drop(listener);
    let (port, _head) = answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let pattern = format!("http://localhost:{port}");
    let response = client.fetch(request(granted(&pattern, true), &pattern)).await.unwrap();
    assert_eq!(response.status, 204);
}

#[tokio::test]
async fn another_host_than_the_granted_is_denied() {
    let error = Client::new()
        .fetch(request(granted("https://example.org", false), "https://example.com/"))
        .await
        .unwrap_err();
    assert!(matches!(error, OutgoingError::Denied(_)), "{error:?}");
}

#[test]
fn a_name_is_used_without_its_addresses_of_this_network() {
    let at = |ip: &str| SocketAddr::new(ip.parse::<IpAddr>().unwrap(), 0);
    let mixed = vec![at("127.0.0.1"), at("1.1.1.1"), at("::1")];
    assert_eq!(covered("a", mixed.clone(), false).unwrap(), [at("1.1.1.1")]);
    assert_eq!(covered("a", mixed.clone(), true).unwrap(), mixed);
    assert!(
        covered("a", vec![at("169.254.169.254")], false)
            .unwrap_err()
            .to_string()
            .contains("a (169.254.169.254)")
    );
}

#[tokio::test]
async fn headers_that_frame_or_address_a_request_are_refused() {
    for name in HOST_HEADERS {
        let mut wanted = request(Target::OwnProcess(1), "/");
        wanted.headers.insert(name, HeaderValue::from_static("x"));
        let error = Client::new().fetch(wanted).await.unwrap_err();
        assert!(matches!(error, OutgoingError::Invalid(_)), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let (listener, port) = listener().await;
    drop(listener);
    let error = Client::new()
        .fetch(request(Target::OwnProcess(port), "/"))
        .await
        .unwrap_err();
    let OutgoingError::Unavailable(text) = error else {
        panic!("{error:?}")
    };
    assert!(text.to_lowercase().contains("refused"), "{text}");
}

#[tokio::test]
async fn a_body_streams_and_dropping_it_closes_the_connection() {
    let (listener, port) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            .await
            .unwrap();
        // Ends when the client closes.
        stream.read(&mut [0; 1]).await
    });
    let mut response = Client::new()
        .fetch(request(Target::OwnProcess(port), "/"))
        .await
        .unwrap();
    assert_eq!(chunk(&mut response).await.unwrap().unwrap(), "one");
    drop(response);
    let end = wait::within("the connection is closed", server).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_with_an_error() {
    let (port, _head) = answering("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let mut response = Client::new()
        .fetch(request(Target::OwnProcess(port), "/"))
        .await
        .unwrap();
    assert_eq!(chunk(&mut response).await.unwrap().unwrap(), "half");
    assert!(matches!(
        chunk(&mut response).await,
        Some(Err(OutgoingError::Unavailable(_)))
    ));
    assert!(chunk(&mut response).await.is_none());
}

#[tokio::test]
async fn silence_ends_a_wait_for_the_head_and_a_body() {
    let (listener, port) = listener().await;
    let server = tokio::spawn(async move {
        let (mut silent, _) = listener.accept().await.unwrap();
        head(&mut silent).await;
        let (mut started, _) = listener.accept().await.unwrap();
        head(&mut started).await;
        started
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            .await
            .unwrap();
        let _ = started.read(&mut [0; 1]).await;
        drop(silent);
    });
    let client = Client::new();
    let short = Duration::from_millis(30);
    let error = client
        .fetch(Request {
            timeout: short,
            ..request(Target::OwnProcess(port), "/")
        })
        .await
        .unwrap_err();
    assert!(matches!(error, OutgoingError::Timeout(_)), "{error:?}");
    let wanted = Request {
        idle_timeout: Some(short),
        ..request(Target::OwnProcess(port), "/")
    };
    let mut response = client.fetch(wanted).await.unwrap();
    assert_eq!(chunk(&mut response).await.unwrap().unwrap(), "half");
    assert!(matches!(
        chunk(&mut response).await,
        Some(Err(OutgoingError::Timeout(_)))
    ));
    assert!(chunk(&mut response).await.is_none());
    wait::within("the connection is closed", server).await.unwrap();
}

#[tokio::test]
async fn a_body_that_nobody_takes_stops_its_sender() {
    let (listener, port) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
            .await
            .unwrap();
        let (mut sent, piece) = (0_usize, vec![b'x'; 64 << 10]);
        // Until nothing is taken any more.
        while sent < 256 << 20 {
            match tokio::time::timeout(Duration::from_secs(2), stream.write(&piece)).await {
                Ok(Ok(taken)) => sent += taken,
                _ => break,
            }
        }
        sent
    });
    let response = Client::new()
        .fetch(request(Target::OwnProcess(port), "/"))
        .await
        .unwrap();
    let sent = wait::within("the sender has to wait", server).await.unwrap();
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    drop(response);
}
