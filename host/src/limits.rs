//! Every bound of the host, in one place: times first, amounts below. A bound that an operator may change is a key of the
//! configuration; its default is here too. `docs/limits.md` lists them for readers; a test compares the two.

use std::time::Duration;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One tick of the epoch clock: how long a guest may run before other tasks get a turn.
pub const EPOCH_TICK: Duration = ms(10);
/// CPU a guest may use between two returns to the host.
pub const GUEST_CPU: Duration = secs(2);
/// A call into a plugin that does not say otherwise.
pub const PLUGIN_CALL: Duration = secs(60);
/// Until a plugin has to be up after its start (describe answered).
pub const PLUGIN_START: Duration = secs(10);
/// After `cancel`, until a plugin's task is ended from outside.
pub const PLUGIN_CANCEL: Duration = secs(20);
/// The first pause before a plugin is started again; doubles up to [`RESTART_MAX`].
pub const RESTART_FIRST: Duration = ms(200);
pub const RESTART_MAX: Duration = secs(30);
/// Restarts within [`RESTART_WINDOW`] after which a plugin counts as failed.
pub const RESTART_BUDGET: u32 = 5;
/// A plugin that ran this long without falling gets its whole budget back.
pub const RESTART_WINDOW: Duration = secs(120);
/// A pause that the other side asked for (`retry-later`).
pub const RETRY_LATER: Duration = secs(300);

/// An HTTP request of a plugin, until the headers are here.
pub const HTTP_HEADERS: Duration = secs(30);
pub const HTTP_CONNECT: Duration = secs(10);
/// A process run to its end for a plugin, at most.
pub const PROCESS_RUN: Duration = secs(60);
/// After the last step of a stop sequence and SIGTERM, before SIGKILL.
pub const PROCESS_GRACE: Duration = secs(5);
/// The whole orderly shutdown of the host.
pub const SHUTDOWN: Duration = secs(25);

/// How often a missing backend is looked for again.
pub const LOOK_AGAIN: Duration = secs(3);

/// Until the plugin that is to take over a tunnel has it open, and then until its public side answers: a new name takes
/// a while to be known everywhere.
pub const SWAP_OPEN: Duration = secs(120);
pub const SWAP_PROBE: Duration = secs(60);
/// One try of the above, and the pause before the next.
pub const PROBE: Duration = secs(10);
pub const PROBE_AGAIN: Duration = secs(1);
/// How often an open tunnel is looked at from its public side.
pub const PROBE_EVERY: Duration = secs(60);
/// For the clients of a tunnel that was replaced, to go over to the new one.
pub const TUNNEL_DRAIN: Duration = secs(15);

/// A command's question to the running host, and its order, which may wait for answers that run and for a tunnel to open.
pub const ASK: Duration = secs(10);
pub const ORDER: Duration = secs(300);

/// For marking the answers that a chat backend left unfinished, where the disk does not take it.
pub const SETTLE: Duration = secs(5);

/// For turns that run when the chat backend is to stop or to change.
pub const CHAT_DRAIN: Duration = secs(30);

/// The set-up link, from its printing.
pub const SETUP_LINK: Duration = secs(15 * 60);
/// One step of a login, sealed and bound to the browser.
pub const LOGIN_STEP: Duration = secs(10 * 60);
/// A login without use.
pub const SESSION_IDLE: Duration = secs(14 * 24 * 3600);
/// A login, however much used.
pub const SESSION_ABSOLUTE: Duration = secs(90 * 24 * 3600);
pub const KNOWN_DEVICE: Duration = secs(400 * 24 * 3600);
/// Wrong credentials until an account (or a known device) is locked, and for how long.
pub const LOCKOUT_FAILURES: u32 = 5;
pub const LOCKOUT: Duration = secs(30 * 60);

/// How long a credential that was shown counts for what needs a fresh login.
pub const FRESH_LOGIN: Duration = secs(5 * 60);

/// How often the configuration's file is looked at.
pub const CONFIG_LOOK: Duration = secs(1);
/// For reading it, and the components that it names.
pub const CONFIG_READ: Duration = secs(20);

/// One try to tell an owner who is away, and the first pause before the next one; it grows four times each time.
pub const NOTIFY_TRY: Duration = secs(10);
pub const NOTIFY_AGAIN: Duration = secs(2);
/// Between two messages of the same kind about the same, and the span over which all of them are counted.
pub const NOTIFY_PAUSE: Duration = secs(60);
pub const NOTIFY_WINDOW: Duration = secs(3600);

/// Live socket: a ping this often, and dead without any frame for [`SOCKET_DEAD`].
pub const SOCKET_PING: Duration = secs(20);
pub const SOCKET_DEAD: Duration = secs(60);
/// A client that takes no byte of its frames for this long is dropped; it resumes by number.
pub const SOCKET_SEND: Duration = secs(15);
/// After a backend took a prompt, until it must have begun to answer; else it is said that it did not.
pub const UNANSWERED: Duration = secs(15);
/// How long a title that a person chose is kept against the one that a backend makes up meanwhile.
pub const RENAME_KEPT: Duration = secs(60);
/// Between two readings of the backend's list of chats, or of one chat, however often it is opened.
pub const READ_AGAIN: Duration = secs(1);
/// For the backend to show a chat that nobody has opened before.
pub const FIRST_READING: Duration = secs(30);
/// Reading one request's header and body.
pub const HTTP_READ: Duration = secs(30);

// ---- Amounts: what a plugin, a child, a peer or a file can make the host hold, write or show. Each has a hostile test.
/// Deleted sessions that are remembered, so that nothing brings them back.
pub const REMOVED_SESSIONS: u64 = 10_000;
/// Sessions of the open connection to a backend that are kept up to date; others are read again when something happens.
pub const LIVE_SESSIONS: usize = 256;
/// Sessions that a backend is asked to list.
pub const LISTED_SESSIONS: u32 = 5_000;
/// Prompts of one session that wait for a turn to end.
pub const QUEUED_PROMPTS: usize = 32;
/// Creations of sessions whose request is remembered, so that asking twice makes one.
pub const CREATE_REQUESTS: usize = 64;
/// Bytes of a conversation in one frame, nearly: the newest messages first, at least one. Older ones are asked for.
pub const HISTORY_FRAME: usize = 48 * 1024;
/// Bytes of one tool's input, output or error, of an attachment's address, and of a closed text, that are sent unasked.
pub const TOOL_SHOWN: usize = 4 * 1024;
pub const TEXT_SHOWN: usize = 32 * 1024;
/// Chats in the list of the page; more are asked for.
pub const LIST_SHOWN: usize = 200;

/// Bytes of an ask's detail (a command, a list of files) and of the change that an edit would make. What is beyond is counted
/// in the last line of what is shown.
pub const ASK_DETAIL: usize = 64 * 1024;
pub const ASK_CHANGE: usize = 256 * 1024;
/// Questions in one ask, and choices of one question.
pub const ASK_QUESTIONS: usize = 16;
pub const ASK_CHOICES: usize = 64;
/// Bytes of one answer's own words, and of the words to a rejection.
pub const ANSWER_WORDS: usize = 64 * 1024;
