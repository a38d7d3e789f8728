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
//! Whoever finds the lock taken has noted before that another turn is due ([`NextTurn`]), and goes. Whoever has the lock looks for
//! that note after it has given the lock back, and then wakes the task: so nothing that was handed in is left lying. The task
//! takes a turn where one is due and not each time that it is woken.
//!
//! A turn that took more CPU than [`LONG_TURN`](nexus_model::limits::LONG_TURN) is followed by turns on a thread for blocking work for a while
//! ([`Computing`]). So a plugin that computes has a core, and the thread that serves everybody only for its first turn.
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
//! - Several workers of the runtime, among which what is ready is handed out: an event would wake another one at each step of
//!   its way, and wait for it.
//! - To move a caller to the instance's task, or the other way round, by a runtime for each: a caller has several plugins.

use crate::computing::Computing;
use crate::turn_time::TurnTime;
use std::cell::Cell;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Wake, Waker, ready};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// `Driving` is the future of an instance; it gives the cause of its end.
type Driving = Pin<Box<dyn Future<Output = String> + Send>>;

enum Work {
    Driving(Driving),
    /// `Ended` has the cause, until the task takes it.
    Ended(String),
    /// `Gone`: the task has not begun, or is gone, or has taken the cause.
    Gone,
}

/// `TurnEnd` is what became of a turn.
enum TurnEnd {
    Taken,
    /// `Missed`: another has one, and sees to the next.
    Missed,
    /// `Ended`: so has the work.
    Ended,
}

/// `Turns` is an instance that several may drive, one at a time.
pub(super) struct Turns {
    work: Mutex<Work>,
    /// `ended`: the work has.
    ended: AtomicBool,
    /// `gone`: the task is, and waits at most for the end of a turn.
    gone: AtomicBool,
    next: Arc<NextTurn>,
    /// `waker` is that of `next`.
    waker: Waker,
    /// `computing` says of the plugin whether it had a long turn of late.
    computing: Arc<Computing>,
    /// `runtime` is the task's.
    runtime: Handle,
}

thread_local! {
    /// `WITHIN`: this thread is within a turn.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

impl Turns {
    /// Prepares the turns of an instance whose task will run on the present runtime.
    pub(super) fn new(computing: Arc<Computing>) -> Arc<Self> {
        let next = Arc::new(NextTurn {
            due: AtomicBool::new(true),
            elsewhere: AtomicBool::new(false),
            task: Mutex::new(Waker::noop().clone()),
        });
        Arc::new(Self {
            work: Mutex::new(Work::Gone),
            ended: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            waker: Arc::clone(&next).into(),
            next,
            computing,
            runtime: Handle::current(),
        })
    }

    /// Drives `work` to its end, as the task of the instance. Where this is dropped before that, so is the work.
    pub(super) async fn drive(self: Arc<Self>, work: impl Future<Output = String> + Send + 'static) -> String {
        *self.lock() = Work::Driving(Box::pin(work));
        let ends = EndsWithTask(self);
        let mut elsewhere: Option<JoinHandle<()>> = None;
        std::future::poll_fn(|cx| {
            let turns = &ends.0;
            turns.next.note_task(cx.waker());
            loop {
                if let Some(there) = &mut elsewhere {
                    if ready!(Pin::new(there).poll(cx)).is_err() {
                        // It panicked, which the next turn finds.
                        turns.next.due.store(true, Ordering::SeqCst);
                    }
                    elsewhere = None;
                }
                if turns.ended.load(Ordering::SeqCst) {
                    return Poll::Ready(turns.cause());
                }
                if !turns.next.due.load(Ordering::SeqCst) {
                    return Poll::Pending;
                }
                if turns.computing.lately() {
                    let there = Arc::clone(turns);
                    elsewhere = Some(turns.runtime.spawn_blocking(move || there.turns_elsewhere()));
                } else if !matches!(turns.turn(), TurnEnd::Ended) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Takes the cause of the end.
    fn cause(&self) -> String {
        match std::mem::replace(&mut *self.lock(), Work::Gone) {
            Work::Ended(cause) => cause,
            Work::Driving(_) | Work::Gone => String::new(),
        }
    }

    /// Takes the turns of a plugin that computes, on a thread for such work, until it waits for something. They are on one thread,
    /// for the system gives a core sooner to one that has just slept: a thread for each turn would go before all others.
    fn turns_elsewhere(&self) {
        let _runtime = self.runtime.enter();
        let _here = self.next.elsewhere();
        loop {
            let taken = matches!(self.turn(), TurnEnd::Taken);
            if !taken || self.gone.load(Ordering::SeqCst) || !self.next.follows() {
                return;
            }
        }
    }

    /// Takes a turn where the caller is, if nobody has one; otherwise sees that there is another one soon.
    pub(super) fn take(&self) {
        if WITHIN.get() || self.computing.lately() {
            return self.waker.wake_by_ref();
        }
        let _runtime = self.runtime.enter();
        if matches!(self.turn(), TurnEnd::Ended) {
            self.waker.wake_by_ref();
        }
    }

    /// Takes a turn, if nobody has one.
    fn turn(&self) -> TurnEnd {
        self.next.due.swap(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let mut work = match self.work.try_lock() {
            Ok(work) => work,
            // Who has it looks at `due` once it was given back.
            Err(TryLockError::WouldBlock) => return TurnEnd::Missed,
            Err(TryLockError::Poisoned(poisoned)) => {
                self.work.clear_poison();
                let mut work = poisoned.into_inner();
                within(|| *work = Work::Ended("an error in the host: its turn panicked".to_owned()));
                work
            }
        };
        // What was handed in until now is seen by this turn; what wakes it from now on is for the next one.
        self.next.due.swap(false, Ordering::SeqCst);
        let begun = TurnTime::begin();
        let ended = within(|| match &mut *work {
            Work::Driving(driving) => match driving.as_mut().poll(&mut Context::from_waker(&self.waker)) {
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
        self.computing.took(begun.used());
        if ended {
            self.ended.store(true, Ordering::SeqCst);
        }
        drop(work);
        fence(Ordering::SeqCst);
        if self.next.due.load(Ordering::SeqCst) {
            self.waker.wake_by_ref();
        }
        if ended { TurnEnd::Ended } else { TurnEnd::Taken }
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `NextTurn` says whether another turn is due, and is the waker of the instance: what the instance waits for, and who hands in
/// something, makes it due.
struct NextTurn {
    due: AtomicBool,
    /// `elsewhere`: a thread that takes turns will look at `due` before it leaves.
    elsewhere: AtomicBool,
    /// `task` wakes the task of the instance.
    task: Mutex<Waker>,
}

impl NextTurn {
    fn note_task(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.will_wake(waker) {
            task.clone_from(waker);
        }
    }

    /// Begins the turns of a thread elsewhere.
    fn elsewhere(&self) -> Elsewhere<'_> {
        self.elsewhere.store(true, Ordering::SeqCst);
        Elsewhere(self)
    }

    /// Tells the thread elsewhere whether another turn follows; if not, the task is woken from now on.
    fn follows(&self) -> bool {
        if self.due.load(Ordering::SeqCst) {
            return true;
        }
        self.elsewhere.store(false, Ordering::SeqCst);
        // What came in between has not woken the task.
        let follows = self.due.load(Ordering::SeqCst);
        self.elsewhere.store(follows, Ordering::SeqCst);
        follows
    }
}

impl Wake for NextTurn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.due.swap(true, Ordering::SeqCst);
        if !self.elsewhere.load(Ordering::SeqCst) {
            self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

/// `Elsewhere` lasts while a thread elsewhere takes the turns, also where one of them panics.
struct Elsewhere<'a>(&'a NextTurn);

impl Drop for Elsewhere<'_> {
    fn drop(&mut self) {
        self.0.elsewhere.store(false, Ordering::SeqCst);
    }
}

/// `EndsWithTask` ends the work with its task. It may have to wait for a turn that a caller has: for a tick of the engine at
/// most. Only then it is sure that nothing of the instance is left.
struct EndsWithTask(Arc<Turns>);

impl Drop for EndsWithTask {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::SeqCst);
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use nexus_model::limits;
    use nexus_testkit::wait;
    use std::future::{pending, poll_fn};
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use std::thread::ThreadId;
    use std::time::{Duration, Instant};

    /// Begins an instance; its work is polled once before this returns.
    async fn begin(
        work: impl Future<Output = String> + Send + 'static,
    ) -> (Arc<Turns>, tokio::task::JoinHandle<String>) {
        let turns = Turns::new(Arc::default());
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let work = async move {
            let _ = begun.send(());
            work.await
        };
        let task = tokio::spawn(Arc::clone(&turns).drive(work));
        wait::within("it has begun", has_begun).await.unwrap();
        (turns, task)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_finds_it_idle_has_its_turn_where_it_is() {
        let (seen, turned) = mpsc::channel::<ThreadId>();
        let (turns, _task) = begin(poll_fn(move |_| {
            let _ = seen.send(std::thread::current().id());
            Poll::Pending
        }))
        .await;
        turned.recv().unwrap();
        let outside = std::thread::spawn(move || {
            // The first poll may not have ended.
            wait::until("a turn is taken here", || {
                turns.take();
                turned.try_iter().any(|thread| thread == std::thread::current().id())
            });
        });
        tokio::task::spawn_blocking(|| outside.join()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_plugin_that_computes_does_not_hold_the_thread_that_serves_everybody() {
        let here = std::thread::current().id();
        let (seen, turned) = mpsc::channel::<ThreadId>();
        let (_turns, _task) = begin(poll_fn(move |cx| {
            let _ = seen.send(std::thread::current().id());
            let begun = Instant::now();
            while begun.elapsed() < 2 * limits::LONG_TURN {}
            cx.waker().wake_by_ref();
            Poll::Pending
        }))
        .await;
        let mut threads = Vec::new();
        wait::until_async("other threads have it", async || {
            threads.extend(turned.try_iter().skip_while(|thread| *thread == here));
            threads.len() > 5
        })
        .await;
        // One that is new for each turn would go before all others.
        threads.dedup();
        assert!(threads.len() == 1 && threads != [here], "{threads:?} {here:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn elsewhere_too_each_turn_has_a_cause() {
        let turned = Arc::new(AtomicUsize::new(0));
        let (computing, count) = (Arc::<Computing>::default(), Arc::clone(&turned));
        computing.took(limits::CPU_WINDOW);
        let work = poll_fn(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(20));
            Poll::Pending
        });
        let turns = Turns::new(computing);
        let _task = tokio::spawn(Arc::clone(&turns).drive(work));
        for n in 1..=200 {
            wait::until_async("it has the turn", async || turned.load(Ordering::SeqCst) >= n).await;
            turns.take();
        }
        // A take may come while a turn lasts, and is then the cause of the next one.
        wait::until_async("it has the last turn", async || turned.load(Ordering::SeqCst) > 200).await;
        let all = turned.load(Ordering::SeqCst);
        assert!(all <= 2 * 201, "{all} turns");
    }

    #[tokio::test]
    async fn a_plugin_that_computes_ends_with_its_task() {
        let turned = Arc::new(AtomicUsize::new(0));
        let (computing, count) = (Arc::<Computing>::default(), Arc::clone(&turned));
        computing.took(limits::CPU_WINDOW);
        let work = poll_fn(move |cx| {
            count.fetch_add(1, Ordering::SeqCst);
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        let task = tokio::spawn(Turns::new(computing).drive(work));
        wait::until_async("it computes", async || turned.load(Ordering::SeqCst) > 1_000).await;
        task.abort();
        assert!(wait::within("the task ends", task).await.unwrap_err().is_cancelled());
        let ended = turned.load(Ordering::SeqCst);
        tokio::task::yield_now().await;
        assert_eq!(turned.load(Ordering::SeqCst), ended, "nothing outlives the task");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_wakes_it_when_it_leaves_the_other_thread_is_not_lost() {
        let (seen, turned) = mpsc::channel::<Waker>();
        let computing = Arc::<Computing>::default();
        computing.took(limits::CPU_WINDOW);
        let work = poll_fn(move |cx| {
            let _ = seen.send(cx.waker().clone());
            Poll::Pending
        });
        let _task = tokio::spawn(Turns::new(computing).drive(work));
        let wakes = tokio::task::spawn_blocking(move || {
            for _ in 0..5_000 {
                let first = turned.recv_timeout(wait::LONG).unwrap();
                turned.try_iter().last().unwrap_or(first).wake();
            }
        });
        wakes.await.unwrap();
    }

    #[tokio::test]
    async fn nor_when_it_rests_between_its_turns_or_is_another_instance_of_the_plugin() {
        let here = std::thread::current().id();
        let computing = Arc::<Computing>::default();
        computing.took(limits::LONG_TURN);
        let turns = Turns::new(computing);
        let (seen, turned) = mpsc::channel::<ThreadId>();
        let mut rest: Option<Pin<Box<tokio::time::Sleep>>> = None;
        let work = poll_fn(move |cx| {
            if let Some(rest) = &mut rest {
                ready!(rest.as_mut().poll(cx));
            }
            let _ = seen.send(std::thread::current().id());
            let begun = TurnTime::begin();
            while begun.used() < 2 * limits::LONG_TURN {}
            let mut next = Box::pin(tokio::time::sleep(Duration::from_millis(20)));
            let _ = next.as_mut().poll(cx);
            rest = Some(next);
            Poll::Pending
        });
        let _task = tokio::spawn(Arc::clone(&turns).drive(work));
        let mut all = Vec::new();
        wait::until_async("it has had its turns", async || {
            turns.take();
            all.extend(turned.try_iter());
            all.len() > 5
        })
        .await;
        assert!(!all.contains(&here), "each of them is elsewhere");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_handed_in_while_another_has_the_turn_is_not_left_lying() {
        const EACH: usize = 20_000;
        let (handed_in, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (input, output) = (Arc::clone(&handed_in), Arc::clone(&done));
        // Nothing but turns makes it look.
        let (turns, _task) = begin(poll_fn(move |_| {
            output.fetch_add(input.swap(0, Ordering::SeqCst), Ordering::SeqCst);
            Poll::Pending
        }))
        .await;
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let (turns, handed_in) = (Arc::clone(&turns), Arc::clone(&handed_in));
                std::thread::spawn(move || {
                    for _ in 0..EACH {
                        handed_in.fetch_add(1, Ordering::SeqCst);
                        turns.take();
                    }
                })
            })
            .collect();
        let all = async || done.load(Ordering::SeqCst) == 4 * EACH;
        wait::until_async("all of it is taken", all).await;
        for caller in callers {
            caller.join().unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn with_its_task_all_of_it_is_gone_also_where_a_caller_has_a_turn() {
        struct Dropped(Arc<AtomicBool>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let gone = Arc::new(AtomicBool::new(false));
        let guard = Dropped(Arc::clone(&gone));
        let (within_turn, is_within) = mpsc::channel();
        let (let_go, go) = mpsc::channel::<()>();
        let blocks = Arc::new(AtomicBool::new(false));
        let blocking = Arc::clone(&blocks);
        let (turns, task) = begin(poll_fn(move |_| {
            let _held = &guard;
            if blocking.load(Ordering::SeqCst) {
                let _ = within_turn.send(());
                let _ = go.recv();
            }
            Poll::Pending
        }))
        .await;
        blocks.store(true, Ordering::SeqCst);
        let caller = std::thread::spawn(move || turns.take());
        is_within.recv().unwrap();
        task.abort();
        let ended = tokio::spawn(task);
        assert!(!gone.load(Ordering::SeqCst), "within a turn nothing is dropped");
        drop(let_go);
        assert!(wait::within("the task ends", ended).await.unwrap().is_err());
        assert!(gone.load(Ordering::SeqCst), "nothing outlives the task");
        caller.join().unwrap();
    }

    #[tokio::test]
    async fn a_turn_that_panics_is_the_end_of_the_instance() {
        let panics = Arc::new(AtomicBool::new(false));
        let now = Arc::clone(&panics);
        let (turns, task) = begin(poll_fn(move |_| {
            assert!(!now.load(Ordering::SeqCst), "a bug of the host");
            Poll::Pending
        }))
        .await;
        panics.store(true, Ordering::SeqCst);
        let turn = Arc::clone(&turns);
        assert!(std::thread::spawn(move || turn.take()).join().is_err());
        turns.take();
        let cause = wait::within("the instance ends", task).await.unwrap();
        assert!(cause.contains("panicked"), "{cause}");
        turns.take();
    }

    #[tokio::test]
    async fn within_a_turn_of_one_no_turn_of_another_is_taken() {
        let (other, _other) = begin(pending()).await;
        let nested = Arc::clone(&other);
        let turned = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&turned);
        let (turns, _task) = begin(poll_fn(move |_| {
            nested.take();
            noted.store(WITHIN.get(), Ordering::SeqCst);
            Poll::Pending
        }))
        .await;
        turns.take();
        assert!(turned.load(Ordering::SeqCst) && !WITHIN.get());
    }
}
