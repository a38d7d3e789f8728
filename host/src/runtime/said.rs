//! What a plugin says to people, without its own secrets. The log hides them in its lines ([`crate::capabilities::mask`]);
//! here it is what comes back from a call or a stream and is shown on the page, in `doctor` and in the log: reasons,
//! errors, what a tunnel reports. Not what an agent writes: that belongs to the conversation.

use super::port::auth::{Outcome, Step};
use super::port::{CallError, Feed, RunFailure};
use crate::capabilities::log::LogSink;
use crate::model::chat::Event;
use crate::model::plugin::Availability;
use crate::model::tunnel;

pub(crate) fn error(error: CallError, log: &LogSink) -> CallError {
    match error {
        CallError::Denied(text) => CallError::Denied(log.hide(text)),
        CallError::Invalid(text) => CallError::Invalid(log.hide(text)),
        CallError::NotFound(text) => CallError::NotFound(log.hide(text)),
        CallError::Timeout(text) => CallError::Timeout(log.hide(text)),
        CallError::Unavailable(text) => CallError::Unavailable(log.hide(text)),
        CallError::Crashed(text) => CallError::Crashed(log.hide(text)),
        CallError::Other(text) => CallError::Other(log.hide(text)),
        CallError::Unsupported(what) => CallError::Unsupported(what),
    }
}

pub(crate) fn failure(failure: RunFailure, log: &LogSink) -> RunFailure {
    RunFailure {
        message: log.hide(failure.message),
        hint: failure.hint.map(|hint| log.hide(hint)),
        ..failure
    }
}

pub(crate) fn availability(answer: Availability, log: &LogSink) -> Availability {
    match answer {
        Availability::Ready(text) => Availability::Ready(log.hide(text)),
        Availability::Missing(text) => Availability::Missing(log.hide(text)),
        Availability::Unsuitable(text) => Availability::Unsuitable(log.hide(text)),
    }
}

pub(crate) fn tunnel(event: tunnel::Event, log: &LogSink) -> tunnel::Event {
    use tunnel::Event as E;
    match event {
        E::Starting(text) => E::Starting(log.hide(text)),
        E::Degraded(text) => E::Degraded(log.hide(text)),
        E::Reconnecting(text) => E::Reconnecting(log.hide(text)),
        // An address is what it is, or leads nowhere.
        other => other,
    }
}

pub(crate) fn feed(item: &mut Feed, log: &LogSink) {
    match item {
        Feed::Starting(text) => *text = log.hide(std::mem::take(text)),
        Feed::Event(event) => {
            if let Event::Error { text, .. } = &mut event.event {
                *text = log.hide(std::mem::take(text));
            }
        }
        Feed::Opened(_) | Feed::Closed(_) => {}
    }
}

pub(crate) fn step(step: Step, log: &LogSink) -> Step {
    match step {
        Step::Deny { reason, message } => Step::Deny {
            reason,
            message: message.map(|message| log.hide(message)),
        },
        other => other,
    }
}

pub(crate) fn outcome(outcome: Outcome, log: &LogSink) -> Outcome {
    match outcome {
        Outcome::Rejected { field, why } => Outcome::Rejected {
            field,
            why: log.hide(why),
        },
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use crate::capabilities::mask::Mask;
    use crate::config::resolved::Secret;
    use crate::model::chat::SessionEvent;
    use crate::runtime::port::FailureKind;
    use crate::runtime::port::auth::Denial;
    use crate::time::ManualClock;
    use std::sync::Arc;

    #[test]
    fn its_own_secret_is_in_no_error_that_a_plugin_returns() {
        let given = [("token".to_owned(), Secret::new("hunter2 hunter2"))].into();
        let mask = Mask::of(&given, &Arc::default(), "p");
        let log = LogSink::new("p", Arc::new(ManualClock::at(1)), 10, Arc::default()).hiding(mask);
        let text = || "refused: Bearer hunter2 hunter2, or hunter2%20hunter2".to_owned();
        let kinds = [
            CallError::Denied,
            CallError::Invalid,
            CallError::NotFound,
            CallError::Timeout,
            CallError::Unavailable,
            CallError::Crashed,
            CallError::Other,
        ];
        let mut said: Vec<String> = kinds
            .iter()
            .map(|kind| format!("{:?}", error(kind(text()), &log)))
            .collect();
        let failed = RunFailure {
            kind: FailureKind::Permanent,
            message: text(),
            hint: Some(text()),
        };
        said.push(format!("{:?}", failure(failed, &log)));
        for answer in [Availability::Ready, Availability::Missing, Availability::Unsuitable] {
            said.push(format!("{:?}", availability(answer(text()), &log)));
        }
        for event in [
            tunnel::Event::Starting,
            tunnel::Event::Degraded,
            tunnel::Event::Reconnecting,
        ] {
            said.push(format!("{:?}", super::tunnel(event(text()), &log)));
        }
        let error = Event::Error {
            message: None,
            text: text(),
        };
        let event = SessionEvent {
            session: "s".to_owned(),
            event: error,
        };
        for mut item in [Feed::Starting(text()), Feed::Event(event)] {
            feed(&mut item, &log);
            said.push(format!("{item:?}"));
        }
        let denied = Step::Deny {
            reason: Denial::Policy,
            message: Some(text()),
        };
        said.push(format!("{:?}", step(denied, &log)));
        let rejected = Outcome::Rejected {
            field: "f".to_owned(),
            why: text(),
        };
        said.push(format!("{:?}", outcome(rejected, &log)));
        for said in said {
            assert!(said.contains("Bearer [secret token], or [secret token]"), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
