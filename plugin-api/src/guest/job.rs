//! Long calls: a task that writes events until the host cancels it.

use super::caps::types::{Failure, FailureKind};
use crate::error_text::cause_and_fix;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamWriter};

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
pub struct Cancel {
    signal: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Cancel {
    /// Takes the future that completes when the host cancels.
    pub fn new(signal: impl Future<Output = ()> + 'static) -> Self {
        Self {
            signal: Some(Box::pin(signal)),
        }
    }

    /// Waits for `work`. Returns its value, or `None` once the host has canceled: then the future is dropped where it
    /// stands.
    pub async fn select<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            match &mut self.signal {
                None => return Poll::Ready(None),
                Some(signal) => {
                    if signal.as_mut().poll(cx).is_ready() {
                        self.signal = None;
                        return Poll::Ready(None);
                    }
                }
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
        self.signal.is_none()
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
    cancel: FutureReader<()>,
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
