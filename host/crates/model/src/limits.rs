//! The bounds of the host: times first, amounts below. Those of child processes are in their own crate, `nexus-process`. A bound that an operator may change is a key of the
//! configuration; its default is here too. `docs/limits.md` lists them for readers; a test compares the two.

use std::time::Duration;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One epoch tick: how long a guest may run before other tasks get a turn.
pub const EPOCH_TICK: Duration = ms(10);
/// CPU a guest may use between two returns to the host.
pub const GUEST_CPU: Duration = secs(2);
/// The span over which a plugin's CPU is counted, and between two lines in the log that say it is slowed down.
pub const CPU_WINDOW: Duration = secs(60);
pub const CPU_LOGGED: Duration = secs(3600);
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
/// A plugin that ran this long without a crash gets its whole budget back.
pub const RESTART_WINDOW: Duration = secs(120);
/// A pause that the other side asked for (`retry-later`).
pub const RETRY_LATER: Duration = secs(300);

/// An HTTP request of a plugin, until the headers are here.
pub const HTTP_HEADERS: Duration = secs(30);
pub const HTTP_CONNECT: Duration = secs(10);
/// A process run to its end for a plugin, at most.
pub const PROCESS_RUN: Duration = secs(60);
/// The span in which a plugin's starts of processes are counted.
pub const PROCESS_STARTS_WINDOW: Duration = secs(60);
/// For following the paths of permission requests, on a disk that may be slow.
pub const PATHS_CHECK: Duration = secs(3);
/// The whole orderly shutdown of the host.
pub const SHUTDOWN: Duration = secs(25);

/// How often a missing backend is looked for again.
pub const BACKEND_CHECK: Duration = secs(3);

/// Until the plugin that is to replace another has the tunnel open, and then until its public side answers: a new name takes
/// a while to be known everywhere.
pub const SWAP_OPEN: Duration = secs(120);
pub const SWAP_CHECK: Duration = secs(60);
/// One try of the above, and the pause before the next.
pub const PUBLIC_CHECK: Duration = secs(10);
pub const PUBLIC_CHECK_AGAIN: Duration = secs(1);
/// How often an open tunnel is looked at from its public side.
pub const PUBLIC_CHECK_EVERY: Duration = secs(60);
/// A name that a provider made is given out and asked for only after this long, or once it was reached: resolvers keep
/// "there is no such name" for half an hour, for everybody behind them.
pub const NAME_SETTLES: Duration = secs(15);
/// While its name is not found, an open tunnel is checked again after [`NAME_SETTLES`], doubling up to this.
pub const PUBLIC_CHECK_UNRESOLVED: Duration = secs(300);
/// Failed public checks of an open tunnel in a row until the log says so.
pub const OUTAGE_CHECKS: u32 = 2;
/// Failed public checks in a row that prove a connection dead (somebody answered there, and this host's own listener
/// works), and how long they must last until its provider is restarted: where the restart keeps the address, where it
/// costs it, and where the provider says itself that it reconnects.
pub const DEAD_CHECKS: u32 = 4;
pub const DEAD: Duration = secs(30);
pub const DEAD_EPHEMERAL: Duration = secs(120);
pub const DEAD_RECONNECTING: Duration = secs(300);
/// Between two such restarts; doubles up to [`REPAIR_MOST`], and starts again after [`REPAIR_WELL`] without a failed check.
pub const REPAIR_FIRST: Duration = secs(60);
pub const REPAIR_MOST: Duration = secs(3600);
pub const REPAIR_WELL: Duration = secs(600);
/// An order to open a tunnel is answered when the provider gives the same reason for this long why no request gets through.
pub const ORDER_STUCK: Duration = secs(15);
/// An outage of a tunnel that lasts this long is told to an owner who is away.
pub const NOTIFY_OUTAGE: Duration = secs(30);
/// For the clients of a tunnel that was replaced, to go over to the new one.
pub const TUNNEL_DRAIN: Duration = secs(15);

/// For the connections of a tunnel's listener to end, where the tunnel is closed.
pub const LISTENER_CLOSE: Duration = secs(5);

/// For the clients of a tunnel that has to close before another plugin can open it, to hear of that.
pub const TUNNEL_LEAVE: Duration = secs(1);

/// A command's question to the running host, and its order, which may wait for answers that run and for a tunnel to open.
pub const QUERY: Duration = secs(10);
pub const ORDER: Duration = secs(300);

/// For marking the answers that a chat backend left unfinished, where the disk does not take it.
pub const SETTLE: Duration = secs(5);

/// Until a command that starts the chat backend says that it is not up yet, and why.
pub const BACKEND_UP: Duration = secs(30);

/// A new chat that is wanted while the backend is being started.
pub const CREATE_WAITS: Duration = secs(30);

/// For turns that run when the chat backend is to stop or to change.
pub const CHAT_DRAIN: Duration = secs(30);

/// The set-up link, from its printing.
pub const SETUP_LINK: Duration = secs(15 * 60);
/// One step of a login, encrypted and bound to the browser.
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
pub const CONFIG_CHECK: Duration = secs(1);
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

/// A client that takes nothing of an answer for this long loses its connection.
pub const HTTP_WRITE: Duration = secs(30);
/// A connection for which its client did nothing for this long makes room for a new one where all are taken.
pub const HTTP_IDLE: Duration = secs(1);
/// Lines of strangers in the audit that are the same within this time are one line and their number.
pub const AUDIT_FOLD: Duration = secs(60);
/// For the lock beside the audit, which a command may hold; then the line is written without it.
pub const AUDIT_LOCK: Duration = secs(1);
/// The span in which the bytes are counted that a chat backend says.
pub const EVENTS_WINDOW: Duration = secs(60);
/// The span in which the bytes are counted that a plugin writes into its store.
pub const STORE_WRITES_WINDOW: Duration = secs(60);
/// How long another process may hold the database's write lock.
pub const STORE_BUSY: Duration = secs(5);
/// How long writing waits for who reads from the write-ahead log, when that has reached [`WAL_MOST`].
pub const WAL_WAIT: Duration = ms(500);
/// While nothing is written, between two checks of whether anything could be saved.
pub const STORE_CHECK: Duration = secs(5);
/// The span in which the notes about one thing are counted.
pub const ACTIVITY_WINDOW: Duration = secs(60);
/// A note that repeats the last one of its subject within this time is not another one.
pub const ACTIVITY_AGAIN: Duration = secs(10 * 60);
/// A half written file of the cache this old belongs to nobody any more.
pub const CODE_CACHE_PARTIAL: Duration = secs(3600);
/// Half a backup this old belongs to nobody any more.
pub const BACKUP_ABANDONED: Duration = secs(24 * 3600);

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
/// Bytes of one conversation that are kept, each message and each part counted with [`SESSION_ROW`] on top; and bytes of those
/// that are held in memory though nobody looks at them.
pub const SESSION_BYTES: usize = 256 << 20;
pub const SESSION_ROW: usize = 512;
pub const JOURNAL_CACHE_BYTES: usize = 256 << 20;
/// Requests of one conversation that wait for an answer, and bytes of all of them.
pub const AGENT_REQUESTS: usize = 64;
pub const AGENT_REQUESTS_BYTES: usize = 4 << 20;
/// Bytes of waiting requests in the first frame of a conversation, at least one of them; the others follow, one a frame.
pub const AGENT_REQUESTS_FRAME: usize = 64 * 1024;
/// Bytes of the database from which on no more of conversations is taken.
pub const JOURNAL_BYTES: u64 = 8 << 30;
/// Bytes that a chat backend may say within [`EVENTS_WINDOW`], each event counted with [`SESSION_ROW`] on top. What is more is
/// held back.
pub const EVENT_BYTES: u64 = 128 << 20;
/// Bytes of a conversation in one frame, nearly: the newest messages first, at least one. Older ones are asked for.
pub const HISTORY_FRAME: usize = 48 * 1024;
/// Bytes of one tool's input, output or error, of an attachment's address, and of a closed text, that are sent unasked.
pub const TOOL_SHOWN: usize = 4 * 1024;
pub const TEXT_SHOWN: usize = 32 * 1024;
/// Chats in the list of the page; more are asked for.
pub const LIST_SHOWN: usize = 200;

// Instances of plugins.

/// Memory of a plugin whose manifest asks for no more and whose `limits.memory` says nothing.
pub const PLUGIN_MEMORY: u64 = 64 << 20;
/// Calls and streams that may wait in the host for one plugin, by default and at most (`limits.streams`).
pub const PLUGIN_STREAMS: u32 = 64;
pub const PLUGIN_STREAMS_MOST: u32 = 10_000;
/// Processes that a plugin may run at once, by default and at most (`limits.processes`).
pub const PLUGIN_PROCESSES: u32 = 8;
pub const PLUGIN_PROCESSES_MOST: u32 = 1_000;
/// CPU of a plugin over [`CPU_WINDOW`] in percent of one core, by default, for a login plugin, and at most
/// (`limits.cpu_share`).
pub const PLUGIN_CPU_SHARE: u32 = 50;
pub const AUTH_CPU_SHARE: u32 = 200;
pub const PLUGIN_CPU_SHARE_MOST: u32 = 400;
/// Lines a second that a plugin may log, by default and at most (`limits.log_lines`).
pub const PLUGIN_LOG_LINES: u32 = 100;
pub const PLUGIN_LOG_LINES_MOST: u32 = 100_000;
/// Bytes of a line that a plugin logs or writes to a standard stream.
pub const PLUGIN_LINE_BYTES: usize = 8 << 10;
/// Lines of standard error kept for the cause of a trap.
pub const PLUGIN_LAST_LINES: usize = 6;
/// Functions of a plugin that the cause of a trap names, and bytes of each name.
pub const TRACE_FRAMES: usize = 6;
pub const TRACE_NAME_BYTES: usize = 160;
/// Core instances, tables and memories of one store.
pub const PLUGIN_INSTANCES: usize = 128;
pub const PLUGIN_TABLES: usize = 64;
pub const PLUGIN_MEMORIES: usize = 32;
/// Elements over all tables of a store; each takes a pointer or two of the host.
pub const PLUGIN_TABLE_ELEMENTS: usize = 1 << 20;
/// Bytes that a guest may hand over in one go, where its memory is larger.
pub const PLUGIN_HANDED_OVER: usize = 64 << 20;
/// Calls that wait for an instance to take them, and calls that may run in it at once.
pub const CALL_QUEUE: usize = 64;
pub const CALLS: usize = 256;
/// Calls without an answer after which an instance is restarted: well below the places there are.
pub const CALLS_HANGING: isize = 16;
/// Threads and instances of the login plugin: each instance may hold the memory of one password hash.
pub const AUTH_THREADS: usize = 2;
pub const AUTH_INSTANCES: usize = 4;
/// Batches of a plugin's stream that wait for the host, and items in a batch.
pub const STREAM_BATCHES: usize = 4;
pub const STREAM_BATCH: usize = 256;
/// Lines that are handed to a plugin in one go.
pub const LINES_BATCH: usize = 64;
/// Events that wait for the service before the plugin is held back.
pub const TUNNEL_EVENTS: usize = 64;
pub const CHAT_EVENTS: usize = 256;
/// Bytes of text in an event of a chat that takes all places at once.
pub const CHAT_EVENT_LARGE: usize = 64 << 10;

// What a plugin says.

/// Bytes of an id: of a session, a message, a part, a permission request; of a subject.
pub const ID_BYTES: usize = 512;
/// Bytes of a title or a name.
pub const TITLE_BYTES: usize = 512;
/// Bytes of an address; one that was truncated is none, for the mark is in it.
pub const URL_BYTES: usize = 2 << 10;
/// Bytes of a sentence for the operator, with the lines to paste.
pub const SENTENCE_BYTES: usize = 8 << 10;
/// Bytes of what an agent or a model writes in one part.
pub const PART_BYTES: usize = 4 << 20;
/// Entries of a list that people read.
pub const LIST_ENTRIES: usize = 64;
/// Sessions that may run, and permission requests that may wait, when a connection opens.
pub const OPEN_SESSIONS: usize = 1_000;
/// Bytes of a login's state: it travels to the browser and back, encrypted.
pub const LOGIN_STATE_BYTES: usize = 64 << 10;

/// Bytes of a permission request's detail (a command, a list of files) and of the change that an edit would make. What is beyond is counted
/// in the last line of what is shown.
pub const REQUEST_DETAIL: usize = 64 * 1024;
pub const REQUEST_CHANGE: usize = 256 * 1024;
/// Details of one permission request (the folder of a command, a file of a patch), and bytes of their texts. What is beyond is counted, and
/// the page does not let it be allowed.
pub const REQUEST_DETAILS: usize = 256;
pub const REQUEST_DETAILS_BYTES: usize = 256 * 1024;
/// Paths of one permission request that are followed to where they really lead.
pub const REQUEST_PATHS: usize = 256;
/// Questions in one request, and choices of one question.
pub const REQUEST_QUESTIONS: usize = 16;
pub const REQUEST_CHOICES: usize = 64;
/// Bytes of one answer's own words, and of the words to a rejection.
pub const ANSWER_WORDS: usize = 64 * 1024;

// Capabilities.

/// Bytes of a key and of a value of the store, and keys that are listed in one call.
pub const STORE_KEY_BYTES: usize = 256;
pub const STORE_VALUE_BYTES: usize = 1 << 20;
pub const STORE_KEYS_LISTED: u32 = 1_000;
/// Keys of one plugin's store. All of them are counted for each write.
pub const STORE_KEYS: i64 = 10_000;
/// Bytes that a plugin may write into its store within [`STORE_WRITES_WINDOW`] (`limits.store_writes`), and what each write
/// counts on top: a page of the database and one of its index.
pub const STORE_WRITES: u64 = 32 << 20;
pub const STORE_WRITE_COST: usize = 8 << 10;
/// Generated secrets of one plugin: they live as long as the host.
pub const GENERATED_SECRETS: usize = 64;
/// Headers of an HTTP request, and bytes of all of them together, with the secrets in them.
pub const HTTP_HEADER_COUNT: usize = 64;
pub const HTTP_HEADER_BYTES: usize = 64 << 10;
/// Chunks of an HTTP body that wait for the plugin.
pub const HTTP_BODY_CHUNKS: usize = 16;
/// Bytes of the answer to the host's own check of a public address, which should be 64.
pub const PUBLIC_CHECK_ANSWER_BYTES: usize = 1 << 10;

// Child processes.

/// Starts of one plugin within [`PROCESS_STARTS_WINDOW`], those that are run to their end among them.
pub const PROCESS_STARTS: u32 = 120;

// Files of the operator.

/// Bytes of the configuration, of a component, and of a secret's file.
pub const CONFIG_BYTES: u64 = 1 << 20;
pub const COMPONENT_BYTES: u64 = 256 << 20;
pub const SECRET_BYTES: u64 = 64 << 10;
/// Bytes of a log file, and how many of them are kept: weeks of ordinary use.
pub const LOG_SIZE: u64 = 10 << 20;
pub const LOG_FILES: u32 = 5;
/// Bytes of the log that are looked through for the lines of one plugin or tunnel.
pub const LOG_SEARCHED: u64 = 2 << 20;
/// Files of the cache of compiled code, and bytes of all of them. What this process has loaded stays.
pub const CODE_CACHE_FILES: usize = 64;
pub const CODE_CACHE_BYTES: u64 = 512 << 20;
/// Bytes of a backup's manifest.
pub const BACKUP_MANIFEST_BYTES: u64 = 4 << 20;
/// Bytes of a path in a backup: no system takes more of them.
pub const BACKUP_PATH_BYTES: u64 = 4096;

// The database.

/// Jobs in one transaction, so that the first of them does not wait for ever.
pub const STORE_BATCH: usize = 256;
/// Readers that are kept open between uses.
pub const STORE_READERS: usize = 4;
/// Commits after which the write-ahead log is moved into the database; bytes after which it is, and that are left of it
/// when all of it was; and bytes at which writing waits until it was.
pub const WAL_COMMITS: u32 = 500;
pub const WAL_KEPT: u64 = 8 << 20;
pub const WAL_MOST: u64 = 64 << 20;
/// Bytes that growing text can make of one part of a chat; sessions that are held in memory besides those in use; events that
/// a reader may lag behind before it is fed from the database again, and missed ones beyond which it gets the present state.
pub const JOURNAL_PART_BYTES: usize = 8 << 20;
pub const JOURNAL_CACHE: usize = 32;
pub const JOURNAL_BACKLOG: usize = 512;
pub const JOURNAL_CATCH_UP: usize = 4096;
/// Notes of what happened: shown, kept, waiting for the disk; and characters of one.
pub const ACTIVITY_SHOWN: u32 = 100;
pub const ACTIVITY_KEPT: i64 = 2_000;
pub const ACTIVITY_QUEUE: usize = 1_000;
pub const ACTIVITY_CHARS: usize = 500;
/// Notes about one thing that are kept within [`ACTIVITY_WINDOW`], and things that are told apart for that.
pub const ACTIVITY_NOTES: u32 = 60;
pub const ACTIVITY_SUBJECTS: usize = 256;

// The page, its API, and what is sent to the owner.

/// Bytes of a text that is rendered as Markdown, of the HTML that is kept, and blocks within blocks: the sanitiser's time
/// grows with the square of the depth.
pub const MARKDOWN_BYTES: usize = 256 << 10;
pub const MARKDOWN_CACHE: usize = 8 << 20;
pub const MARKDOWN_DEPTH: usize = 64;
/// Notes on the status page, of everything and of one tunnel.
pub const STATUS_ACTIVITY: usize = 30;
pub const STATUS_HISTORY: usize = 10;
/// Bytes of a form; of the head of a request, and its fields.
pub const FORM_BYTES: usize = 64 << 10;
pub const HTTP_HEAD_BYTES: usize = 32 << 10;
pub const HTTP_HEAD_FIELDS: usize = 64;
/// Live sockets of the whole host; bytes of one message of the user; and of one frame of a client: the longest message, each
/// byte of it escaped, and what is around it.
pub const LIVE_SOCKETS: usize = 256;
pub const PROMPT_BYTES: usize = 512 << 10;
pub const FRAME_BYTES: usize = 6 * PROMPT_BYTES + 65_536;
/// Bytes of the body of an API request: a prompt of half a mebibyte, escaped.
pub const API_BODY_BYTES: usize = 2 << 20;
/// Lines of the log in one answer of the API.
pub const API_LOG_LINES: usize = 1_000;
/// Bytes of the nonce in the host's check of its public address.
pub const PUBLIC_CHECK_NONCE_BYTES: usize = 256;
/// Connections of the metrics' listener, and bytes of a request's header there.
pub const METRICS_CONNECTIONS: usize = 16;
pub const METRICS_HEADER_BYTES: usize = 16 << 10;
/// Messages to the owner that wait; and within [`NOTIFY_WINDOW`], of all kinds and of one.
pub const NOTIFY_QUEUE: usize = 64;
pub const NOTIFY_MOST: usize = 30;
pub const NOTIFY_MOST_OF_A_KIND: usize = NOTIFY_MOST / 2;

// Logins, the audit and the listeners.

/// Lines, and bytes of them, that wait for a terminal or for the disk of the log; more are dropped and counted.
pub const LOG_WAITING_LINES: usize = 1024;
pub const LOG_WAITING_BYTES: usize = 4 << 20;
/// Of one file of the owner's audit, and how many files are kept.
pub const AUDIT_FILE_BYTES: u64 = 4 << 20;
pub const AUDIT_FILES: u32 = 5;
/// The same of what strangers and programs of the agent did.
pub const AUDIT_STRANGERS_BYTES: u64 = 1 << 20;
pub const AUDIT_STRANGERS_FILES: u32 = 4;
/// Lines of strangers that may be different in [`AUDIT_FOLD`] at one place; the others are only counted.
pub const AUDIT_KEYS: usize = 32;
/// Lines that may wait for the disk: more than strangers can cause in a minute at dozens of places.
pub const AUDIT_WAITING: usize = 4096;
/// Refusals that commands write within [`AUDIT_FOLD`], each of them a process that knows nothing of the others; and lines among
/// which they are looked for.
pub const AUDIT_REFUSALS: usize = 5;
pub const AUDIT_SEARCHED: usize = 1_000;
/// Characters of one value in the audit.
pub const AUDIT_VALUE: usize = 1_000;
/// Passwords that are checked at once, how many of these checks are kept for known devices, and how many may wait at one
/// place.
pub const HASH_AT_ONCE: usize = 2;
pub const HASH_KNOWN: usize = 1;
pub const HASH_WAITING: usize = 16;
/// Login steps of one place that are remembered as used; with more, the forms that are open there begin again.
pub const LOGIN_STEPS_USED: usize = 16_384;
/// Files that the process may have open, where the machine lets it, and those of them that no connection takes.
pub const OPEN_FILES: usize = 8_192;
pub const FILES_KEPT: usize = 384;
/// Connections of one listener that are not live sockets; the part (one in so many) that one network of peers may have,
/// and the one that is kept for this machine where the listener is open to a network.
pub const CONNECTIONS: usize = 512;
pub const CONNECTIONS_OF_A_NETWORK: usize = 8;
pub const CONNECTIONS_OF_THIS_MACHINE: usize = 8;

// Manifests and components.

/// Of a manifest: the whole, a sentence, a word, the entries of each list, the memory that it may ask for.
pub use nexus_plugin_api::manifest::{
    MANIFEST_BYTES, MANIFEST_ENTRIES, MANIFEST_MEMORY, MANIFEST_SENTENCE, MANIFEST_WORD,
};
/// Bytes of the name of a component's import or export.
pub const IMPORT_NAME: usize = 256;
/// Bytes of the header in which a tunnel finds a client's address.
pub const ADDRESS_HEADER: usize = 64;
/// Parts whose text grows by pieces at once, of which it is known what the last piece ended with.
pub const GROWING_PARTS: usize = 64;

// What agents write.

/// Bytes of one formula in a text, and characters of one bare address: what is longer is text.
pub const MARKDOWN_FORMULA: usize = 4 * 1024;
pub const MARKDOWN_ADDRESS: usize = 2 * 1024;
/// Columns that movements of the cursor may add to one output of a tool, and how far one movement goes.
pub const OUTPUT_BLANKS: usize = 64 * 1024;
pub const OUTPUT_MOVE: usize = 1000;

#[cfg(test)]
#[path = "limits_tested.rs"]
mod tested;
#[cfg(test)]
#[path = "limits_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
