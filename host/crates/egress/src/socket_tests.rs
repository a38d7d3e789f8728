#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::client::Client;
use crate::outgoing::Outgoing as _;
use crate::types::{Request, Target};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use nexus_config::grants::HttpGrant;
use nexus_test_wait as wait;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

fn user() -> u32 {
    rustix::process::getuid().as_raw()
}

/// A folder whose path has no link in it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().canonicalize().unwrap();
    (folder, real)
}

fn url(path: &Path) -> String {
    format!(
        "http+unix://{}",
        path.to_str().unwrap().replace('/', "%2F").replace(' ', "%20")
    )
}

fn request(granted: &Path, asked: &str) -> Request {
    Request {
        target: Target::Granted(HttpGrant::parse(&url(granted)).unwrap()),
        method: Method::GET,
        url: asked.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(60),
        idle_timeout: None,
    }
}

async fn head(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn refused(request: Request) -> OutgoingError {
    wait::within("the answer", Client::new().fetch(request))
        .await
        .err()
        .unwrap()
}

#[tokio::test]
async fn a_socket_is_asked_by_path_and_query_each_time_anew() {
    let (_folder, real) = folder();
    let path = real.join("a b.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let client = Client::new();
    for (host, expected) in [
        (None, "host: localhost"),
        (Some("only-this.sock"), "host: only-this.sock"),
    ] {
        let mut wanted = request(&path, &format!("{}/status?a=b#c", url(&path)));
        if let Some(host) = host {
            wanted.headers.insert("host", HeaderValue::from_static(host));
        }
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = head(&mut stream).await;
            // It stays open: the next request has a connection of its own all the same.
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
                .await
                .unwrap();
            (head, stream)
        };
        let (response, (head, _stream)) =
            wait::within("the response", async { tokio::join!(client.fetch(wanted), answering) }).await;
        let mut response = response.unwrap();
        assert_eq!(
            (response.status, response.body.chunk().await.unwrap().unwrap().as_ref()),
            (200, &b"hi"[..])
        );
        assert!(head.starts_with("GET /status?a=b HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains(expected), "{head}");
    }
}

#[tokio::test]
async fn what_is_not_the_granted_socket_is_refused_before_anything_is_sent() {
    let (_folder, real) = folder();
    let (path, other) = (real.join("a.sock"), real.join("other.sock"));
    let _listeners = (UnixListener::bind(&path).unwrap(), UnixListener::bind(&other).unwrap());
    let why = |error: OutgoingError| match error {
        OutgoingError::Denied(why) => why,
        other => panic!("{other:?}"),
    };
    assert!(why(refused(request(&path, &url(&other))).await).contains("is not a granted host"));

    let (link, behind) = (real.join("link.sock"), real.join("folder"));
    symlink(&other, &link).unwrap();
    symlink(&real, &behind).unwrap();
    for (asked, to) in [(&link, &other), (&behind.join("a.sock"), &path)] {
        let why = why(refused(request(asked, &url(asked))).await);
        assert!(why.contains(&format!("leads to {}", to.display())), "{why}");
    }

    let control = real.join("control.sock");
    let _listener = UnixListener::bind(&control).unwrap();
    assert_eq!(check(&control, user()).await, Ok(()), "of another program");
    std::fs::write(real.join("nexus.db"), "").unwrap();
    assert!(why(refused(request(&control, &url(&control))).await).contains("acts for its operator"));

    let file = real.join("file");
    std::fs::write(&file, "").unwrap();
    assert!(why(refused(request(&file, &url(&file))).await).contains("is not a socket"));

    // Another user's; whose it is cannot be changed without being root.
    let (stranger, owner) = (user() + 1, std::fs::metadata(&path).unwrap().uid());
    assert_eq!(check(&path, owner).await, Ok(()));
    if owner != 0 {
        let why = why(check(&path, stranger).await.unwrap_err());
        assert!(why.contains(&format!("belongs to the user {owner}")), "{why}");
    } else {
        std::os::unix::fs::chown(&path, Some(stranger), None).unwrap();
        let why = why(check(&path, 0).await.unwrap_err());
        assert!(why.contains(&format!("belongs to the user {stranger}")), "{why}");
    }
}

#[tokio::test]
async fn a_socket_that_is_not_there_or_stalls_is_named() {
    let (_folder, real) = folder();
    let path = real.join("a.sock");
    let absent = refused(request(&path, &url(&path))).await;
    assert!(
        matches!(&absent, OutgoingError::Unavailable(why) if why.contains("there is no socket")),
        "{absent:?}"
    );

    let listener = UnixListener::bind(&path).unwrap();
    let stalls = Request {
        timeout: Duration::from_millis(50),
        ..request(&path, &url(&path))
    };
    let late = refused(stalls).await;
    assert!(
        matches!(&late, OutgoingError::Timeout(why) if why.contains("a.sock sent no response within 50 ms")),
        "{late:?}"
    );

    // The bytes stop in the middle of the body.
    let idle = Request {
        idle_timeout: Some(Duration::from_millis(50)),
        ..request(&path, &url(&path))
    };
    let answering = async {
        // The first connection is that of the request that stalled.
        let _first = listener.accept().await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi")
            .await
            .unwrap();
        stream
    };
    let client = Client::new();
    let (response, _stream) = wait::within("the response", async { tokio::join!(client.fetch(idle), answering) }).await;
    let mut body = response.unwrap().body;
    assert_eq!(body.chunk().await.unwrap().unwrap().as_ref(), b"hi");
    let ended = wait::within("the end", body.chunk()).await.unwrap().unwrap_err();
    assert!(matches!(ended, OutgoingError::Timeout(_)), "{ended:?}");

    drop(listener);
    let gone = refused(request(&path, &url(&path))).await;
    assert!(matches!(&gone, OutgoingError::Unavailable(_)), "{gone:?}");
}
