//! The bounds of child processes: times first, amounts below. `docs/limits.md` lists them for readers; a test compares the two.
//!
//! No configuration changes these: no program needs more, and a plugin that does has one mistake or one intention.

use std::time::Duration;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Until the shim around a child has said whether the child runs.
pub const PROCESS_START: Duration = secs(10);
/// For what a child's pipes still hold once no writer is left.
pub const PROCESS_DRAIN: Duration = secs(2);
/// All steps of a stop sequence together, whatever each of them says.
pub const PROCESS_STOP: Duration = secs(30);
/// The order to start or to stop a process, with what it waits for: another order, the stop sequence, SIGKILL.
pub const PROCESS_ORDER: Duration = secs(90);
/// After the last step of a stop sequence and SIGTERM, before SIGKILL.
pub const PROCESS_GRACE: Duration = secs(5);
/// For looking whether a process would find what it must not, on a disk that may be slow.
pub const PRESENT_CHECK: Duration = secs(5);

// ---- Amounts: what the owner of a process, or the process, can make the host hold or write. Each has a hostile test.

/// Bytes of a process's name; names become directories. A plugin's name and a tunnel's with a dot between fit.
pub const PROCESS_NAME_BYTES: usize = 129;
/// What one specification may ask for: ports, files, arguments and environment variables; the bytes of the files together,
/// of the arguments together and of the variables together; the bytes of the name of a port, a file or a variable.
pub const PROCESS_PORTS: usize = 16;
pub const PROCESS_FILES: usize = 32;
pub const PROCESS_FILES_BYTES: usize = 1 << 20;
pub const PROCESS_ARGS: usize = 256;
pub const PROCESS_ENV: usize = 256;
pub const PROCESS_ARGS_BYTES: usize = 128 << 10;
pub const PROCESS_WORD_BYTES: usize = 128;
/// Steps of a stop sequence, bytes of the requests in it, and of one header of them with its references filled in.
pub const PROCESS_STOP_STEPS: usize = 16;
pub const PROCESS_STOP_BYTES: usize = 16 << 10;
pub const PROCESS_STOP_HEADER: usize = 64 << 10;
/// Names that a specification may say a process must not find, bytes of the words to it, and bytes of a file that is looked
/// through for one.
pub const PRESENT_NAMES: usize = 32;
pub const PRESENT_HINT_BYTES: usize = 1 << 10;
pub const PRESENT_FILE: u64 = 256 << 10;
/// Bytes of a path that a specification names.
pub const PATH_BYTES: usize = 4 << 10;
/// Ended processes of one owner that are kept, for their exit and their last lines.
pub const PROCESS_ENDED: usize = 8;
/// Lines of a process that are kept, bytes of all of them, and of one; a longer one becomes several.
pub const PROCESS_LINES: usize = 1_000;
pub const PROCESS_LINES_BYTES: usize = 1 << 20;
pub const PROCESS_LINE_BYTES: usize = 8 << 10;
/// Lines on their way to a reader, on top of those kept.
pub const PROCESS_LINES_QUEUE: usize = 16;
/// Bytes read from a process in one go, and kept of each stream of a process that is run to its end.
pub const PROCESS_CHUNK: usize = 16 << 10;
pub const PROCESS_RUN_OUTPUT: usize = 256 << 10;
