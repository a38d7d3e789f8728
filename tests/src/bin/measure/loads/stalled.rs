//! A chat with readers that have stopped reading.

use super::stage::{RATE, Reader, Stage};
use super::statistics::Statistics;
use crate::binaries::Binary;
use nexus_tests::processes;
use nexus_tests::tunnels::stop;
use nexus_tests::wait;
use tokio::net::TcpSocket;

pub(super) const WHAT: &str = "10 stalled readers of the same chat";
const STALLED: usize = 10;
/// More than the kernel takes for a reader that does not read.
const PIECES: usize = 3_500;
/// For longer than a reader may take nothing: twice `SOCKET_SEND`, since it took something at the beginning of the first.
const WORDS: usize = 35 * RATE;

pub(super) async fn run(binary: &Binary) -> Statistics {
    let mut stage = Stage::up(binary, "").await;
    let mut reader = stage.chat().await;
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        let tcp = TcpSocket::new_v4().unwrap();
        // What is not read is soon not taken.
        tcp.set_recv_buffer_size(4096).unwrap();
        let address = stage.nexus.url.trim_start_matches("http://").parse().unwrap();
        let tcp = tcp.connect(address).await.unwrap();
        let socket = stage.owner.socket_over(tcp, "/live").await.unwrap();
        stalled.push(Reader::of(socket, &reader.session).await);
    }
    let open = processes::sockets(stage.nexus.pid());
    let before = processes::resident(stage.nexus.pid());
    let mut sender = stage.sender.again();
    let session = reader.session.clone();
    let bursting = std::thread::spawn(move || sender.burst(&session, PIECES));
    wait::within("the reader that reads has all", async {
        while !reader.socket.received().await.unwrap().contains(r#""state":"idle""#) {}
    })
    .await;
    bursting.join().unwrap();
    let grown = processes::resident(stage.nexus.pid()).saturating_sub(before) as f64;
    let mut statistics = stage.measure(vec![reader], WORDS).await;
    let closed = open.saturating_sub(processes::sockets(stage.nexus.pid()));
    drop(stalled);
    stop(stage.nexus);
    statistics.besides = vec![
        ("MB of memory that the long answer adds", grown / 1e6),
        ("sockets that were closed", closed as f64),
    ];
    statistics
}
