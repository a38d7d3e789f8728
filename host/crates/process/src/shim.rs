//! The parent of one child process: `nexus __shim`, the host's own program started again, small and with one thread.
//!
//! # Problem
//!
//! A child must end with its host, and everything that it started with it. But a host that is killed runs no code any more;
//! a tool of an agent leaves its process group and its session with one `setsid`; and a process whose parent ends becomes a
//! child of init, where nobody can tell any more to whom it belonged. A signal sent by number may hit a stranger that got the
//! number meanwhile.
//!
//! # Mechanism
//!
//! Between the host and each child stands a shim. It gets what to run as one line of JSON over a socket that only the host
//! and it hold, never in arguments, which every user of the machine can read.
//!
//! * It is a **subreaper**: whatever the child's tree does, its members are descendants of the shim, and orphans become
//!   its children. So "no child is left" means that nothing is left, and it says so to the host (`Done`) before it exits.
//! * It owns the child's number until it has reaped the child, so a signal cannot hit a stranger.
//! * The **socket** ties it to the host: when it closes, however the host ended, the shim sends SIGTERM to all its
//!   descendants, waits for the grace that it was told, and sends SIGKILL until none is left. The same follows the end of
//!   the child itself.
//! * The child has **PDEATHSIG**: it is killed where the shim is. What it leaves then becomes the host's, which is a
//!   subreaper too ([`crate::orphans`]). Where both are killed, the [`crate::reaper`] finds the rest by its instance id.
//!
//! It has one thread because PDEATHSIG fires when the *thread* that forked ends, and because between fork and exec only one
//! thread exists. So `main` must call [`crate::dispatch`] before anything else.
//!
//! # Limits
//!
//! It confines no hostile program: what runs as this user can kill the shim and the host together, or have another program
//! of this user (cron, a terminal multiplexer) start something. Linux only.
//!
//! # Cost
//!
//! One more small process and a fork and exec for each child. `/proc` is read only when something has to end.
//!
//! # Rejected
//!
//! A thread of the host per child with PDEATHSIG alone: it fires with the thread and does not reach grandchildren. Process
//! groups: `setsid` leaves them. PID namespaces and `cgroup.kill`: they need privileges, or a delegation that a login
//! session often does not have.

use crate::process_tree;
use crate::shim_protocol::{FromShim, Launch, ToShim, line};
use crate::signals::BlockedSignals;
use crate::this_process::become_subreaper;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// `RETRY_INTERVAL` is the pause between two rounds of SIGKILL, in case something forked in between.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

pub(crate) fn main(fd: &str) -> ExitCode {
    let Some(control) = fd.parse().ok().and_then(adopt) else {
        return ExitCode::from(2);
    };
    match keep(UnixStream::from(control)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Takes the descriptor that the host left open for us, and keeps it from the child.
#[allow(unsafe_code)]
fn adopt(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl only looks at the number; it fails where the descriptor is not open.
    if fd < 3 || unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return None;
    }
    // SAFETY: it is open (just seen), and nothing else in this one-threaded process knows of it yet.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn keep(control: UnixStream) -> io::Result<()> {
    let signals = BlockedSignals::block(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP])?;
    // Away from the terminal: Ctrl-C is the host's to handle, and no tool may type into the operator's shell.
    let _ = rustix::process::setsid();
    let subreaper = become_subreaper();
    let mut shim = Shim {
        control: Some(control),
        read: Vec::new(),
        child: None,
        grace: Duration::ZERO,
        ending: None,
    };
    let launch: Launch = match shim.next_line()? {
        Some(line) => serde_json::from_slice(&line)?,
        None => return Ok(()),
    };
    shim.grace = Duration::from_millis(launch.grace_ms);
    match subreaper.and_then(|()| start(&launch)) {
        Ok(pid) => {
            shim.child = Some(pid);
            shim.say(&FromShim::Started {
                pid: pid.as_raw_nonzero().get().unsigned_abs(),
            });
        }
        Err(error) => {
            shim.say(&FromShim::Failed {
                reason: error.to_string(),
            });
            return Ok(());
        }
    }
    drop(launch);
    release_streams()?;
    shim.run(&signals)
}

#[allow(unsafe_code)]
fn start(launch: &Launch) -> io::Result<Pid> {
    let mut command = Command::new(&launch.binary);
    command
        .args(&launch.args)
        .env_clear()
        .envs(launch.env.iter().map(|(k, v)| (k, v)))
        .current_dir(&launch.cwd)
        .process_group(0);
    let shim = rustix::process::getpid();
    let dies_with_shim = move || {
        hear_signals()?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // Killed before the line above took hold? Then nobody would tell us.
        if rustix::process::getppid() == Some(shim) {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    };
    // SAFETY: between fork and exec only system calls are made; nothing allocates or locks.
    unsafe { command.pre_exec(dies_with_shim) };
    let child = command.spawn()?;
    Ok(i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .unwrap_or(Pid::INIT))
}

/// Lifts the block of signals: the child would inherit our mask and be deaf to SIGTERM; and under `nohup`, or in the
/// background of a script, be deaf for ever to SIGHUP and SIGINT, which are steps of a stop sequence.
#[allow(unsafe_code)]
fn hear_signals() -> io::Result<()> {
    for signal in [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
    ] {
        // SAFETY: async-signal-safe, and no handler of ours is there to be lost.
        if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: the set is a plain value, initialised by sigemptyset before it is read. Both calls are
    // async-signal-safe.
    let failed = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    if failed == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(failed))
    }
}

/// Closes the shim's copies of the child's streams: they would keep readers and writers from seeing its end.
#[allow(unsafe_code)]
fn release_streams() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for stream in 0..3 {
        // SAFETY: both descriptors are open; nothing here uses the old meaning of 0, 1 and 2 afterwards.
        if unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), stream) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

struct Shim {
    /// `control` is the socket to the host; `None`: the host is gone.
    control: Option<UnixStream>,
    read: Vec<u8>,
    /// `child` is there until it is reaped.
    child: Option<Pid>,
    grace: Duration,
    /// `ending` is the time for SIGKILL, once SIGTERM was sent to all.
    ending: Option<Instant>,
}

impl Shim {
    fn run(&mut self, signals: &BlockedSignals) -> io::Result<()> {
        loop {
            if self.reap() {
                self.say(&FromShim::Done);
                return Ok(());
            }
            let pause = self.kill_if_due();
            let (readable, signalled) = wait(self.control.as_ref(), signals, pause)?;
            if signalled && signals.take().iter().any(|s| *s != libc::SIGCHLD) {
                self.end(self.grace);
            }
            if readable {
                self.listen();
            }
        }
    }

    /// Reaps, and tells whether nothing is left: a subreaper without children has no descendants.
    fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if Some(pid) == self.child => self.report(status),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }

    fn report(&mut self, status: WaitStatus) {
        self.child = None;
        self.say(&FromShim::Exit {
            code: status.exit_status(),
            signal: status.terminating_signal(),
        });
        self.end(self.grace);
    }

    fn end(&mut self, grace: Duration) {
        let due = Instant::now() + grace;
        let first = self.ending.is_none();
        self.ending = Some(self.ending.map_or(due, |earlier| earlier.min(due)));
        if first && !grace.is_zero() {
            signal_all(Signal::TERM);
        }
    }

    /// Kills what is left when it is time, and tells how long to sleep at most.
    fn kill_if_due(&self) -> Option<Duration> {
        let left = self.ending?.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return Some(left);
        }
        signal_all(Signal::KILL);
        Some(RETRY_INTERVAL)
    }

    fn listen(&mut self) {
        match self.next_line() {
            Ok(Some(line)) => match serde_json::from_slice(&line) {
                Ok(ToShim::Signal(number)) => self.signal_child(number),
                Ok(ToShim::End { grace_ms }) => self.end(Duration::from_millis(grace_ms)),
                Err(_) => self.end(self.grace),
            },
            Ok(None) | Err(_) => {
                self.control = None;
                self.end(self.grace);
            }
        }
    }

    fn signal_child(&self, number: i32) {
        if let (Some(pid), Some(signal)) = (self.child, Signal::from_named_raw(number)) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Reads byte by byte: what follows the line stays in the socket, for `poll` to see.
    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(control) = &mut self.control else {
            return Ok(None);
        };
        let mut byte = [0];
        loop {
            match control.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) if byte == *b"\n" => return Ok(Some(std::mem::take(&mut self.read))),
                Ok(_) => self.read.extend(byte),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn say(&mut self, message: &FromShim) {
        // A host that is gone is noticed where its socket is read.
        if let (Some(control), Ok(line)) = (&mut self.control, line(message)) {
            let _ = control.write_all(&line);
        }
    }
}

fn signal_all(signal: Signal) {
    let all = process_tree::snapshot();
    for entry in process_tree::descendants([rustix::process::getpid().as_raw_nonzero().get()], &all) {
        process_tree::signal(entry, signal);
    }
}

/// Tells whether the host said something or closed, and whether a signal came.
fn wait(control: Option<&UnixStream>, signals: &BlockedSignals, pause: Option<Duration>) -> io::Result<(bool, bool)> {
    let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
    fds.extend(control.map(|c| PollFd::new(c, PollFlags::IN)));
    let pause = pause.and_then(|p| Timespec::try_from(p).ok());
    match poll(&mut fds, pause.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
    Ok((ready(1), ready(0)))
}
