//! The task beside each child: speaks with the shim, and clears up when nothing is left.

use crate::child::{Phase, ShimCommand};
use crate::limits::{self, PROCESS_GRACE};
use crate::orphans::{self, DirectChild};
use crate::output_log::OutputLog;
use crate::reserved_ports::ReservedPorts;
use crate::shim_protocol::{FromShim, ToShim, line};
use crate::time::{millis, now};
use crate::types::Exit;
use std::path::PathBuf;
use tokio::io::{AsyncWriteExt as _, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub(super) struct Supervision {
    pub(super) shim: DirectChild,
    pub(super) from: Lines<BufReader<OwnedReadHalf>>,
    pub(super) to: OwnedWriteHalf,
    pub(super) commands: mpsc::UnboundedReceiver<ShimCommand>,
    pub(super) phase: watch::Sender<Phase>,
    /// Tasks that read the child's output.
    pub(super) readers: JoinSet<()>,
    pub(super) log: OutputLog,
    /// Held until nothing is left.
    pub(super) reserved: ReservedPorts,
    pub(super) dir: PathBuf,
    pub(super) instance_id: String,
}

impl Supervision {
    pub(super) async fn run(mut self) {
        let orderly = self.until_the_shim_is_silent().await;
        self.shim.wait().await;
        if !orderly {
            orphans::sweep(&self.instance_id).await;
        }
        let drained = async { while self.readers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(limits::PROCESS_DRAIN, drained).await;
        self.readers.abort_all();
        self.log.close();
        drop(self.reserved);
        if let Err(error) = tokio::fs::remove_dir_all(&self.dir).await {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot remove the private directory of a process");
        }
        // A shim that was killed cannot tell; the child went with it, by SIGKILL.
        let exit = self.phase.borrow().exit().unwrap_or(Exit {
            code: None,
            signal: Some(libc::SIGKILL),
            at: now(),
        });
        self.phase.send_replace(Phase::Gone(exit));
    }

    /// Whether its last word was that nothing is left.
    async fn until_the_shim_is_silent(&mut self) -> bool {
        let mut done = false;
        let mut wanted = true;
        loop {
            tokio::select! {
                message = self.from.next_line() => {
                    let Ok(Some(message)) = message else { return done };
                    match serde_json::from_str(&message) {
                        Ok(FromShim::Exit { code, signal }) => {
                            self.phase.send_replace(Phase::Exited(Exit { code, signal, at: now() }));
                        }
                        Ok(FromShim::Done) => done = true,
                        Ok(FromShim::Started { .. } | FromShim::Failed { .. }) | Err(_) => {}
                    }
                }
                command = self.commands.recv(), if wanted => match command {
                    Some(ShimCommand::Say(message)) => self.say(&message).await,
                    Some(ShimCommand::KillShim) => self.shim.kill(),
                    None => {
                        wanted = false;
                        self.say(&ToShim::End { grace_ms: millis(PROCESS_GRACE) }).await;
                    }
                }
            }
        }
    }

    async fn say(&mut self, message: &ToShim) {
        // A shim that is gone is noticed where its words are read.
        if let Ok(line) = line(message) {
            let _ = self.to.write_all(&line).await;
        }
    }
}
