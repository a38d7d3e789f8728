//! A Nexus whose chats are answered by this program, and readers of them.

use super::server::{Sender, Sent, Server};
use super::statistics::Statistics;
use crate::binaries::Binary;
use crate::order::{End, Order};
use futures::future::join_all;
use nexus_tests::browser::{Browser, Socket};
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::processes::{cpu, resident};
use nexus_tests::world::{Conversation, ready};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Events a second of one chat.
pub(super) const RATE: usize = 50;
/// What a reader may need for the answer beyond the time in which it is sent.
const LATE: Duration = Duration::from_secs(30);

pub(super) struct Stage {
    pub(super) nexus: Nexus,
    pub(super) owner: Browser,
    pub(super) sender: Sender,
}

impl Stage {
    /// `more`: of the configuration.
    pub(super) async fn up(binary: &Binary, more: &str) -> Self {
        Self::of(binary, binary.start(), more).await
    }

    /// The same of a Nexus that is started in another way.
    pub(super) async fn of(binary: &Binary, start: Start, more: &str) -> Self {
        let server = Server::listen();
        let config = format!(
            "[chat.main]\nplugin = \"relay-chat\"\n[plugin.relay-chat]\nsource = {:?}\nconfig.url = {url:?}\n\
             grants.http = [{{ url = {url:?}, private = true }}]\n{more}",
            binary.guest("relay-chat"),
            url = server.url()
        );
        let nexus = start.config(config).up();
        let owner = Browser::set_up(&nexus).await;
        let sender = server.asked();
        ready(&owner).await;
        Self { nexus, owner, sender }
    }

    /// Another chat, and a reader of it.
    pub(super) async fn chat(&self) -> Reader {
        let chat = Conversation::create(&self.owner, &self.nexus).await;
        // What was made with it has nothing to do with what is read.
        let socket = self.owner.socket("/live").await.unwrap();
        Reader::of(socket, &chat.session).await
    }

    /// Lets these chats be answered, each with so many words, and tells how late they came.
    pub(super) async fn measure(&mut self, readers: Vec<Reader>, words: usize) -> Statistics {
        self.measure_while(readers, words, async {}).await
    }

    /// The same while something else is done.
    pub(super) async fn measure_while(
        &mut self,
        readers: Vec<Reader>,
        words: usize,
        work: impl Future<Output = ()>,
    ) -> Statistics {
        let sessions: Vec<String> = readers.iter().map(|reader| reader.session.clone()).collect();
        let seconds = (words / RATE) as u64;
        let until = Instant::now() + Duration::from_secs(seconds) + LATE;
        let reading: Vec<_> = readers
            .into_iter()
            .map(|reader| tokio::spawn(reader.read(until)))
            .collect();
        let (before, began) = (cpu(self.nexus.pid()), Instant::now());
        // A thread of its own: it writes when it is due, whatever the readers do.
        let sender = self.sender.again();
        let sending = std::thread::spawn(move || sender.stream(&sessions, words, RATE));
        let (readings, ()) = tokio::join!(join_all(reading), work);
        let (used, took) = (cpu(self.nexus.pid()) - before, began.elapsed());
        let readings: Vec<_> = readings.into_iter().map(Result::unwrap).collect();
        let sent = sending.join().unwrap();
        let mut statistics = Statistics::new(used, took, resident(self.nexus.pid()));
        for (reading, sent) in readings.into_iter().zip(sent) {
            reading.judge(&sent, &mut statistics);
        }
        statistics
    }
}

/// A live socket that looks at one chat.
pub(super) struct Reader {
    pub(super) session: String,
    pub(super) socket: Socket,
}

/// What came to a reader, to be looked at afterwards: the machine has few cores.
struct Reading {
    frames: Vec<(Instant, Utf8Bytes)>,
    end: End,
}

impl Reader {
    pub(super) async fn of(mut socket: Socket, session: &str) -> Self {
        socket
            .send(&json!({"type": "hello", "protocol": 3, "session": session}))
            .await;
        socket.until(|frame| frame["type"] == "state").await;
        Self {
            session: session.to_owned(),
            socket,
        }
    }

    async fn read(mut self, until: Instant) -> Reading {
        let mut frames = Vec::new();
        let end = loop {
            let Ok(frame) = timeout_at(until.into(), self.socket.received()).await else {
                break End::Late;
            };
            let Some(frame) = frame else { break End::Closed };
            let over = frame.contains(r#""state":"idle""#);
            frames.push((Instant::now(), frame));
            if over {
                break End::Complete;
            }
        };
        Reading { frames, end }
    }
}

impl Reading {
    fn judge(self, sent: &Sent, statistics: &mut Statistics) {
        let mut order = Order::default();
        for (at, frame) in &self.frames {
            if let Some(n) = order.take(frame) {
                statistics.arrivals.push((sent[n], *at));
            }
        }
        order.end(self.end, sent.len());
        statistics.add(self.end, &order);
    }
}
