//! The stop sequence of a specification, and the end of whatever it leaves.

use crate::child::Child;
use crate::limits::{self, PROCESS_GRACE};
use crate::references::fill_header;
use crate::types::{Exit, StopStep};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::net::TcpStream;

/// `SLACK` comes on top of what the shim gives the tree, before the shim itself counts as stuck.
const SLACK: Duration = Duration::from_secs(3);

/// Stops the child and returns when no descendant is left. The steps have one deadline together, for a plugin chooses
/// their number and their times, and whoever waits for the stop (the owner who closes a tunnel, a reload) did not.
pub(super) async fn stop(child: &Child) -> Exit {
    if tokio::time::timeout(limits::PROCESS_STOP, steps(child)).await.is_err() {
        tracing::warn!(
            plugin = %child.key.plugin,
            process = %child.key.name,
            "the stop sequence of the process takes more than {} s; killing the process",
            limits::PROCESS_STOP.as_secs()
        );
    }
    end(child, PROCESS_GRACE).await
}

async fn steps(child: &Child) {
    for step in &child.spec.stop {
        if child.exit().is_some() {
            return;
        }
        match step {
            StopStep::Signal(signal) => child.signal(*signal),
            StopStep::Wait(time) => {
                let _ = tokio::time::timeout(*time, child.exited()).await;
            }
            StopStep::Http {
                method,
                url,
                headers,
                timeout,
            } => tokio::select! {
                _ = child.exited() => {}
                result = tokio::time::timeout(*timeout, request(child, method, url, headers)) => {
                    let error = match result {
                        Ok(Ok(())) => continue,
                        Ok(Err(error)) => error,
                        Err(_) => "no answer in time".to_owned(),
                    };
                    // The steps after this one still end it.
                    tracing::warn!(plugin = %child.key.plugin, process = %child.key.name, %error, "a stop request failed");
                }
            },
        }
    }
}

pub(super) async fn end(child: &Child, grace: Duration) -> Exit {
    child.end(grace);
    if let Ok(exit) = tokio::time::timeout(grace + SLACK, child.gone()).await {
        return exit;
    }
    child.kill_shim();
    child.gone().await
}

async fn request(child: &Child, method: &str, url: &str, headers: &[(String, String)]) -> Result<(), String> {
    let (port, path) = own(child, url)?;
    let mut request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, format!("127.0.0.1:{port}"));
    for (name, value) in headers {
        let mut value = http::HeaderValue::try_from(
            fill_header(value, &*child.refs, limits::PROCESS_STOP_HEADER).map_err(|e| e.to_string())?,
        )
        .map_err(|_| format!("the header `{name}` has an invalid value"))?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|e| e.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(format!("{url} answered {}", response.status()))
        }
    };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        result = &mut exchange => result,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error.to_string()),
        },
    }
}

/// `own` is the port and path of `process://NAME:PORT/…` or `process://:PORT/…`, where it is this process that is
/// meant.
fn own<'a>(child: &Child, url: &'a str) -> Result<(u16, &'a str), String> {
    let wrong = || {
        format!(
            "`{url}` does not belong to this process; use `process://{}:PORT/…` with one of its ports",
            child.key.name
        )
    };
    let rest = url.strip_prefix("process://").ok_or_else(wrong)?;
    let (authority, path) = rest
        .find('/')
        .and_then(|at| rest.split_at_checked(at))
        .unwrap_or((rest, "/"));
    let (name, port) = authority.split_once(':').ok_or_else(wrong)?;
    if !name.is_empty() && name != child.key.name {
        return Err(wrong());
    }
    child.ports.get(port).map(|port| (*port, path)).ok_or_else(wrong)
}
