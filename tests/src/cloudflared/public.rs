//! The public side: what Cloudflare's edge does with a request, less the network between.

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// The address that the edge says its client has.
pub const CLIENT: &str = "203.0.113.7";
/// What the edge adds to each request; a client's own of these names are gone.
pub(crate) const HEADERS: [(&str, &str); 6] = [
    ("cf-connecting-ip", CLIENT),
    ("x-forwarded-for", CLIENT),
    ("x-forwarded-proto", "https"),
    ("cf-ray", "8a1b2c3d4e5f6071-FRA"),
    ("cf-visitor", "{\"scheme\":\"https\"}"),
    ("cdn-loop", "cloudflare; loops=1"),
];
const HEAD: usize = 64 * 1024;

/// What becomes of a request now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `HOST:PORT` of the origin; none where no connection is up.
    pub origin: Option<String>,
}

#[derive(Debug, Default)]
pub struct Counts {
    pub requests: AtomicU64,
    pub errors: AtomicU64,
    pub running: AtomicUsize,
}

/// A certificate that nobody vouches for but whoever is told to trust what `certificate` then holds.
fn acceptor(certificate: &Path) -> TlsAcceptor {
    let names = ["trycloudflare.com", "*.trycloudflare.com"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(certificate, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Serves on `listener` until the task is dropped; each connection carries one request, or one socket.
pub async fn serve(listener: TcpListener, certificate: PathBuf, route: watch::Receiver<Route>, counts: Arc<Counts>) {
    let acceptor = acceptor(&certificate);
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, route, counts) = (acceptor.clone(), route.borrow().clone(), Arc::clone(&counts));
        tokio::spawn(async move {
            counts.running.fetch_add(1, Ordering::SeqCst);
            if let Ok(stream) = acceptor.accept(stream).await {
                // Whoever hangs up knows it.
                let _ = request(stream, &route, &counts).await;
            }
            counts.running.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn request(
    mut client: tokio_rustls::server::TlsStream<TcpStream>,
    route: &Route,
    counts: &Counts,
) -> io::Result<()> {
    let mut head = Vec::new();
    let end = loop {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if head.len() > HEAD {
            return Err(io::Error::other("no end of the head"));
        }
    };
    let Some(origin) = &route.origin else {
        return answer(&mut client, 530, "error code: 1033").await;
    };
    counts.requests.fetch_add(1, Ordering::SeqCst);
    let Ok(mut origin) = TcpStream::connect(origin).await else {
        counts.errors.fetch_add(1, Ordering::SeqCst);
        return answer(&mut client, 502, "Bad gateway").await;
    };
    origin.write_all(&rewritten(&head[..end])).await?;
    origin.write_all(&head[end + 4..]).await?;
    copy_bidirectional(&mut client, &mut origin).await?;
    Ok(())
}

/// The head with the edge's headers; what the client sent of their names is gone.
fn rewritten(head: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(head);
    let name = |line: &str| line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
    let upgrade = text.lines().any(|line| name(line) == "upgrade");
    let mut out = String::new();
    for (n, line) in text.split("\r\n").enumerate() {
        let own = HEADERS.iter().any(|(own, _)| *own == name(line));
        if n > 0 && (own || (!upgrade && name(line) == "connection")) {
            continue;
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    for (name, value) in HEADERS {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    if !upgrade {
        out.push_str("connection: close\r\n");
    }
    out.push_str("\r\n");
    out.into_bytes()
}

async fn answer(client: &mut tokio_rustls::server::TlsStream<TcpStream>, status: u16, text: &str) -> io::Result<()> {
    let body = format!(
        "HTTP/1.1 {status} Tunnel\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    client.write_all(body.as_bytes()).await?;
    client.shutdown().await
}

/// A listener on any port of the loopback.
pub async fn listener(port: u16) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_say_its_own_address() {
        let head =
            b"GET / HTTP/1.1\r\nHost: a.trycloudflare.com\r\nCF-Connecting-IP: 1.2.3.4\r\nConnection: keep-alive";
        let sent = String::from_utf8(rewritten(head)).unwrap();
        assert!(!sent.contains("1.2.3.4") && !sent.contains("keep-alive"), "{sent}");
        assert!(sent.starts_with("GET / HTTP/1.1\r\nHost: a.trycloudflare.com\r\n") && sent.contains(CLIENT));
        assert!(sent.ends_with("connection: close\r\n\r\n"));
    }

    #[test]
    fn a_socket_stays_a_socket() {
        let head = b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket";
        let sent = String::from_utf8(rewritten(head)).unwrap();
        assert!(sent.contains("Connection: Upgrade\r\n") && !sent.contains("connection: close"));
    }
}
