//! `/public-check/NONCE…`: this host looks at itself through a tunnel. Each answer is one that only the listener it came through
//! knows, so that a provider that answers in our place, or leads to another Nexus, is found out. A nonce that this host did not
//! make is answered with 404: there is nothing here for a stranger to hold open.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /public-check/NONCE` | the proof |
//! | `POST /public-check/NONCE/stream` | the proof at once, and then nothing until the client is gone (or [`PUBLIC_CHECK`] is over): a provider that holds back what streams delivers nothing |
//! | `GET /public-check/NONCE/socket` | a WebSocket: sends the proof, and what it is sent |

use crate::{Connection, Ingress};
use axum::Extension;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use http::{StatusCode, header};
use nexus_model::limits;
use nexus_model::limits::PUBLIC_CHECK;
use nexus_tunnels::OriginSecret;

type Refused = (StatusCode, &'static str);

const NOTHING: Refused = (StatusCode::NOT_FOUND, "Nothing is here.\n");

fn proof(connection: &Connection, nonce: &str) -> Result<String, Refused> {
    let proof: &OriginSecret = match connection.ingress.as_ref() {
        Ingress::Tunnel { proof, .. } if nonce.len() <= limits::PUBLIC_CHECK_NONCE_BYTES => proof,
        _ => return Err(NOTHING),
    };
    proof.answer(nonce).ok_or(NOTHING)
}

pub(crate) async fn plain(
    Extension(connection): Extension<Connection>,
    Path(nonce): Path<String>,
) -> Result<String, Refused> {
    proof(&connection, &nonce)
}

pub(crate) async fn stream(
    Extension(connection): Extension<Connection>,
    Path(nonce): Path<String>,
) -> Result<Response, Refused> {
    let first = proof(&connection, &nonce)? + "\n";
    let rest = stream::once(async {
        tokio::time::sleep(PUBLIC_CHECK).await;
        Ok(String::new())
    });
    let body = stream::once(async { Ok::<_, std::convert::Infallible>(first) }).chain(rest);
    Ok((
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(body),
    )
        .into_response())
}

pub(crate) async fn socket(
    Extension(connection): Extension<Connection>,
    Path(nonce): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refused> {
    let proof = proof(&connection, &nonce)?;
    Ok(upgrade
        .max_message_size(limits::PUBLIC_CHECK_NONCE_BYTES * 2)
        .max_frame_size(limits::PUBLIC_CHECK_NONCE_BYTES * 2)
        .on_upgrade(|socket| async move {
            let _ = tokio::time::timeout(PUBLIC_CHECK, converse(socket, proof)).await;
        }))
}

async fn converse(mut socket: WebSocket, proof: String) {
    if socket.send(Message::Text(proof.into())).await.is_err() {
        return;
    }
    if let Some(Ok(Message::Text(text))) = socket.recv().await {
        let _ = socket.send(Message::Text(text)).await;
    }
    let _ = socket.send(Message::Close(None)).await;
}
