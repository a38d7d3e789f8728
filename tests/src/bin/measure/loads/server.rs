//! The server whose lines are the answers of `relay-chat`: it says when each event was sent.

use nexus_tests::wait;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

pub(super) struct Server(TcpListener);

impl Server {
    pub(super) fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// Waits until the plugin asks, and answers with what is sent from now on.
    pub(super) fn asked(&self) -> Sender {
        let mut asked = None;
        wait::until("the plugin asks its server", || match self.0.accept() {
            Ok((stream, _)) => {
                asked = Some(stream);
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                false
            }
        });
        let mut stream = asked.unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        let head = BufReader::new(stream.try_clone().unwrap()).lines();
        assert!(
            head.map_while(Result::ok).any(|line| line.is_empty()),
            "the request has no end"
        );
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n")
            .unwrap();
        Sender(stream)
    }
}

/// The response to the plugin.
pub(super) struct Sender(TcpStream);

/// When each word of one chat was sent, by its number.
pub(super) type Sent = Vec<Instant>;

impl Sender {
    /// The same response, for another thread.
    pub(super) fn again(&self) -> Self {
        Self(self.0.try_clone().unwrap())
    }

    /// Answers in each of these chats with so many words, `rate` a second in each, evenly spread. It goes on by the clock, however
    /// long one write takes; when it is over, the answers are complete.
    pub(super) fn stream(mut self, sessions: &[String], words: usize, rate: usize) -> Vec<Sent> {
        let pause = Duration::from_secs(1) / u32::try_from(rate * sessions.len()).unwrap();
        let mut sent = vec![Sent::with_capacity(words); sessions.len()];
        let mut due = Instant::now();
        for n in 0..words {
            for (session, sent) in sessions.iter().zip(&mut sent) {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                sent.push(Instant::now());
                self.line(session, "answer", &format!("word{n} "));
                due += pause;
            }
        }
        for session in sessions {
            self.line(session, "answer", "");
        }
        sent
    }

    /// A long answer beside the one that is measured, without a pause, of so many pieces of 2 KB.
    pub(super) fn burst(&mut self, session: &str, pieces: usize) {
        for _ in 0..pieces {
            self.line(session, "burst", &"x".repeat(2048));
        }
        self.line(session, "burst", "");
    }

    fn line(&mut self, session: &str, answer: &str, text: &str) {
        self.0
            .write_all(format!("{session} {answer} {text}\n").as_bytes())
            .unwrap();
    }
}
