//! What the machine says of the thread that asks: the time, how long it has run and has waited for a core, and its number.

pub(super) use clocks::{monotonic_ns, thread_cpu_ns};
pub(super) use scheduler::number_and_run_delay;
#[cfg(all(test, target_os = "linux"))]
pub(super) use scheduler::run_delay;

#[cfg(unix)]
mod clocks {
    use rustix::time::{ClockId, Timespec, clock_gettime};

    pub(in super::super) fn monotonic_ns() -> u64 {
        nanoseconds(clock_gettime(ClockId::Monotonic))
    }

    /// Not the first number of `schedstat`, which the kernel brings up to date at its ticks alone.
    #[allow(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
    pub(in super::super) fn thread_cpu_ns() -> Option<u64> {
        Some(nanoseconds(clock_gettime(ClockId::ThreadCPUTime)))
    }

    fn nanoseconds(time: Timespec) -> u64 {
        let of = |number| u64::try_from(number).unwrap_or(0);
        of(time.tv_sec)
            .saturating_mul(1_000_000_000)
            .saturating_add(of(time.tv_nsec))
    }
}

#[cfg(not(unix))]
mod clocks {
    use std::sync::LazyLock;
    use std::time::Instant;

    /// Since the first stamp: no other process can be compared with.
    pub(in super::super) fn monotonic_ns() -> u64 {
        static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
        u64::try_from(FIRST.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(in super::super) fn thread_cpu_ns() -> Option<u64> {
        None
    }
}

/// What the kernel says of the thread that asks: its number, and how long it has waited for a core.
#[cfg(target_os = "linux")]
mod scheduler {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    struct Thread {
        number: u64,
        /// `schedstat` stays open: a stamp reads it, and opens nothing. `None`: this kernel has none.
        schedstat: Option<File>,
    }

    thread_local! {
        static THREAD: Thread = Thread {
            number: number().unwrap_or(0),
            schedstat: File::open("/proc/thread-self/schedstat").ok(),
        };
    }

    /// `thread-self` is a link to `PID/task/NUMBER`.
    fn number() -> Option<u64> {
        let link = std::fs::read_link("/proc/thread-self").ok()?;
        link.file_name()?.to_str()?.parse().ok()
    }

    pub(in super::super) fn number_and_run_delay() -> (u64, Option<u64>) {
        THREAD.with(|thread| {
            let mut text = [0; 64];
            let schedstat = thread.schedstat.as_ref();
            let length = schedstat.and_then(|file| file.read_at(&mut text, 0).ok()).unwrap_or(0);
            (thread.number, text.get(..length).and_then(run_delay))
        })
    }

    /// `run_delay` of `RAN WAITED TIMES`. A thread that asks has run at least once, where the kernel counts at all.
    pub(in super::super) fn run_delay(schedstat: &[u8]) -> Option<u64> {
        let mut numbers = std::str::from_utf8(schedstat).ok()?.split_ascii_whitespace().skip(1);
        let waited = numbers.next()?.parse().ok()?;
        (numbers.next()? != "0").then_some(waited)
    }
}

#[cfg(not(target_os = "linux"))]
mod scheduler {
    use std::sync::atomic::{AtomicU64, Ordering};

    static THREADS: AtomicU64 = AtomicU64::new(1);

    thread_local! {
        static NUMBER: u64 = THREADS.fetch_add(1, Ordering::Relaxed);
    }

    pub(in super::super) fn number_and_run_delay() -> (u64, Option<u64>) {
        (NUMBER.with(|number| *number), None)
    }
}
