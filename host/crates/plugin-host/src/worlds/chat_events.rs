//! The events of a chat backend, over all crashes of its plugin and of the backend itself. In order; nothing dropped.

use super::chat_deltas::Deltas;
use super::chat_exports::{ChatExports, ChatHandle};
use super::convert;
use super::convert_chat::Speaker;
use super::convert_chat_event::{SkippedEvent, backend_event};
use super::event_order::EventOrder;
use super::request_paths;
use crate::bindings::caps::log::Level;
use crate::bindings::caps::types;
use crate::bindings::chat::nexus::plugin::chat_types::Event;
use crate::engine::event_queue::Exit;
use crate::engine::stream_bridge::LongCall;
use crate::instance::{Ended, Supervisor, pause};
use crate::truncate;
use nexus_config::resolved::Workspaces;
use nexus_model::limits;
use nexus_model::plugin::Failure;
use nexus_model::token_bucket::TokenBucket;
use nexus_plugin_traits::{BackendEvent, CallError, CancelReason, EventSink, FailureKind, RunFailure};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

pub(crate) struct ChatEvents {
    supervisor: Arc<Supervisor<ChatExports>>,
    to: EventSink,
    workspaces: Workspaces,
    /// `leaving` is why the stream ends next; whoever ends it says so first.
    leaving: Arc<Mutex<CancelReason>>,
    /// Failures since the connection last held for a while.
    failures: u32,
}

/// `ConnectionEnd` says how one connection came to its end.
enum ConnectionEnd {
    /// `Left`: the receiver is gone.
    Left,
    Failed(RunFailure),
    /// `Crashed`: the plugin crashed. Its supervisor starts it again, after its own pause.
    Crashed {
        cause: String,
        restart_limit_reached: bool,
    },
    Stopped,
}

impl ChatEvents {
    pub(crate) fn new(
        supervisor: Arc<Supervisor<ChatExports>>,
        to: EventSink,
        workspaces: Workspaces,
        leaving: Arc<Mutex<CancelReason>>,
    ) -> Self {
        Self {
            supervisor,
            to,
            workspaces,
            leaving,
            failures: 0,
        }
    }

    /// Runs until the receiver is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let mut starts = self.supervisor.starts();
            let handle = tokio::select! {
                handle = self.supervisor.next_running() => handle,
                () = self.to.closed() => return,
            };
            starts.mark_unchanged();
            let since = Instant::now();
            let end = self.connection(&handle).await;
            if since.elapsed() >= limits::RESTART_MAX {
                self.failures = 0;
            }
            let (cause, fix, permanent, wait) = match end {
                ConnectionEnd::Left => return,
                ConnectionEnd::Crashed {
                    cause,
                    restart_limit_reached,
                } => (
                    format!("the plugin crashed: {cause}"),
                    None,
                    restart_limit_reached,
                    None,
                ),
                ConnectionEnd::Stopped => ("the plugin was stopped".to_owned(), None, true, None),
                ConnectionEnd::Failed(f) => {
                    self.failures = self.failures.saturating_add(1);
                    let wait = match f.kind {
                        FailureKind::Retry => Some(pause(self.failures)),
                        FailureKind::RetryLater => Some(limits::RETRY_LATER),
                        FailureKind::Permanent => None,
                    };
                    (f.cause, f.fix, wait.is_none(), Some(wait))
                }
            };
            let at = self.supervisor.context().clock.now();
            let closed = Failure {
                at,
                cause,
                fix,
                permanent,
            };
            if !self.to.send(BackendEvent::Closed(closed)).await {
                return;
            }
            // Whoever asks for a start wants it now.
            let asked = async {
                if starts.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = self.to.closed() => return,
                () = asked => {}
                () = wait_before_retry(wait) => {}
            }
        }
    }

    async fn connection(&self, handle: &ChatHandle) -> ConnectionEnd {
        let opening = handle.call(|a, e: &ChatExports| e.chat.call_events(a));
        let limit = self.supervisor.context().gate.limits().call;
        let mut running = match tokio::time::timeout(limit, opening).await {
            Ok(Ok(running)) => running,
            Ok(Err(CallError::Crashed(_) | CallError::Unavailable(_))) => return ended(handle).await,
            Ok(Err(e)) => return failed(e.to_string()),
            Err(_) => {
                self.supervisor.context().counters.error();
                self.supervisor.restart(handle, "it did not start to report events");
                return ended(handle).await;
            }
        };
        if !self.forward(&mut running.events).await {
            return self.leave(handle, running).await;
        }
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(limits::PLUGIN_CANCEL, &mut running.outcome) => outcome,
            () = self.to.closed() => return self.leave(handle, running).await,
        };
        let counters = &self.supervisor.context().counters;
        let Ok(outcome) = outcome else {
            counters.error();
            self.supervisor.restart(handle, &no_outcome("reporting events"));
            return ended(handle).await;
        };
        match outcome {
            Ok(Ok(())) => failed("the backend closed the connection".into()),
            Ok(Err(failure)) => {
                counters.error();
                ConnectionEnd::Failed(convert::failure(failure, &self.supervisor.context().mask))
            }
            // No outcome: as a rule the plugin crashed.
            Err(_) => {
                let end = tokio::select! {
                    end = ended(handle) => end,
                    () = tokio::time::sleep(limits::RESTART_FIRST) => failed("the plugin stopped reporting events \
                        without a reason".into()),
                };
                if !matches!(end, ConnectionEnd::Stopped) {
                    counters.error();
                }
                end
            }
        }
    }

    /// Forwards events. False: the receiver is gone.
    async fn forward(&self, events: &mut Exit<Event>) -> bool {
        let context = self.supervisor.context();
        let (mut deltas, mut order) = (Deltas::default(), EventOrder::default());
        let mut batch = Vec::new();
        loop {
            let more = tokio::select! {
                // What is there is taken first.
                biased;
                more = events.take(&mut batch) => more,
                () = self.to.closed() => return false,
            };
            if !more {
                return true;
            }
            context.counters.events(batch.len());
            let by = Speaker::new(self.supervisor.name(), &context.mask);
            let mut said = 0;
            for mut event in batch.drain(..) {
                // What goes no further costs the host as well: who sends nothing else is held back too.
                said += limits::SESSION_ROW;
                let admitted = order.admit(&event);
                if admitted.is_ok() {
                    request_paths::add_to_event(&mut event, &self.workspaces).await;
                }
                let mut item = match admitted.and_then(|()| backend_event(event, &by)) {
                    Ok(item) => item,
                    Err(skipped) => {
                        self.log_skipped(&skipped);
                        continue;
                    }
                };
                if let BackendEvent::Event(event) = &mut item {
                    deltas.clean(event);
                }
                let size = size(&item);
                said += size;
                // A place is meant for a few words. What is larger goes alone: so what waits for the service stays below
                // [`limits::CHAT_EVENT_LARGE`] for each place, and one large one.
                let taken = if size > limits::CHAT_EVENT_LARGE {
                    self.to.send_alone(item).await
                } else {
                    self.to.send(item).await
                };
                if !taken {
                    return false;
                }
            }
            by.log_left_out(&context.log);
            if let Some(wait) = context.event_bytes.charge(said as f64) {
                tokio::select! {
                    () = throttle(&context.event_bytes, wait) => {}
                    () = self.to.closed() => return false,
                }
            }
        }
    }

    /// Logs a skipped event among the plugin's own lines, for there they are counted and limited.
    fn log_skipped(&self, skipped: &SkippedEvent) {
        let log = &self.supervisor.context().log;
        match skipped {
            SkippedEvent::Error(text) => log.write(Level::Warn, &format!("the chat backend reported an error: {text}")),
            SkippedEvent::NoId(what) => log.write(
                Level::Warn,
                &format!(
                    "skipped an event `{what}`: its ids are {}. This is a bug of the plugin",
                    truncate::NO_ID
                ),
            ),
            SkippedEvent::OutOfOrder(what) => {
                log.write(Level::Warn, &format!("skipped {what}. This is a bug of the plugin"));
            }
            SkippedEvent::NoSession(name) => log.write(
                Level::Debug,
                &format!("skipped an event `other` with the name {name}: it belongs to no session"),
            ),
        }
    }

    /// Tells the plugin that nobody listens any more, and waits until it has closed, so that the next one may call.
    async fn leave(&self, handle: &ChatHandle, running: LongCall<Event, Result<(), types::Failure>>) -> ConnectionEnd {
        let LongCall {
            mut events,
            outcome,
            cancel,
        } = running;
        let reason = std::mem::replace(
            &mut *self.leaving.lock().unwrap_or_else(PoisonError::into_inner),
            CancelReason::Stop,
        );
        // It may have crashed just now.
        let _ = cancel.send(reason);
        let closed = async {
            let mut left = Vec::new();
            while events.take(&mut left).await {
                left.clear();
            }
            // Whatever it says: it has closed.
            let _ = outcome.await;
        };
        if tokio::time::timeout(limits::PLUGIN_CANCEL, closed).await.is_err() {
            let seconds = limits::PLUGIN_CANCEL.as_secs();
            let cause = format!("it still reported events {seconds} s after it was asked to stop");
            self.supervisor.restart(handle, &cause);
        }
        ConnectionEnd::Left
    }
}

async fn wait_before_retry(wait: Option<Option<std::time::Duration>>) {
    match wait {
        // The supervisor decides when it runs again.
        None => {}
        Some(Some(pause)) => tokio::time::sleep(pause).await,
        Some(None) => std::future::pending().await,
    }
}

/// `no_outcome` is what is wrong with a plugin whose stream has ended and whose outcome does not come.
pub(super) fn no_outcome(what: &str) -> String {
    format!(
        "it stopped {what} and gave no outcome within {} s",
        limits::PLUGIN_CANCEL.as_secs()
    )
}

fn failed(cause: String) -> ConnectionEnd {
    ConnectionEnd::Failed(RunFailure {
        kind: FailureKind::Retry,
        cause,
        fix: None,
    })
}

async fn ended(handle: &ChatHandle) -> ConnectionEnd {
    match handle.ended().await {
        Ended::Crashed {
            cause,
            restart_limit_reached,
        } => ConnectionEnd::Crashed {
            cause,
            restart_limit_reached,
        },
        Ended::Stopped => ConnectionEnd::Stopped,
    }
}

/// `size` is about how many bytes an item holds.
fn size(item: &BackendEvent) -> usize {
    match item {
        BackendEvent::Event(event) => event.event.size(),
        BackendEvent::Starting(progress) => progress.len(),
        BackendEvent::Opened(connection) => connection.requests.iter().map(|(_, request)| request.size()).sum(),
        BackendEvent::Closed(_) => 0,
    }
}

/// Waits until the next events may go on: all of them are written down, and a disk has an end.
async fn throttle(said: &TokenBucket, mut wait: std::time::Duration) {
    loop {
        tokio::time::sleep(wait).await;
        match said.wait(0.0) {
            Some(more) => wait = more,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn send(said: &TokenBucket, size: usize) {
        if let Some(wait) = said.charge((size + limits::SESSION_ROW) as f64) {
            throttle(said, wait).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_sends_more_than_is_written_has_to_wait() {
        for (size, count) in [(200_000, 2_000), (0, 1_000_000)] {
            let said = TokenBucket::new(limits::EVENT_BYTES as f64, limits::EVENTS_WINDOW);
            let begun = Instant::now();
            for _ in 0..count {
                send(&said, size).await;
            }
            let all = (size + limits::SESSION_ROW) * count;
            let windows = all as f64 / limits::EVENT_BYTES as f64 - 1.0;
            let least = limits::EVENTS_WINDOW.mul_f64(windows * 0.99);
            assert!(begun.elapsed() > least, "{:?} for {all} bytes", begun.elapsed());
        }
        // A long answer of a model is far below it.
        let said = TokenBucket::new(limits::EVENT_BYTES as f64, limits::EVENTS_WINDOW);
        let begun = Instant::now();
        for _ in 0..20_000 {
            send(&said, 40).await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
