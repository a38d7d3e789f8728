//! What waits between a plugin's stream and the host that reads it: one writes, one takes.
//!
//! Problem: a plugin writes its events one by one, and a model's answer is thousands of them. A channel of batches takes
//! memory for each of these writes and a lock of its own for its places.
//!
//! Mechanism: one list behind one lock. The writer adds to it; the reader takes all of it and leaves its own empty one, so
//! that two lists go back and forth. What waits takes places, of which there are [`limits::STREAM_PLACES`]: a write of small
//! items, such as a few words of an answer, takes one; any other takes [`limits::STREAM_LARGE`] of them, for it may be as large
//! as what a plugin may hand over at once. (Four places for all were too few for small ones: plugin and journal took turns at
//! each four words, for three times the CPU. Many places for all would have let a plugin fill the memory of the host.)
//!
//! Limits: one writer and one reader; whoever waits last is woken. What waits and what the reader has just taken are at most
//! [`limits::STREAM_PLACES`] / [`limits::STREAM_LARGE`] large writes each, of [`limits::PLUGIN_HANDED_OVER`] bytes at most.

use nexus_model::limits;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::task::coop::cooperative;

/// `Item` is what waits.
pub(crate) trait Item {
    /// Tells whether it has at most [`limits::STREAM_SMALL`] bytes of text.
    fn is_small(&self) -> bool;
}

struct Queue<T> {
    items: Vec<T>,
    /// `places` are taken by `items`.
    places: usize,
    writer: Option<Waker>,
    reader: Option<Waker>,
    /// `over` is set when either end is gone.
    over: bool,
}

type Shared<T> = Arc<Mutex<Queue<T>>>;

/// `Entrance` is the writer's end.
pub(crate) struct Entrance<T>(Shared<T>);

/// `Exit` is the reader's end.
pub(crate) struct Exit<T>(Shared<T>);

/// `ReaderIsGone`: nobody takes anything any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReaderIsGone;

/// `event_queue` is an empty one.
pub(crate) fn event_queue<T>() -> (Entrance<T>, Exit<T>) {
    let queue = Arc::new(Mutex::new(Queue {
        items: Vec::new(),
        places: 0,
        writer: None,
        reader: None,
        over: false,
    }));
    (Entrance(Arc::clone(&queue)), Exit(queue))
}

fn locked<T>(queue: &Shared<T>) -> MutexGuard<'_, Queue<T>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps whom to wake, unless it is known already.
fn keep(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

impl<T: Item> Entrance<T> {
    /// Waits until there is room for one more write.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<Result<(), ReaderIsGone>> {
        let mut queue = locked(&self.0);
        if queue.over {
            return Poll::Ready(Err(ReaderIsGone));
        }
        if queue.places < limits::STREAM_PLACES {
            return Poll::Ready(Ok(()));
        }
        keep(&mut queue.writer, cx);
        Poll::Pending
    }

    /// Adds what one write has brought; nothing is no write.
    pub(crate) fn add(&self, items: impl Iterator<Item = T>) {
        let mut queue = locked(&self.0);
        let before = queue.items.len();
        queue.items.extend(items);
        let Some(added) = queue.items.get(before..).filter(|added| !added.is_empty()) else {
            return;
        };
        queue.places += if added.iter().all(Item::is_small) {
            1
        } else {
            limits::STREAM_LARGE
        };
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl<T> Exit<T> {
    /// Waits for something, and puts all that is there into `items`, which is empty; false: it is over. The future may be
    /// dropped while it waits, and nothing is lost.
    pub(crate) async fn take(&mut self, items: &mut Vec<T>) -> bool {
        cooperative(poll_fn(|cx| {
            let mut queue = locked(&self.0);
            if queue.items.is_empty() {
                if queue.over {
                    return Poll::Ready(false);
                }
                keep(&mut queue.reader, cx);
                return Poll::Pending;
            }
            // One burst is no reason to keep so much memory.
            items.shrink_to(limits::STREAM_BATCH);
            std::mem::swap(&mut queue.items, items);
            queue.places = 0;
            let writer = queue.writer.take();
            drop(queue);
            if let Some(writer) = writer {
                writer.wake();
            }
            Poll::Ready(true)
        }))
        .await
    }
}

impl<T> Drop for Entrance<T> {
    fn drop(&mut self) {
        let mut queue = locked(&self.0);
        queue.over = true;
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl<T> Drop for Exit<T> {
    fn drop(&mut self) {
        let mut queue = locked(&self.0);
        queue.over = true;
        // What nobody takes is dropped now, and not with the plugin.
        let left = std::mem::take(&mut queue.items);
        let writer = queue.writer.take();
        drop(queue);
        drop(left);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures::task::noop_waker_ref;

    impl Item for u32 {
        fn is_small(&self) -> bool {
            *self < LARGE
        }
    }

    const LARGE: u32 = 1 << 20;

    #[tokio::test]
    async fn all_comes_in_order_and_the_writer_waits_for_the_reader() {
        let (entrance, mut exit) = event_queue();
        let writer = tokio::spawn(async move {
            for n in 0..10_000_u32 {
                poll_fn(|cx| entrance.poll_room(cx)).await.unwrap();
                entrance.add([2 * n, 2 * n + 1].into_iter());
            }
        });
        let (mut seen, mut batch) = (0, Vec::new());
        while exit.take(&mut batch).await {
            assert!(batch.len() <= 2 * limits::STREAM_PLACES);
            for n in batch.drain(..) {
                assert_eq!(n, seen);
                seen += 1;
            }
        }
        assert_eq!(seen, 20_000);
        writer.await.unwrap();
    }

    /// Counts the writes of `item` until there is no more room.
    fn writes(item: u32) -> usize {
        let (entrance, exit) = event_queue();
        let cx = Context::from_waker(noop_waker_ref());
        let mut writes = 0;
        while entrance.poll_room(&cx) == Poll::Ready(Ok(())) {
            entrance.add(std::iter::empty());
            entrance.add([1, item].into_iter());
            writes += 1;
        }
        assert_eq!(entrance.poll_room(&cx), Poll::Pending);
        drop(exit);
        assert_eq!(entrance.poll_room(&cx), Poll::Ready(Err(ReaderIsGone)));
        writes
    }

    #[test]
    fn more_small_writes_wait_than_large_ones_and_who_is_gone_is_said() {
        assert_eq!(writes(2), limits::STREAM_PLACES);
        assert_eq!(writes(LARGE), limits::STREAM_PLACES / limits::STREAM_LARGE);
    }

    #[tokio::test]
    async fn what_was_written_before_the_end_is_taken_after_it() {
        let (entrance, mut exit) = event_queue();
        entrance.add([1, 2].into_iter());
        drop(entrance);
        let mut batch = Vec::new();
        assert!(exit.take(&mut batch).await);
        assert_eq!(batch, [1, 2]);
        batch.clear();
        assert!(!exit.take(&mut batch).await);
    }
}
