//! Long calls: a task that writes events until the host cancels it.

use super::caps::types::{CancelReason, Failure, FailureKind};
use crate::error_text::cause_and_fix;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamWriter};

pub use super::channel::{Receiver, Sender, TrySendError, channel};

/// `Outcome` is how a long call ended.
pub type Outcome = Result<(), Failure>;

/// `Job` is what a long call returns: the events, and how it ended.
pub type Job<E> = (StreamReader<E>, FutureReader<Outcome>);

/// `Events` is the writing side of the stream of events.
pub struct Events<E: 'static> {
    stream: StreamWriter<E>,
}

/// `HostDisconnected`: the host no longer reads, so it is time to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostDisconnected;

impl<E: 'static> Events<E> {
    /// Waits until the host has taken the event.
    pub async fn send(&mut self, event: E) -> Result<(), HostDisconnected> {
        match self.stream.write_one(event).await {
            None => Ok(()),
            Some(_) => Err(HostDisconnected),
        }
    }

    /// Does as [`Self::send`], for several at once: that is cheaper than one by one.
    pub async fn send_all(&mut self, events: Vec<E>) -> Result<(), HostDisconnected> {
        if events.is_empty() || self.stream.write_all(events).await.is_empty() {
            Ok(())
        } else {
            Err(HostDisconnected)
        }
    }
}

/// `Cancel` completes when the host cancels a call.
pub struct Cancel(Signal);

enum Signal {
    Waiting(Pin<Box<dyn Future<Output = CancelReason>>>),
    Cancelled(CancelReason),
}

impl Cancel {
    /// Takes the future that completes when the host cancels.
    pub fn new(signal: impl Future<Output = CancelReason> + 'static) -> Self {
        Self(Signal::Waiting(Box::pin(signal)))
    }

    /// Waits for `work`. Returns its value, or `None` once the host has canceled: then the future is dropped where it
    /// stands.
    pub async fn select<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Signal::Waiting(signal) = &mut self.0
                && let Poll::Ready(reason) = signal.as_mut().poll(cx)
            {
                self.0 = Signal::Cancelled(reason);
            }
            if self.is_cancelled() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Completes when the host cancels.
    pub async fn cancelled(&mut self) {
        self.select(std::future::pending::<()>()).await;
    }

    /// Tells whether the host has canceled, as far as that was noticed.
    pub fn is_cancelled(&self) -> bool {
        self.reason().is_some()
    }

    /// `reason` is why the host has canceled; `None`: it has not, as far as that was noticed.
    pub fn reason(&self) -> Option<CancelReason> {
        match self.0 {
            Signal::Waiting(_) => None,
            Signal::Cancelled(reason) => Some(reason),
        }
    }
}

/// `race` is the value of the first of two futures to be ready; `a` is asked first. The other one is dropped.
pub async fn race<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|cx| match a.as_mut().poll(cx) {
        Poll::Ready(v) => Poll::Ready(v),
        Poll::Pending => b.as_mut().poll(cx),
    })
    .await
}

/// `within` is the value of `work`, or `None` after `milliseconds`.
pub async fn timeout<T>(milliseconds: u64, work: impl Future<Output = T>) -> Option<T> {
    race(async { Some(work.await) }, async {
        super::caps::clock::sleep(milliseconds).await;
        None
    })
    .await
}

/// `unfinished` is the outcome of a task that was dropped without one.
#[allow(dead_code)] // `auth` has no long calls
pub(crate) fn unfinished() -> Result<(), Failure> {
    Err(retry("the plugin's task ended without a result"))
}

#[allow(dead_code)] // `auth` has no long calls
pub(crate) fn start<E: 'static, W>(
    cancel: FutureReader<CancelReason>,
    (stream, events): (StreamWriter<E>, StreamReader<E>),
    (outcome, ended): (FutureWriter<Outcome>, FutureReader<Outcome>),
    work: W,
) -> Job<E>
where
    W: AsyncFnOnce(Events<E>, Cancel) -> Result<(), Failure> + 'static,
{
    super::log::panics();
    wit_bindgen::spawn_local(async move {
        let cancel = Cancel::new(cancel.into_future());
        let result = work(Events { stream }, cancel).await;
        // An error here means that the host has gone; there is nobody left to tell.
        let _ = outcome.write(result).await;
    });
    (events, ended)
}

/// `retry` is a failure after which starting again may help.
pub fn retry(message: impl Into<String>) -> Failure {
    Failure {
        kind: FailureKind::Retry,
        message: message.into(),
        hint: None,
    }
}

/// `permanent_from_text` is [`permanent`] from a text of the host, which may name the fix itself; `fix` is for one that names none.
pub fn permanent_from_text(text: &str, fix: &str) -> Failure {
    let (why, named) = cause_and_fix(text);
    permanent(why, named.unwrap_or(fix))
}

/// `permanent` is a failure after which starting again cannot help until somebody does what `hint` says: what follows "To fix: ".
pub fn permanent(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure {
        kind: FailureKind::Permanent,
        message: message.into(),
        hint: Some(hint.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Waker};

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_cancel_ends_the_work_and_says_why() {
        let (sender, mut receiver) = channel(1);
        let mut cancel = Cancel::new(async move { receiver.recv().await.unwrap_or(CancelReason::HostEnds) });
        assert_eq!(poll(cancel.select(async { 1 })), Poll::Ready(Some(1)));
        assert!(poll(cancel.cancelled()).is_pending());
        assert_eq!((cancel.reason(), cancel.is_cancelled()), (None, false));
        assert_eq!(sender.try_send(CancelReason::Replace), Ok(()));
        assert_eq!(cancel.reason(), None, "not noticed yet");
        assert_eq!(poll(cancel.select(async { 1 })), Poll::Ready(None));
        assert_eq!(cancel.reason(), Some(CancelReason::Replace));
        // The signal is not asked again.
        assert_eq!(poll(cancel.select(std::future::pending::<()>())), Poll::Ready(None));
        assert_eq!(poll(cancel.cancelled()), Poll::Ready(()));
    }
}
