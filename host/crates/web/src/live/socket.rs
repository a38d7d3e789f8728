//! `GET /live`: a WebSocket around a [`pump`](super::pump). Finds dead connections by heartbeats, drops those that take
//! nothing any more (they resume by number), and closes at once when the login is revoked.
//!
//! A frame is as long as its session makes it, and a link as slow as it is: what matters is that bytes of it are taken,
//! not that it is done in a certain time.

use super::protocol::{self, Server, close};
use super::pump::{self, End, Outgoing};
use crate::http::bearer::{Caller, Token};
use crate::http::identity::{MaybeLogin, User};
use crate::{Connection, WebState};
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use nexus_model::limits::{FRAME_BYTES, SOCKET_DEAD, SOCKET_PING, SOCKET_SEND};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// `READ_BYTES` is what a socket holds for reading while nothing comes: an idle one costs little more.
const READ_BYTES: usize = 8 * 1024;
const INPUTS: usize = 64;
const OUTPUTS: usize = 256;
/// `CLOSING` is the time for the close frame itself.
const CLOSING: Duration = Duration::from_secs(1);

pub(crate) async fn upgrade(
    State(state): State<WebState>,
    Extension(connection): Extension<Connection>,
    Caller { known, token }: Caller,
    upgrade: WebSocketUpgrade,
) -> Response {
    let MaybeLogin {
        login: Some(login),
        site,
        peer,
    } = known
    else {
        return (StatusCode::UNAUTHORIZED, "Log in first.\n").into_response();
    };
    let user = User { login, site, peer };
    upgrade
        .read_buffer_size(READ_BYTES)
        .max_message_size(FRAME_BYTES)
        .max_frame_size(FRAME_BYTES)
        .on_upgrade(move |socket| serve(socket, state, connection, user, token))
}

async fn serve(socket: WebSocket, state: WebState, connection: Connection, user: User, token: Option<Token>) {
    let (mut sink, mut stream) = socket.split();
    let Some(_place) = state.live.enter() else {
        return bye(&mut sink, close::BUSY, "too many live connections").await;
    };
    let _counted = connection.count_socket();
    let (auth, login) = (std::sync::Arc::clone(&state.services.auth), user.login.id().to_owned());
    let revoked = async move {
        match token {
            Some(token) => token.ended(&auth).await,
            None => auth.revoked(&login).await,
        }
    };
    let (code, reason) = tokio::select! {
        biased;
        () = revoked => (close::LOGGED_OUT, "logged out".to_owned()),
        () = connection.closing.cancelled() => (close::GOING_AWAY, "shutting down".to_owned()),
        end = carry(&mut sink, &mut stream, state.clone(), user, &connection) => match end {
            Ended::Gone => return,
            Ended::Close(code, reason) => (code, reason),
        },
    };
    bye(&mut sink, code, &reason).await;
}

async fn bye(sink: &mut SplitSink<WebSocket, Message>, code: u16, reason: &str) {
    // A reason has at most 123 bytes; ours are ASCII.
    let reason: String = reason.chars().take(120).collect();
    let frame = Message::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }));
    let _ = tokio::time::timeout(CLOSING, sink.send(frame)).await;
}

enum Ended {
    Gone,
    Close(u16, String),
}

async fn carry(
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
    state: WebState,
    user: User,
    connection: &Connection,
) -> Ended {
    let (inputs, pump_inputs) = mpsc::channel(INPUTS);
    let (pump_out, mut out) = mpsc::channel(OUTPUTS);
    let told = pump_out.clone();
    let mut pump = std::pin::pin!(pump::run(state, user, pump_inputs, pump_out));
    let mut moved = std::pin::pin!(async {
        let leaving = connection.moved().await;
        let _ = told.send(Server::Moved { url: leaving.url }.into()).await;
        std::future::pending::<std::convert::Infallible>().await
    });
    let mut ping = tokio::time::interval_at(Instant::now() + SOCKET_PING, SOCKET_PING);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            end = pump.as_mut() => return match end {
                End::Gone => Ended::Gone,
                End::Protocol(reason) => Ended::Close(close::PROTOCOL, reason),
            },
            never = moved.as_mut() => match never {},
            Some(frame) = out.recv() => {
                // All that is ready goes out in one flush.
                match while_taken(connection, send(sink, frame, &mut out)).await {
                    Some(Ok(())) => {}
                    Some(Err(_)) => return Ended::Gone,
                    None => return Ended::Close(close::TOO_SLOW, "the client did not read its frames".into()),
                }
                // While it was busy with taking, it could not be heard.
                heard = Instant::now().checked_sub(SOCKET_PING).map_or(heard, |lately| heard.max(lately));
            }
            // What it sends waits in its own buffers while too much of it waits here.
            message = stream.next(), if inputs.capacity() > 0 => {
                heard = Instant::now();
                let text = match message {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Binary(bytes))) => String::from_utf8_lossy(&bytes).into_owned().into(),
                    Some(Ok(Message::Close(_))) | None => return Ended::Gone,
                    // Gone, or a frame that is too long: then it hears why.
                    Some(Err(error)) => return Ended::Close(close::TOO_LONG, error.to_string()),
                };
                // There is room; where not, the pump has ended, and says so.
                let _ = inputs.try_send(protocol::read(&text));
            }
            _ = ping.tick() => {
                if heard.elapsed() > SOCKET_DEAD {
                    return Ended::Close(close::TOO_SLOW, "no frame was received".into());
                }
                let ping = sink.send(Message::Ping(bytes::Bytes::new()));
                if while_taken(connection, ping).await.is_none() {
                    return Ended::Close(close::TOO_SLOW, "a ping could not be sent".into());
                }
            }
        }
    }
}

/// Waits for a sending. `None`: nothing was taken for too long.
async fn while_taken<T>(connection: &Connection, sending: impl Future<Output = T>) -> Option<T> {
    let mut sending = std::pin::pin!(sending);
    loop {
        let before = connection.taken();
        match tokio::time::timeout(SOCKET_SEND, sending.as_mut()).await {
            Ok(done) => return Some(done),
            Err(_) if connection.taken() > before => {}
            Err(_) => return None,
        }
    }
}

async fn send(
    sink: &mut SplitSink<WebSocket, Message>,
    first: Outgoing,
    out: &mut mpsc::Receiver<Outgoing>,
) -> Result<(), axum::Error> {
    let mut next = Some(first);
    while let Some(frame) = next {
        let text = match frame {
            Outgoing::Frame(frame) => serde_json::to_string(&frame).map_err(axum::Error::new)?.into(),
            Outgoing::Text(text) => Utf8Bytes::from(&*text),
        };
        sink.feed(Message::Text(text)).await?;
        next = out.try_recv().ok();
    }
    sink.flush()
        .await
        .inspect(|()| nexus_model::event_trace::Hop::Sent.reached())
}
