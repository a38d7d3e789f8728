//! The live protocol, version 2. JSON text frames, one object each, tagged by `type`; names are `snake_case`, times
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
//! greater than the part's is ignored. A closed text or reasoning part comes with `html`, rendered and sanitized;
//! without it (open, or very long) the Markdown is shown as text.
//!
//! A prompt that comes while a turn runs is `admitted` and kept until the turn has ended: its message has `waiting`, as
//! one has that was left to its owner. `take_back` removes it, and the same prompt with `now` sends it at once.
//!
//! **A long conversation.** A `state` holds the newest messages, as many as fit into one frame of a bounded size, and
//! `before` where there are older ones: `older` with it gives the next `older` frame. Long outputs of tools, and long texts,
//! are cut; `cut` says how many bytes are missing, and `part` asks for the whole. Requests that wait and have no room in the
//! `state` follow it, each in a `request`.
//!
//! **A frame that cannot be read** costs nothing but itself: it is answered by `refused` where it has a `client_id`, by
//! `failed` where it has an `id`, and by `invalid` otherwise. Only before `hello` it ends the connection.
//!
//! **What a client orders** has an `id` that the client chooses; the answer has the same one.
//!
//! Unknown fields and frame types must be ignored by a client. Close codes: [`close`].

use nexus_chat::{BackendStatus, Prompt};
use nexus_model::chat::{AgentRequest, Answer, Event, LastError, Message, Part, Root, SessionInfo, Turn};
use nexus_model::plugin::PluginStatus;
use nexus_model::time::Millis;
use nexus_model::tunnel::TunnelStatus;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `VERSION` is that of the protocol of this file.
pub const VERSION: u32 = 2;

/// The numbers here say why the server closes a socket.
pub mod close {
    /// `GOING_AWAY`: the host or its listener shuts down; connect again.
    pub const GOING_AWAY: u16 = 1001;
    /// `LOGGED_OUT`: the login was ended; log in again.
    pub const LOGGED_OUT: u16 = 4001;
    /// `PROTOCOL`: the first frame is not of this protocol, because the page is older or newer than this Nexus; reload
    /// it.
    pub const PROTOCOL: u16 = 4002;
    /// `TOO_LONG`: a frame is longer than any may be.
    pub const TOO_LONG: u16 = 1009;
    /// `TOO_SLOW`: the client did not take its frames, or sent none for too long; connect again and resume.
    pub const TOO_SLOW: u16 = 4003;
    /// `BUSY`: there are too many live connections; try again later.
    pub const BUSY: u16 = 4004;
}

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
// The API refuses unknown fields; a frame ignores them.
#[serde(deny_unknown_fields)]
pub struct NewPrompt {
    /// `client_id` is chosen by the client; the same one is admitted once.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,128}$", examples("script-1"))]
    pub client_id: String,
    /// `text` is at most 512 KiB, and not blanks alone.
    #[schema(min_length = 1, pattern = r"\S", examples("Which tests fail?"))]
    pub text: String,
    /// `consent` is the id of a consent that the owner has given: the answer that asks for it has it.
    #[serde(default)]
    pub consent: Option<String>,
    /// `now`: do not wait for the turn that runs. For a prompt that waits already, its own text counts.
    #[serde(default)]
    pub now: bool,
}

impl NewPrompt {
    /// `parts` are the prompt for the chat service, and whether it does not wait.
    pub(crate) fn parts(self) -> (Prompt, bool) {
        let prompt = Prompt {
            client_id: self.client_id,
            text: self.text,
            model: None,
            consent: self.consent,
        };
        (prompt, self.now)
    }
}

/// A frame from the client to the server has a `type`. Fields that are not known are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ClientFrame)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Client {
    /// `hello` is the first frame.
    Hello {
        /// `protocol` is the version of the live protocol that the client speaks. It must be the one that `welcome`
        /// has.
        protocol: u32,
        /// `session` is a subscription to begin with.
        #[serde(default)]
        session: Option<String>,
        /// `from` is the last number (`seq`) that the client has of the session.
        #[serde(default)]
        from: Option<u64>,
        /// `status`: also send `status` frames, now and at every change.
        #[serde(default)]
        status: bool,
    },
    /// Replaces the subscription, if there is one. Answered by `state`, by the events after `from`, or by `ended`.
    Subscribe {
        /// `session` is the id of the session to show.
        session: String,
        /// `from` is the last number (`seq`) that the client has of the session.
        #[serde(default)]
        from: Option<u64>,
    },
    /// Ends the subscription.
    Unsubscribe,
    /// Sends a prompt. Answered by `admitted`, `refused`, `deferred` or `consent`, with the same `client_id`.
    Prompt {
        /// `session` is the id of the session.
        session: String,
        /// `prompt` has its fields beside `session`.
        #[serde(flatten)]
        prompt: NewPrompt,
    },
    /// Takes a prompt back that waits. Answered by `done` or `failed`.
    TakeBack {
        /// `id` is chosen by the client, for the answer.
        id: String,
        /// `session` is the id of the session.
        session: String,
        /// `client_id` is the one that the prompt was sent with.
        client_id: String,
    },
    /// `older` asks for what came before the message that a `before` stands for. Answered by `older`.
    Older {
        /// `session` is the id of the session.
        session: String,
        /// `before` is from a `state` or an `older` frame.
        before: String,
    },
    /// `part` asks for the whole of a part that was cut. Answered by `part`.
    Part {
        /// `session` is the id of the session.
        session: String,
        /// `part` is the id of the part.
        part: String,
    },
    /// `list` asks for the first `count` lines of the list, from now on. Answered by `list`.
    List {
        /// `count` is how many sessions.
        count: usize,
    },
    /// `continue` goes on where the interrupted answer ended. Answered by `done` or `failed`, as the next ones.
    Continue {
        /// `id` is chosen by the client, for the answer.
        id: String,
        /// `session` is the id of the session.
        session: String,
    },
    /// `cancel` stops the running turn. Answered by `done` or `failed`, as the next ones.
    Cancel {
        /// `id` is chosen by the client, for the answer.
        id: String,
        /// `session` is the id of the session.
        session: String,
    },
    /// Answers a request of the agent.
    Reply {
        /// `id` is chosen by the client, for the answer.
        id: String,
        /// `session` is the id of the session in which the request is shown.
        session: String,
        /// `request` is the id of the request.
        request: String,
        /// `answer` is what the owner says.
        answer: Answer,
    },
    /// `create` makes a session. Answered by `created` or `failed`. The same `id` makes one session, also on another
    /// connection.
    Create {
        /// `id` is chosen by the client, for the answer.
        id: String,
        /// `title` has at most 200 characters. Absent: the backend finds one.
        #[serde(default)]
        title: Option<String>,
    },
    /// `ping` is answered by `pong`. A client that hears nothing for a while sends it to see whether the connection
    /// lives.
    Ping,
}

/// A frame from the server to the client has a `type`. Ignore the fields and the types that you do not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ServerFrame)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Server {
    /// `welcome` is the answer to `hello`.
    Welcome {
        /// `protocol` is the version of the live protocol.
        protocol: u32,
        /// `version` is the one of Nexus. Another one than before: reload the page.
        version: String,
        /// `account` is the name of the account that is logged in.
        account: String,
        /// `assets` names the assets that belong to this version.
        assets: String,
        /// `now` is the time of the server, which all times are of, in milliseconds since the Unix epoch.
        now: Millis,
    },
    /// `state` is a session as it is: it replaces all that the client knows of it.
    State(Box<SessionFrame>),
    /// `request` is one more request of the agent that waits: the `requests` of the `state` before had no room for it.
    Request {
        /// `session` is the id of the session in which it is shown.
        session: String,
        /// `request` is what the agent asks for.
        request: AgentRequest,
    },
    /// `event` is what happened in the session that is subscribed to.
    Event {
        /// `session` is the id of the session.
        session: String,
        /// `prev` is the number of the frame before it in this subscription.
        prev: u64,
        /// `seq` is the number of this event; it grows.
        seq: u64,
        /// `event` is what happened.
        event: Event,
        /// `html` is the rendered Markdown of a closed text or reasoning part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        html: Option<String>,
        /// `cut` is how many bytes are missing of a `part`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        cut: Option<usize>,
    },
    /// `older` has older messages, the oldest first.
    Older {
        /// `session` is the id of the session.
        session: String,
        /// `messages` are whole but for what `cut` says of their parts.
        messages: Vec<MessageWithParts>,
        /// `before` asks for the messages before these. Absent: there are none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        before: Option<String>,
    },
    /// `part` is a part, whole.
    Part {
        /// `session` is the id of the session.
        session: String,
        /// `part` is the part, with nothing cut.
        part: Rendered,
    },
    /// The subscription ended.
    Ended {
        /// `session` is the id of the session.
        session: String,
        /// `again`: subscribe again. Otherwise the session is not there.
        again: bool,
        /// `reason` is a sentence.
        reason: String,
    },
    /// `list` has root sessions, the most recently changed first, and the one that is subscribed to.
    List {
        /// `sessions` are the first lines, as many as `list` asked for.
        sessions: Vec<Root>,
        /// `more` is how many there are besides. Absent: none.
        #[serde(default, skip_serializing_if = "is_zero")]
        more: usize,
    },
    /// The chat backend is another one, or changed.
    Backend {
        /// `backend` is the backend as it is now.
        backend: BackendStatus,
        /// `html` is the banners of the page.
        html: String,
    },
    /// `status` says what runs. It is sent where `hello` asked for it.
    Status {
        /// `plugins` are all that serve.
        plugins: Vec<PluginStatus>,
        /// `tunnels` are all that are configured.
        tunnels: Vec<TunnelStatus>,
        /// `html` is the body of the status page.
        html: String,
    },
    /// The prompt was taken.
    Admitted {
        /// `client_id` is the one of the prompt.
        client_id: String,
        /// `duplicate`: the backend had it already.
        duplicate: bool,
    },
    /// The prompt will not be taken, however often it is sent.
    Refused {
        /// `client_id` is the one of the prompt.
        client_id: String,
        /// `reason` is a sentence.
        reason: String,
    },
    /// `deferred`: it is not known whether the prompt arrived, or it is not possible now. Send it again, with the same
    /// id.
    Deferred {
        /// `client_id` is the one of the prompt.
        client_id: String,
        /// `reason` is a sentence.
        reason: String,
    },
    /// The user has to agree first; then send it again, with the same id and `consent`.
    Consent {
        /// `client_id` is the one of the prompt.
        client_id: String,
        /// `consent` is its id.
        consent: String,
        /// `text` is what the user has to agree to.
        text: String,
    },
    /// The session was made.
    Created {
        /// `id` is the one of the order.
        id: String,
        /// `session` is the new session.
        session: SessionInfo,
    },
    /// The tunnel that this connection came through leads to `url` from now on, and this address ends soon. Null: another
    /// plugin has to have this one's port before it has an address, which is not known yet.
    Moved {
        /// `url` is the new address.
        #[schema(required, format = "uri")]
        url: Option<String>,
    },
    /// What was ordered is done.
    Done {
        /// `id` is the one of the order.
        id: String,
    },
    /// What was ordered was not done.
    Failed {
        /// `id` is the one of the order.
        id: String,
        /// `reason` is a sentence.
        reason: String,
    },
    /// `invalid`: the frame cannot be read, or is of a type that this Nexus does not know.
    Invalid {
        /// `reason` says what is wrong with it.
        reason: String,
    },
    /// `pong` is the answer to `ping`.
    Pong,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The state of a session is as of `seq`: the newest messages, as many as fit into one frame of a bounded size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SessionState)]
pub struct SessionFrame {
    /// `session` is its id.
    pub session: String,
    /// `seq` is the number of the last event in it.
    pub seq: u64,
    /// `info` describes it.
    pub info: SessionInfo,
    /// `messages` are in order, the oldest first.
    pub messages: Vec<MessageWithParts>,
    /// `turn` is what the agent does.
    pub turn: Turn,
    /// `requests` are those of the agent that wait.
    pub requests: Vec<AgentRequest>,
    /// `error` is what went wrong last, and still holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<LastError>,
    /// `before` asks for the older messages, which are left out. Absent: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub before: Option<String>,
}

/// An entry is a message with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageWithParts {
    /// `message` is the message itself.
    pub message: Message,
    /// `parts` are in the order in which they came.
    pub parts: Vec<Rendered>,
}

/// A rendered part has its `html` where it is closed text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RenderedPart)]
pub struct Rendered {
    /// `part` is the part itself.
    #[serde(flatten)]
    pub part: Part,
    /// `html` is the rendered and sanitized Markdown of closed text. Absent: show the Markdown as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub html: Option<String>,
    /// `cut` is how many bytes are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cut: Option<usize>,
}

/// Reads a frame of a client. `Err`: what to answer where it cannot be read.
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
        id: Option<serde_json::Value>,
    }
    let reason = format!("Nexus does not understand this message from the page ({error}). To fix: reload the page.");
    let sender: Sender = serde_json::from_str(&text).unwrap_or_default();
    let name = |value: Option<serde_json::Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    Err(Box::new(match (name(sender.client_id), name(sender.id)) {
        (Some(client_id), _) => Server::Refused { client_id, reason },
        (None, Some(id)) => Server::Failed { id, reason },
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
            protocol: VERSION,
            session: Some("s".into()),
            from: Some(7),
            status: true,
        });
        let reply = Answer::Reject {
            message: Some("no".into()),
        };
        same(&Client::Reply {
            id: "1".into(),
            session: "s".into(),
            request: "a".into(),
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
        assert!(matches!(read(prompt), Ok(Client::Prompt { prompt, .. }) if prompt.text == "cut emoji \u{fffd}"));
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
        let reply = r#"{"type":"reply","id":"r","session":"s","request":"a","answer":{"type":"later"}}"#;
        assert!(matches!(answer(reply), Server::Failed { id, .. } if id == "r"));
        for nonsense in [
            "",
            "{}",
            "[1]",
            "nonsense",
            r#"{"type":"later"}"#,
            r#"{"type":1,"id":{}}"#,
        ] {
            assert!(matches!(answer(nonsense), Server::Invalid { .. }), "{nonsense}");
        }
    }

    #[test]
    fn a_short_hello_is_enough_and_unknown_fields_are_ignored() {
        let hello: Client = serde_json::from_str(r#"{"type":"hello","protocol":2,"later":true}"#).unwrap();
        assert_eq!(
            hello,
            Client::Hello {
                protocol: 2,
                session: None,
                from: None,
                status: false
            }
        );
    }
}
