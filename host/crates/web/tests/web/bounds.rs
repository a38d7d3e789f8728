//! Who sends or opens more than there is room for.

use super::live::{Live, chat, next, send};
use futures::SinkExt as _;
use nexus_model::limits::{FRAME_BYTES, HTTP_HEAD_BYTES, HTTP_HEAD_FIELDS, PROMPT_BYTES};
use nexus_testkit::wait;
use nexus_web::live::protocol::{Client, NewPrompt, Server, close};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_head_without_an_end_is_refused() {
    let live = Live::start().await;
    let fields = |count: usize| (0..count).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    for (more, status) in [
        // The last piece that is read may go beyond it.
        (format!("x: {}\r\n", "y".repeat(4 * HTTP_HEAD_BYTES)), " 431 "),
        (fields(HTTP_HEAD_FIELDS + 1), " 431 "),
        (fields(HTTP_HEAD_FIELDS - 2), " 200 "),
    ] {
        let mut stream = tokio::net::TcpStream::connect(live.address).await.unwrap();
        let head = format!(
            "GET /healthz HTTP/1.1\r\nhost: {}\r\n{more}connection: close\r\n\r\n",
            live.address
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.lines().next().unwrap().contains(status), "{answer}");
    }
}

#[tokio::test]
async fn a_message_and_a_frame_have_an_end() {
    let live = Live::start().await;
    live.fakes.chat.add("s", "A chat").await;
    let (mut socket, _) = live.hello(Some("s"), None).await;
    let prompt = |length: usize| Client::Prompt {
        session: "s".to_owned(),
        prompt: NewPrompt {
            client_id: "c".to_owned(),
            text: "x".repeat(length),
            ..NewPrompt::default()
        },
    };
    send(&mut socket, &prompt(PROMPT_BYTES + 1)).await;
    assert!(matches!(chat(&mut socket).await, Server::State(_)));
    let Server::Refused { client_id, cause } = chat(&mut socket).await else {
        panic!("the prompt should have been refused")
    };
    assert_eq!(client_id, "c");
    assert!(cause.cause.contains("longer than the limit of 512 KiB"), "{cause:?}");
    let _ = socket.send(Message::text("x".repeat(FRAME_BYTES + 1))).await;
    let closed = async {
        loop {
            if let Err(code) = next(&mut socket).await {
                return code;
            }
        }
    };
    assert_eq!(wait::within("the socket is closed", closed).await, close::TOO_LONG);
}
