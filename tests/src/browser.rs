//! A browser without a screen: cookies, forms as the pages hold them, and the live socket.

use crate::nexus::Nexus;
use crate::wait;
use futures::{SinkExt as _, StreamExt as _};
use reqwest::cookie::{CookieStore as _, Jar};
use reqwest::{Response, Url};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes, client::IntoClientRequest as _, http::HeaderValue};

/// The owner in every test.
pub const ACCOUNT: &str = "owner";
pub const PASSWORD: &str = "seven grey herons at low tide";

/// One device.
#[derive(Debug, Clone)]
pub struct Browser {
    base: Url,
    jar: Arc<Jar>,
    client: reqwest::Client,
}

/// An input of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub name: String,
    pub kind: String,
    pub value: String,
}

impl Browser {
    /// A device without any cookie.
    pub fn new(url: &str) -> Self {
        Self::with(url.parse().unwrap(), crate::http())
    }

    /// A device far away, which comes through the public side of a provider at `port`: over TLS, under the name of `url`.
    pub fn through(url: &str, port: u16) -> Self {
        let mut base: Url = url.parse().unwrap();
        base.set_port(Some(port)).unwrap();
        let edge = SocketAddr::from(([127, 0, 0, 1], port));
        let http = crate::http()
            .resolve(base.host_str().unwrap(), edge)
            .tls_danger_accept_invalid_certs(true);
        Self::with(base, http)
    }

    /// A device, or a proxy before it, that sends this header with each request.
    pub fn sending(url: &str, name: &'static str, value: &str) -> Self {
        let header = [(name, value)].map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Self::with(
            url.parse().unwrap(),
            crate::http().default_headers(header.into_iter().collect()),
        )
    }

    /// A device that knows this machine by another name.
    pub fn named(url: &str, name: &str) -> Self {
        let mut base: Url = url.parse().unwrap();
        let at = SocketAddr::from(([127, 0, 0, 1], base.port().unwrap()));
        base.set_host(Some(name)).unwrap();
        Self::with(base, crate::http().resolve(name, at))
    }

    fn with(base: Url, http: reqwest::ClientBuilder) -> Self {
        let jar = Arc::new(Jar::default());
        let client = http
            .cookie_provider(Arc::clone(&jar))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(wait::LONG)
            .build()
            .unwrap();
        Self { base, jar, client }
    }

    /// Creates the owner's account with the set-up link, and is logged in.
    pub async fn set_up(nexus: &Nexus) -> Self {
        let browser = Self::new(&nexus.url);
        let token = nexus.setup_token();
        let answer = browser
            .submit(
                "/setup",
                &[("token", &token), ("account", ACCOUNT), ("password", PASSWORD)],
            )
            .await;
        let status = answer.status();
        assert!(
            status.is_redirection(),
            "set-up: {status}\n{}",
            answer.text().await.unwrap()
        );
        browser
    }

    /// The same device at another address of this host name: a Nexus that was started again, with the cookies it set. Their
    /// names hold the port, which stays the same for a person and is another one for each start of a test.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        let base: Url = url.parse().unwrap();
        let port = |url: &Url| format!("-local-{}", url.port().unwrap_or_default());
        let (old, new) = (port(&self.base), port(&base));
        let cookies = self.jar.cookies(&self.base);
        let cookies = cookies.as_ref().and_then(|all| all.to_str().ok()).unwrap_or_default();
        for cookie in cookies.split("; ").filter(|cookie| cookie.contains(&old)) {
            self.jar
                .add_cookie_str(&format!("{}; Path=/; HttpOnly", cookie.replacen(&old, &new, 1)), &base);
        }
        Self { base, ..self.clone() }
    }

    /// Logs in; the answer is a redirection where that went well.
    pub async fn log_in(&self, account: &str, password: &str) -> Response {
        self.submit("/login", &[("account", account), ("password", password)])
            .await
    }

    fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    pub fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap()
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, form: &[(String, String)]) -> Response {
        self.client
            .post(self.url(path))
            .header("origin", self.origin())
            .form(form)
            .send()
            .await
            .unwrap()
    }

    /// Opens the page, fills its form in and sends it. A key fills the input of that name, with or without the prefix
    /// `field-`; `account` fills a text input of another name too, `password` every password input that has no value
    /// of its own.
    pub async fn submit(&self, path: &str, values: &[(&str, &str)]) -> Response {
        self.submit_on(path, path, values).await
    }

    /// The same for the form of `page` that is sent to `action`.
    pub async fn submit_on(&self, page: &str, action: &str, values: &[(&str, &str)]) -> Response {
        let answer = self.get(page).await;
        let status = answer.status();
        let html = answer.text().await.unwrap();
        let (to, inputs) =
            form(&html, action).unwrap_or_else(|| panic!("{page} holds no form for {action} ({status}):\n{html}"));
        self.post(&to, &fill(inputs, values)).await
    }

    /// An empty POST as a page of `origin` would send it.
    pub async fn post_from(&self, origin: &str, path: &str) -> Response {
        let request = self.client.post(self.url(path)).header("origin", origin);
        request.send().await.unwrap()
    }

    /// A request of the page's own script, with a JSON body where there is one: the status and what is answered.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let mut request = self.script(method, path);
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A request of the page's own script, to be sent.
    pub fn script(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        self.client
            .request(method, self.url(path))
            .header("origin", self.origin())
    }

    /// What it would send as its `Cookie` header.
    pub fn cookies(&self) -> String {
        let cookies = self.jar.cookies(&self.base);
        cookies
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    }

    /// Opens the live socket at `path`, such as `/live?…`.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn socket(&self, path: &str) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
        let tcp = TcpStream::connect(self.address()).await?;
        self.socket_over(tcp, path).await
    }

    /// Where it connects to: the host, without the brackets of IPv6, and the port.
    fn address(&self) -> (&str, u16) {
        let host = match self.base.scheme() {
            "https" => "127.0.0.1",
            _ => self.base.host_str().unwrap(),
        };
        (
            host.trim_matches(['[', ']']),
            self.base.port_or_known_default().unwrap(),
        )
    }

    /// The same over a connection that there is already.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn socket_over(
        &self,
        tcp: TcpStream,
        path: &str,
    ) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
        let mut url = self.url(path);
        let secure = url.scheme() == "https";
        url.set_scheme(if secure { "wss" } else { "ws" }).unwrap();
        let mut request = url.as_str().into_client_request()?;
        request
            .headers_mut()
            .insert("origin", HeaderValue::from_str(&self.origin()).unwrap());
        if let Some(cookies) = self.jar.cookies(&self.base) {
            request
                .headers_mut()
                .insert("cookie", HeaderValue::from_bytes(cookies.as_bytes()).unwrap());
        }
        let wire: Wire = if secure {
            Box::new(tls(tcp).await?)
        } else {
            Box::new(tcp)
        };
        let (stream, _) = tokio_tungstenite::client_async(request, wire).await?;
        Ok(Socket(stream))
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}
type Wire = Box<dyn Duplex>;

/// TLS to a stand-in whose certificate nobody vouches for.
async fn tls(tcp: TcpStream) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.dangerous().set_certificate_verifier(Arc::new(Anybody(provider)));
    let name = rustls::pki_types::ServerName::try_from("trycloudflare.com").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A live socket that speaks JSON.
pub struct Socket(WebSocketStream<Wire>);

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Socket")
    }
}

impl Socket {
    /// Opens the live socket as a program does that has a token and no cookie.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn of_program(url: &str, token: &str) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        let address = url.trim_start_matches("http://");
        let mut request = format!("ws://{address}/live").into_client_request()?;
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        request.headers_mut().insert("authorization", value);
        let wire: Wire = Box::new(TcpStream::connect(address).await?);
        let (stream, _) = tokio_tungstenite::client_async(request, wire).await?;
        Ok(Self(stream))
    }

    pub async fn send(&mut self, value: &Value) {
        self.0.send(Message::text(value.to_string())).await.unwrap();
    }

    /// The next frame. None: the server closed.
    ///
    /// # Panics
    /// Nothing came for as long as anything is waited for, or no JSON.
    pub async fn next(&mut self) -> Option<Value> {
        let text = wait::within("the live socket says something", self.received()).await?;
        Some(serde_json::from_str(&text).unwrap())
    }

    /// The next frame as it came, without a deadline: for a hundred clients of a fast stream, reading JSON and a deadline for each
    /// frame would be what is measured. Its caller has one for all.
    pub async fn received(&mut self) -> Option<Utf8Bytes> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return Some(text),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Frames up to the first that `last` takes, it included.
    pub async fn until(&mut self, last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut frames = Vec::new();
        let reading = async {
            loop {
                let next = self.next().await;
                let frame = next.unwrap_or_else(|| panic!("the server closed after {frames:?}"));
                let done = last(&frame);
                frames.push(frame);
                if done {
                    return;
                }
            }
        };
        if tokio::time::timeout(wait::LONG, reading).await.is_err() {
            panic!(
                "the frame has not come in time; of {} seen last: {:#?}",
                frames.len(),
                frames.last()
            );
        }
        frames
    }

    /// Reads on until the server closes.
    pub async fn closed(&mut self) {
        wait::within("the server closes the live socket", async {
            while self.next().await.is_some() {}
        })
        .await;
    }
}

/// What is sent, as [`Browser::submit`] says.
pub fn fill(inputs: Vec<Input>, values: &[(&str, &str)]) -> Vec<(String, String)> {
    let value = |key: &str| values.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned());
    let filled = inputs.into_iter().map(|input| {
        let plain = input.name.strip_prefix("field-").unwrap_or(&input.name);
        let general = match input.kind.as_str() {
            "password" => "password",
            "text" => "account",
            _ => "",
        };
        let value = value(plain).or_else(|| value(general)).unwrap_or(input.value);
        (input.name, value)
    });
    filled.collect()
}

/// The form of a page that is sent to `path` itself, or its first one: where it goes, and its inputs.
pub fn form(html: &str, path: &str) -> Option<(String, Vec<Input>)> {
    let path = path.split('?').next()?;
    let forms: Vec<_> = html
        .split("<form")
        .skip(1)
        .filter_map(|f| f.split("</form>").next())
        .collect();
    let action = |form: &str| attribute(form.split('>').next().unwrap_or(""), "action");
    let form = forms
        .iter()
        .find(|f| action(f).as_deref() == Some(path))
        .or(forms.first())?;
    let inputs = form.split("<input").skip(1).filter_map(|rest| {
        let tag = rest.split('>').next()?;
        Some(Input {
            name: attribute(tag, "name")?,
            kind: attribute(tag, "type").unwrap_or_else(|| "text".to_owned()),
            value: attribute(tag, "value").unwrap_or_default(),
        })
    });
    let selects = form.split("<select").skip(1).filter_map(|rest| {
        let tag = rest.split('>').next()?;
        Some(Input {
            name: attribute(tag, "name")?,
            kind: "select".to_owned(),
            value: String::new(),
        })
    });
    let action = action(form).unwrap_or_else(|| path.to_owned());
    Some((action, inputs.chain(selects).collect()))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = rest.split('"').next()?;
    let plain = value
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'");
    Some(
        plain
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#38;", "&")
            .replace("&amp;", "&"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_the_page_is_found_and_read() {
        let html = r#"<form method="post" action="/logout"><input type="hidden" name="csrf" value="a"></form>
            <form method="post" action="/login"><input type="hidden" name="csrf" value="b&#38;c"><input id="f" name="field-account" required></form>"#;
        let (action, inputs) = form(html, "/login?next=%2F").unwrap();
        assert_eq!(action, "/login");
        assert_eq!(
            inputs[0],
            Input {
                name: "csrf".into(),
                kind: "hidden".into(),
                value: "b&c".into()
            }
        );
        assert_eq!(
            (inputs[1].name.as_str(), inputs[1].kind.as_str()),
            ("field-account", "text")
        );
    }
}
