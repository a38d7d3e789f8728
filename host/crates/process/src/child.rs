//! One child as the table sees it: what it was started as, how it is, and how to speak to its shim.

use crate::error::ProcessError;
use crate::output_log::OutputLog;
use crate::output_streams::{Capture, Pipe};
use crate::references::References;
use crate::shim_protocol::{ToShim, number};
use crate::time::{Millis, millis};
use crate::types::{Exit, Key, Running, Signal, Spec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::{Mutex, mpsc, watch};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Descendants may be left.
    Exited(Exit),
    /// Nothing is left: no descendant, no private directory; every line has been read.
    Gone(Exit),
}

impl Phase {
    pub(super) fn exit(self) -> Option<Exit> {
        match self {
            Self::Running => None,
            Self::Exited(exit) | Self::Gone(exit) => Some(exit),
        }
    }
}

/// To the task that speaks with the shim. Where all senders are dropped, the child is ended.
#[derive(Debug)]
pub(super) enum ShimCommand {
    Say(ToShim),
    /// It does not answer.
    KillShim,
}

pub(super) struct Child {
    pub(super) key: Key,
    pub(super) spec: Arc<Spec>,
    pub(super) refs: Arc<dyn References>,
    pub(super) pid: u32,
    pub(super) started_at: Millis,
    pub(super) ports: BTreeMap<String, u16>,
    pub(super) log: OutputLog,
    pub(super) outputs: Outputs,
    pub(super) stdin: Mutex<Option<ChildStdin>>,
    pub(super) commands: mpsc::UnboundedSender<ShimCommand>,
    pub(super) phase: watch::Receiver<Phase>,
}

#[derive(Default)]
pub(super) struct Outputs {
    pub(super) stdout: Option<Pipe>,
    pub(super) stderr: Option<Pipe>,
    pub(super) captured: [Capture; 2],
}

impl Child {
    pub(super) fn running(&self, adopted: bool) -> Running {
        Running {
            adopted,
            pid: self.pid,
            started_at: self.started_at,
            ports: self.ports.clone(),
        }
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        self.phase.borrow().exit()
    }

    pub(super) async fn exited(&self) -> Exit {
        self.when(|phase| phase.exit().is_some()).await
    }

    pub(super) async fn gone(&self) -> Exit {
        self.when(|phase| matches!(phase, Phase::Gone(_))).await
    }

    async fn when(&self, reached: impl FnMut(&Phase) -> bool) -> Exit {
        let mut phase = self.phase.clone();
        let seen = phase.wait_for(reached).await.ok().and_then(|p| p.exit());
        // The task that tells is gone only with the whole runtime; then the shim ends the child.
        seen.or_else(|| self.exit()).unwrap_or(Exit {
            code: None,
            signal: Some(libc::SIGKILL),
            at: self.started_at,
        })
    }

    pub(super) fn signal(&self, signal: Signal) {
        let _ = self.commands.send(ShimCommand::Say(ToShim::Signal(number(signal))));
    }

    /// Asks for the end of the whole tree: SIGTERM, and SIGKILL after `grace`.
    pub(super) fn end(&self, grace: Duration) {
        let _ = self.commands.send(ShimCommand::Say(ToShim::End {
            grace_ms: millis(grace),
        }));
    }

    pub(super) fn kill_shim(&self) {
        let _ = self.commands.send(ShimCommand::KillShim);
    }

    pub(super) async fn write(&self, data: &[u8]) -> Result<(), ProcessError> {
        let name = &self.key.name;
        let mut stdin = self.stdin.lock().await;
        let Some(open) = stdin.as_mut() else {
            return Err(ProcessError::Invalid(format!(
                "process `{name}` has no standard input; start it with `stdin = true`"
            )));
        };
        let written = async {
            open.write_all(data).await?;
            open.flush().await
        };
        written
            .await
            .map_err(|e| ProcessError::Unavailable(format!("process `{name}` does not read its standard input: {e}")))
    }
}
