//! A chat beside sockets on which nothing happens.

use super::WORDS;
use super::stage::{Reader, Stage};
use super::statistics::Statistics;
use crate::binaries::Binary;
use nexus_tests::processes::resident;
use nexus_tests::tunnels::stop;
use nexus_tests::wakes;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(super) const WHAT: &str = "1,000 idle sockets";
/// As many live sockets of another chat as are let in beside that of the reader and a spare one; the rest are connections that
/// have asked once. Both limits are fixed (`LIVE_SOCKETS`, `CONNECTIONS`), so that of the rest not all stay open.
const LIVE: usize = 254;
const CONNECTIONS: usize = 1_000 - LIVE;
const WATCHED: Duration = Duration::from_secs(5);

pub(super) async fn run(binary: &Binary) -> Statistics {
    let mut stage = Stage::up(binary, "").await;
    let reader = stage.chat().await;
    let other = stage.chat().await.session;
    let before = resident(stage.nexus.pid());
    let mut live = Vec::new();
    for _ in 0..LIVE {
        let socket = stage.owner.socket("/live").await.unwrap();
        live.push(Reader::of(socket, &other).await);
    }
    let each = resident(stage.nexus.pid()).saturating_sub(before) as f64 / LIVE as f64;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(asked(&stage.nexus.url).await);
    }
    let rates = wakes::rates(stage.nexus.pid(), WATCHED);
    eprintln!("wakes a second by thread: {rates:.1?}");
    let mut statistics = stage.measure(vec![reader], WORDS).await;
    let open = connections.iter().filter(|socket| is_open(socket)).count();
    stop(stage.nexus);
    statistics.besides = vec![
        ("KB of memory for each live socket", each / 1e3),
        ("wakes a second before", wakes::sum(&rates)),
        ("sockets still open", (LIVE + open) as f64),
    ];
    statistics
}

/// A connection that is kept after its first answer.
async fn asked(url: &str) -> TcpStream {
    let address = url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 4096];
    assert!(socket.read(&mut head).await.unwrap() > 0);
    socket
}

fn is_open(socket: &TcpStream) -> bool {
    // An end is read as no byte.
    match socket.try_read(&mut [0]) {
        Ok(bytes) => bytes > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
