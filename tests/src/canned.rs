//! A server that answers what a test has written down.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub struct Canned {
    pub address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Canned {
    /// Starts one on any free port of the loopback. The first answer whose text is in a request, its head or its body, is sent as it
    /// is; a request without one is hung up on.
    pub async fn start(answers: Vec<(&'static str, String)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(answers);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answers = Arc::clone(&answers);
                connections.spawn(async move { answer(stream, &answers).await });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, task }
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, answers: &[(&'static str, String)]) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let request = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().filter_map(|line| line.split_once(": "));
        let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length.next().map_or(0, |(_, value)| value.parse().unwrap());
        if body.len() >= length {
            break text;
        }
    };
    if let Some((_, text)) = answers.iter().find(|(part, _)| request.contains(part)) {
        stream.write_all(text.as_bytes()).await?;
    }
    stream.shutdown().await
}
