//! The turns that run: several beside each other, one in a session.

use crate::connection::{self, Turn};
use crate::turn::{self, ConnectionEnded, Out};
use nexus_plugin_api::chat::types::Event;
use nexus_plugin_api::job::{Events, HostDisconnected, Receiver, channel, race};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// `AT_ONCE` is how many turns run beside each other: each holds a request with its files.
const AT_ONCE: usize = 12;
/// `BATCHES` is how many batches of events may wait for the host; a server that sends faster waits too.
const BATCHES: usize = 64;

type Running = Pin<Box<dyn Future<Output = Result<(), ConnectionEnded>>>>;

/// Runs all turns that come, until the host has gone.
pub async fn run(events: &mut Events<Event>, mut work: Receiver<Turn>) -> Result<(), HostDisconnected> {
    let (out, mut batches) = channel::<Vec<Event>>(BATCHES);
    let write = async {
        while let Some(batch) = batches.recv().await {
            events.send_all(batch).await?;
        }
        Ok(())
    };
    let drive = async {
        let mut turns = Turns {
            running: Vec::new(),
            waiting: VecDeque::new(),
            out,
        };
        poll_fn(|cx| turns.poll(cx, &mut work)).await;
        Err(HostDisconnected)
    };
    race(write, drive).await
}

struct Turns {
    /// `running` are the turns with their sessions.
    running: Vec<(String, Running)>,
    waiting: VecDeque<Turn>,
    out: Out,
}

impl Turns {
    /// Goes on with all that runs. Ready once nobody takes events any more.
    fn poll(&mut self, cx: &mut Context<'_>, work: &mut Receiver<Turn>) -> Poll<()> {
        loop {
            while let Poll::Ready(Some(turn)) = pin!(work.recv()).poll(cx) {
                self.waiting.push_back(turn);
            }
            let mut ended = false;
            let mut at = 0;
            while let Some((_, turn)) = self.running.get_mut(at) {
                match turn.as_mut().poll(cx) {
                    Poll::Ready(Ok(())) => {
                        drop(self.running.swap_remove(at));
                        ended = true;
                    }
                    Poll::Ready(Err(ConnectionEnded)) => return Poll::Ready(()),
                    Poll::Pending => at += 1,
                }
            }
            // What begins has to be polled once, and what ended may let the next one begin.
            if !self.begin() && !ended {
                return Poll::Pending;
            }
        }
    }

    /// Begins the first turn that waits whose session is free. False: there is none, or enough run.
    fn begin(&mut self) -> bool {
        if self.running.len() >= AT_ONCE {
            return false;
        }
        let free = |turn: &Turn| self.running.iter().all(|(session, _)| *session != turn.prompt.session);
        let Some(turn) = self
            .waiting
            .iter()
            .position(free)
            .and_then(|at| self.waiting.remove(at))
        else {
            return false;
        };
        let out = self.out.clone();
        let (session, prompt) = (turn.prompt.session.clone(), turn.prompt.clone());
        let running = async move {
            let ended = turn::run(turn, &out).await;
            // Where the connection has ended there is nothing to forget.
            let _ = connection::with(|c| c.ended(&prompt));
            ended
        };
        self.running.push((session, Box::pin(running)));
        true
    }
}
