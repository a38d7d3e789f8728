//! The bounds of the host: times first, amounts below. Those of child processes are in their own crate, `nexus-process`. A
//! bound that an operator may change is a key of the configuration; its default is here too.
//!
//! Where nothing else is said, what is bounded is counted in bytes. `docs/limits.md` lists all bounds for readers, with what
//! happens when each is reached; a test compares the two.

use std::time::Duration;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `EPOCH_TICK` is one epoch tick: how long a guest may run before other tasks get a turn.
pub const EPOCH_TICK: Duration = ms(10);
/// `EPOCH_QUIET` is after how many ticks without a turn of any guest no more of them come.
pub const EPOCH_QUIET: usize = 10;
/// `LONG_TURN` is from how much CPU on a turn of an instance is followed by turns on a thread for blocking work.
pub const LONG_TURN: Duration = ms(8);
/// `COMPUTES_TIMES` is for how many times its length a long turn is remembered, and the turns after it are there; those of a plugin
/// together for [`CPU_WINDOW`] at most.
pub const COMPUTES_TIMES: u32 = 50;
/// `GUEST_CPU` is the CPU that a guest may use between two returns to the host (`limits.cpu`).
pub const GUEST_CPU: Duration = secs(2);
/// `CPU_WINDOW` is the span over which a plugin's CPU is counted.
pub const CPU_WINDOW: Duration = secs(60);
/// `CPU_LOGGED` is the time between two lines in the log that say of a plugin that it is slowed down.
pub const CPU_LOGGED: Duration = secs(3600);
/// `PLUGIN_CALL` bounds a call into a plugin that does not say otherwise (`limits.call`).
pub const PLUGIN_CALL: Duration = secs(60);
/// `PLUGIN_START` is the time in which a plugin has to be up after its start (describe answered).
pub const PLUGIN_START: Duration = secs(10);
/// `PLUGIN_LEAVE` is how long a chat plugin that is stopped has for what it does when its connection is canceled.
pub const PLUGIN_LEAVE: Duration = secs(2);
/// `PLUGIN_CANCEL` is the time after `cancel` until a plugin's task is ended from outside.
pub const PLUGIN_CANCEL: Duration = secs(20);
/// `RESTART_FIRST` is the first pause before a plugin is started again; it doubles up to [`RESTART_MAX`].
pub const RESTART_FIRST: Duration = ms(200);
/// `RESTART_MAX` is the longest pause before a plugin is started again.
pub const RESTART_MAX: Duration = secs(30);
/// `RESTART_BUDGET` is the number of restarts within [`RESTART_WINDOW`] after which a plugin has failed.
pub const RESTART_BUDGET: u32 = 5;
/// `RESTART_WINDOW` is how long a plugin has to run without a crash to get its whole budget back.
pub const RESTART_WINDOW: Duration = secs(120);
/// `RETRY_LATER` is the pause that the other side asked for (`retry-later`).
pub const RETRY_LATER: Duration = secs(300);

/// `HTTP_HEADERS` bounds an HTTP request of a plugin, until the headers of the answer are here.
pub const HTTP_HEADERS: Duration = secs(30);
/// `HTTP_HEADERS_MOST` is the longest time for them that a plugin may ask for.
pub const HTTP_HEADERS_MOST: Duration = secs(3600);
/// `HTTP_CONNECT` bounds connecting for such a request.
pub const HTTP_CONNECT: Duration = secs(10);
/// `PROCESS_RUN` bounds a process that is run to its end for a plugin.
pub const PROCESS_RUN: Duration = secs(60);
/// `PROCESS_STARTS_WINDOW` is the span in which a plugin's starts of processes are counted.
pub const PROCESS_STARTS_WINDOW: Duration = secs(60);
/// `PATHS_CHECK` is the time for following the paths of permission requests, on a disk that may be slow.
pub const PATHS_CHECK: Duration = secs(3);
/// `SHUTDOWN` bounds the whole orderly shutdown of the host.
pub const SHUTDOWN: Duration = secs(25);

/// `BACKEND_CHECK` is how often a missing backend is looked for again.
pub const BACKEND_CHECK: Duration = secs(3);

/// `SWAP_OPEN` is the time in which the plugin that is to replace another has to have the tunnel open.
pub const SWAP_OPEN: Duration = secs(120);
/// `SWAP_CHECK` is the time in which its public side has to answer then: a new name takes a while to be known
/// everywhere.
pub const SWAP_CHECK: Duration = secs(60);
/// `PUBLIC_CHECK` bounds one check of a public address.
pub const PUBLIC_CHECK: Duration = secs(10);
/// `PUBLIC_CHECK_AGAIN` is the pause before the next check in a swap.
pub const PUBLIC_CHECK_AGAIN: Duration = secs(1);
/// `PUBLIC_CHECK_EVERY` is how often an open tunnel is checked from its public side.
pub const PUBLIC_CHECK_EVERY: Duration = secs(60);
/// `NAME_SETTLES` is how long a name that a provider made is neither given out nor asked for, unless it was reached
/// before: resolvers keep "there is no such name" for half an hour, for everybody behind them.
pub const NAME_SETTLES: Duration = secs(15);
/// `PUBLIC_CHECK_UNRESOLVED` is the longest pause between checks of an open tunnel whose name is not found: the pause
/// begins with [`NAME_SETTLES`] and doubles.
pub const PUBLIC_CHECK_UNRESOLVED: Duration = secs(300);
/// `OUTAGE_CHECKS` is the number of failed public checks in a row after which the log says so.
pub const OUTAGE_CHECKS: u32 = 2;
/// `DEAD_CHECKS` is the number of failed public checks in a row that prove a connection dead, where somebody answered
/// there and this host's own listener works. They must also last for one of the next three until the provider is
/// restarted.
pub const DEAD_CHECKS: u32 = 4;
/// `DEAD` is how long that has to last where the restart keeps the address.
pub const DEAD: Duration = secs(30);
/// `DEAD_EPHEMERAL` is how long that has to last where the restart costs the address.
pub const DEAD_EPHEMERAL: Duration = secs(120);
/// `DEAD_RECONNECTING` is how long that has to last where the provider says itself that it reconnects.
pub const DEAD_RECONNECTING: Duration = secs(300);
/// `REPAIR_FIRST` is the pause between two such restarts; it doubles up to [`REPAIR_MOST`].
pub const REPAIR_FIRST: Duration = secs(60);
/// `REPAIR_MOST` is the longest of these pauses.
pub const REPAIR_MOST: Duration = secs(3600);
/// `REPAIR_WELL` is the time without a failed check after which these pauses start with [`REPAIR_FIRST`] again.
pub const REPAIR_WELL: Duration = secs(600);
/// `COMMAND_STUCK` is how long the provider has to give the same reason why no request gets through until a command to
/// open the tunnel is answered with it.
pub const COMMAND_STUCK: Duration = secs(15);
/// `NOTIFY_OUTAGE` is how long an outage of a tunnel lasts until an owner who is away is told.
pub const NOTIFY_OUTAGE: Duration = secs(30);
/// `TUNNEL_DRAIN` is the time that the clients of a replaced tunnel have to go over to the new one.
pub const TUNNEL_DRAIN: Duration = secs(15);

/// `LISTENER_CLOSE` is the time that the connections of a tunnel's listener have to end when the tunnel is closed.
pub const LISTENER_CLOSE: Duration = secs(5);

/// `TUNNEL_LEAVE` is the time in which the clients of a tunnel hear that it closes, where it has to close before
/// another plugin can open it.
pub const TUNNEL_LEAVE: Duration = secs(1);

/// `QUERY` bounds a command's question to the running host.
pub const QUERY: Duration = secs(10);
/// `COMMAND` bounds a command, which may wait for answers that run and for a tunnel to open.
pub const COMMAND: Duration = secs(300);

/// `EVENT_TRACE` is how long a trace of events lasts, where its caller does not say it (`nexus trace`).
pub const EVENT_TRACE: Duration = secs(10);
/// `EVENT_TRACE_MOST` is the most that a caller may say.
pub const EVENT_TRACE_MOST: Duration = secs(60);

/// `SETTLE` is the time for marking the answers that a chat backend left unfinished, where the disk does not take it.
pub const SETTLE: Duration = secs(5);

/// `BACKEND_UP` is how long a command that starts the chat backend waits until it says why that is not up yet.
pub const BACKEND_UP: Duration = secs(30);

/// `CREATE_WAITS` is how long a new chat that is wanted waits while the backend is being started.
pub const CREATE_WAITS: Duration = secs(30);

/// `CHAT_DRAIN` is the time that running turns get when the chat backend is to stop or to change.
pub const CHAT_DRAIN: Duration = secs(30);

/// `SETUP_LINK` is how long the set-up link is good, from its printing.
pub const SETUP_LINK: Duration = secs(15 * 60);
/// `LOGIN_STEP` is how long one step of a login is good, encrypted and bound to the browser.
pub const LOGIN_STEP: Duration = secs(10 * 60);
/// `BEARER_RECHECK` is how often the token of an open live socket is checked again.
pub const BEARER_RECHECK: Duration = secs(60);
/// `BEARER_UNANSWERED` is how long such a socket stays open while nobody can tell whether its token is still right.
pub const BEARER_UNANSWERED: Duration = secs(10 * 60);
/// `SESSION_IDLE` is how long a login lasts without use (`auth.session_idle`).
pub const SESSION_IDLE: Duration = secs(14 * 24 * 3600);
/// `SESSION_ABSOLUTE` is how long a login lasts, however much it is used (`auth.session_absolute`).
pub const SESSION_ABSOLUTE: Duration = secs(90 * 24 * 3600);
/// `KNOWN_DEVICE` is how long a browser is a known device after its last login.
pub const KNOWN_DEVICE: Duration = secs(400 * 24 * 3600);
/// `LOCKOUT_FAILURES` is the number of wrong credentials that lock an account, or a known device
/// (`auth.lockout_failures`).
pub const LOCKOUT_FAILURES: u32 = 5;
/// `LOCKOUT` is how long the lock lasts (`auth.lockout`).
pub const LOCKOUT: Duration = secs(30 * 60);

/// `FRESH_LOGIN` is how long a credential that was shown is enough for what needs a fresh login.
pub const FRESH_LOGIN: Duration = secs(5 * 60);

/// `CONFIG_CHECK` is how often the configuration's file is looked at, where the kernel cannot tell what happens to it or it
/// does not rest.
pub const CONFIG_CHECK: Duration = secs(1);
/// `CONFIG_RECHECK` is how often it is looked at besides, where the kernel tells.
pub const CONFIG_RECHECK: Duration = secs(10);
/// `CONFIG_READ` is the time for reading that file, and the components that it names.
pub const CONFIG_READ: Duration = secs(20);

/// `NOTIFY_TRY` bounds one try to tell an owner who is away.
pub const NOTIFY_TRY: Duration = secs(10);
/// `NOTIFY_AGAIN` is the first pause before the next try; it grows four times each time.
pub const NOTIFY_AGAIN: Duration = secs(2);
/// `NOTIFY_PAUSE` is the time between two messages of the same kind about the same.
pub const NOTIFY_PAUSE: Duration = secs(60);
/// `NOTIFY_WINDOW` is the span over which all messages are counted.
pub const NOTIFY_WINDOW: Duration = secs(3600);

/// `SOCKET_PING` is how often a live socket is pinged.
pub const SOCKET_PING: Duration = secs(20);
/// `SOCKET_DEAD` is the time without any frame after which a live socket is dead.
pub const SOCKET_DEAD: Duration = secs(60);
/// `SOCKET_SEND` is the time after which a client that takes no byte of its frames is dropped; it resumes by number.
pub const SOCKET_SEND: Duration = secs(15);
/// `UNANSWERED` is the time in which a backend that took a prompt must have begun to answer; else the page says that it
/// did not.
pub const UNANSWERED: Duration = secs(15);
/// `RENAME_KEPT` is how long a title that a person chose is kept against the one that a backend makes up meanwhile.
pub const RENAME_KEPT: Duration = secs(60);
/// `READ_AGAIN` is the time between two readings of the backend's list of chats, or of one chat, however often it is
/// opened.
pub const READ_AGAIN: Duration = secs(1);
/// `FIRST_READING` is the time that the backend has to show a chat that nobody has opened before.
pub const FIRST_READING: Duration = secs(30);
/// `HTTP_READ` is the time for reading one request's header and body.
pub const HTTP_READ: Duration = secs(30);

/// `HTTP_WRITE` is the time after which a client that takes nothing of an answer loses its connection.
pub const HTTP_WRITE: Duration = secs(30);
/// `HTTP_IDLE` is the time after which a connection for which its client did nothing makes room for a new one, where
/// all are taken.
pub const HTTP_IDLE: Duration = secs(1);
/// `AUDIT_FOLD` is the span in which lines of strangers in the audit that are the same are one line and their number.
pub const AUDIT_FOLD: Duration = secs(60);
/// `AUDIT_LOCK` is how long a line waits for the lock beside the audit, which a command may hold; then it is written
/// without it.
pub const AUDIT_LOCK: Duration = secs(1);
/// `EVENTS_WINDOW` is the span in which the bytes are counted that a chat backend says.
pub const EVENTS_WINDOW: Duration = secs(60);
/// `STORE_WRITES_WINDOW` is the span in which the bytes are counted that a plugin writes into its store.
pub const STORE_WRITES_WINDOW: Duration = secs(60);
/// `STORE_BUSY` is how long another process may hold the database's write lock.
pub const STORE_BUSY: Duration = secs(5);
/// `WAL_WAIT` is how long writing waits for who reads from the write-ahead log, when that has reached [`WAL_MOST`].
pub const WAL_WAIT: Duration = ms(500);
/// `COMMIT_HERE` is the time that a commit may take on the thread of who asks for it; after one that took longer, the disk
/// counts as slow.
pub const COMMIT_HERE: Duration = ms(5);
/// `COMMIT_SLOW` is the time for which the disk then counts as slow, and a thread of its own commits.
pub const COMMIT_SLOW: Duration = secs(10);
/// `STORE_CHECK` is the time between two checks of whether anything could be saved, while nothing is written.
pub const STORE_CHECK: Duration = secs(5);
/// `ACTIVITY_WINDOW` is the span in which the notes about one thing are counted.
pub const ACTIVITY_WINDOW: Duration = secs(60);
/// `ACTIVITY_AGAIN` is the time within which a note that repeats the last one of its subject is not another one.
pub const ACTIVITY_AGAIN: Duration = secs(10 * 60);
/// `CODE_CACHE_PARTIAL` is the age at which a half written file of the cache belongs to nobody any more.
pub const CODE_CACHE_PARTIAL: Duration = secs(3600);
/// `BACKUP_ABANDONED` is the age at which half a backup belongs to nobody any more.
pub const BACKUP_ABANDONED: Duration = secs(24 * 3600);

// ---- Amounts: what a plugin, a child, a peer or a file can make the host hold, write or show. Each has a hostile test.
/// `REMOVED_SESSIONS` is how many deleted sessions are remembered, so that nothing brings them back.
pub const REMOVED_SESSIONS: u64 = 10_000;
/// `LIVE_SESSIONS` is how many sessions of the open connection to a backend are kept up to date; others are read again
/// when something happens.
pub const LIVE_SESSIONS: usize = 256;
/// `LISTED_SESSIONS` is how many sessions a backend is asked to list.
pub const LISTED_SESSIONS: u32 = 5_000;
/// `QUEUED_PROMPTS` is how many prompts of one session may wait for a turn to end.
pub const QUEUED_PROMPTS: usize = 32;
/// `CREATE_REQUESTS` is how many creations of sessions are remembered by their request, so that asking twice makes one.
pub const CREATE_REQUESTS: usize = 64;
/// `SESSION_BYTES` is how many bytes of one session are kept, each message and each part counted with
/// [`SESSION_ROW`] on top.
pub const SESSION_BYTES: usize = 256 << 20;
/// `SESSION_ROW` is what each message, each part and each event counts in bytes, on top of its text.
pub const SESSION_ROW: usize = 512;
/// `JOURNAL_CACHE_BYTES` bounds the sessions that are held in memory though nobody looks at them.
pub const JOURNAL_CACHE_BYTES: usize = 256 << 20;
/// `AGENT_REQUESTS` is how many requests of one session may wait for an answer.
pub const AGENT_REQUESTS: usize = 64;
/// `AGENT_REQUESTS_BYTES` bounds the text of all of these.
pub const AGENT_REQUESTS_BYTES: usize = 4 << 20;
/// `AGENT_REQUESTS_FRAME` bounds the waiting requests in the first frame of a session, which has at least one of
/// them; the others follow, one a frame.
pub const AGENT_REQUESTS_FRAME: usize = 64 * 1024;
/// `JOURNAL_BYTES` is the size of the database in bytes from which on no more of sessions is taken.
pub const JOURNAL_BYTES: u64 = 8 << 30;
/// `EVENT_BYTES` is how many bytes a chat backend may say within [`EVENTS_WINDOW`], each event counted with
/// [`SESSION_ROW`] on top. What is more is held back.
pub const EVENT_BYTES: u64 = 128 << 20;
/// `HISTORY_FRAME` bounds, nearly, the bytes of a session in one frame: the newest messages first, at least one.
/// Older ones are asked for.
pub const HISTORY_FRAME: usize = 48 * 1024;
/// `TOOL_SHOWN` is how many bytes of one tool's input, output or error, and of an attachment's address, are sent
/// unasked.
pub const TOOL_SHOWN: usize = 4 * 1024;
/// `TEXT_SHOWN` is how many bytes of a closed text are sent unasked.
pub const TEXT_SHOWN: usize = 32 * 1024;
/// `LIST_SHOWN` is how many chats the page's list has; more are asked for.
pub const LIST_SHOWN: usize = 200;

// Instances of plugins.

/// `PLUGIN_MEMORY` is the memory, in bytes, of a plugin whose manifest asks for no more and whose `limits.memory` says
/// nothing.
pub const PLUGIN_MEMORY: u64 = 64 << 20;
/// `PLUGIN_STREAMS` is how many calls and streams may wait in the host for one plugin, by default (`limits.streams`).
pub const PLUGIN_STREAMS: u32 = 64;
/// `PLUGIN_STREAMS_MOST` is the most that `limits.streams` may say.
pub const PLUGIN_STREAMS_MOST: u32 = 10_000;
/// `PLUGIN_PROCESSES` is how many processes a plugin may run at once, by default (`limits.processes`).
pub const PLUGIN_PROCESSES: u32 = 8;
/// `PLUGIN_PROCESSES_MOST` is the most that `limits.processes` may say.
pub const PLUGIN_PROCESSES_MOST: u32 = 1_000;
/// `PLUGIN_CPU_SHARE` is the CPU of a plugin over [`CPU_WINDOW`] in percent of one core, by default
/// (`limits.cpu_share`).
pub const PLUGIN_CPU_SHARE: u32 = 50;
/// `AUTH_CPU_SHARE` is the same for a login plugin, which has [`AUTH_THREADS`] of its own.
pub const AUTH_CPU_SHARE: u32 = 200;
/// `PLUGIN_CPU_SHARE_MOST` is the most that `limits.cpu_share` may say.
pub const PLUGIN_CPU_SHARE_MOST: u32 = 400;
/// `PLUGIN_LOG_LINES` is how many lines a second a plugin may log, by default (`limits.log_lines`).
pub const PLUGIN_LOG_LINES: u32 = 100;
/// `PLUGIN_LOG_LINES_MOST` is the most that `limits.log_lines` may say.
pub const PLUGIN_LOG_LINES_MOST: u32 = 100_000;
/// `PLUGIN_LINE_BYTES` bounds a message that a plugin logs, and a line that it writes to a standard stream.
pub const PLUGIN_LINE_BYTES: usize = 8 << 10;
/// `PLUGIN_MESSAGE_LINES` bounds the lines of a message that a plugin logs: those of the longest fix, and some more.
pub const PLUGIN_MESSAGE_LINES: usize = 40;
/// `PLUGIN_LAST_LINES` is how many lines of standard error are kept for the cause of a trap.
pub const PLUGIN_LAST_LINES: usize = 6;
/// `TRACE_FRAMES` is how many functions of a plugin the cause of a trap names.
pub const TRACE_FRAMES: usize = 6;
/// `TRACE_NAME_BYTES` bounds the name of each of them.
pub const TRACE_NAME_BYTES: usize = 160;
/// `PLUGIN_INSTANCES` is how many core instances one store may have.
pub const PLUGIN_INSTANCES: usize = 128;
/// `PLUGIN_TABLES` is how many tables one store may have.
pub const PLUGIN_TABLES: usize = 64;
/// `PLUGIN_MEMORIES` is how many memories one store may have.
pub const PLUGIN_MEMORIES: usize = 32;
/// `PLUGIN_TABLE_ELEMENTS` bounds the elements over all tables of a store; each takes a pointer or two of the host.
pub const PLUGIN_TABLE_ELEMENTS: usize = 1 << 20;
/// `PLUGIN_HANDED_OVER` bounds the bytes that a guest may hand over in one go, where its memory is larger.
pub const PLUGIN_HANDED_OVER: usize = 64 << 20;
/// `CALL_QUEUE` is how many calls may wait for an instance to take them.
pub const CALL_QUEUE: usize = 64;
/// `CALLS` is how many calls may run in one instance at once.
pub const CALLS: usize = 256;
/// `CALLS_HANGING` is the number of calls without an answer after which an instance is restarted: well below [`CALLS`].
pub const CALLS_HANGING: isize = 16;
/// `AUTH_THREADS` is how many threads the login plugin has.
pub const AUTH_THREADS: usize = 2;
/// `AUTH_INSTANCES` is how many instances of the login plugin there may be: each may hold the memory of one password
/// hash.
pub const AUTH_INSTANCES: usize = 4;
/// `STREAM_PLACES` is how many places there are for what a plugin's stream has brought and the host has not taken. What is written
/// at once takes one of them if all its items are small, and [`STREAM_LARGE`] otherwise.
pub const STREAM_PLACES: usize = 32;
/// `STREAM_LARGE` is how many places items take that are not small: they may be as large as all that a plugin may hand over.
pub const STREAM_LARGE: usize = 8;
/// `STREAM_SMALL` is how many bytes of text a small item has at most.
pub const STREAM_SMALL: usize = 1024;
/// `STREAM_BATCH` is how many items of one write are taken at once.
pub const STREAM_BATCH: usize = 32;
/// `LINES_BATCH` is how many lines are handed to a plugin in one go.
pub const LINES_BATCH: usize = 64;
/// `TUNNEL_EVENTS` is how many events of a tunnel may wait for the service before the plugin is held back.
pub const TUNNEL_EVENTS: usize = 64;
/// `CHAT_EVENTS` is how many events of a chat may wait for the service before the plugin is held back.
pub const CHAT_EVENTS: usize = 256;
/// `CHAT_EVENT_LARGE` is the size, in bytes of text, of an event of a chat that takes all places at once.
pub const CHAT_EVENT_LARGE: usize = 64 << 10;

// What a plugin says.

/// `ID_BYTES` bounds an id: of a session, a message, a part, a permission request; of a subject.
pub const ID_BYTES: usize = 512;
/// `TITLE_BYTES` bounds a title or a name.
pub const TITLE_BYTES: usize = 512;
/// `URL_BYTES` bounds an address; one that was truncated is none, for the mark is in it.
pub const URL_BYTES: usize = 2 << 10;
/// `SENTENCE_BYTES` bounds a sentence for the operator, with the lines to paste.
pub const SENTENCE_BYTES: usize = 8 << 10;
/// `PART_BYTES` bounds what an agent or a model writes in one part.
pub const PART_BYTES: usize = 4 << 20;
/// `LIST_ENTRIES` bounds a list that people read.
pub const LIST_ENTRIES: usize = 64;
/// `OPEN_SESSIONS` is how many sessions may run, and how many permission requests may wait, when a connection opens.
pub const OPEN_SESSIONS: usize = 1_000;
/// `LOGIN_STATE_BYTES` bounds a login's state: it travels to the browser and back, encrypted.
pub const LOGIN_STATE_BYTES: usize = 16 << 10;
/// `REDIRECT_STATE_BYTES` bounds the state of a login that goes on at another site: it travels in an address.
pub const REDIRECT_STATE_BYTES: usize = 1 << 10;
/// `WEBAUTHN_OPTIONS` bounds what a browser is told to ask an authenticator, in bytes.
pub const WEBAUTHN_OPTIONS: usize = 64 << 10;
/// `LOGIN_METHODS` is how many ways to log in a plugin may have.
pub const LOGIN_METHODS: usize = 16;
/// `METHOD_HEADERS` is how many headers of a request one way to log in may ask for.
pub const METHOD_HEADERS: usize = 16;

/// `REQUEST_DETAIL` bounds the detail of a request (a command, a list of files), in bytes. What is beyond is counted in
/// the last line of what is shown.
pub const REQUEST_DETAIL: usize = 64 * 1024;
/// `REQUEST_CHANGE` bounds the change that an edit would make, in the same way.
pub const REQUEST_CHANGE: usize = 256 * 1024;
/// `REQUEST_DETAILS` is how many details one request may have (the folder of a command, a file of a patch). What is
/// beyond is counted, and the page does not let the request be allowed.
pub const REQUEST_DETAILS: usize = 256;
/// `REQUEST_DETAILS_BYTES` bounds the texts of all these details, as [`REQUEST_DETAIL`] does.
pub const REQUEST_DETAILS_BYTES: usize = 256 * 1024;
/// `REQUEST_PATHS` is how many paths of one request are followed to where they really lead.
pub const REQUEST_PATHS: usize = 256;
/// `TUNNEL_ADDRESSES` is how many addresses a tunnel may have.
pub const TUNNEL_ADDRESSES: usize = 16;
/// `FILE_CHANGES` is how many files a tool call or a request may change.
pub const FILE_CHANGES: usize = 256;
/// `SESSION_CHANGES` is how many changed files a session may report.
pub const SESSION_CHANGES: usize = 256;
/// `CHANGED_PATH_BYTES` bounds the path of such a file, and of one that a tool call has changed.
pub const CHANGED_PATH_BYTES: usize = 1024;
/// `TODO_ITEMS` is how many items the agent's list of what is to be done may have.
pub const TODO_ITEMS: usize = 256;
/// `EXT_VALUES` is how many values of its own a plugin may give one record. What is beyond is left out and logged, as is what
/// is longer than [`EXT_NAME_BYTES`] or [`EXT_VALUE_BYTES`].
pub const EXT_VALUES: usize = 16;
/// `EXT_NAME_BYTES` bounds the name of such a value, in bytes.
pub const EXT_NAME_BYTES: usize = 64;
/// `MODELS` bounds a backend's list of models.
pub const MODELS: usize = 2_000;
/// `MODEL_CHOICES` bounds the variants of a model, and the media types that it reads.
pub const MODEL_CHOICES: usize = 32;
/// `AGENTS` bounds a backend's list of agents.
pub const AGENTS: usize = 256;
/// `COMMANDS` bounds a backend's list of commands.
pub const COMMANDS: usize = 1_000;
/// `WORKSPACES` bounds the project folders of a chat, in the configuration and in a backend's list.
pub const WORKSPACES: usize = 256;
/// `PROVIDERS` bounds a backend's list of providers of models.
pub const PROVIDERS: usize = 500;
/// `SEARCHED_FILES` bounds what a search for files gives.
pub const SEARCHED_FILES: usize = 500;
/// `FOLDER_ENTRIES` bounds the list of a folder.
pub const FOLDER_ENTRIES: usize = 10_000;
/// `FOUND_LINES` bounds what a search in files gives.
pub const FOUND_LINES: usize = 1_000;
/// `FILE_BYTES` bounds a file that a backend gives, of a project folder or of a message.
pub const FILE_BYTES: usize = 8 << 20;
/// `PROMPT_ATTACHMENTS` is how many files a prompt has at most, and how many it points at.
pub const PROMPT_ATTACHMENTS: usize = 16;
/// `PROMPT_ATTACHMENTS_BYTES` bounds the files of one prompt together.
pub const PROMPT_ATTACHMENTS_BYTES: usize = 8 << 20;
/// `FOLDER_PATH_BYTES` bounds a path or a text that is searched for, in bytes, as a client sends it.
pub const FOLDER_PATH_BYTES: usize = 4 << 10;
/// `UPLOAD_READ` is the time for reading the body of an upload: 8 MiB of a slow phone.
pub const UPLOAD_READ: Duration = secs(300);
/// `UPLOADS` is how many uploads are read at once.
pub const UPLOADS: usize = 8;
/// `ATTACHMENTS_BYTES` bounds all files that users have added to prompts: the oldest go first.
pub const ATTACHMENTS_BYTES: u64 = 512 << 20;
/// `SIGN_IN_FIELDS` bounds the fields of a sign-in, and its methods.
pub const SIGN_IN_FIELDS: usize = 16;
/// `EXT_VALUE_BYTES` bounds such a value as text, in bytes.
pub const EXT_VALUE_BYTES: usize = 16 * 1024;
/// `EXT_DEPTH` is how many lists and objects may lie in each other in such a value: what is around it is read with it, by parsers
/// that go no deeper than 128.
pub const EXT_DEPTH: usize = 64;
/// `EXT_BYTES` bounds all values of one record, by what they cost to hold.
pub const EXT_BYTES: usize = 64 * 1024;
/// `SESSION_EXT_BYTES` bounds those of a session's description, which is in every list of sessions.
pub const SESSION_EXT_BYTES: usize = 4 * 1024;
/// `SESSION_NOTES` is how many values of its own a plugin may note of one session.
pub const SESSION_NOTES: usize = 64;
/// `SESSION_NOTES_BYTES` bounds all of them together, as text.
pub const SESSION_NOTES_BYTES: usize = 64 * 1024;
/// `REQUEST_QUESTIONS` is how many questions one request may have.
pub const REQUEST_QUESTIONS: usize = 16;
/// `REQUEST_CHOICES` is how many choices one question may have.
pub const REQUEST_CHOICES: usize = 64;
/// `ANSWER_BYTES` bounds one answer's own words, and the words to a rejection, in bytes.
pub const ANSWER_BYTES: usize = 64 * 1024;

// Capabilities.

/// `TRANSCRIPT_UTTERANCES` is how many messages of a session its backend reads at once.
pub const TRANSCRIPT_UTTERANCES: u32 = 1_000;
/// `TRANSCRIPT_BYTES` bounds their texts together.
pub const TRANSCRIPT_BYTES: usize = 4 << 20;
/// `TRANSCRIPT_READS` is how many bytes of transcripts a chat plugin may read within [`TRANSCRIPT_WINDOW`].
pub const TRANSCRIPT_READS: u64 = 64 << 20;
/// `TRANSCRIPT_COST` is what each reading counts on top, in bytes: the session has to be found and may have to be loaded.
pub const TRANSCRIPT_COST: usize = 256 << 10;
/// `TRANSCRIPT_WINDOW` is the span over which that is counted.
pub const TRANSCRIPT_WINDOW: Duration = secs(60);
/// `STORE_KEY_BYTES` bounds a key of a plugin's store.
pub const STORE_KEY_BYTES: usize = 256;
/// `STORE_VALUE_BYTES` bounds a value of a plugin's store.
pub const STORE_VALUE_BYTES: usize = 1 << 20;
/// `STORE_KEYS_LISTED` is how many keys are listed in one call.
pub const STORE_KEYS_LISTED: u32 = 1_000;
/// `STORE_KEYS` is how many keys one plugin's store may have. All of them are counted for each write.
pub const STORE_KEYS: i64 = 10_000;
/// `STORE_WRITES` is how many bytes a plugin may write into its store within [`STORE_WRITES_WINDOW`]
/// (`limits.store_writes`).
pub const STORE_WRITES: u64 = 32 << 20;
/// `STORE_WRITE_COST` is what each write counts on top, in bytes: a page of the database and one of its index.
pub const STORE_WRITE_COST: usize = 8 << 10;
/// `GENERATED_SECRETS` is how many generated secrets one plugin may have: they live as long as the host.
pub const GENERATED_SECRETS: usize = 64;
/// `HTTP_HEADER_COUNT` is how many headers an HTTP request of a plugin may have.
pub const HTTP_HEADER_COUNT: usize = 64;
/// `HTTP_HEADER_BYTES` bounds all of these headers together, with the secrets in them.
pub const HTTP_HEADER_BYTES: usize = 64 << 10;
/// `HTTP_FIELDS_BYTES` bounds one set of headers that a plugin makes with `wasi:http`, as the host holds it.
pub const HTTP_FIELDS_BYTES: usize = 16 << 10;
/// `HTTP_WRITTEN_CHUNK` is how much of a request's body the host holds of one write with `wasi:http`, before it is sent.
pub const HTTP_WRITTEN_CHUNK: usize = 16 << 10;
/// `PUBLIC_CHECK_ANSWER_BYTES` bounds the answer to the host's own check of a public address, which should have 64
/// bytes.
pub const PUBLIC_CHECK_ANSWER_BYTES: usize = 1 << 10;

// Child processes.

/// `PROCESS_STARTS` is how many processes one plugin may start within [`PROCESS_STARTS_WINDOW`], those that are run to
/// their end among them.
pub const PROCESS_STARTS: u32 = 120;

// Files of the operator.

/// `CONFIG_BYTES` bounds the configuration's file.
pub const CONFIG_BYTES: u64 = 1 << 20;
/// `COMPONENT_BYTES` bounds a component's file.
pub const COMPONENT_BYTES: u64 = 256 << 20;
/// `SECRET_BYTES` bounds a secret's file.
pub const SECRET_BYTES: u64 = 64 << 10;
/// `LOG_SIZE` is the size in bytes at which a log file is rotated (`log.max_size`).
pub const LOG_SIZE: u64 = 10 << 20;
/// `LOG_FILES` is how many log files are kept: weeks of ordinary use (`log.max_files`).
pub const LOG_FILES: u32 = 5;
/// `LOG_SEARCHED` is how many bytes of the log are looked through for the lines of one plugin or tunnel.
pub const LOG_SEARCHED: u64 = 2 << 20;
/// `CODE_CACHE_FILES` is how many files the cache of compiled code may have. What this process has loaded stays.
pub const CODE_CACHE_FILES: usize = 64;
/// `CODE_CACHE_BYTES` bounds all of these files together.
pub const CODE_CACHE_BYTES: u64 = 512 << 20;
/// `BACKUP_MANIFEST_BYTES` bounds the manifest of a backup.
pub const BACKUP_MANIFEST_BYTES: u64 = 4 << 20;
/// `BACKUP_PATH_BYTES` bounds a path in a backup: no system takes more.
pub const BACKUP_PATH_BYTES: u64 = 4096;

// The database.

/// `SMALL_WRITE` is the size in bytes up to which the events of a chat are committed on the thread that has them.
pub const SMALL_WRITE: usize = 16 << 10;
/// `STORE_BATCH` is how many jobs one transaction takes, so that the first of them does not wait for ever.
pub const STORE_BATCH: usize = 256;
/// `STORE_READERS` is how many readers are kept open between uses.
pub const STORE_READERS: usize = 4;
/// `WAL_COMMITS` is the number of commits after which the write-ahead log is moved into the database.
pub const WAL_COMMITS: u32 = 500;
/// `WAL_KEPT` is the size in bytes at which the write-ahead log is moved into the database, and to which its file is
/// cut when all of it was.
pub const WAL_KEPT: u64 = 8 << 20;
/// `WAL_MOST` is the size in bytes of the write-ahead log at which writing waits until it was moved.
pub const WAL_MOST: u64 = 64 << 20;
/// `JOURNAL_PART_BYTES` is the size to which growing text can make one part of a chat.
pub const JOURNAL_PART_BYTES: usize = 8 << 20;
/// `JOURNAL_CACHE` is how many sessions are held in memory besides those in use.
pub const JOURNAL_CACHE: usize = 32;
/// `JOURNAL_BACKLOG` is how many events a reader may lag behind before it is fed from the database again.
pub const JOURNAL_BACKLOG: usize = 512;
/// `JOURNAL_CATCH_UP` is the number of missed events beyond which a reader gets the present state.
pub const JOURNAL_CATCH_UP: usize = 4096;
/// `ACTIVITY_SHOWN` is how many notes of what happened are shown.
pub const ACTIVITY_SHOWN: u32 = 100;
/// `ACTIVITY_KEPT` is how many notes are kept in the database.
pub const ACTIVITY_KEPT: i64 = 2_000;
/// `ACTIVITY_QUEUE` is how many notes may wait for the disk.
pub const ACTIVITY_QUEUE: usize = 1_000;
/// `ACTIVITY_CHARS` is how many characters a note may have.
pub const ACTIVITY_CHARS: usize = 500;
/// `ACTIVITY_NOTES` is how many notes about one thing are kept within [`ACTIVITY_WINDOW`].
pub const ACTIVITY_NOTES: u32 = 60;
/// `ACTIVITY_SUBJECTS` is how many things are told apart for that.
pub const ACTIVITY_SUBJECTS: usize = 256;

// The page, its API, and what is sent to the owner.

/// `MARKDOWN_BYTES` bounds a text that is rendered as Markdown.
pub const MARKDOWN_BYTES: usize = 256 << 10;
/// `OPEN_BLOCK` bounds a block of a text that still grows and is rendered block by block.
pub const OPEN_BLOCK: usize = 64 << 10;
/// `OPEN_TEXTS` is how many texts of a session may grow at once and be rendered block by block.
pub const OPEN_TEXTS: usize = 32;
/// `MARKDOWN_CACHE` bounds the HTML that is kept, in bytes.
pub const MARKDOWN_CACHE: usize = 8 << 20;
/// `MARKDOWN_DEPTH` bounds blocks within blocks: the sanitizer's time grows with the square of the depth.
pub const MARKDOWN_DEPTH: usize = 64;
/// `STATUS_ACTIVITY` is how many notes of everything the status page shows.
pub const STATUS_ACTIVITY: usize = 30;
/// `STATUS_HISTORY` is how many notes of one tunnel the status page shows.
pub const STATUS_HISTORY: usize = 10;
/// `FORM_BYTES` bounds a form of the page.
pub const FORM_BYTES: usize = 64 << 10;
/// `HTTP_HEAD_BYTES` bounds the head of a request.
pub const HTTP_HEAD_BYTES: usize = 32 << 10;
/// `HTTP_HEAD_FIELDS` is how many fields the head of a request may have.
pub const HTTP_HEAD_FIELDS: usize = 64;
/// `LIVE_SOCKETS` is how many live sockets the whole host may have.
pub const LIVE_SOCKETS: usize = 256;
/// `PROMPT_BYTES` bounds one message of the user.
pub const PROMPT_BYTES: usize = 512 << 10;
/// `FRAME_BYTES` bounds one frame of a client: the longest message, each byte of it escaped, and what is around it.
pub const FRAME_BYTES: usize = 6 * PROMPT_BYTES + 65_536;
/// `API_BODY_BYTES` bounds the body of an API request: a prompt of half a mebibyte, escaped.
pub const API_BODY_BYTES: usize = 2 << 20;
/// `EVENT_TRACE_STAMPS` is how many stamps one trace of events keeps.
pub const EVENT_TRACE_STAMPS: usize = 64 * 1024;
/// `API_LOG_LINES` is how many lines of the log one answer of the API has.
pub const API_LOG_LINES: usize = 1_000;
/// `PUBLIC_CHECK_NONCE_BYTES` bounds the nonce in the host's check of its public address.
pub const PUBLIC_CHECK_NONCE_BYTES: usize = 256;
/// `METRICS_CONNECTIONS` is how many connections the metrics' listener takes at once.
pub const METRICS_CONNECTIONS: usize = 16;
/// `METRICS_HEADER_BYTES` bounds a request's header there.
pub const METRICS_HEADER_BYTES: usize = 16 << 10;
/// `NOTIFY_QUEUE` is how many messages to the owner may wait.
pub const NOTIFY_QUEUE: usize = 64;
/// `NOTIFY_MOST` is how many messages of all kinds are sent within [`NOTIFY_WINDOW`].
pub const NOTIFY_MOST: usize = 30;
/// `NOTIFY_MOST_OF_A_KIND` is how many messages of one kind are sent within [`NOTIFY_WINDOW`].
pub const NOTIFY_MOST_OF_A_KIND: usize = NOTIFY_MOST / 2;

// Logins, the audit and the listeners.

/// `LOG_WAITING_LINES` is how many lines may wait for a terminal or for the disk of the log; more are dropped and
/// counted.
pub const LOG_WAITING_LINES: usize = 1024;
/// `LOG_WAITING_BYTES` bounds these lines together.
pub const LOG_WAITING_BYTES: usize = 4 << 20;
/// `AUDIT_FILE_BYTES` is the size in bytes at which a file of the owner's audit is rotated.
pub const AUDIT_FILE_BYTES: u64 = 4 << 20;
/// `AUDIT_FILES` is how many files of the owner's audit are kept.
pub const AUDIT_FILES: u32 = 5;
/// `AUDIT_STRANGERS_BYTES` is the size in bytes at which a file of what strangers and programs of the agent did is
/// rotated.
pub const AUDIT_STRANGERS_BYTES: u64 = 1 << 20;
/// `AUDIT_STRANGERS_FILES` is how many of these files are kept.
pub const AUDIT_STRANGERS_FILES: u32 = 4;
/// `AUDIT_KEYS` is how many lines of strangers may be different in [`AUDIT_FOLD`] at one place; the others are only
/// counted.
pub const AUDIT_KEYS: usize = 32;
/// `AUDIT_WAITING` is how many lines may wait for the disk: more than strangers can cause in a minute at dozens of
/// places.
pub const AUDIT_WAITING: usize = 4096;
/// `AUDIT_REFUSALS` is how many refusals commands write within [`AUDIT_FOLD`], each of them a process that knows
/// nothing of the others.
pub const AUDIT_REFUSALS: usize = 5;
/// `AUDIT_SEARCHED` is the number of lines among which these are looked for.
pub const AUDIT_SEARCHED: usize = 1_000;
/// `AUDIT_VALUE` is how many characters one value in the audit may have.
pub const AUDIT_VALUE: usize = 1_000;
/// `HASH_AT_ONCE` is how many passwords are checked at once.
pub const HASH_AT_ONCE: usize = 2;
/// `HASH_KNOWN` is how many of these checks are kept for known devices.
pub const HASH_KNOWN: usize = 1;
/// `HASH_WAITING` is how many checks may wait at one place.
pub const HASH_WAITING: usize = 16;
/// `LOGIN_STEPS` is how many steps one login may have.
pub const LOGIN_STEPS: u32 = 16;
/// `CALLBACK_PARAMETERS` is how many query parameters come back from another site.
pub const CALLBACK_PARAMETERS: usize = 32;
/// `CALLBACK_VALUE` bounds the name and the value of each of them, in bytes.
pub const CALLBACK_VALUE: usize = 4 << 10;
/// `WEBAUTHN_ANSWER` bounds what an authenticator answers, in bytes.
pub const WEBAUTHN_ANSWER: usize = 16 << 10;
/// `AMBIENT_BYTES` bounds the headers of one request that a login plugin is given, together.
pub const AMBIENT_BYTES: usize = 16 << 10;
/// `BEARER_BYTES` bounds the token of a program.
pub const BEARER_BYTES: usize = 8 << 10;
/// `BEARERS_KNOWN` is how many tokens that were right are remembered, so that strangers' wrong ones do not lock them.
pub const BEARERS_KNOWN: usize = 64;
/// `ACCOUNT_LOGINS` is how many logins one account has at once.
pub const ACCOUNT_LOGINS: u32 = 64;
/// `ACCOUNT_DEVICES` is how many known devices one account has.
pub const ACCOUNT_DEVICES: u32 = 64;
/// `LOGIN_STEPS_USED` is how many login steps of one place are remembered as used; with more, the forms that are open
/// there begin again.
pub const LOGIN_STEPS_USED: usize = 16_384;
/// `OPEN_FILES` is how many files the process may have open, where the machine lets it.
pub const OPEN_FILES: usize = 8_192;
/// `FILES_KEPT` is how many of these no connection takes.
pub const FILES_KEPT: usize = 384;
/// `CONNECTIONS` is how many connections that are not live sockets one listener takes at once.
pub const CONNECTIONS: usize = 512;
/// `CONNECTIONS_OF_A_NETWORK` is the part of them (one in so many) that one network of peers may have.
pub const CONNECTIONS_OF_A_NETWORK: usize = 8;
/// `CONNECTIONS_OF_THIS_MACHINE` is the part of them (one in so many) that is kept for this machine where the listener
/// is open to a network.
pub const CONNECTIONS_OF_THIS_MACHINE: usize = 8;

// Manifests and components.

// Of a manifest: the whole, a sentence, a word, the entries of each list, the memory that it may ask for.
pub use nexus_plugin_api::manifest::{
    MANIFEST_BYTES, MANIFEST_ENTRIES, MANIFEST_MEMORY, MANIFEST_SENTENCE, MANIFEST_WORD,
};
/// `IMPORT_NAME` bounds the name of a component's import or export, in bytes.
pub const IMPORT_NAME: usize = 256;
/// `ADDRESS_HEADER` bounds the name of the header in which a tunnel finds a client's address, in bytes.
pub const ADDRESS_HEADER: usize = 64;
/// `GROWING_PARTS` is how many parts whose text grows by pieces are followed at once, to know what the last piece ended
/// with.
pub const GROWING_PARTS: usize = 64;

// What agents write.

/// `MARKDOWN_FORMULA` bounds one formula in a text, in bytes: a longer one is text.
pub const MARKDOWN_FORMULA: usize = 4 * 1024;
/// `MARKDOWN_ADDRESS` bounds one bare address in a text, in characters: a longer one is text.
pub const MARKDOWN_ADDRESS: usize = 2 * 1024;
/// `OUTPUT_BLANKS` is how many columns movements of the cursor may add to one output of a tool.
pub const OUTPUT_BLANKS: usize = 64 * 1024;
/// `OUTPUT_MOVE` is how many columns one movement goes at most.
pub const OUTPUT_MOVE: usize = 1000;

#[cfg(test)]
#[path = "limits_tested.rs"]
mod tested;
#[cfg(test)]
#[path = "limits_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
