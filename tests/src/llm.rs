//! A stand-in for the model: OpenAI's chat completions, driven by [`crate::directive`]s in the prompt.
//!
//! On bare TCP, because an HTTP library would repair what has to be broken here: bodies cut short, resets, answers
//! without an end.

use crate::directive::{Step, content, plan, strip};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub const MODELS: [&str; 3] = ["stand-in-1", "stand-in-2", "stand-in-small"];

/// What `[[markdown]]` answers.
pub const MARKDOWN: &str = "# A heading\n\nSome *emphasis*, **strength** and `code`.\n\n- one\n- two\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```rust\nfn main() {\n    println!(\"hello\");\n}\n```\n\n[a link](https://example.org/) [a bad one](javascript:alert(1)) <script>alert(1)</script> <img src=x onerror=alert(1)>\n";

const WORDS: [&str; 10] = [
    "alder ", "birch ", "cedar ", "elm ", "fir ", "hazel ", "larch ", "maple ", "oak ", "pine ",
];

/// What it has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Bodies of the completion requests that are no title requests, in order.
    pub requests: Mutex<Vec<Value>>,
    /// The `Authorization` headers of all completion requests, in order; empty where there was none.
    pub keys: Mutex<Vec<String>>,
    pub titles: AtomicU64,
    pub chunks: AtomicU64,
    /// Clients that hung up before the end.
    pub aborted: AtomicU64,
    failures: Mutex<HashMap<String, u64>>,
    next: AtomicU64,
}

impl Seen {
    /// How many times a directive with this text came, this time included.
    fn count(&self, directive: &str) -> u64 {
        let mut failures = self.failures.lock().unwrap();
        let count = failures.entry(directive.to_owned()).or_default();
        *count += 1;
        *count
    }
}

/// A running stand-in. It ends when it is dropped.
#[derive(Debug)]
pub struct Llm {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
    task: tokio::task::JoinHandle<()>,
}

impl Llm {
    /// Starts one on any free port of the loopback.
    pub async fn start() -> Self {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap()
    }

    /// # Errors
    /// The address is taken.
    pub async fn listen(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            // The connections end with their server.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&shared);
                connections.spawn(async move {
                    if connection(stream, &seen).await.is_err() {
                        seen.aborted.fetch_add(1, Ordering::SeqCst);
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, seen, task })
    }

    /// The provider's `baseURL`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// How many answers it was asked for, titles not counted.
    pub fn requests(&self) -> usize {
        self.seen.requests.lock().unwrap().len()
    }

    /// Until it ends, which it does not.
    pub async fn serve(mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Llm {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Io<T> = std::io::Result<T>;

/// One request a connection: every answer says `Connection: close`.
async fn connection(mut stream: TcpStream, seen: &Seen) -> Io<()> {
    stream.set_nodelay(true)?;
    let Some((head, body)) = read_request(&mut stream).await? else {
        return Ok(());
    };
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = path.trim_end_matches('/');
    if method == "GET" && path.ends_with("/models") {
        let all: Vec<_> = MODELS
            .iter()
            .map(|id| json!({"id": id, "object": "model", "owned_by": "stand-in"}))
            .collect();
        return respond(&mut stream, 200, &json!({"object": "list", "data": all}), "").await;
    }
    if method != "POST" || !path.ends_with("/chat/completions") {
        return error(&mut stream, 404, &format!("no such path: {method} {path}"), "").await;
    }
    match serde_json::from_slice::<Value>(&body) {
        Ok(request) => {
            let key = head.lines().filter_map(|line| line.split_once(": "));
            let key = key
                .into_iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
            let key = key.map(|(_, value)| value.to_owned()).unwrap_or_default();
            seen.keys.lock().unwrap().push(key);
            complete(&mut stream, request, seen).await
        }
        Err(e) => error(&mut stream, 400, &format!("the body is not JSON: {e}"), "").await,
    }
}

/// The head and the body. None: the client only knocked.
async fn read_request(stream: &mut TcpStream) -> Io<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let header = |name: &str| {
        head.lines()
            .filter_map(|l| l.split_once(':'))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
    };
    if header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let length: usize = header("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some((head, body)))
}

async fn respond(stream: &mut TcpStream, status: u16, body: &Value, headers: &str) -> Io<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} Stand-in\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn error(stream: &mut TcpStream, status: u16, message: &str, headers: &str) -> Io<()> {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "invalid_api_key",
        404 => "not_found",
        429 => "rate_limit_exceeded",
        _ => "server_error",
    };
    let body = json!({"error": {"message": message, "type": kind, "code": kind, "param": null}});
    respond(stream, status, &body, headers).await
}

/// opencode asks for a session's title beside the answer; the directive is not meant for that.
fn title(request: &Value) -> Option<String> {
    if request["tools"].as_array().is_some_and(|t| !t.is_empty()) {
        return None;
    }
    let messages = request["messages"].as_array()?;
    let of = |roles: &[&str]| {
        let mine = messages.iter().filter(|m| roles.iter().any(|r| m["role"] == *r));
        mine.map(|m| content(&m["content"])).collect::<Vec<_>>()
    };
    let system = of(&["system", "developer"]).join(" ").to_lowercase();
    if !system.contains("title") || !system.contains("conversation") {
        return None;
    }
    let text = strip(of(&["user"]).last().map_or("", String::as_str));
    let words: Vec<_> = text.split_whitespace().take(6).collect();
    Some(format!(
        "Title: {}",
        if words.is_empty() {
            "untitled".to_owned()
        } else {
            words.join(" ")
        }
    ))
}

async fn complete(stream: &mut TcpStream, request: Value, seen: &Seen) -> Io<()> {
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let mut steps = match title(&request) {
        Some(title) => {
            seen.titles.fetch_add(1, Ordering::SeqCst);
            vec![Step::say(title)]
        }
        None => {
            seen.requests.lock().unwrap().push(request.clone());
            plan(&messages)
        }
    };
    while steps.first().is_some_and(|s| s.verb == "delay") {
        pause(stream, steps.remove(0).number("secs", 1.0)).await?;
    }
    // A cut that is to happen only a few times.
    if let Some(at) = steps
        .iter()
        .position(|s| s.verb == "cut" && s.keys.contains_key("times"))
        && seen.count(&steps[at].rest) > steps[at].count("times", 0) as u64
    {
        steps.remove(at);
    }
    if let Some(step) = steps.first().filter(|s| s.verb == "error").cloned() {
        let count = seen.count(&step.rest);
        let times = step.keys.get("times").and_then(|t| t.parse::<u64>().ok());
        if times.is_none_or(|times| count <= times) {
            let status = u16::try_from(step.count("status", 500)).unwrap_or(500);
            let retry = step
                .keys
                .get("retry_after")
                .map(|s| format!("retry-after: {s}\r\n"))
                .unwrap_or_default();
            let mut message = format!("the stand-in was told to answer {status}");
            if let Some(more) = step.keys.get("message") {
                message = format!("{message}: {}", more.replace('_', " "));
            }
            return error(stream, status, &message, &retry).await;
        }
        steps.remove(0);
        if steps.is_empty() {
            steps.push(Step::say(format!("recovered after {count} attempts")));
        }
    }
    let number = seen.next.fetch_add(1, Ordering::SeqCst);
    let mut answer = Answer {
        stream,
        seen,
        id: format!("chatcmpl-{number}"),
        model: request["model"].as_str().unwrap_or(MODELS[0]).to_owned(),
        chunked: !steps
            .iter()
            .any(|s| s.verb == "cut" && s.keys.get("how").is_some_and(|h| h == "eof")),
        tokens: 0,
    };
    if request["stream"] == true {
        answer.stream(&steps, &messages).await
    } else {
        answer.whole(&steps).await
    }
}

/// A pause that notices a client that hangs up.
async fn pause(stream: &mut TcpStream, secs: f64) -> Io<()> {
    let mut byte = [0];
    match tokio::time::timeout(Duration::from_secs_f64(secs.max(0.0)), stream.read(&mut byte)).await {
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(_) => Err(std::io::ErrorKind::ConnectionReset.into()),
    }
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0
}

enum End {
    Finish(String),
    Broken,
}

struct Answer<'a> {
    stream: &'a mut TcpStream,
    seen: &'a Seen,
    id: String,
    model: String,
    /// A body framed by chunks: one that is cut short can be told from one that ends.
    chunked: bool,
    tokens: u64,
}

impl Answer<'_> {
    async fn stream(&mut self, steps: &[Step], messages: &[Value]) -> Io<()> {
        let framing = if self.chunked {
            "transfer-encoding: chunked\r\n"
        } else {
            ""
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\nconnection: close\r\n{framing}\r\n"
        );
        self.stream.write_all(head.as_bytes()).await?;
        self.delta(json!({"role": "assistant", "content": ""}), None).await?;
        let mut finish = "stop".to_owned();
        for step in steps {
            match self.step(step).await? {
                Some(End::Finish(reason)) => finish = reason,
                // A socket that is dropped with unread data resets by itself; here nothing is unread.
                Some(End::Broken) => return self.stream.shutdown().await,
                None => {}
            }
        }
        self.delta(json!({}), Some(&finish)).await?;
        let prompt = messages.iter().map(|m| content(&m["content"]).len()).sum::<usize>() / 4 + 1;
        let total = prompt as u64 + self.tokens;
        let usage = json!({"prompt_tokens": prompt, "completion_tokens": self.tokens, "total_tokens": total});
        self.event(&json!({"id": self.id, "object": "chat.completion.chunk", "created": 0, "model": self.model, "choices": [], "usage": usage})).await?;
        self.bytes(b"data: [DONE]\n\n").await?;
        if self.chunked {
            self.stream.write_all(b"0\r\n\r\n").await?;
        }
        self.stream.shutdown().await
    }

    async fn whole(&mut self, steps: &[Step]) -> Io<()> {
        let mut text = String::new();
        for step in steps {
            match step.verb.as_str() {
                "say" => text.push_str(&step.rest),
                "markdown" => text.push_str(MARKDOWN),
                "text" => text.extend((0..step.count("n", 20)).map(|i| WORDS[i % WORDS.len()])),
                _ => {}
            }
        }
        let message = json!({"role": "assistant", "content": text});
        let body = json!({
            "id": self.id, "object": "chat.completion", "created": 0, "model": self.model,
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        });
        respond(self.stream, 200, &body, "").await
    }

    async fn bytes(&mut self, data: &[u8]) -> Io<()> {
        if !self.chunked {
            return self.stream.write_all(data).await;
        }
        let mut framed = format!("{:x}\r\n", data.len()).into_bytes();
        framed.extend_from_slice(data);
        framed.extend_from_slice(b"\r\n");
        self.stream.write_all(&framed).await
    }

    async fn event(&mut self, value: &Value) -> Io<()> {
        self.bytes(format!("data: {value}\n\n").as_bytes()).await
    }

    async fn delta(&mut self, delta: Value, finish: Option<&str>) -> Io<()> {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let chunk = json!({"id": self.id, "object": "chat.completion.chunk", "created": 0, "model": self.model, "choices": [choice]});
        self.event(&chunk).await
    }

    async fn words(&mut self, key: &str, n: usize, rate: f64, word: impl Fn(usize) -> String) -> Io<()> {
        let start = tokio::time::Instant::now();
        for i in 0..n {
            let mut delta = serde_json::Map::new();
            delta.insert(key.to_owned(), Value::String(word(i)));
            self.delta(Value::Object(delta), None).await?;
            self.tokens += 1;
            self.seen.chunks.fetch_add(1, Ordering::SeqCst);
            if rate > 0.0 {
                // Against the start, so that the pauses do not add up their errors.
                tokio::time::sleep_until(start + Duration::from_secs_f64((i + 1) as f64 / rate)).await;
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Io<Option<End>> {
        let rate = step.number("rate", 200.0);
        let plain = |i: usize| WORDS[i % WORDS.len()].to_owned();
        let after = step.count("after", 5);
        match step.verb.as_str() {
            "text" => {
                let size = step.count("size", 0);
                let sized = |i: usize| match size {
                    0 => plain(i),
                    size => WORDS[i % WORDS.len()].chars().cycle().take(size).collect(),
                };
                self.words("content", step.count("n", 20), rate, sized).await?;
            }
            "stamp" => {
                self.words("content", step.count("n", 50), rate, |_| format!("{:.3}\n", now_ms()))
                    .await?
            }
            "say" => {
                let words: Vec<_> = step.rest.split_inclusive(' ').map(str::to_owned).collect();
                self.words("content", words.len(), 0.0, |i| words[i].clone()).await?;
            }
            "markdown" => {
                let lines: Vec<_> = MARKDOWN.split_inclusive('\n').map(str::to_owned).collect();
                self.words("content", lines.len(), rate, |i| lines[i].clone()).await?;
            }
            "reason" => {
                self.words("reasoning_content", step.count("n", 20), rate, plain)
                    .await?;
                self.delta(json!({"content": "thought it over. "}), None).await?;
            }
            "tool" => {
                let name = step.keys.get("name").map_or("bash", String::as_str);
                let id = format!("call_{}", self.id);
                let arguments = step.args.clone().unwrap_or_else(|| json!({})).to_string();
                let call =
                    json!({"index": 0, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
                self.delta(json!({"tool_calls": [call]}), None).await?;
                for piece in arguments.chars().collect::<Vec<_>>().chunks(16) {
                    let piece: String = piece.iter().collect();
                    self.delta(
                        json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}),
                        None,
                    )
                    .await?;
                }
                return Ok(Some(End::Finish("tool_calls".to_owned())));
            }
            "cut" => {
                self.words("content", after, rate, plain).await?;
                if step.keys.get("how").is_some_and(|h| h == "rst") {
                    self.stream.set_zero_linger()?;
                    return Err(std::io::ErrorKind::ConnectionReset.into());
                }
                return Ok(Some(End::Broken));
            }
            "hang" => {
                self.words("content", after, rate, plain).await?;
                pause(self.stream, step.number("secs", 30.0)).await?;
            }
            "garbage" => {
                self.words("content", after, rate, plain).await?;
                self.bytes(b"data: {this is not json\n\n").await?;
            }
            "errmid" => {
                self.words("content", after, rate, plain).await?;
                self.event(&json!({"error": {"message": "an error amid the answer", "type": "server_error"}}))
                    .await?;
                return Ok(Some(End::Broken));
            }
            "delay" => pause(self.stream, step.number("secs", 1.0)).await?,
            "length" => return Ok(Some(End::Finish("length".to_owned()))),
            "finish" => return Ok(Some(End::Finish(step.keys.get("reason").cloned().unwrap_or_default()))),
            other => {
                self.delta(json!({"content": format!("[the stand-in knows no `{other}`]")}), None)
                    .await?
            }
        }
        Ok(None)
    }
}
