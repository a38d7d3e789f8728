//! What the operator commands: stop the backend, start it, restart it, or let another plugin take its place.
//!
//! Prompts that come meanwhile are paused, and turns that run get time to finish; what had to be cut is marked as
//! interrupted and can be continued. Sessions of the plugin that went stay readable.

use crate::backend_status::Phase;
use crate::error::ChatError;
use crate::journal_writes::settle_all;
use crate::named_backend::NamedBackend;
use crate::shared::Shared;
use nexus_model::activity::Severity;
use nexus_model::chat::SessionId;
use nexus_model::limits;
use nexus_model::trouble::{Problem, sentence};
use nexus_plugin_traits::{CancelReason, StopProcesses};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

pub(crate) enum Command {
    Stop,
    Start,
    Restart,
    Swap(NamedBackend),
}

/// `QueuedCommand` is a command, and who waits for it to be done.
pub(crate) type QueuedCommand = (Command, oneshot::Sender<Result<(), ChatError>>);

/// `CommandSender` gives commands to the backend's task.
#[derive(Clone)]
pub(crate) struct CommandSender(mpsc::Sender<QueuedCommand>);

impl CommandSender {
    pub(crate) fn new() -> (Self, mpsc::Receiver<QueuedCommand>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }

    /// Returns when the command is done, or why it was not.
    pub(crate) async fn give(&self, command: Command) -> Result<(), ChatError> {
        let gone = || ChatError::Unavailable("Nexus is stopping.".to_owned());
        let (done, answer) = oneshot::channel();
        self.0.send((command, done)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// `POLL_INTERVAL` is the pause between two looks whether turns still run.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// `Pause` pauses prompts for as long as it lives.
pub(crate) struct Pause<'a>(&'a Shared);

impl<'a> Pause<'a> {
    pub(crate) fn new(shared: &'a Shared, command: &Command) -> Self {
        shared.paused.send_replace(true);
        let what = match command {
            Command::Stop => "stops".to_owned(),
            Command::Start | Command::Restart => "restarts".to_owned(),
            Command::Swap(next) => format!("is replaced with {}", next.plugin),
        };
        let limit = limits::CHAT_DRAIN.as_secs();
        let pending = format!("The backend {what} when no answer is running, in {limit} s at the latest.");
        shared
            .status
            .send_modify(|status| status.pending_action = Some(pending));
        Self(shared)
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.status.send_modify(|status| status.pending_action = None);
        self.0.paused.send_replace(false);
    }
}

/// Returns when no turn of the backend runs, after [`limits::CHAT_DRAIN`] at the latest.
pub(crate) async fn quiet(shared: &Shared) {
    let running = || running(shared).next().is_some();
    let _ = tokio::time::timeout(limits::CHAT_DRAIN, async {
        while running() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await;
}

fn running(shared: &Shared) -> impl Iterator<Item = SessionId> {
    let plugin = shared.shown().plugin;
    let sessions = shared.journal.unfinished().into_iter();
    let ours: Vec<_> = sessions
        .filter(|session| shared.listed(session).is_some_and(|listed| listed.backend == plugin))
        .collect();
    ours.into_iter()
}

/// `reason` is why the backend's connection ends.
pub(crate) fn reason(command: &Command) -> CancelReason {
    match command {
        Command::Swap(_) | Command::Restart => CancelReason::Replace,
        Command::Start | Command::Stop => CancelReason::Stop,
    }
}

/// Checks whether a command can be carried out at all. The backend goes on meanwhile.
pub(crate) async fn check(shared: &Shared, command: &Command) -> Result<(), ChatError> {
    let Command::Swap(next) = command else { return Ok(()) };
    check_available(shared, next).await
}

/// Ends the backend and what belongs to it, and does what is commanded. True: nothing is to run.
pub(crate) async fn carry_out(shared: &Shared, stop_processes: &StopProcesses, command: Command) -> bool {
    let now = shared.primary();
    let title = shared.status.borrow().title.clone();
    // The fallback may be active: it ends too.
    let shown = Some(shared.shown()).filter(|shown| shown.plugin != now.plugin);
    shared.active.send_replace(None);
    for backend in shown.iter().chain([&now]) {
        backend.backend.stop().await;
        stop_processes(backend.plugin.clone()).await;
        settle_all(shared, &shared.journal, &backend.plugin).await;
    }
    match command {
        Command::Start | Command::Restart => {
            shared.note(Severity::Warning, &format!("{title} is restarting"));
            false
        }
        Command::Swap(next) => {
            let what = if next.plugin == now.plugin {
                "has its new settings"
            } else {
                "is the chat backend now"
            };
            let plugin = next.plugin.clone();
            shared.set_primary(next);
            shared.note_of(&plugin, Severity::Ok, &format!("{plugin} {what}"));
            false
        }
        Command::Stop => {
            shared.note(Severity::Inactive, &format!("{title} was stopped"));
            shared.phase(Phase::Stopped);
            true
        }
    }
}

/// Checks that the program of the next backend is there: none is stopped for one that cannot run.
async fn check_available(shared: &Shared, next: &NamedBackend) -> Result<(), ChatError> {
    let refused = |cause: &str, fix: Option<String>| {
        let (plugin, current) = (&next.plugin, shared.primary().plugin);
        let cannot = if *plugin == current {
            "cannot run with its new settings".to_owned()
        } else {
            format!("cannot replace {current}")
        };
        let cause = format!("{plugin} {cannot}: {} Nothing has changed.", sentence(cause, None));
        let fix = fix.map(|fix| shared.complete(&fix));
        ChatError::Refused(sentence(&cause, fix.as_deref()))
    };
    next.running()
        .await
        .map_err(|failure| refused(&failure.cause, failure.fix))?;
    let refusal = match next.backend.check_availability().await {
        Ok(availability) => match Problem::of(availability, &next.backend.title()) {
            None => return Ok(()),
            Some(problem) => refused(&problem.cause, problem.fix),
        },
        Err(error) => refused(&error.to_string(), None),
    };
    next.backend.stop().await;
    Err(refusal)
}

/// Waits, while the backend is stopped, for a command that starts one: a start, or a swap to another plugin.
pub(crate) async fn wait_for_start(shared: &Shared, commands: &mut mpsc::Receiver<QueuedCommand>) {
    while let Some((command, done)) = commands.recv().await {
        let answer = match command {
            Command::Stop => Ok(()),
            Command::Start | Command::Restart => {
                let _ = done.send(Ok(()));
                return;
            }
            Command::Swap(next) => match check_available(shared, &next).await {
                // Other settings are no reason to start what was stopped.
                Ok(()) if next.plugin == shared.primary().plugin => {
                    next.backend.stop().await;
                    shared.set_primary(next);
                    Ok(())
                }
                Ok(()) => {
                    shared.set_primary(next);
                    let _ = done.send(Ok(()));
                    return;
                }
                Err(error) => Err(error),
            },
        };
        let _ = done.send(answer);
    }
}
