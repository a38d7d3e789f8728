//! The live protocol, version 3. JSON text frames, one object each, tagged by `type`; names are `snake_case`, times
//! milliseconds since the Unix epoch.
//!
//! A client connects to `GET /live` with the login's cookie and an `Origin` of this site, and sends [`Client::Hello`]
//! first. The server answers [`Server::Welcome`], `backend`, `list`, and from then on reports what changes.
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
//! without it (open, or very long) the Markdown is shown as text. Of an open text, `blocks` frames have what is complete.
//!
//! A prompt that comes while a turn runs is `admitted` and kept until the turn has ended: its message has `waiting`, as
//! does one that could not be sent. `take_back` removes it, and the same prompt with `now` sends it at once.
//!
//! **A long session.** A `state` holds the newest messages, as many as fit into one frame of a bounded size, and
//! `before` where there are older ones: `older` with it gives the next `older` frame. Long outputs of tools, and long texts,
//! are truncated; `truncated_bytes` says how many bytes are missing, and `part` requests the whole. Open requests that have
//! no room in the `state` follow it, each in a `request`.
//!
//! **A frame that cannot be read** costs nothing but itself: it is answered by `refused` where it has a `client_id`, by
//! `failed` where it has an `id`, and by `invalid` otherwise. Only before `hello` it ends the connection.
//!
//! **A request of a client** has an `id` that the client chooses; the answer has the same one.
//!
//! Unknown fields and frame types must be ignored by a client. Close codes: [`close`].

use nexus_chat::{BackendStatus, Prompt};
use nexus_model::chat::{
    AgentRequest, Answer, Attachment, CommandCall, Event, Ext, FileChange, LastError, Message, Part, PromptOptions,
    Root, SessionInfo, TodoItem, Turn,
};
use nexus_model::plugin::PluginStatus;
use nexus_model::time::Millis;
use nexus_model::trouble::cause_and_fix;
use nexus_model::tunnel::TunnelStatus;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `VERSION` is that of the protocol of this file.
pub const VERSION: u32 = 3;

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

/// `NewPrompt` is a prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
// The API refuses unknown fields; a frame ignores them.
#[serde(deny_unknown_fields)]
pub struct NewPrompt {
    /// `client_id` is chosen by the client. A prompt is admitted once for each `client_id` of a session.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,128}$", examples("script-1"))]
    pub client_id: String,
    /// `text` is the text of the prompt: at most 512 KiB, and not only white space. It is absent where there is a `command`.
    #[serde(default)]
    #[schema(examples("Which tests fail?"))]
    pub text: String,
    /// `command` is a command of the backend, in place of the text.
    #[serde(default)]
    pub command: Option<CommandCall>,
    /// `attachments` are the ids of files that were uploaded for this session, at most 16.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub attachments: Vec<String>,
    /// `files` are files and folders of the project folder that the user points at, relative to it, at most 16.
    #[serde(default)]
    #[schema(max_items = 16, examples(json!(["src/main.rs"])))]
    pub files: Vec<String>,
    /// `model` is the id of the model that is to answer. Absent: the backend's default, which may be that of the session.
    #[serde(default)]
    pub model: Option<String>,
    /// `agent` is the id of the agent that is to answer. Absent: the backend's default, which may be that of the session.
    #[serde(default)]
    pub agent: Option<String>,
    /// `variant` is the id of one of the model's variants. Absent: the model's default.
    #[serde(default)]
    pub variant: Option<String>,
    /// `consent` is the id of a consent that the user has given; it is in the answer that asked for the consent.
    #[serde(default)]
    pub consent: Option<String>,
    /// `now` is true if the prompt is to be sent without waiting for the end of the running turn. The text of a prompt
    /// that is already waiting does not change.
    #[serde(default)]
    pub now: bool,
}

/// `Cause` says why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// `cause` says why it was not done.
    pub cause: String,
    /// `fix` says how to fix it. Absent: no fix is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub fix: Option<String>,
}

impl<T: AsRef<str>> From<T> for Cause {
    fn from(text: T) -> Self {
        let (cause, fix) = cause_and_fix(text.as_ref());
        Self {
            cause: cause.to_owned(),
            fix: fix.map(str::to_owned),
        }
    }
}

impl NewPrompt {
    /// `parts` are the prompt for the chat service, and whether it does not wait.
    pub(crate) fn parts(self) -> (Prompt, bool) {
        let prompt = Prompt {
            client_id: self.client_id,
            text: self.text,
            // Their descriptions are the service's.
            attachments: self.attachments.into_iter().map(Attachment::with_id).collect(),
            options: PromptOptions {
                command: self.command,
                files: self.files,
                model: self.model,
                agent: self.agent,
                variant: self.variant,
            },
            consent: self.consent,
        };
        (prompt, self.now)
    }
}

/// `ClientFrame` is a frame from the client to the server. Unknown keys are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ClientFrame)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Client {
    /// `hello` is the first frame. It is answered by `welcome`.
    Hello {
        /// `protocol` is the version of the live protocol that the client uses. It must be the version of the server,
        /// which `welcome` contains.
        protocol: u32,
        /// `session` is the id of a session to subscribe to.
        #[serde(default)]
        session: Option<String>,
        /// `from` is the number (`seq`) of the last event that the client has of the session.
        #[serde(default)]
        from: Option<u64>,
        /// `status` is true if the client wants `status` frames, now and after every change.
        #[serde(default)]
        status: bool,
    },
    /// `subscribe` subscribes to a session, in place of another. It is answered by `state`, by the events after `from`, or
    /// by `ended`.
    Subscribe {
        /// `session` is the id of the session.
        session: String,
        /// `from` is the number (`seq`) of the last event that the client has of the session.
        #[serde(default)]
        from: Option<u64>,
    },
    /// `unsubscribe` ends the subscription.
    Unsubscribe,
    /// `prompt` sends a prompt. It is answered by `admitted`, `refused`, `deferred` or `consent`, with the same
    /// `client_id`.
    Prompt {
        /// `session` is the id of the session.
        session: String,
        /// `prompt` is the prompt.
        #[serde(flatten)]
        prompt: NewPrompt,
    },
    /// `take_back` takes a waiting prompt back. It is answered by `done` or `failed`.
    TakeBack {
        /// `id` is chosen by the client. The answer contains it.
        id: String,
        /// `session` is the id of the session.
        session: String,
        /// `client_id` is the id with which the prompt was sent.
        client_id: String,
    },
    /// `older` requests the messages before those that the client has. It is answered by `older`.
    Older {
        /// `session` is the id of the session.
        session: String,
        /// `before` is the value from the last `state` or `older` frame.
        before: String,
    },
    /// `part` requests a part that was truncated. It is answered by `part`.
    Part {
        /// `session` is the id of the session.
        session: String,
        /// `part` is the id of the part.
        part: String,
    },
    /// `list` sets how many sessions the `list` frames contain. It is answered by `list`.
    List {
        /// `count` is the number of sessions.
        count: usize,
    },
    /// `continue` continues an interrupted answer. It is answered by `done` or `failed`.
    Continue {
        /// `id` is chosen by the client. The answer contains it.
        id: String,
        /// `session` is the id of the session.
        session: String,
    },
    /// `cancel` stops the running turn. It is answered by `done` or `failed`.
    Cancel {
        /// `id` is chosen by the client. The answer contains it.
        id: String,
        /// `session` is the id of the session.
        session: String,
    },
    /// `reply` answers a request of the agent. It is answered by `done` or `failed`.
    Reply {
        /// `id` is chosen by the client. The answer contains it.
        id: String,
        /// `session` is the id of the session in which the request is shown.
        session: String,
        /// `request` is the id of the request.
        request: String,
        /// `answer` is the answer of the user.
        answer: Answer,
    },
    /// `create` creates a session. It is answered by `created` or `failed`. The same `id` creates one session, also on
    /// another connection.
    Create {
        /// `id` is chosen by the client. The answer contains it.
        id: String,
        /// `title` is the title of the session, at most 200 characters. Absent: the backend chooses one.
        #[serde(default)]
        title: Option<String>,
        /// `workspace` is the path of a project folder of the backend. Absent: the configured one.
        #[serde(default)]
        workspace: Option<String>,
    },
    /// `ping` is answered by `pong`. A client sends it to find out whether the connection still works.
    Ping,
}

/// `ServerFrame` is a frame from the server to the client. A client ignores unknown keys and unknown types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ServerFrame)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Server {
    /// `welcome` is the answer to `hello`.
    Welcome {
        /// `protocol` is the version of the live protocol.
        protocol: u32,
        /// `version` is the version of Nexus. If it has changed, reload the page.
        version: String,
        /// `account` is the name of the account that is logged in.
        account: String,
        /// `assets` is the path of the assets of this version.
        assets: String,
        /// `now` is the time on the server.
        now: Millis,
    },
    /// `state` is the state of a session. It replaces everything that the client has of the session.
    State(Box<SessionFrame>),
    /// `request` is an open request of the agent that did not fit into the `state` frame before.
    Request {
        /// `session` is the id of the session in which the request is shown.
        session: String,
        /// `request` is the request.
        request: AgentRequest,
    },
    /// `event` is an event of the session that the client is subscribed to.
    Event {
        /// `session` is the id of the session.
        session: String,
        /// `prev` is the number of the frame before in this subscription.
        prev: u64,
        /// `seq` is the number of this event. It increases.
        seq: u64,
        /// `event` is the event.
        event: Event,
        /// `html` is the rendered Markdown of a closed text or reasoning part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        html: Option<String>,
        /// `truncated_bytes` is the number of bytes that are missing from the part. Absent: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        truncated_bytes: Option<usize>,
    },
    /// `blocks`: blocks of a text that still grows are complete. It follows the `state` or the `event` that the client has had
    /// last. When the part is closed its HTML replaces them all.
    Blocks {
        /// `session` is the id of the session.
        session: String,
        /// `part` is the id of the part.
        part: String,
        /// `html` is the rendered and sanitized Markdown of the blocks, to be appended to those before.
        html: String,
        /// `tail` is the text after them, which replaces what was after the blocks before. Later deltas are appended to it.
        tail: String,
    },
    /// `older` has older messages.
    Older {
        /// `session` is the id of the session.
        session: String,
        /// `messages` are the messages, the oldest first. Their parts may be truncated.
        messages: Vec<MessageWithParts>,
        /// `before` is the value with which a client requests the messages before these. Absent: there are none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        before: Option<String>,
    },
    /// `part` is a complete part.
    Part {
        /// `session` is the id of the session.
        session: String,
        /// `part` is the part. It is not truncated.
        part: Rendered,
    },
    /// `ended`: the subscription ended.
    Ended {
        /// `session` is the id of the session.
        session: String,
        /// `resubscribe` is true if the client is to subscribe again. Otherwise the session does not exist.
        resubscribe: bool,
        /// `cause` says why the subscription ended.
        #[serde(flatten)]
        cause: Cause,
    },
    /// `list` is the list of sessions, the most recently changed first.
    List {
        /// `sessions` are the first sessions of the list, and the session that the client is subscribed to.
        sessions: Vec<Root>,
        /// `more` is the number of sessions that are not in the frame. Absent: 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        more: usize,
    },
    /// `backend`: the state of the chat backend changed.
    Backend {
        /// `backend` is the backend as it is now.
        backend: BackendStatus,
        /// `html` is the HTML of the banners on the page.
        html: String,
    },
    /// `status`: the state of a plugin or a tunnel changed. It is sent if `hello` requested it.
    Status {
        /// `plugins` are the plugins that are in use.
        plugins: Vec<PluginStatus>,
        /// `tunnels` are the configured tunnels.
        tunnels: Vec<TunnelStatus>,
    },
    /// `admitted`: the prompt was accepted.
    Admitted {
        /// `client_id` is the id with which the prompt was sent.
        client_id: String,
        /// `duplicate` is true if the prompt had been accepted before.
        duplicate: bool,
    },
    /// `refused`: the prompt was not accepted. It would not be accepted if it were sent again.
    Refused {
        /// `client_id` is the id with which the prompt was sent.
        client_id: String,
        /// `cause` says why the prompt was not accepted.
        #[serde(flatten)]
        cause: Cause,
    },
    /// `deferred`: the prompt could not be sent now, or it is not known whether it was. Send it again with the same
    /// `client_id`.
    Deferred {
        /// `client_id` is the id with which the prompt was sent.
        client_id: String,
        /// `cause` says why the prompt could not be sent.
        #[serde(flatten)]
        cause: Cause,
    },
    /// `consent`: the user has to agree first. Then send the prompt again, with the same `client_id` and `consent`.
    Consent {
        /// `client_id` is the id with which the prompt was sent.
        client_id: String,
        /// `consent` is the id of the consent.
        consent: String,
        /// `text` says what the user has to agree to.
        text: String,
    },
    /// `created`: the session was created.
    Created {
        /// `id` is the id of the request.
        id: String,
        /// `session` is the new session.
        session: SessionInfo,
    },
    /// `moved`: the tunnel that the client came through has another address, and the old one closes soon.
    Moved {
        /// `url` is the new address. Null: it is not known yet, because the new plugin needs the port of the old one.
        #[schema(required, format = "uri")]
        url: Option<String>,
    },
    /// `done`: the request was carried out.
    Done {
        /// `id` is the id of the request.
        id: String,
    },
    /// `failed`: the request was not carried out.
    Failed {
        /// `id` is the id of the request.
        id: String,
        /// `cause` says why the request was not carried out.
        #[serde(flatten)]
        cause: Cause,
    },
    /// `invalid`: the frame cannot be read, or its type is unknown.
    Invalid {
        /// `cause` says what is wrong with the frame.
        #[serde(flatten)]
        cause: Cause,
    },
    /// `pong` is the answer to `ping`.
    Pong,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// `SessionState` is the state of a session as of the event `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SessionState)]
pub struct SessionFrame {
    /// `session` is the id of the session.
    pub session: String,
    /// `seq` is the number of the last event that the state contains.
    pub seq: u64,
    /// `info` describes the session.
    pub info: SessionInfo,
    /// `messages` are the newest messages, as many as fit into a frame, the oldest first.
    pub messages: Vec<MessageWithParts>,
    /// `turn` is what the agent does.
    pub turn: Turn,
    /// `requests` are the open requests of the agent.
    pub requests: Vec<AgentRequest>,
    /// `todo` is the agent's list of what is to be done. Absent: there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub todo: Vec<TodoItem>,
    /// `changes` are the files that the session has changed. Absent: there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FileChange>,
    /// `notes` are what the backend's plugin says of the session beside all that. Absent: there are none.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub notes: Ext,
    /// `error` is the last error. Absent: there is none, or the agent has continued since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<LastError>,
    /// `before` is the value with which a client requests older messages. Absent: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub before: Option<String>,
}

/// `MessageWithParts` is a message with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageWithParts {
    /// `message` is the message without its parts.
    pub message: Message,
    /// `parts` are the parts of the message, in order.
    pub parts: Vec<Rendered>,
}

/// `RenderedPart` is a part with its rendered text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RenderedPart)]
pub struct Rendered {
    /// The part; its keys are in the same object.
    #[serde(flatten)]
    pub part: Part,
    /// `html` is the rendered and sanitized Markdown of a closed text. Absent: show the Markdown as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub html: Option<String>,
    /// `truncated_bytes` is the number of bytes that are missing from the part. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub truncated_bytes: Option<usize>,
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
    let cause = Cause::from(format!(
        "Nexus does not understand this message from the page ({error}). To fix: reload the page."
    ));
    let sender: Sender = serde_json::from_str(&text).unwrap_or_default();
    let name = |value: Option<serde_json::Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    Err(Box::new(match (name(sender.client_id), name(sender.id)) {
        (Some(client_id), _) => Server::Refused { client_id, cause },
        (None, Some(id)) => Server::Failed { id, cause },
        (None, None) => Server::Invalid { cause },
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
            truncated_bytes: None,
        };
        assert!(same(&event).starts_with(r#"{"type":"event","session":"s","prev":4,"seq":5,"event":{"type":"part""#));
        let rendered = Rendered {
            part,
            html,
            truncated_bytes: None,
        };
        assert!(same(&rendered).ends_with(r#""html":"<p>hi</p>"}"#));
        let refused = Server::Refused {
            client_id: "c".into(),
            cause: "It is too long. To fix: shorten it.".into(),
        };
        assert_eq!(
            same(&refused),
            r#"{"type":"refused","client_id":"c","cause":"It is too long.","fix":"shorten it."}"#
        );
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
        let hello: Client = serde_json::from_str(r#"{"type":"hello","protocol":3,"later":true}"#).unwrap();
        assert_eq!(
            hello,
            Client::Hello {
                protocol: 3,
                session: None,
                from: None,
                status: false
            }
        );
    }
}
