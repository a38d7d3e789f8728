//! Signals that are read from a descriptor instead of interrupting.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _};

/// `BlockedSignals` can be polled. A child inherits the block, and has to lift it before it runs another program.
pub(crate) struct BlockedSignals(File);

impl BlockedSignals {
    #[allow(unsafe_code)]
    pub(crate) fn block(numbers: &[i32]) -> io::Result<Self> {
        // SAFETY: the set is a plain value, initialised by sigemptyset before it is read; signalfd gives a new
        // descriptor that nobody else owns.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for number in numbers {
                libc::sigaddset(&raw mut set, *number);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                Err(io::Error::last_os_error())
            } else {
                Ok(Self(File::from_raw_fd(fd)))
            }
        }
    }

    /// `take` are the signals that came since the last time.
    pub(crate) fn take(&self) -> Vec<i32> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut seen = Vec::new();
        let mut info = [0; SIZE];
        while matches!((&self.0).read(&mut info), Ok(SIZE)) {
            // `ssi_signo` comes first.
            if let Some(number) = info.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes)) {
                seen.push(i32::try_from(number).unwrap_or_default());
            }
        }
        seen
    }
}

impl AsFd for BlockedSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
