//! Nexus, the real opencode and the model stand-in together, and one chat through the live socket.

use crate::browser::{Browser, Socket};
use crate::llm::Llm;
use crate::nexus::{Nexus, Start};
use crate::opencode::Opencode;
use crate::{processes, wait};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// Everything that runs.
pub struct World {
    pub llm: Llm,
    pub opencode: Opencode,
    /// To start it again on the same data.
    pub start: Start,
    pub nexus: Nexus,
    pub browser: Browser,
}

/// A configuration whose chat is the real opencode, in its own world.
pub fn start(llm: &Llm, more: &str) -> (Start, Opencode) {
    let start = Start::new();
    let opencode = Opencode::prepare(start.folder(), &llm.url());
    let config = format!(
        "[chat.main]\nplugin = \"chat-opencode\"\nworkspace = {:?}\n\
         [plugin.chat-opencode.grants.process.opencode]\npath = {:?}\ninherit_env = true\n{more}",
        opencode.project, opencode.binary
    );
    (start.config(config).envs(&opencode.env), opencode)
}

impl World {
    /// Up, with an owner who is logged in, and opencode ready.
    pub async fn up(more: &str) -> Self {
        let llm = Llm::start().await;
        let (start, opencode) = start(&llm, more);
        Self::of(llm, start, opencode).await
    }

    /// The same around what was laid out before: files of the project, a configuration of opencode.
    pub async fn of(llm: Llm, start: Start, opencode: Opencode) -> Self {
        let nexus = start.up();
        let browser = Browser::set_up(&nexus).await;
        let world = Self {
            llm,
            opencode,
            start,
            nexus,
            browser,
        };
        world.ready().await;
        world
    }

    /// kill -9 of Nexus; nothing of it may be left. Then another on the same data, for the same browser.
    pub async fn kill_and_start_again(&mut self) {
        self.nexus.kill();
        let left = self.nexus.survivors();
        assert!(left.is_empty(), "survived their Nexus: {left:?}");
        self.nexus = self.start.up();
        self.browser = self.browser.at(&self.nexus.url);
    }

    /// The running `opencode serve` itself, neither its shim nor a wrapper.
    pub fn opencode_pid(&mut self) -> u32 {
        let all = self.nexus.descendants();
        let found = all
            .into_iter()
            .rfind(|pid| processes::command_line(*pid).contains("serve --hostname"));
        found.unwrap_or_else(|| panic!("opencode does not run.\n{}", self.nexus.output()))
    }

    /// Waits until the backend is up.
    pub async fn ready(&self) {
        ready(&self.browser).await;
    }

    /// A new session and a client that looks at it.
    pub async fn conversation(&self) -> Conversation {
        Conversation::create(&self.browser, &self.nexus).await
    }

    /// Another client that looks at a session.
    pub async fn look(&self, session: &str, from: Option<u64>) -> Conversation {
        Conversation::look(&self.browser, session, from).await
    }
}

/// Waits until the backend is up, and no example.
pub async fn ready(browser: &Browser) {
    up(browser, false).await;
}

/// The same where an example is what is wanted.
pub async fn ready_example(browser: &Browser) {
    up(browser, true).await;
}

async fn up(browser: &Browser, example: bool) {
    let mut socket = browser.socket("/live").await.unwrap();
    socket.send(&json!({"type": "hello", "protocol": 3})).await;
    socket
        .until(|frame| {
            frame["type"] == "backend" && frame["backend"]["state"] == "up" && frame["backend"]["example"] == example
        })
        .await;
}

/// A client of one session: what it was sent, folded as the page does it, and checked while it comes.
pub struct Conversation {
    pub session: String,
    pub socket: Socket,
    /// The number of the last frame.
    pub seq: u64,
    /// Part → (revision, text), of text parts.
    pub texts: BTreeMap<String, (u64, String)>,
    pub messages: BTreeMap<String, Value>,
    pub tools: BTreeMap<String, Value>,
    pub requests: BTreeMap<String, Value>,
    pub turn: String,
    /// All that the turn was, the present last: what is short is over before a busy machine looks.
    pub turns: Vec<String>,
    /// All text of the assistant that ever came, that of parts that are gone too.
    pub ever: String,
    /// Texts of `error` events.
    pub errors: Vec<String>,
    prompts: u32,
}

impl Conversation {
    /// A new session and a client that looks at it.
    pub async fn create(browser: &Browser, nexus: &Nexus) -> Self {
        let mut socket = browser.socket("/live").await.unwrap();
        socket.send(&json!({"type": "hello", "protocol": 3})).await;
        // The same request twice would make one session.
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let request = format!("create-{}", CREATED.fetch_add(1, Ordering::Relaxed));
        socket.send(&json!({"type": "create", "id": request})).await;
        let frames = socket
            .until(|frame| frame["type"] == "created" || frame["type"] == "failed")
            .await;
        let created = frames.last().unwrap();
        assert_eq!(created["type"], "created", "{created}\n{}", nexus.output());
        let session = created["session"]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{created}"))
            .to_owned();
        let mut chat = Conversation::new(session, socket);
        chat.subscribe(None).await;
        chat
    }

    /// A client of a session that there is already.
    pub async fn look(browser: &Browser, session: &str, from: Option<u64>) -> Self {
        let mut socket = browser.socket("/live").await.unwrap();
        socket.send(&json!({"type": "hello", "protocol": 3})).await;
        let mut chat = Self::new(session.to_owned(), socket);
        chat.subscribe(from).await;
        chat
    }

    fn new(session: String, socket: Socket) -> Self {
        Self {
            session,
            socket,
            seq: 0,
            texts: BTreeMap::new(),
            messages: BTreeMap::new(),
            tools: BTreeMap::new(),
            requests: BTreeMap::new(),
            turn: "idle".to_owned(),
            turns: Vec::new(),
            ever: String::new(),
            errors: Vec::new(),
            prompts: 0,
        }
    }

    async fn subscribe(&mut self, from: Option<u64>) {
        self.seq = from.unwrap_or(0);
        self.socket
            .send(&json!({"type": "subscribe", "session": self.session, "from": from}))
            .await;
    }

    /// Sends a prompt and waits until it is admitted.
    pub async fn prompt(&mut self, text: &str) {
        self.prompts += 1;
        let id = format!("test-{}-{}", self.session.len(), self.prompts);
        self.socket
            .send(&json!({"type": "prompt", "session": self.session, "client_id": id, "text": text}))
            .await;
        let answer = self
            .frames_until(|frame| {
                matches!(
                    frame["type"].as_str(),
                    Some("admitted" | "refused" | "deferred" | "consent")
                )
            })
            .await;
        assert_eq!(answer["type"], "admitted", "{answer}");
    }

    /// Sends a request of the kind `what` (`cancel`, `continue`, `reply`) and waits for its answer, `done` or `failed`.
    pub async fn request(&mut self, what: &str, more: Value) -> Value {
        self.prompts += 1;
        let request = format!("request-{}", self.prompts);
        let mut frame = json!({"type": what, "id": request, "session": self.session});
        frame
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        self.socket.send(&frame).await;
        self.frames_until(|f| matches!(f["type"].as_str(), Some("done" | "failed")) && f["id"] == request.as_str())
            .await
    }

    /// Whether an answer is marked as interrupted.
    pub fn interrupted(&self) -> bool {
        self.messages.values().any(|m| m["interrupted"] == true)
    }

    /// What went wrong, as a person reads it: of the messages and of the session.
    pub fn errors(&self) -> String {
        let of_messages = self.messages.values().filter_map(|m| m["error"].as_str());
        of_messages
            .chain(self.errors.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Applies frames until one satisfies `last`, and returns that one.
    pub async fn frames_until(&mut self, last: impl Fn(&Value) -> bool) -> Value {
        wait::within("the frame came", async {
            loop {
                let frame = self.socket.next().await.expect("the socket was closed");
                self.apply(&frame);
                if last(&frame) {
                    return frame;
                }
            }
        })
        .await
    }

    /// Applies frames until what is known satisfies `done`.
    pub async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(wait::LONG, async {
            while !done(self) {
                let frame = self.socket.next().await.expect("the socket was closed");
                self.apply(&frame);
            }
        })
        .await;
        assert!(
            waited.is_ok(),
            "this has not happened in time: {what}; turn {}, texts {:?}, tools {:?}, requests {:?}",
            self.turn,
            self.texts,
            self.tools,
            self.requests
        );
    }

    pub async fn until_idle(&mut self) {
        self.until("the turn is over", |c| {
            c.turn == "idle" && c.messages.values().any(|m| m["role"] == "assistant")
        })
        .await;
    }

    /// All text of the assistant, in the order of the parts' ids.
    pub fn answer(&self) -> String {
        self.texts.values().map(|(_, text)| text.as_str()).collect()
    }

    pub fn apply(&mut self, frame: &Value) {
        match frame["type"].as_str() {
            Some("state") => self.replace(frame),
            Some("event") if frame["session"] == self.session.as_str() => {
                let seq = frame["seq"].as_u64().unwrap();
                assert!(seq > self.seq, "event {seq} came again after {}", self.seq);
                assert!(
                    frame["prev"].as_u64().unwrap() <= self.seq,
                    "a gap: {frame} after {}",
                    self.seq
                );
                self.seq = seq;
                self.event(&frame["event"]);
            }
            _ => {}
        }
    }

    fn replace(&mut self, frame: &Value) {
        self.seq = frame["seq"].as_u64().unwrap_or_else(|| panic!("{frame}"));
        self.texts.clear();
        self.messages.clear();
        self.tools.clear();
        self.requests.clear();
        self.turn = frame["turn"]["state"].as_str().unwrap().to_owned();
        for message in frame["messages"].as_array().unwrap() {
            let plain = if message["message"].is_object() {
                &message["message"]
            } else {
                message
            };
            self.event(&json!({"type": "message", "message": plain}));
            for part in message["parts"].as_array().unwrap() {
                let plain = if part["part"].is_object() { &part["part"] } else { part };
                self.event(&json!({"type": "part", "part": plain}));
            }
        }
        for request in frame["requests"].as_array().unwrap() {
            self.event(&json!({"type": "request", "request": request}));
        }
    }

    fn event(&mut self, event: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().unwrap() {
            "message" => {
                self.messages
                    .insert(text(&event["message"]["id"]), event["message"].clone());
            }
            "message_removed" => {
                self.messages.remove(&text(&event["message"]));
            }
            "part" => {
                let part = &event["part"];
                let (id, revision) = (text(&part["id"]), part["revision"].as_u64().unwrap());
                let role = self.messages.get(&text(&part["message"])).map(|m| m["role"].clone());
                match part["content"]["type"].as_str() {
                    Some("text") if role == Some(json!("assistant")) => {
                        self.ever.push_str(&text(&part["content"]["text"]));
                        self.texts.insert(id, (revision, text(&part["content"]["text"])));
                    }
                    Some("tool") => {
                        self.tools.insert(id, part["content"].clone());
                    }
                    _ => {}
                }
            }
            "delta" => {
                let revision = event["revision"].as_u64().unwrap();
                if let Some((known, whole)) = self.texts.get_mut(&text(&event["part"]))
                    && revision > *known
                {
                    *known = revision;
                    whole.push_str(event["text"].as_str().unwrap());
                    self.ever.push_str(event["text"].as_str().unwrap());
                }
            }
            "part_removed" => {
                self.texts.remove(&text(&event["part"]));
            }
            "request" => {
                self.requests
                    .insert(text(&event["request"]["id"]), event["request"].clone());
            }
            "request_closed" => {
                self.requests.remove(&text(&event["request"]));
            }
            "error" => self.errors.push(text(&event["text"])),
            "turn" => {
                self.turn = text(&event["turn"]["state"]);
                self.turns.push(self.turn.clone());
            }
            _ => {}
        }
    }
}
