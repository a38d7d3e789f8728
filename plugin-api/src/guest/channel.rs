//! A channel between the calls of one instance: what `prompt` puts into it wakes `events`.
//!
//! A guest has one thread, so nothing here is locked, and no borrow lives over an `await`. A channel holds a number of
//! values that its maker sets: a call that sends faster than another one receives waits, and no memory fills.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// `channel` makes a channel that holds `capacity` values, and at least one.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(RefCell::new(Shared {
        values: VecDeque::new(),
        capacity: capacity.max(1),
        senders: 1,
        closed: false,
        receiver: None,
        waiting: Vec::new(),
    }));
    (Sender(Rc::clone(&shared)), Receiver(shared))
}

struct Shared<T> {
    values: VecDeque<T>,
    capacity: usize,
    senders: usize,
    /// `closed`: the receiver is gone.
    closed: bool,
    /// `receiver` waits for a value.
    receiver: Option<Waker>,
    /// `waiting` are the senders that wait for room.
    waiting: Vec<Waker>,
}

/// `TrySendError` is why a value was not sent, which it gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// `Full`: the channel holds as many values as it can.
    Full(T),
    /// `Closed`: the receiver is gone.
    Closed(T),
}

/// `Sender` is the end of a channel that puts values in. Several may do so.
pub struct Sender<T>(Rc<RefCell<Shared<T>>>);

impl<T> Sender<T> {
    /// Sends a value, and waits while the channel is full.
    ///
    /// # Errors
    /// The value: the receiver is gone.
    pub async fn send(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        poll_fn(|cx| match value.take().map(|value| self.try_send(value)) {
            Some(Err(TrySendError::Full(unsent))) => {
                value = Some(unsent);
                self.wait(cx);
                Poll::Pending
            }
            Some(Err(TrySendError::Closed(unsent))) => Poll::Ready(Err(unsent)),
            Some(Ok(())) | None => Poll::Ready(Ok(())),
        })
        .await
    }

    /// Sends a value if there is room for it now.
    ///
    /// # Errors
    /// The value, and why it was not sent.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let mut shared = self.0.borrow_mut();
        if shared.closed {
            return Err(TrySendError::Closed(value));
        }
        if shared.values.len() >= shared.capacity {
            return Err(TrySendError::Full(value));
        }
        shared.values.push_back(value);
        let receiver = shared.receiver.take();
        drop(shared);
        receiver.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn wait(&self, cx: &Context<'_>) {
        let mut shared = self.0.borrow_mut();
        if !shared.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            shared.waiting.push(cx.waker().clone());
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.borrow_mut().senders += 1;
        Self(Rc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut shared = self.0.borrow_mut();
        shared.senders -= 1;
        let receiver = if shared.senders == 0 {
            shared.receiver.take()
        } else {
            None
        };
        drop(shared);
        receiver.into_iter().for_each(Waker::wake);
    }
}

/// `Receiver` is the end of a channel that takes values out, in the order in which they were sent.
pub struct Receiver<T>(Rc<RefCell<Shared<T>>>);

impl<T> Receiver<T> {
    /// Waits for the next value; `None` once all senders are gone and nothing is left. A future that is dropped took none.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| {
            let mut shared = self.0.borrow_mut();
            if let Some(value) = shared.values.pop_front() {
                // All of them: one that was dropped meanwhile would wake no other.
                let waiting = std::mem::take(&mut shared.waiting);
                drop(shared);
                waiting.into_iter().for_each(Waker::wake);
                return Poll::Ready(Some(value));
            }
            if shared.senders == 0 {
                return Poll::Ready(None);
            }
            shared.receiver = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut shared = self.0.borrow_mut();
        shared.closed = true;
        let (values, waiting) = (std::mem::take(&mut shared.values), std::mem::take(&mut shared.waiting));
        drop(shared);
        // Outside of the borrow: a value may hold a sender of this very channel.
        drop(values);
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    /// `Wakes` counts how often a task was woken.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Wakes {
        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }

        fn poll<F: Future>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
            future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
        }
    }

    #[test]
    fn a_value_wakes_the_one_who_waits_for_it() {
        let (sender, mut receiver) = channel(4);
        let wakes = Arc::new(Wakes::default());
        {
            let mut received = pin!(receiver.recv());
            assert_eq!(wakes.poll(received.as_mut()), Poll::Pending);
            sender.try_send(1).unwrap();
            sender.clone().try_send(2).unwrap();
            assert_eq!(wakes.count(), 1, "the second value finds nobody waiting");
            assert_eq!(wakes.poll(received.as_mut()), Poll::Ready(Some(1)));
        }
        assert_eq!(wakes.poll(pin!(receiver.recv())), Poll::Ready(Some(2)));
    }

    #[test]
    fn a_full_channel_makes_its_senders_wait() {
        let (sender, mut receiver) = channel(1);
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        let wakes = [(); 3].map(|()| Arc::new(Wakes::default()));
        let [first, second, dropped] = &wakes;
        let (mut two, mut three) = (pin!(sender.send(2)), pin!(sender.send(3)));
        // Asked again without having been woken, as beside another future: it waits once.
        for _ in 0..2 {
            assert_eq!(first.poll(two.as_mut()), Poll::Pending);
        }
        assert_eq!(dropped.poll(pin!(sender.send(4))), Poll::Pending);
        assert_eq!(second.poll(three.as_mut()), Poll::Pending);
        assert_eq!(first.poll(pin!(receiver.recv())), Poll::Ready(Some(1)));
        assert_eq!(wakes.each_ref().map(|wakes| wakes.count()), [1, 1, 1]);
        assert_eq!(second.poll(three.as_mut()), Poll::Ready(Ok(())));
        assert_eq!(first.poll(two.as_mut()), Poll::Pending, "the other one was faster");
        assert_eq!(second.poll(pin!(receiver.recv())), Poll::Ready(Some(3)));
        assert_eq!(first.count(), 2);
        assert_eq!(first.poll(two.as_mut()), Poll::Ready(Ok(())));
        assert_eq!(second.poll(pin!(receiver.recv())), Poll::Ready(Some(2)));
    }

    #[test]
    fn no_capacity_is_one() {
        let (sender, _receiver) = channel(0);
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    }

    #[test]
    fn what_was_sent_before_the_last_sender_went_is_received() {
        let (sender, mut receiver) = channel(2);
        let wakes = Arc::new(Wakes::default());
        let other = sender.clone();
        sender.try_send(1).unwrap();
        drop(sender);
        assert_eq!(wakes.poll(pin!(receiver.recv())), Poll::Ready(Some(1)));
        {
            let mut received = pin!(receiver.recv());
            assert_eq!(wakes.poll(received.as_mut()), Poll::Pending, "one sender is left");
            drop(other);
            assert_eq!(wakes.count(), 1);
            assert_eq!(wakes.poll(received.as_mut()), Poll::Ready(None));
        }
        assert_eq!(wakes.poll(pin!(receiver.recv())), Poll::Ready(None));
    }

    #[test]
    fn senders_learn_that_the_receiver_is_gone() {
        let (sender, receiver) = channel(1);
        sender.try_send(1).unwrap();
        let wakes = Arc::new(Wakes::default());
        let mut sent = pin!(sender.send(2));
        assert_eq!(wakes.poll(sent.as_mut()), Poll::Pending);
        drop(receiver);
        assert_eq!(wakes.count(), 1);
        assert_eq!(wakes.poll(sent.as_mut()), Poll::Ready(Err(2)));
        assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
    }

    #[test]
    fn a_value_may_hold_its_own_sender() {
        struct Reply(Sender<Reply>);
        let (sender, receiver) = channel(1);
        assert!(sender.try_send(Reply(sender.clone())).is_ok());
        drop(receiver);
        let back = sender.try_send(Reply(sender.clone()));
        assert!(matches!(back, Err(TrySendError::Closed(Reply(own))) if own.0.borrow().closed));
    }
}
