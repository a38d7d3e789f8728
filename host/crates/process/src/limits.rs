//! The bounds of child processes: times first, amounts below. `docs/limits.md` lists them for readers; a test compares the two.
//!
//! No configuration changes these: no program needs more, and a plugin that does has one mistake or one intention.

use std::time::Duration;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `PROCESS_START` is the time in which the shim around a child has to say whether the child runs.
pub const PROCESS_START: Duration = secs(10);
/// `PROCESS_DRAIN` is the time for reading what a child's pipes still hold once no writer is left.
pub const PROCESS_DRAIN: Duration = secs(2);
/// `PROCESS_STOP` is the time of all steps of a stop sequence together, whatever each of them says.
pub const PROCESS_STOP: Duration = secs(30);
/// `PROCESS_COMMAND` is the time of a command to start or to stop a process, with what it waits for: another command, the
/// stop sequence, SIGKILL.
pub const PROCESS_COMMAND: Duration = secs(90);
/// `PROCESS_GRACE` is the time between SIGTERM, which follows the last step of a stop sequence, and SIGKILL.
pub const PROCESS_GRACE: Duration = secs(5);
/// `PRESENT_CHECK` is the time for looking whether a process would find what it must not, on a disk that may be slow.
pub const PRESENT_CHECK: Duration = secs(5);

// ---- Amounts: what the owner of a process, or the process, can make the host hold or write. Each has a hostile test.

/// `PROCESS_NAME_BYTES` bounds a process's name; names become directories. A plugin's name and a tunnel's with a dot
/// between fit.
pub const PROCESS_NAME_BYTES: usize = 129;
/// `PROCESS_PORTS` is how many ports one specification may ask for; each is a socket that stays bound.
pub const PROCESS_PORTS: usize = 16;
/// `PROCESS_FILES` is how many private files one specification may have.
pub const PROCESS_FILES: usize = 32;
/// `PROCESS_FILES_BYTES` bounds the private files of a process together, with their references filled in.
pub const PROCESS_FILES_BYTES: usize = 1 << 20;
/// `PROCESS_ARGS` is how many arguments a process may have.
pub const PROCESS_ARGS: usize = 256;
/// `PROCESS_ENV` is how many environment variables one specification may set.
pub const PROCESS_ENV: usize = 256;
/// `PROCESS_ARGS_BYTES` bounds the arguments together, and the variables together, with their references filled in.
pub const PROCESS_ARGS_BYTES: usize = 128 << 10;
/// `PROCESS_WORD_BYTES` bounds the name of a port, of a file and of a variable.
pub const PROCESS_WORD_BYTES: usize = 128;
/// `PROCESS_STOP_STEPS` is how many steps a stop sequence may have.
pub const PROCESS_STOP_STEPS: usize = 16;
/// `PROCESS_STOP_BYTES` bounds the requests of a stop sequence together.
pub const PROCESS_STOP_BYTES: usize = 16 << 10;
/// `PROCESS_STOP_HEADER` bounds one header of a stop sequence with its references filled in, in bytes.
pub const PROCESS_STOP_HEADER: usize = 64 << 10;
/// `PRESENT_NAMES` is how many names a specification may say that a process must not find.
pub const PRESENT_NAMES: usize = 32;
/// `PRESENT_HINT_BYTES` bounds the words that a specification adds to the refusal.
pub const PRESENT_HINT_BYTES: usize = 1 << 10;
/// `PRESENT_FILE` is the largest file, in bytes, that is looked through for a name; a larger one counts as present.
pub const PRESENT_FILE: u64 = 256 << 10;
/// `PATH_BYTES` bounds each path that a specification names.
pub const PATH_BYTES: usize = 4 << 10;
/// `PROCESS_ENDED` is how many ended processes of one owner are kept, for their exit and their last lines.
pub const PROCESS_ENDED: usize = 8;
/// `PROCESS_LINES` is how many lines of a process are kept.
pub const PROCESS_LINES: usize = 1_000;
/// `PROCESS_LINES_BYTES` bounds the kept lines of a process together.
pub const PROCESS_LINES_BYTES: usize = 1 << 20;
/// `PROCESS_LINE_BYTES` bounds one line; a longer one becomes several.
pub const PROCESS_LINE_BYTES: usize = 8 << 10;
/// `PROCESS_LINES_QUEUE` is how many lines may be on their way to a reader, on top of those kept.
pub const PROCESS_LINES_QUEUE: usize = 16;
/// `PROCESS_CHUNK` is how many bytes are read from a process in one go.
pub const PROCESS_CHUNK: usize = 16 << 10;
/// `PROCESS_RUN_OUTPUT` is how many bytes are kept of each stream of a process that is run to its end.
pub const PROCESS_RUN_OUTPUT: usize = 256 << 10;
