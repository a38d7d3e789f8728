//! Outgoing HTTP in one line.
//!
//! ```ignore
//! let health: Health = Request::get("process://opencode:http/global/health").send().await?.json(64 * 1024).await?;
//! ```

use super::caps::http as raw;
use super::caps::types::Error;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::IntoFuture;
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

/// `Request` is a request to be sent. It takes a grant for its host, unless it goes to the plugin's own process.
#[derive(Debug, Clone)]
pub struct Request(raw::Request);

impl Request {
    /// Makes a request: `method` is in upper case, `url` as in WIT `http.request`.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        let (method, url) = (method.to_owned(), url.into());
        Self(raw::Request {
            method,
            url,
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
            idle_timeout: None,
        })
    }

    /// Makes a request to the unix socket at an absolute path: `target` is the path and query to ask there, `/status`.
    pub fn to_socket(method: &str, socket: &str, target: &str) -> Self {
        Self::new(method, format!("http+unix://{}{target}", encode(socket)))
    }

    /// Makes a GET of `url`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// Makes a POST to `url`; [`Self::json`] gives it a body.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header. `value` may contain `{secret:…}` and its like; a literal brace is written `{{`.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.headers.push(raw::Header {
            name: name.to_owned(),
            value: value.into(),
        });
        self
    }

    /// Sets a JSON body, with its content type.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        self.0.body =
            serde_json::to_vec(body).map_err(|e| Error::Invalid(format!("the body of a request is not JSON: {e}")))?;
        Ok(self.header("content-type", "application/json"))
    }

    /// Sets a body of names and values (`application/x-www-form-urlencoded`), with its content type.
    #[must_use]
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let fields = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        self.0.body = fields.collect::<Vec<_>>().join("&").into_bytes();
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// Sets how many milliseconds may pass until the headers of the response are here.
    #[must_use]
    pub fn timeout(mut self, milliseconds: u64) -> Self {
        self.0.timeout = Some(milliseconds);
        self
    }

    /// Sets after how many milliseconds of silence the body ends with an error.
    #[must_use]
    pub fn idle_timeout(mut self, milliseconds: u64) -> Self {
        self.0.idle_timeout = Some(milliseconds);
        self
    }

    /// Sends it, and returns when the headers of the response are here.
    ///
    /// # Errors
    /// As WIT `http.fetch`. A status of 400 or above is not an error here.
    pub async fn send(self) -> Result<Response, Error> {
        let url = self.0.url.clone();
        let (head, body, end) = raw::fetch(self.0).await?;
        Ok(Response {
            url,
            status: head.status,
            headers: head.headers,
            body,
            end: Some(end),
        })
    }
}

/// `Response` is a response whose body is still to be read. Dropping it closes the connection.
pub struct Response {
    /// `status` is 200, 404, …
    pub status: u16,
    url: String,
    headers: Vec<raw::Header>,
    body: StreamReader<u8>,
    end: Option<FutureReader<Result<(), Error>>>,
}

impl Response {
    /// `header` is the first header of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|h| h.name == name).map(|h| h.value.as_str())
    }

    /// `chunk` are the next bytes; `None` after the last.
    ///
    /// # Errors
    /// The connection broke: the body is not complete.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            let (result, bytes) = self.body.read(Vec::with_capacity(16 * 1024)).await;
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
            if !matches!(result, StreamResult::Complete(_)) {
                return match self.end.take() {
                    Some(end) => end.into_future().await.map(|()| None),
                    None => Ok(None),
                };
            }
        }
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// It is longer than `cap` bytes, or the connection broke.
    pub async fn bytes(mut self, cap: usize) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if all.len() + chunk.len() > cap {
                return Err(Error::Other(format!(
                    "the response of {} is longer than {cap} bytes",
                    self.url
                )));
            }
            all.extend(chunk);
        }
        Ok(all)
    }

    /// Reads the whole body as JSON.
    ///
    /// # Errors
    /// As [`Self::bytes`]; or the content type or the content is something else.
    pub async fn json<T: DeserializeOwned>(self, cap: usize) -> Result<T, Error> {
        let kind = self.header("content-type").unwrap_or("no content type").to_owned();
        let url = self.url.clone();
        if !is_json(&kind) {
            return Err(Error::Other(format!(
                "{url} responded with {kind} instead of application/json"
            )));
        }
        parse(&url, &self.bytes(cap).await?)
    }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

fn parse<T: DeserializeOwned>(url: &str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_str(&crate::json::well_formed(body))
        .map_err(|e| Error::Other(format!("the response of {url} is unexpected: {e}")))
}

/// `encode` is `text` as one segment of a path, or one value of a query. Braces are encoded too, so that nothing in it
/// is a reference.
pub fn encode(text: &str) -> String {
    const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    let out = utf8_percent_encode(text, UNRESERVED).to_string();
    // A segment that is only dots would walk the path.
    if out.chars().all(|c| c == '.') {
        out.replace('.', "%2E")
    } else {
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_replaced_and_the_answer_stays() {
        let all: Vec<String> = parse("u", br#"["kept","cut \ud83d"]"#).unwrap();
        assert_eq!(all, ["kept", "cut \u{fffd}"]);
    }

    #[test]
    fn only_json_is_taken_for_json() {
        assert!(is_json("application/json; charset=utf-8"));
        assert!(is_json("application/problem+json"));
        assert!(!is_json("text/html"));
    }

    #[test]
    fn a_form_is_encoded() {
        let Request(raw) = Request::post("https://a.example").form(&[("code", "a b&c=d"), ("x", "{é}")]);
        assert_eq!(raw.body, b"code=a%20b%26c%3Dd&x=%7B%C3%A9%7D");
        assert_eq!(raw.headers[0].value, "application/x-www-form-urlencoded");
    }

    #[test]
    fn a_segment_stays_a_segment() {
        assert_eq!(encode("a/b?c#d{e}é"), "a%2Fb%3Fc%23d%7Be%7D%C3%A9");
        assert_eq!(encode(".."), "%2E%2E");
        assert_eq!(encode("ses_dfb5-x.y"), "ses_dfb5-x.y");
    }
}
