//! What host and shim say to each other: one JSON document a line, over a socket pair that only they hold.
//! Never in arguments, which every user of the machine can read.

use crate::types::Signal;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;

/// The first line to a shim. Every reference is filled in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) binary: OsString,
    pub(super) args: Vec<String>,
    /// The whole environment.
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) cwd: OsString,
    /// From SIGTERM to SIGKILL where nobody says otherwise: the child ended, or the host did.
    pub(super) grace_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToShim {
    /// To the child alone; nothing where it has ended.
    Signal(i32),
    /// SIGTERM to every descendant, SIGKILL to what is left after this long.
    End { grace_ms: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromShim {
    Started {
        pid: u32,
    },
    /// Nothing was started, and nothing else follows.
    Failed {
        reason: String,
    },
    Exit {
        code: Option<i32>,
        signal: Option<i32>,
    },
    /// No descendant is left. A socket that closes without this word: the shim was killed.
    Done,
}

pub(super) fn line(message: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

pub(super) fn number(signal: Signal) -> i32 {
    match signal {
        Signal::Terminate => libc::SIGTERM,
        Signal::Interrupt => libc::SIGINT,
        Signal::HangUp => libc::SIGHUP,
        Signal::Kill => libc::SIGKILL,
    }
}
