//! The live protocol, version 1. JSON text frames, one object each, tagged by `type`; names are `snake_case`, times
//! milliseconds since the Unix epoch.
//!
//! A client connects to `GET /live` with the login's cookie and an `Origin` of this site, and sends [`Client::Hello`]
//! first. The server answers [`Server::Welcome`], `backend`, `list`, and from then on says what changes.
//!
//! **Each event exactly once.** `subscribe` names a session and the last number (`seq`) that the client has of it, or
//! none. The server answers with a `state`, which replaces all that the client knows of the session, or goes on with
//! the events after that number. A client keeps the number of the last frame, ignores an event whose `seq` is not
//! greater, and subscribes again from its number where `prev` is greater than it (a gap). After a broken connection
//! it does the same on the next one.
//!
//! **Each prompt once.** A client chooses `client_id` once per prompt, keeps it until `admitted` or `refused`, and
//! sends the same again after a reconnect or a `deferred`; the backend gets it once.
//!
//! **Parts.** `part` events are snapshots and `delta` events append; both carry a `revision`, and one that is not
//! greater than the part's is ignored. A closed text or reasoning part comes with `html`, rendered and sanitised;
//! without it (open, or very long) the Markdown is shown as text.
//!
//! A prompt that comes while a turn runs is `admitted` and kept until the turn has ended: its message has `waiting`, as
//! one has that was left to its owner. `take_back` removes it, and the same prompt with `now` sends it at once.
//!
//! **A long conversation.** A `state` holds the newest messages, as many as fit into one frame of a bounded size, and
//! `before` where there are older ones: `older` with it gives the next `older` frame. Long outputs of tools, and long texts,
//! are cut; `cut` says how many bytes are missing, and `part` asks for the whole. Requests that wait and have no room in the
//! `state` follow it, each in an `asked`.
//!
//! **A frame that cannot be read** costs nothing but itself: it is answered by `refused` where it has a `client_id`, by
//! `failed` where it has a `request`, and by `invalid` otherwise. Only before `hello` it ends the connection.
//!
//! Unknown fields and frame types must be ignored by a client. Close codes: [`close`].

use crate::port::Backend;
use nexus_model::chat::{Answer, Ask, Event, LastError, Message, Part, Root, SessionInfo, Turn};
use nexus_model::time::Millis;
use nexus_model::{plugin, tunnel};
use serde::{Deserialize, Serialize};

/// Of this file.
pub const VERSION: u32 = 1;

/// Why the server closes a socket.
pub mod close {
    /// The host or its listener shuts down; connect again.
    pub const GOING_AWAY: u16 = 1001;
    /// The login was ended. Log in again.
    pub const LOGGED_OUT: u16 = 4001;
    /// The first frame is not of this protocol: the page is older or newer than this Nexus. Reload it.
    pub const PROTOCOL: u16 = 4002;
    /// A frame that is longer than any may be.
    pub const TOO_LONG: u16 = 1009;
    /// The client did not take its frames, or sent none for too long. Connect again and resume.
    pub const TOO_SLOW: u16 = 4003;
    /// Too many live connections. Try again later.
    pub const BUSY: u16 = 4004;
}

/// Client → server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Client {
    /// The first frame. `protocol` must be [`VERSION`].
    Hello {
        protocol: u32,
        /// A subscription to begin with.
        #[serde(default)]
        session: Option<String>,
        /// The last number the client has of it.
        #[serde(default)]
        from: Option<u64>,
        /// Also send [`Server::Status`], now and at every change.
        #[serde(default)]
        status: bool,
    },
    /// Replaces the subscription, if there is one.
    Subscribe {
        session: String,
        #[serde(default)]
        from: Option<u64>,
    },
    Unsubscribe,
    /// Answered by `admitted`, `refused`, `deferred` or `consent`, with the same `client_id`.
    Prompt {
        session: String,
        /// `[A-Za-z0-9_-]{1,128}`
        client_id: String,
        text: String,
        /// From a [`Server::Consent`] that the user agreed to.
        #[serde(default)]
        consent: Option<String>,
        /// Do not wait for the turn that runs. For a prompt that waits already, its own text counts.
        #[serde(default)]
        now: bool,
    },
    /// Takes a prompt back that waits. Answered by `done` or `failed`.
    TakeBack {
        request: String,
        session: String,
        client_id: String,
    },
    /// What came before the message that a `before` stands for. Answered by `older`.
    Older {
        session: String,
        before: String,
    },
    /// The whole of a part that was cut. Answered by `part`.
    Part {
        session: String,
        part: String,
    },
    /// The first `count` lines of the list, from now on. Answered by `list`.
    List {
        count: usize,
    },
    /// Go on where the interrupted answer ended. Answered by `done` or `failed`, as the next ones.
    Continue {
        request: String,
        session: String,
    },
    /// Stop the running turn. Answered by `done` or `failed`, as the next ones.
    Cancel {
        request: String,
        session: String,
    },
    Reply {
        request: String,
        session: String,
        ask: String,
        answer: Answer,
    },
    /// Answered by `created` or `failed`. The same `request` makes one session, also on another connection.
    Create {
        request: String,
        #[serde(default)]
        title: Option<String>,
    },
    /// Answered by `pong`. A client that hears nothing for a while sends it to see whether the connection lives.
    Ping,
}

/// Server → client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Server {
    Welcome {
        protocol: u32,
        /// Of Nexus. Another one than before: reload the page.
        version: String,
        account: String,
        /// The assets that belong to this version.
        assets: String,
        /// The time of the server, which all times are of.
        now: Millis,
    },
    State(Box<State>),
    /// One more request that waits, behind a `state` whose `asks` had no room for it.
    Asked {
        session: String,
        ask: Ask,
    },
    Event {
        session: String,
        /// The number of the frame before it in this subscription.
        prev: u64,
        seq: u64,
        event: Event,
        /// Of a closed text or reasoning part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        html: Option<String>,
        /// Bytes that are missing of a `part`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cut: Option<usize>,
    },
    /// Older messages, the oldest first.
    Older {
        session: String,
        messages: Vec<Entry>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
    },
    /// A part, whole.
    Part {
        session: String,
        part: Rendered,
    },
    /// The subscription ended: the session is not there, or (`again`) it has to be subscribed anew.
    Ended {
        session: String,
        again: bool,
        reason: String,
    },
    /// Root sessions, the most recently changed first, and the one that is subscribed to.
    List {
        sessions: Vec<Root>,
        /// How many there are besides.
        #[serde(default, skip_serializing_if = "is_zero")]
        more: usize,
    },
    Backend {
        backend: Backend,
        /// The banners of the page.
        html: String,
    },
    Status {
        plugins: Vec<plugin::Status>,
        tunnels: Vec<tunnel::Status>,
        /// The body of the status page.
        html: String,
    },
    Admitted {
        client_id: String,
        /// The backend had it already.
        duplicate: bool,
    },
    /// It will not be taken, however often it is sent.
    Refused {
        client_id: String,
        reason: String,
    },
    /// Not known whether it arrived, or not possible now: send it again, with the same id.
    Deferred {
        client_id: String,
        reason: String,
    },
    /// The user has to agree first; then send it again, with the same id and `consent`.
    Consent {
        client_id: String,
        consent: String,
        text: String,
    },
    Created {
        request: String,
        session: SessionInfo,
    },
    /// The tunnel that this connection came through leads to `url` from now on, and this address ends soon. Null: another
    /// plugin has to have this one's port before it has an address, which is not known yet.
    Moved {
        url: Option<String>,
    },
    Done {
        request: String,
    },
    Failed {
        request: String,
        reason: String,
    },
    /// A frame that cannot be read, or is of a type that this Nexus does not know.
    Invalid {
        reason: String,
    },
    Pong,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A session as it is at `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub session: String,
    pub seq: u64,
    pub info: SessionInfo,
    /// The oldest first.
    pub messages: Vec<Entry>,
    pub turn: Turn,
    pub asks: Vec<Ask>,
    /// What went wrong last, and still holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<LastError>,
    /// Older messages are left out: ask for them with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub message: Message,
    pub parts: Vec<Rendered>,
}

/// A part, with its `html` where it is closed text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    #[serde(flatten)]
    pub part: Part,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Bytes that are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<usize>,
}

/// Reads a frame of a client. Where it cannot be read: what to answer.
pub(super) fn read(text: &str) -> Result<Client, Box<Server>> {
    let text = nexus_plugin_api::json::well_formed_str(text);
    let error = match serde_json::from_str(&text) {
        Ok(frame) => return Ok(frame),
        Err(error) => error,
    };
    /// Who asked.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Sender {
        client_id: Option<serde_json::Value>,
        request: Option<serde_json::Value>,
    }
    let reason = format!("This Nexus does not understand what the page sent ({error}). To fix: reload the page.");
    let sender: Sender = serde_json::from_str(&text).unwrap_or_default();
    let name = |value: Option<serde_json::Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    Err(Box::new(match (name(sender.client_id), name(sender.request)) {
        (Some(client_id), _) => Server::Refused { client_id, reason },
        (None, Some(request)) => Server::Failed { request, reason },
        (None, None) => Server::Invalid { reason },
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_model::chat::Content;

    fn same<T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(frame: &T) -> String {
        let text = serde_json::to_string(frame).unwrap();
        assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), frame, "{text}");
        text
    }

    #[test]
    fn frames_survive_the_way_there_and_back() {
        same(&Client::Hello {
            protocol: 1,
            session: Some("s".into()),
            from: Some(7),
            status: true,
        });
        let reply = Answer::Reject {
            message: Some("no".into()),
        };
        same(&Client::Reply {
            request: "1".into(),
            session: "s".into(),
            ask: "a".into(),
            answer: reply,
        });
        let content = Content::Text { text: "hi".into() };
        let part = Part {
            id: "p".into(),
            message: "m".into(),
            revision: 3,
            closed: true,
            content,
        };
        let html: Option<String> = Some("<p>hi</p>".into());
        let event = Server::Event {
            session: "s".into(),
            prev: 4,
            seq: 5,
            event: Event::Part { part: part.clone() },
            html: html.clone(),
            cut: None,
        };
        assert!(same(&event).starts_with(r#"{"type":"event","session":"s","prev":4,"seq":5,"event":{"type":"part""#));
        assert!(same(&Rendered { part, html, cut: None }).ends_with(r#""html":"<p>hi</p>"}"#));
    }

    #[test]
    fn what_javascript_writes_is_read_and_what_cannot_be_read_is_answered_to_who_asked() {
        let prompt = r#"{"type":"prompt","session":"s","client_id":"c","text":"cut emoji \ud83d"}"#;
        assert!(matches!(read(prompt), Ok(Client::Prompt { text, .. }) if text == "cut emoji \u{fffd}"));
        let answer = |text: &str| *read(text).unwrap_err();
        let long = format!(
            r#"{{"type":"prompt","client_id":"c","text":{}1{}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        for refused in [
            r#"{"type":"prompt","client_id":"c"}"#,
            r#"{"type":"later","client_id":"c"}"#,
            &long,
        ] {
            assert!(
                matches!(answer(refused), Server::Refused { client_id, .. } if client_id == "c"),
                "{refused}"
            );
        }
        let reply = r#"{"type":"reply","request":"r","session":"s","ask":"a","answer":{"type":"later"}}"#;
        assert!(matches!(answer(reply), Server::Failed { request, .. } if request == "r"));
        for nonsense in [
            "",
            "{}",
            "[1]",
            "nonsense",
            r#"{"type":"later"}"#,
            r#"{"type":1,"request":{}}"#,
        ] {
            assert!(matches!(answer(nonsense), Server::Invalid { .. }), "{nonsense}");
        }
    }

    #[test]
    fn a_short_hello_is_enough_and_unknown_fields_are_ignored() {
        let hello: Client = serde_json::from_str(r#"{"type":"hello","protocol":1,"later":true}"#).unwrap();
        assert_eq!(
            hello,
            Client::Hello {
                protocol: 1,
                session: None,
                from: None,
                status: false
            }
        );
    }
}
