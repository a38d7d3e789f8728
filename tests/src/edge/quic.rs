//! The edge over QUIC, which is what cloudflared takes by default (ALPN `argotunnel`).
//!
//! cloudflared is the client of the connection. The first stream is its control stream: the registration as over HTTP/2, without
//! any preamble. Each request is a stream that the edge opens: six bytes that say what it is, a version, the request as a
//! message of Cap'n Proto, and then its body; the answer comes the same way back. A WebSocket is such a stream that stays open. The
//! dashboard's word is a call of cloudflared's own object, on a stream with another preamble.

use super::capnp::{self, Message, frame, to_bytes, to_list, to_struct, words};
use super::shared::{Connected, Registered, Shared, Towards, answered, lock};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, RecvStream, SendStream, ServerConfig};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;

const DATA: &[u8] = &[0x0a, 0x36, 0xcd, 0x12, 0xa1, 0x3e];
const RPC: &[u8] = &[0x52, 0xbb, 0x82, 0x5c, 0xdb, 0x65];
const VERSION: &[u8] = b"01";
const STATUS: &str = "HttpStatus";
const HEADER: &str = "HttpHeader";
/// A message with an answer's head.
const HEAD: usize = 256 * 1024;

/// A port of the loopback for TCP and UDP alike. Somebody may have the one that the system gave for TCP for UDP: then it is
/// another.
pub(super) async fn both() -> (TcpListener, std::net::UdpSocket) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = std::net::UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (tcp, udp);
        }
    }
    panic!("no port is free for both TCP and UDP");
}

/// Serves QUIC on `socket`.
pub(super) fn endpoint(socket: std::net::UdpSocket, mut tls: rustls::ServerConfig) -> Endpoint {
    tls.alpn_protocols = vec![b"argotunnel".to_vec()];
    let crypto = QuicServerConfig::try_from(tls).unwrap();
    let config = ServerConfig::with_crypto(Arc::new(crypto));
    let runtime = Arc::new(quinn::TokioRuntime);
    Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime).unwrap()
}

pub(super) async fn accept(endpoint: Endpoint, shared: Arc<Shared>) {
    while let Some(incoming) = endpoint.accept().await {
        // As a network that lets no UDP through: nothing comes back.
        if !lock(&shared.faults).quic {
            incoming.ignore();
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                let cut = shared.drop.notified();
                tokio::select! {
                    _ = connection.closed() => {}
                    () = cut => {}
                    () = control(&connection, &shared) => {}
                }
                connection.close(0u8.into(), b"");
            }
        });
    }
}

async fn control(connection: &Connection, shared: &Arc<Shared>) {
    let number = shared.count.fetch_add(1, Ordering::SeqCst);
    let _registered = Registered {
        number,
        shared: Arc::clone(shared),
    };
    let Ok((mut out, mut from)) = connection.accept_bi().await else {
        return;
    };
    let mut arrived = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(Some(count)) = from.read(&mut chunk).await {
        arrived.extend_from_slice(&chunk[..count]);
        while let Some((answer, registered, remote)) = answered(&mut arrived, shared) {
            if out.write_all(&answer).await.is_err() {
                return;
            }
            if registered.is_some() {
                let connected = Connected {
                    number,
                    requests: Towards::Quic(connection.clone()),
                };
                shared.connected.send_modify(|all| all.push(connected));
            }
            if registered == Some(0)
                && let Some(remote) = remote
            {
                let connection = connection.clone();
                tokio::spawn(async move { configure(&connection, &remote).await });
            }
        }
    }
    // The connection lives as long as it wants, also where its control stream has ended.
    connection.closed().await;
}

/// Tells the dashboard's word: a call of `updateConfiguration` of cloudflared's object.
async fn configure(connection: &Connection, remote: &Value) {
    let Ok((mut out, mut from)) = connection.open_bi().await else {
        return;
    };
    let config = json!(remote).to_string();
    let message = [RPC.to_vec(), bootstrap(), update(1, config.as_bytes())].concat();
    if out.write_all(&message).await.is_ok() {
        // Until it is answered: cloudflared reads no more of a stream that has ended.
        let mut rest = [0; 1024];
        let answers = async { while let Ok(Some(_)) = from.read(&mut rest).await {} };
        let _ = tokio::time::timeout(Duration::from_secs(5), answers).await;
    }
}

/// The first question of a call: for the object.
fn bootstrap() -> Vec<u8> {
    const BOOTSTRAP: u64 = 8;
    frame(&[to_struct(0, 1, 1), BOOTSTRAP, to_struct(0, 1, 1), 0, 0])
}

/// The second one: its method, called on what the first one will be answered with.
fn update(version: u32, config: &[u8]) -> Vec<u8> {
    const CALL: u64 = 2;
    const CONFIGURATION_MANAGER: u64 = 0xb48e_dfbd_aa25_db04;
    const PROMISED_ANSWER: u64 = 1 << 32;
    let mut segment = vec![
        to_struct(0, 1, 1),
        CALL,
        to_struct(0, 3, 3),
        1, // this question; method 0
        CONFIGURATION_MANAGER,
        0,
        to_struct(2, 1, 1), // the target, past the other two pointers
        to_struct(5, 0, 2), // the payload, past the target and its promise
        0,
        PROMISED_ANSWER,
        to_struct(0, 1, 1),
        0, // of question 0
        0,
        to_struct(1, 1, 1), // the parameters, past the table
        0,
        u64::from(version),
        to_bytes(0, config.len()),
    ];
    segment.extend(words(config));
    frame(&segment)
}

/// A request's head: where it leads, whether it is a WebSocket, and what else is said of it.
fn request(dest: &str, websocket: bool, metadata: &[(String, String)]) -> Vec<u8> {
    let text = |text: &str| [text.as_bytes(), &[0]].concat();
    let dest = text(dest);
    let mut segment = vec![to_struct(0, 1, 2), u64::from(websocket)];
    let list_at = dest.len().div_ceil(8);
    segment.push(to_bytes(1, dest.len()));
    segment.push(to_list(list_at as u32, metadata.len() * 2));
    segment.extend(words(&dest));
    // The list's tag says how many structs follow, of two pointers each.
    segment.push((metadata.len() as u64) << 2 | 2 << 48);
    let first = segment.len();
    segment.resize(first + metadata.len() * 2, 0);
    for (n, (key, value)) in metadata.iter().enumerate() {
        for (pointer, word) in [(first + 2 * n, key), (first + 2 * n + 1, value)] {
            let word = text(word);
            segment[pointer] = to_bytes((segment.len() - pointer - 1) as u32, word.len());
            segment.extend(words(&word));
        }
    }
    [DATA, VERSION, &frame(&segment)].concat()
}

/// An answer's head, and what has arrived of its body.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

fn head(message: &Message) -> Option<(StatusCode, HeaderMap)> {
    let response = message.root()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(&bytes)).into_owned();
    let (mut status, mut headers) = (None, HeaderMap::new());
    for pair in response.list(1) {
        let key = pair.bytes(0).map(text).unwrap_or_default();
        let value = pair.bytes(1).map(text).unwrap_or_default();
        if key == STATUS {
            status = value
                .parse::<u16>()
                .ok()
                .and_then(|status| StatusCode::from_u16(status).ok());
        } else if let Some(name) = key.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix(':'))
            && let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value))
        {
            headers.append(name, value);
        }
    }
    Some((status?, headers))
}

/// Sends a request's head on a stream of its own.
pub(super) async fn send(
    connection: &Connection,
    parts: &http::request::Parts,
    headers: &HeaderMap,
    websocket: bool,
) -> io::Result<(SendStream, RecvStream)> {
    let host = parts
        .headers
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.ok_or_else(|| io::Error::other("no host"))?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut metadata = vec![
        ("HttpMethod".to_owned(), parts.method.to_string()),
        ("HttpHost".to_owned(), host.to_owned()),
    ];
    // Without it cloudflared takes a body of unknown length for none.
    if parts.headers.contains_key(http::header::TRANSFER_ENCODING) {
        metadata.push((format!("{HEADER}:transfer-encoding"), "chunked".to_owned()));
    }
    for (name, value) in headers
        .iter()
        .filter(|(name, _)| !name.as_str().starts_with("cf-cloudflared-"))
    {
        let value = value.to_str().unwrap_or_default().to_owned();
        metadata.push((format!("{HEADER}:{name}"), value));
    }
    let head = request(&format!("https://{host}{path}"), websocket, &metadata);
    let (mut out, from) = connection.open_bi().await?;
    out.write_all(&head).await?;
    Ok((out, from))
}

/// Reads an answer's head.
pub(super) async fn receive(from: &mut RecvStream) -> io::Result<Head> {
    let bad = |what: &str| io::Error::other(format!("the answer is none: {what}"));
    let mut preamble = [0; 8];
    from.read_exact(&mut preamble).await.map_err(|_| bad("it ended"))?;
    if &preamble[..6] != DATA {
        return Err(bad("another preamble"));
    }
    let (mut arrived, mut chunk) = (Vec::new(), [0; 8192]);
    loop {
        if let Some(message) = capnp::take(&mut arrived) {
            let (status, headers) = head(&message).ok_or_else(|| bad("no status"))?;
            return Ok(Head {
                status,
                headers,
                body: arrived.into(),
            });
        }
        match from.read(&mut chunk).await? {
            Some(count) if arrived.len() < HEAD => arrived.extend_from_slice(&chunk[..count]),
            _ => return Err(bad("no end of its head")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_layout_of_the_schema() {
        let metadata = [("HttpMethod", "GET"), ("HttpHeader:accept", "text/html; charset=utf-8")];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut bytes = request("https://chat.example.org/a?b=c", true, &metadata);
        assert_eq!(&bytes[..8], [DATA, VERSION].concat());
        bytes.drain(..8);
        let message = capnp::take(&mut bytes).unwrap();
        assert!(bytes.is_empty());
        let root = message.root().unwrap();
        assert_eq!(root.number(0, 16), 1);
        assert_eq!(root.bytes(0).unwrap(), b"https://chat.example.org/a?b=c\0");
        let pairs = root.list(1);
        assert_eq!(pairs.len(), 2);
        assert_eq!(pairs[1].bytes(0).unwrap(), b"HttpHeader:accept\0");
        assert_eq!(pairs[1].bytes(1).unwrap(), b"text/html; charset=utf-8\0");
    }

    #[test]
    fn an_answer_is_read_with_its_headers() {
        // The same layout, but for the word of data that is missing.
        let pairs = [(STATUS, "200"), ("HttpHeader:Content-Type", "text/plain")];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut bytes = request("", false, &pairs).split_off(8);
        let (status, headers) = head(&capnp::take(&mut bytes).unwrap()).unwrap();
        assert_eq!(
            (status, &headers["content-type"]),
            (StatusCode::OK, &HeaderValue::from_static("text/plain"))
        );
    }

    #[test]
    fn the_configuration_is_an_argument_of_the_call() {
        let mut bytes = update(7, b"{\"ingress\":[]}");
        let message = capnp::take(&mut bytes).unwrap();
        let call = message.root().unwrap().child(0).unwrap();
        assert_eq!((call.number(0, 32), call.number(32, 16)), (1, 0));
        let target = call.child(0).unwrap();
        assert_eq!((target.number(32, 16), target.child(0).unwrap().number(0, 32)), (1, 0));
        let params = call.child(1).unwrap().child(0).unwrap();
        assert_eq!(params.number(0, 32), 7);
        assert_eq!(params.bytes(0).unwrap(), b"{\"ingress\":[]}");
    }
}
