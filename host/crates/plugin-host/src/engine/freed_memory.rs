//! What the allocator does with memory that was freed.
//!
//! Problem: a compilation uses tens of megabytes for some hundred milliseconds, on every core. glibc's allocator gives each of
//! these threads an arena of its own, up to eight for each core, and keeps what is freed in all of them for the next one; and
//! mostly there is none.
//!
//! Mechanism: two arenas for the whole process ([`keep_few_arenas`], before the first thread begins), and whoever has loaded a
//! plugin gives what was freed back to the machine ([`give_back`]). Other allocators than glibc's do both by themselves.
//!
//! Cost: less than a millisecond for each plugin that is loaded. Nearly everything of Nexus runs on one thread, so two arenas are
//! no queue: docs/performance.md has the loads. Rejected: another allocator for the whole program, which is faster where many
//! threads allocate, and holds more.

/// How many arenas the process has: one for the thread on which nearly everything runs, one for what runs beside it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: libc::c_int = 2;

/// To be called once, while the process has one thread: arenas that are there already stay.
pub fn keep_few_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it sets a number of the allocator's, and no other thread runs.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// Gives the memory that is free in this process back to the machine.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function has no precondition: it takes the allocator's own locks and touches nothing that is in use.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}
