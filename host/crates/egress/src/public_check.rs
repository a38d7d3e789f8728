//! The public check: this host asks itself by the public address of a tunnel.
//!
//! A client of its own: the plugins' one is behind their grants, and here it is the host that asks. No redirect is
//! followed, little is read, and nothing of an answer reaches a plugin, so that a provider that reports an address of the
//! private network learns nothing by it. Addresses of that network are asked all the same, since a provider may run there
//! or on this machine; those of the link, where a cloud answers questions about the machine itself, never are. HTTP/1.1
//! alone, because a WebSocket is tried too.

use crate::failure_cause::chain;
use crate::tls::{install_provider, no_tls};
use futures::{SinkExt as _, StreamExt as _};
use nexus_model::address::{is_of_the_link, literal};
use nexus_model::limits;
use nexus_model::tunnel::{Network, PublicCheckFailure};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONNECTION, HOST, HeaderMap, HeaderValue, ORIGIN, UPGRADE};
use reqwest::{Method, Url};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// `OWN_ANSWER` bounds the bytes of an answer with its head, by the short way.
const OWN_ANSWER: u64 = 8 * 1024;

/// `CheckTarget` is what is checked.
#[derive(Debug, Clone, Copy)]
pub struct CheckTarget<'a> {
    /// `url` is the public address: `https://…` or `http://…`.
    pub url: &'a str,
    /// `at` is where this machine finds the public name; `None`: as everybody does. An address of digits is reached as
    /// it stands.
    pub at: Option<SocketAddr>,
}

/// `Challenge` is a question that only the right listener answers.
#[derive(Debug)]
pub struct Challenge {
    /// `nonce` is part of the path that is asked for.
    pub nonce: String,
    /// `answer` is what the listener makes of the nonce.
    pub answer: String,
}

/// `Challenges` makes one for each request. `Err`: a sentence for the operator.
pub type Challenges<'a> = &'a (dyn Fn() -> Result<Challenge, String> + Sync);

/// `PublicCheck` asks this host through its tunnels.
#[derive(Debug, Default)]
pub struct PublicCheck {
    plain: OnceLock<reqwest::Client>,
    tls: OnceLock<reqwest::Client>,
}

impl PublicCheck {
    /// `check_http` makes one request, and says how long it took.
    ///
    /// # Errors
    /// A sentence for the operator: what did not answer, or what answered instead.
    pub async fn check_http(
        &self,
        target: CheckTarget<'_>,
        challenges: Challenges<'_>,
    ) -> Result<Duration, PublicCheckFailure> {
        let unknown = |cause| PublicCheckFailure {
            cause,
            network: Network::Unknown,
        };
        let answered = |cause| PublicCheckFailure {
            cause,
            network: Network::Answered,
        };
        let Challenge { nonce, answer } = challenges().map_err(unknown)?;
        let request = self
            .request(Method::GET, target, &format!("/public-check/{nonce}"))
            .map_err(unknown)?;
        let begun = Instant::now();
        let response = timeout(limits::PUBLIC_CHECK, request.send()).await;
        // A connection takes less than that: it was taken, and nothing came.
        let response = response.map_err(|_| answered(late()))?;
        let response = response.map_err(|error| PublicCheckFailure {
            cause: chain(&error),
            network: proved(&error),
        })?;
        let left = limits::PUBLIC_CHECK.saturating_sub(begun.elapsed());
        let body = timeout(left, first(Ok(response))).await;
        let body = body.unwrap_or_else(|_| Err(late())).map_err(answered)?;
        let took = begun.elapsed();
        same(&body, &answer).map_err(answered)?;
        Ok(took)
    }

    /// `streamed` asks for an answer that streams: its beginning arrives long before its end.
    ///
    /// # Errors
    /// As [`Self::plain`].
    pub async fn streamed(&self, target: CheckTarget<'_>, challenges: Challenges<'_>) -> Result<(), String> {
        let Challenge { nonce, answer } = challenges()?;
        let request = self.request(Method::POST, target, &format!("/public-check/{nonce}/stream"))?;
        // The end comes only after the whole limit: what is held back until then comes too late.
        let body = timeout(limits::PUBLIC_CHECK / 2, async { first(request.send().await).await })
            .await
            .map_err(|_| "a proxy buffers streamed responses".to_owned())?
            .map_err(|cause| format!("a streamed response does not arrive: {cause}"))?;
        same(&body, &answer)
    }

    /// `socket` opens a WebSocket and uses it in both directions.
    ///
    /// # Errors
    /// As [`Self::plain`].
    pub async fn socket(&self, target: CheckTarget<'_>, challenges: Challenges<'_>) -> Result<(), String> {
        let Challenge { nonce, answer } = challenges()?;
        let request = self
            .request(Method::GET, target, &format!("/public-check/{nonce}/socket"))?
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", generate_key());
        let talk = async {
            let response = request.send().await.map_err(|e| chain(&e))?;
            if response.status() != reqwest::StatusCode::SWITCHING_PROTOCOLS {
                return Err(format!("the response was {}", response.status()));
            }
            let stream = response.upgrade().await.map_err(|e| chain(&e))?;
            let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
            let text = |message: Option<Result<Message, _>>| match message {
                Some(Ok(Message::Text(text))) => Ok(text.to_string()),
                Some(Err(error)) => Err(format!("the connection was closed: {error}")),
                _ => Err("the connection was closed".to_owned()),
            };
            same(&text(socket.next().await)?, &answer)?;
            let sent = socket.send(Message::Text(nonce.clone().into())).await;
            sent.map_err(|error| format!("the connection was closed: {error}"))?;
            same(&text(socket.next().await)?, &nonce)?;
            let _ = socket.close(None).await;
            Ok(())
        };
        within(talk)
            .await
            .map_err(|cause| format!("WebSockets do not work: {cause}"))
    }

    fn request(&self, method: Method, target: CheckTarget<'_>, path: &str) -> Result<reqwest::RequestBuilder, String> {
        let parse = |url: &str| Url::parse(url).map_err(|error| format!("`{url}` is not an address: {error}"));
        let public = parse(target.url)?;
        if let Some(address) = public
            .host_str()
            .and_then(literal)
            .filter(|address| is_of_the_link(*address))
        {
            return Err(no_public_side(address));
        }
        let mut url = public.clone();
        url.set_path(path);
        url.set_query(None);
        url.set_fragment(None);
        let origin = public.origin().ascii_serialization();
        let host = origin.split_once("://").map_or(origin.as_str(), |(_, host)| host);
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| format!("`{text}` is not a host name"));
        let headers = HeaderMap::from_iter([(HOST, value(host)?), (ORIGIN, value(&origin)?)]);
        let tls = url.scheme() == "https";
        let client = match (target.at, public.domain()) {
            (Some(at), Some(name)) => {
                url.set_port(Some(at.port()))
                    .map_err(|()| format!("`{url}` cannot have a port"))?;
                build(tls, |builder| builder.resolve(name, at))?
            }
            _ => self.client(tls)?.clone(),
        };
        Ok(client.request(method, url).headers(headers))
    }

    fn client(&self, tls: bool) -> Result<&reqwest::Client, String> {
        let slot = if tls { &self.tls } else { &self.plain };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = build(tls, |builder| builder)?;
        Ok(slot.get_or_init(|| client))
    }
}

fn build(
    tls: bool,
    more: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(Arc::new(NonLinkLocalResolver))
        .referer(false)
        .http1_only()
        // Each check is one of the whole way.
        .pool_max_idle_per_host(0)
        // Less than the whole, so that a connection that was taken is told from one that was not.
        .connect_timeout(limits::PUBLIC_CHECK / 2);
    let builder = if tls {
        install_provider();
        builder
    } else {
        builder.tls_backend_preconfigured(no_tls().map_err(|error| error.to_string())?)
    };
    more(builder).build().map_err(|error| chain(&error))
}

/// `NonLinkLocalResolver` finds a name's addresses, without those of the link.
struct NonLinkLocalResolver;

impl Resolve for NonLinkLocalResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(beyond_the_link(found)?.into_iter()) as Addrs)
        })
    }
}

fn beyond_the_link(found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, String> {
    let (link, left): (Vec<_>, Vec<_>) = found.into_iter().partition(|address| is_of_the_link(address.ip()));
    match link.first() {
        Some(address) if left.is_empty() => Err(no_public_side(address.ip())),
        _ => Ok(left),
    }
}

fn no_public_side(address: IpAddr) -> String {
    format!("{address} is a link-local address, which cannot be the public address of a tunnel")
}

/// `within` bounds a job by [`limits::PUBLIC_CHECK`]: no check waits longer.
async fn within<T>(job: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    timeout(limits::PUBLIC_CHECK, job).await.unwrap_or_else(|_| Err(late()))
}

fn late() -> String {
    format!("no answer within {} s", limits::PUBLIC_CHECK.as_secs())
}

/// `proved` is what a request that got no answer says of the network.
fn proved(error: &reqwest::Error) -> Network {
    use std::io::ErrorKind::{ConnectionRefused, ConnectionReset};
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        let refused = inner
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| matches!(error.kind(), ConnectionRefused | ConnectionReset));
        if refused {
            return Network::Answered;
        }
        // The resolver's own type is private to the client.
        if inner.to_string() == "dns error" {
            return Network::Unresolved;
        }
        cause = inner.source();
    }
    if error.is_connect() {
        Network::Unknown
    } else {
        // The connection stood, and broke.
        Network::Answered
    }
}

/// `own` tells whether the listener at `listener` answers a question that came in under the public address `url`.
pub async fn own(listener: SocketAddr, url: &str, challenges: Challenges<'_>) -> bool {
    let (Ok(Challenge { nonce, answer }), Ok(url)) = (challenges(), Url::parse(url)) else {
        return false;
    };
    let origin = url.origin().ascii_serialization();
    let host = origin.split_once("://").map_or(origin.as_str(), |(_, host)| host);
    let question = format!("GET /public-check/{nonce} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let talk = async {
        let mut stream = TcpStream::connect(listener).await.ok()?;
        stream.write_all(question.as_bytes()).await.ok()?;
        let mut said = Vec::new();
        stream.take(OWN_ANSWER).read_to_end(&mut said).await.ok()?;
        Some(String::from_utf8_lossy(&said).contains(&answer))
    };
    !answer.is_empty() && talk.await.unwrap_or(false)
}

/// `first` is the first line of the answer, as soon as it is there.
async fn first(response: Result<reqwest::Response, reqwest::Error>) -> Result<String, String> {
    let mut response = response.map_err(|error| chain(&error))?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(format!("the response was {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > limits::PUBLIC_CHECK_ANSWER_BYTES || body.contains(&b'\n') {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).trim_end().to_owned())
}

fn same(found: &str, expected: &str) -> Result<(), String> {
    if found == expected && !expected.is_empty() {
        Ok(())
    } else {
        Err("something other than this Nexus answers there".to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn challenge() -> Result<Challenge, String> {
        Ok(Challenge {
            nonce: "n".to_owned(),
            answer: "a".to_owned(),
        })
    }

    #[tokio::test]
    async fn nobody_is_asked_at_an_address_of_the_link() {
        let check = PublicCheck::default();
        for url in [
            "http://169.254.169.254/",
            "http://0xA9FEA9FE/latest",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://0.0.0.0/",
        ] {
            let unreached = check
                .check_http(CheckTarget { url, at: None }, &challenge)
                .await
                .unwrap_err();
            assert!(unreached.cause.contains("link-local"), "{url}: {}", unreached.cause);
        }
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 0);
        let mixed = vec![at("169.254.169.254"), at("192.0.2.1"), at("fe80::1")];
        assert_eq!(beyond_the_link(mixed), Ok(vec![at("192.0.2.1")]));
        assert!(beyond_the_link(vec![at("169.254.169.254")]).is_err());
        assert_eq!(beyond_the_link(Vec::new()), Ok(Vec::new()), "an unknown name stays one");
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_read_no_further_than_its_bound() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let mut sent: usize = 0;
            let mut next = head.as_bytes().to_vec();
            while stream.write_all(&next).await.is_ok() {
                sent += next.len();
                next = vec![b'x'; 64 << 10];
            }
            sent
        });
        let unreached = PublicCheck::default()
            .check_http(CheckTarget { url: &url, at: None }, &challenge)
            .await
            .unwrap_err();
        assert!(unreached.cause.contains("something other"), "{}", unreached.cause);
        // What the buffers of the system took, and not all of it.
        let sent = server.await.unwrap();
        assert!(sent < 64 << 20, "{sent}");
    }
}
