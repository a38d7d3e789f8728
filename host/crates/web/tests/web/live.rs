//! The live socket, over a real listener.

use super::*;
use fake::{done, message, part};
use futures::{SinkExt as _, StreamExt as _};
use nexus_model::chat::{Content, Event, Role, Turn};
use nexus_model::time::SystemClock;
use nexus_web::live::protocol::{Client, NewPrompt, Server, close};
use nexus_web::serve;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

pub(crate) type Stream = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

/// Whose program a browser on this machine is: the tests' own user.
fn holder() -> String {
    if cfg!(target_os = "linux") {
        format!("user {}", rustix::process::getuid().as_raw())
    } else {
        String::new()
    }
}

pub(crate) struct Live {
    pub(crate) fakes: Fakes,
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
}

impl Live {
    pub(crate) async fn start() -> Self {
        let fakes = Fakes::new(WITH_OWNER).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let state = WebState::new(fakes.services(), Arc::new(SystemClock));
        tokio::spawn(serve(listener, local(), state, shutdown.clone()));
        Self {
            fakes,
            address,
            shutdown,
        }
    }
    pub(crate) fn cookie(&self, token: &str) -> String {
        format!("nexus-local-{}={token}", self.address.port())
    }
    pub(crate) async fn connect(&self, cookie: &str) -> Result<Stream, Error> {
        let mut request = format!("ws://{}/live", self.address).into_client_request().unwrap();
        request
            .headers_mut()
            .insert("origin", format!("http://{}", self.address).parse().unwrap());
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        let stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        Ok(tokio_tungstenite::client_async(request, stream).await?.0)
    }
    pub(crate) async fn hello(&self, session: Option<&str>, from: Option<u64>) -> (Stream, nexus_auth::Session) {
        let (new, login) = self.fakes.world.login(&holder()).await;
        let mut socket = self.connect(&self.cookie(&new.token)).await.unwrap();
        let session = session.map(str::to_owned);
        send(
            &mut socket,
            &Client::Hello {
                protocol: 3,
                session,
                from,
                status: false,
            },
        )
        .await;
        (socket, login)
    }
}

pub(crate) async fn send(socket: &mut Stream, frame: &Client) {
    socket
        .send(Message::text(serde_json::to_string(frame).unwrap()))
        .await
        .unwrap();
}

pub(crate) async fn next(socket: &mut Stream) -> Result<Server, u16> {
    let frame = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return Err(frame.code.into()),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    wait::within("the next frame", frame).await
}

/// The next frame that is not about the list or the backend.
pub(crate) async fn chat(socket: &mut Stream) -> Server {
    let frame = async {
        loop {
            match next(socket).await.unwrap() {
                Server::List { .. } | Server::Backend { .. } | Server::Welcome { .. } => {}
                frame => return frame,
            }
        }
    };
    wait::within("the next frame of the chat", frame).await
}

fn text(text: &str) -> Content {
    Content::Text { text: text.into() }
}

#[tokio::test]
async fn a_page_shows_so_many_chats_and_the_one_that_is_open() {
    use nexus_model::limits::LIST_SHOWN;
    let live = Live::start().await;
    for n in 0..LIST_SHOWN + 50 {
        live.fakes.chat.add(&format!("ses_{n}"), "many").await;
    }
    // The oldest is the last.
    let (mut socket, _) = live.hello(Some("ses_0"), None).await;
    let listed = async {
        loop {
            if let Server::List { sessions, more } = next(&mut socket).await.unwrap() {
                let own = sessions.iter().any(|root| root.info.id == "ses_0");
                if own && sessions.len() > LIST_SHOWN {
                    return (sessions.len(), more);
                }
            }
        }
    };
    let listed = wait::within("the list has the chat that is open", listed).await;
    assert_eq!(listed, (LIST_SHOWN + 1, 49));
}

#[tokio::test]
async fn each_event_arrives_once_across_a_reconnect() {
    let live = Live::start().await;
    let api = &live.fakes.chat;
    api.add("s", "A chat").await;
    api.push("s", done(message("m", Role::Assistant, None))).await;
    let (mut socket, _) = live.hello(Some("s"), None).await;
    assert!(matches!(
        next(&mut socket).await,
        Ok(Server::Welcome { protocol: 3, .. })
    ));
    let Server::State(state) = chat(&mut socket).await else {
        panic!("first the state")
    };
    assert_eq!((state.seq, state.messages.len(), state.turn), (2, 1, Turn::Idle));
    api.push("s", part("p", "m", 1, false, text("**bo"))).await;
    let Server::Event {
        prev: 2,
        seq: 3,
        html: None,
        ..
    } = chat(&mut socket).await
    else {
        panic!("open text")
    };
    drop(socket);
    let more = "ld** <b>x</b>".to_owned();
    api.push(
        "s",
        Event::Delta {
            part: "p".into(),
            message: "m".into(),
            revision: 2,
            text: more,
        },
    )
    .await;
    let (mut socket, _) = live.hello(Some("s"), Some(3)).await;
    let Server::Event {
        prev: 3,
        seq: 4,
        event: Event::Delta { .. },
        ..
    } = chat(&mut socket).await
    else {
        panic!("goes on where it was")
    };
    api.push("s", part("p", "m", 3, true, text("**bold** <b onclick=x>x</b>")))
        .await;
    let Server::Event {
        prev: 4,
        seq: 5,
        html: Some(html),
        ..
    } = chat(&mut socket).await
    else {
        panic!("closed")
    };
    assert_eq!(
        html.trim(),
        "<p><strong>bold</strong> &lt;b onclick=x&gt;x&lt;/b&gt;</p>"
    );
    // A late joiner gets the same, as a state.
    send(
        &mut socket,
        &Client::Subscribe {
            session: "s".into(),
            from: None,
        },
    )
    .await;
    let Server::State(state) = chat(&mut socket).await else {
        panic!("the state")
    };
    assert_eq!(
        (state.seq, state.messages[0].parts[0].html.as_deref()),
        (5, Some(html.as_str()))
    );
    send(
        &mut socket,
        &Client::Subscribe {
            session: "none".into(),
            from: None,
        },
    )
    .await;
    assert!(matches!(
        chat(&mut socket).await,
        Server::Ended { resubscribe: false, .. }
    ));
}

#[tokio::test]
async fn prompts_are_answered_by_what_became_of_them() {
    let live = Live::start().await;
    live.fakes.chat.add("s", "").await;
    let (mut socket, _) = live.hello(None, None).await;
    let prompt = |id: &str, text: &str, consent: Option<&str>| Client::Prompt {
        session: "s".into(),
        prompt: NewPrompt {
            client_id: id.into(),
            text: text.into(),
            consent: consent.map(str::to_owned),
            // It does not wait for the turn of the one before.
            now: true,
            ..NewPrompt::default()
        },
    };
    send(&mut socket, &prompt("a", "hi", None)).await;
    assert_eq!(
        chat(&mut socket).await,
        Server::Admitted {
            client_id: "a".into(),
            duplicate: false
        }
    );
    send(&mut socket, &prompt("a", "hi", None)).await;
    assert_eq!(
        chat(&mut socket).await,
        Server::Admitted {
            client_id: "a".into(),
            duplicate: true
        }
    );
    send(&mut socket, &prompt("b", "consent", None)).await;
    let Server::Consent { consent, .. } = chat(&mut socket).await else {
        panic!("consent first")
    };
    send(&mut socket, &prompt("b", "consent", Some(&consent))).await;
    assert!(matches!(chat(&mut socket).await, Server::Admitted { .. }));
    for (id, text) in [("c", "refuse"), ("d", "  "), ("not an id!", "hi"), ("", "hi")] {
        send(&mut socket, &prompt(id, text, None)).await;
        assert!(
            matches!(chat(&mut socket).await, Server::Refused { client_id, .. } if client_id == id),
            "{id}"
        );
    }
    let sent = || {
        let prompts = live.fakes.chat.prompts();
        prompts
            .iter()
            .map(|prompt| prompt.client_id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        sent(),
        ["a", "b", "b", "c"],
        "the backend decides on a consent and a model"
    );
    for turn in [Turn::Running, Turn::Interrupted] {
        live.fakes.chat.push("s", Event::Turn { turn }).await;
    }
    send(
        &mut socket,
        &Client::Create {
            id: "r".into(),
            title: Some("T".into()),
            workspace: None,
        },
    )
    .await;
    let Server::Created { id: request, session } = chat(&mut socket).await else {
        panic!("created")
    };
    assert_eq!((request.as_str(), session.title.as_str()), ("r", "T"));
    send(
        &mut socket,
        &Client::Continue {
            id: "k".into(),
            session: "s".into(),
        },
    )
    .await;
    assert_eq!(chat(&mut socket).await, Server::Done { id: "k".into() });
    assert!(sent()[4].starts_with("continue-"), "{:?}", sent());
    send(&mut socket, &Client::Ping).await;
    assert_eq!(chat(&mut socket).await, Server::Pong);
}

#[tokio::test]
async fn a_revoked_login_closes_its_sockets_at_once_and_no_others() {
    let live = Live::start().await;
    let (mut mine, login) = live.hello(None, None).await;
    let (mut other, _) = live.hello(None, None).await;
    for _ in 0..3 {
        next(&mut mine).await.unwrap();
        next(&mut other).await.unwrap();
    }
    live.fakes.world.auth.logout(&login.login).await.unwrap();
    assert_eq!(next(&mut mine).await, Err(close::LOGGED_OUT));
    send(&mut other, &Client::Ping).await;
    assert_eq!(next(&mut other).await, Ok(Server::Pong));
    live.shutdown.cancel();
    assert_eq!(next(&mut other).await, Err(close::GOING_AWAY));
}

#[tokio::test]
async fn strangers_and_nonsense_are_turned_away() {
    let live = Live::start().await;
    let Err(Error::Http(answer)) = live.connect(&live.cookie("wrong")).await else {
        panic!("no login, no socket")
    };
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    for nonsense in ["{}", "x", r#"{"type":"ping"}"#, r#"{"type":"hello","protocol":9}"#] {
        // Before the first frame was read nothing is known of the page.
        let (new, _) = live.fakes.world.login(&holder()).await;
        let mut socket = live.connect(&live.cookie(&new.token)).await.unwrap();
        socket.send(Message::text(nonsense)).await.unwrap();
        assert_eq!(next(&mut socket).await, Err(close::PROTOCOL), "{nonsense}");
    }
}

/// Who allowed which command was written nowhere.
#[tokio::test]
async fn every_answer_is_in_the_audit_whichever_way_it_comes() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let dir = tempfile::tempdir().unwrap();
    let audit = nexus_logging::audit::Audit::of_command(dir.path());
    let _log = tracing::subscriber::set_default(tracing_subscriber::registry().with(audit));
    let live = Live::start().await;
    live.fakes.chat.add("ses_1", "one").await;
    for id in ["ask_1", "ask_2"] {
        let request = serde_json::json!({
            "id": id, "requested_by": "ses_1", "permission": true, "subject": "bash", "detail": format!("rm -rf {id}"),
            "details": [{"name": "Working folder", "text": "vendor"}], "changes": [{"path": "a", "kind": "modified", "diff": "+new", "added_lines": 1, "deleted_lines": 0}], "always": ["rm *"], "created_at": 1
        });
        let request = serde_json::from_value(request).unwrap();
        live.fakes.chat.push("ses_1", Event::Request { request }).await;
    }
    let (mut socket, _) = live.hello(Some("ses_1"), None).await;
    let reply = Client::Reply {
        id: "r".into(),
        session: "ses_1".into(),
        request: "ask_1".into(),
        answer: nexus_model::chat::Answer::Once,
    };
    send(&mut socket, &reply).await;
    while !matches!(next(&mut socket).await.unwrap(), Server::Done { .. }) {}
    let web = Web {
        app: router(WebState::new(live.fakes.services(), Arc::new(SystemClock))),
        fakes: live.fakes,
        ingress: local(),
    };
    let (cookie, _) = web.cookie().await;
    let request = Request::post("/api/v1/sessions/ses_1/requests/ask_2")
        .header("host", HOST)
        .header("origin", SITE)
        .header("cookie", cookie)
        .header("content-type", "application/json");
    let answer = web
        .send(request.body(Body::from(r#"{"type":"reject","message":"no"}"#)).unwrap())
        .await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    // One that is gone is refused here: it reaches no backend, and the audit says so.
    let (cookie, _) = web.cookie().await;
    let request = Request::post("/api/v1/sessions/ses_1/requests/ask_3")
        .header("host", HOST)
        .header("origin", SITE)
        .header("cookie", cookie)
        .header("content-type", "application/json");
    let answer = web
        .send(request.body(Body::from(r#"{"type":"always"}"#)).unwrap())
        .await;
    assert_eq!(answer.status, 404, "{}", answer.text);
    assert!(answer.text.contains("your answer was not sent"), "{}", answer.text);
    let [owners, _] = nexus_logging::audit::paths(dir.path());
    let text = std::fs::read_to_string(owners).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answers: Vec<_> = lines
        .iter()
        .map(|line| &line["fields"])
        .filter(|fields| fields["event"] == "answer")
        .collect();
    assert_eq!(answers.len(), 3, "{text}");
    assert!(
        answers[2]["result"]
            .as_str()
            .unwrap()
            .contains("your answer was not sent"),
        "{text}"
    );
    assert_ne!(answers[0]["sha256"], answers[1]["sha256"], "{text}");
    for (fields, (given, detail)) in answers
        .iter()
        .zip([("once", "rm -rf ask_1"), ("reject", "rm -rf ask_2")])
    {
        assert_eq!(
            (&fields["answer"], &fields["detail"]),
            (&given.into(), &detail.into()),
            "{fields}"
        );
        for (name, value) in [
            ("account", "ada"),
            ("place", "loopback"),
            ("peer", "127.0.0.1"),
            ("subject", "bash"),
            ("more", "Working folder: vendor"),
            ("change", "Modified a\n+new"),
            ("result", "done"),
        ] {
            assert_eq!(fields[name], value, "{fields}");
        }
        // Of all that was asked, however long: what only begins like it has another one.
        assert_eq!(fields["sha256"].as_str().unwrap().len(), 64, "{fields}");
    }
}

/// A frame that cannot be read is answered, and what comes after it is read.
#[tokio::test]
async fn a_bad_frame_is_refused_and_the_connection_stays() {
    let live = Live::start().await;
    live.fakes.chat.add("s", "").await;
    let (mut socket, _) = live.hello(None, None).await;
    let half = r#"{"type":"prompt","session":"s","client_id":"half","text":"cut emoji \ud83d"}"#;
    socket.send(Message::text(half)).await.unwrap();
    assert_eq!(
        chat(&mut socket).await,
        Server::Admitted {
            client_id: "half".into(),
            duplicate: false
        }
    );
    assert_eq!(live.fakes.chat.prompts()[0].text, "cut emoji \u{fffd}");
    socket
        .send(Message::text(r#"{"type":"prompt","client_id":"bad","text":7}"#))
        .await
        .unwrap();
    assert!(matches!(chat(&mut socket).await, Server::Refused { client_id, .. } if client_id == "bad"));
    socket
        .send(Message::text(r#"{"type":"of-tomorrow","id":"r"}"#))
        .await
        .unwrap();
    assert!(matches!(chat(&mut socket).await, Server::Failed { id, .. } if id == "r"));
    for nonsense in [
        Message::text("nonsense"),
        Message::text(r#"{"type":"of-tomorrow"}"#),
        Message::binary(vec![0, 159]),
    ] {
        socket.send(nonsense).await.unwrap();
        assert!(matches!(chat(&mut socket).await, Server::Invalid { .. }));
    }
    send(
        &mut socket,
        &Client::Hello {
            protocol: 3,
            session: None,
            from: None,
            status: false,
        },
    )
    .await;
    assert!(matches!(chat(&mut socket).await, Server::Invalid { .. }));
    // More at once than is worked on: none is lost, and nobody is turned away.
    for n in 0..200 {
        let prompt = serde_json::json!({"type": "prompt", "session": "s", "client_id": format!("many-{n}"), "text": "hi", "now": true});
        socket.send(Message::text(prompt.to_string())).await.unwrap();
    }
    for _ in 0..200 {
        assert!(matches!(
            chat(&mut socket).await,
            Server::Admitted { .. } | Server::Deferred { .. }
        ));
    }
    send(&mut socket, &Client::Ping).await;
    assert_eq!(chat(&mut socket).await, Server::Pong);
}

/// A link that carries little is no reason to close it, and one that carries nothing is.
#[tokio::test]
async fn a_slow_reader_gets_all_of_a_long_conversation() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let live = Live::start().await;
    live.fakes.chat.add("s", "A chat").await;
    let line = "a line of output\n".repeat(3_000);
    let events = (0..200).flat_map(|n| {
        let id = format!("m{n}");
        let part = part(&format!("p{n}"), &id, 1, true, text(&line));
        [done(message(&id, Role::Assistant, None)), part]
    });
    live.fakes.chat.push_all("s", events.collect()).await;
    // Between them a link of 64 KB/s.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (slow, there) = (listener.local_addr().unwrap(), live.address);
    let passed = Arc::new(AtomicUsize::new(0));
    let passes = Arc::clone(&passed);
    tokio::spawn(async move {
        let (near, _) = listener.accept().await.unwrap();
        let far = tokio::net::TcpSocket::new_v4().unwrap();
        far.set_recv_buffer_size(8 * 1024).unwrap();
        let (mut from, mut to) = far.connect(there).await.unwrap().into_split();
        let (mut read, mut write) = near.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut read, &mut to).await });
        let mut buffer = vec![0; 6_554];
        while let Ok(n) = from.read(&mut buffer).await {
            if n == 0 || write.write_all(&buffer[..n]).await.is_err() {
                return;
            }
            passes.fetch_add(n, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let (new, _) = live.fakes.world.login(&holder()).await;
    let mut request = format!("ws://{slow}/live").into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("origin", format!("http://{slow}").parse().unwrap());
    headers.insert(
        "cookie",
        format!("nexus-local-{}={}", slow.port(), new.token).parse().unwrap(),
    );
    let stream = tokio::net::TcpStream::connect(slow).await.unwrap();
    let mut socket = tokio_tungstenite::client_async(request, stream).await.unwrap().0;
    let session = Some("s".to_owned());
    send(
        &mut socket,
        &Client::Hello {
            protocol: 3,
            session,
            from: None,
            status: false,
        },
    )
    .await;
    let Server::State(state) = chat(&mut socket).await else {
        panic!("the state")
    };
    assert_eq!(state.messages.last().unwrap().message.id, "m199");
    // Ten seconds of the link.
    let before_it = passed.load(Ordering::SeqCst);
    assert!(before_it < 640_000, "{before_it} bytes");
    let before = state.before.expect("there is more");
    send(
        &mut socket,
        &Client::Older {
            session: "s".into(),
            before,
        },
    )
    .await;
    let older = chat(&mut socket).await;
    let Server::Older {
        messages,
        before: Some(_),
        ..
    } = older
    else {
        panic!("not older messages: {older:?}")
    };
    let newest = messages.last().unwrap();
    assert!(newest.parts[0].truncated_bytes.unwrap() > 10_000);
    send(
        &mut socket,
        &Client::Part {
            session: "s".into(),
            part: newest.parts[0].part.id.clone(),
        },
    )
    .await;
    let Server::Part { part: whole, .. } = chat(&mut socket).await else {
        panic!("the whole part")
    };
    assert_eq!(whole.part.content, text(&line));
}
