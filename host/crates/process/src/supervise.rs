//! The task beside each child: speaks with the keeper, and clears up when nothing is left.

use super::child::{Command, Phase};
use super::lines::Log;
use super::orphans::{self, Known};
use super::port::Exit;
use super::ports::Reserved;
use super::protocol::{FromKeeper, ToKeeper, line, millis};
use nexus_model::limits;
use nexus_model::limits::PROCESS_GRACE;
use nexus_model::time::Clock;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt as _, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub(super) struct Supervision {
    pub(super) keeper: Known,
    pub(super) from: Lines<BufReader<OwnedReadHalf>>,
    pub(super) to: OwnedWriteHalf,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) phase: watch::Sender<Phase>,
    /// Tasks that read the child's output.
    pub(super) readers: JoinSet<()>,
    pub(super) log: Log,
    /// Held until nothing is left.
    pub(super) reserved: Reserved,
    pub(super) dir: PathBuf,
    pub(super) marker: String,
    pub(super) clock: Arc<dyn Clock>,
}

impl Supervision {
    pub(super) async fn run(mut self) {
        let orderly = self.until_the_keeper_is_silent().await;
        self.keeper.wait().await;
        if !orderly {
            orphans::sweep(&self.marker).await;
        }
        let drained = async { while self.readers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(limits::PROCESS_DRAIN, drained).await;
        self.readers.abort_all();
        self.log.close();
        drop(self.reserved);
        if let Err(error) = tokio::fs::remove_dir_all(&self.dir).await {
            tracing::warn!(dir = %self.dir.display(), %error, "the private directory of a process could not be removed");
        }
        // A keeper that was killed cannot tell; the child went with it, by SIGKILL.
        let exit = self.phase.borrow().exit().unwrap_or(Exit {
            code: None,
            signal: Some(libc::SIGKILL),
            at: self.clock.now(),
        });
        self.phase.send_replace(Phase::Gone(exit));
    }

    /// Whether its last word was that nothing is left.
    async fn until_the_keeper_is_silent(&mut self) -> bool {
        let mut done = false;
        let mut wanted = true;
        loop {
            tokio::select! {
                message = self.from.next_line() => {
                    let Ok(Some(message)) = message else { return done };
                    match serde_json::from_str(&message) {
                        Ok(FromKeeper::Exit { code, signal }) => {
                            self.phase.send_replace(Phase::Exited(Exit { code, signal, at: self.clock.now() }));
                        }
                        Ok(FromKeeper::Done) => done = true,
                        Ok(FromKeeper::Started { .. } | FromKeeper::Failed { .. }) | Err(_) => {}
                    }
                }
                command = self.commands.recv(), if wanted => match command {
                    Some(Command::Say(message)) => self.say(&message).await,
                    Some(Command::KillKeeper) => self.keeper.kill(),
                    None => {
                        wanted = false;
                        self.say(&ToKeeper::End { grace_ms: millis(PROCESS_GRACE) }).await;
                    }
                }
            }
        }
    }

    async fn say(&mut self, message: &ToKeeper) {
        // A keeper that is gone is noticed where its words are read.
        if let Ok(line) = line(message) {
            let _ = self.to.write_all(&line).await;
        }
    }
}
