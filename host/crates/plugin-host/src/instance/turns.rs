//! The turns of an instance, taken by whoever has something for it.
//!
//! # Problem
//!
//! The future that drives an instance is polled by a task. To call an idle instance through that task costs two wakes: the
//! caller's of the task, and the task's of the caller. Where the two are on different threads, each wake waits for a core:
//! several times what the call itself takes, and on a busy machine a thousand times.
//!
//! # Mechanism
//!
//! The future is behind a lock. Its task polls it as ever; but a caller that finds it idle polls it too, right where it is
//! ([`Turns::take`]), with the waker of the task. What a plugin answers at once is there when that returns, and nobody was woken.
//! What takes longer goes on in the task, which is woken by whatever the plugin waits for.
//!
//! Whoever finds the lock taken notes that ([`Turns::missed`]), and goes. Whoever has the lock looks for that note after it has
//! given the lock back, and then wakes the task: so nothing that was handed in is left lying.
//!
//! # Limits
//!
//! A caller may do work of other callers in its turn. It is cut short at the next tick of the engine, as each turn is.
//! Within a turn of one instance no turn of another is taken: the engine has one store of a thread active at a time.
//!
//! # Cost
//!
//! Two uncontended atomic operations for the lock, and the entry into the task's runtime, without which sockets and timers
//! that the plugin asks for would belong to the caller's.
//!
//! # Rejected
//!
//! - A thread for each instance, or one for all: every call would cross threads.
//! - To move a caller to the instance's task, or the other way round, by a runtime for each: a caller has several plugins.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use tokio::runtime::Handle;

/// `Driving` is the future of an instance; it gives the cause of its end.
type Driving = Pin<Box<dyn Future<Output = String> + Send>>;

enum Work {
    Driving(Driving),
    /// `Ended` has the cause, until the task takes it.
    Ended(String),
    /// `Gone`: the task has not begun, or is gone, or has taken the cause.
    Gone,
}

/// `Turns` is an instance that several may drive, one at a time.
pub(super) struct Turns {
    work: Mutex<Work>,
    /// `task` wakes the task that drives it.
    task: Mutex<Waker>,
    /// `missed`: somebody wanted a turn while another had it.
    missed: AtomicBool,
    /// `runtime` is the task's.
    runtime: Handle,
}

thread_local! {
    /// `WITHIN`: this thread is within a turn.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

impl Turns {
    /// Prepares the turns of an instance whose task will run on the present runtime.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            work: Mutex::new(Work::Gone),
            task: Mutex::new(Waker::noop().clone()),
            missed: AtomicBool::new(false),
            runtime: Handle::current(),
        })
    }

    /// Drives `work` to its end, as the task of the instance. Where this is dropped before that, so is the work.
    pub(super) async fn drive(self: Arc<Self>, work: impl Future<Output = String> + Send + 'static) -> String {
        *self.lock() = Work::Driving(Box::pin(work));
        let ends = EndsWithTask(self);
        std::future::poll_fn(|cx| {
            let turns = &ends.0;
            {
                let mut task = turns.task.lock().unwrap_or_else(PoisonError::into_inner);
                if !task.will_wake(cx.waker()) {
                    task.clone_from(cx.waker());
                }
            }
            if !turns.turn(cx.waker()) {
                return Poll::Pending;
            }
            match std::mem::replace(&mut *turns.lock(), Work::Gone) {
                Work::Ended(cause) => Poll::Ready(cause),
                Work::Driving(_) | Work::Gone => Poll::Pending,
            }
        })
        .await
    }

    /// Takes a turn where the caller is, if nobody has one; otherwise sees that there is another one soon.
    pub(super) fn take(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if WITHIN.get() {
            return task.wake();
        }
        let _runtime = self.runtime.enter();
        if self.turn(&task) {
            task.wake();
        }
    }

    /// Takes a turn, if nobody has one. True: the work has ended.
    fn turn(&self, task: &Waker) -> bool {
        self.missed.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let mut work = match self.work.try_lock() {
            Ok(work) => work,
            // Who has it looks at `missed` once it was given back.
            Err(TryLockError::WouldBlock) => return false,
            Err(TryLockError::Poisoned(poisoned)) => {
                self.work.clear_poison();
                let mut work = poisoned.into_inner();
                within(|| *work = Work::Ended("an error in the host: its turn panicked".to_owned()));
                work
            }
        };
        self.missed.store(false, Ordering::SeqCst);
        let ended = within(|| match &mut *work {
            Work::Driving(driving) => match driving.as_mut().poll(&mut Context::from_waker(task)) {
                Poll::Ready(cause) => {
                    // The store goes here, within the turn.
                    *work = Work::Ended(cause);
                    true
                }
                Poll::Pending => false,
            },
            Work::Ended(_) => true,
            Work::Gone => false,
        });
        drop(work);
        fence(Ordering::SeqCst);
        if self.missed.swap(false, Ordering::SeqCst) {
            task.wake_by_ref();
        }
        ended
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `EndsWithTask` ends the work with its task. It may have to wait for a turn that a caller has: for a tick of the engine at
/// most. Only then it is sure that nothing of the instance is left.
struct EndsWithTask(Arc<Turns>);

impl Drop for EndsWithTask {
    fn drop(&mut self) {
        let mut work = self.0.lock();
        within(|| *work = Work::Gone);
    }
}

/// Runs what belongs to a turn.
fn within<T>(turn: impl FnOnce() -> T) -> T {
    struct Leave(bool);
    impl Drop for Leave {
        fn drop(&mut self) {
            WITHIN.set(self.0);
        }
    }
    let _leave = Leave(WITHIN.replace(true));
    turn()
}
