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
/// A name that a provider made is given out and asked for only after this long, or once it was reached: resolvers keep
/// "there is no such name" for half an hour, for everybody behind them.
pub const NAME_SETTLES: Duration = secs(15);
/// While its name is not found, an open tunnel is checked again after [`NAME_SETTLES`], doubling up to this.
pub const PROBE_UNRESOLVED: Duration = secs(300);
/// Failed public checks of an open tunnel in a row until the log says so.
pub const OUTAGE_CHECKS: u32 = 2;
/// Failed public checks in a row that prove a connection dead (somebody answered there, and this host's own listener
/// works), and how long they must last until its provider is restarted: where the restart keeps the address, where it
/// costs it, and where the provider says itself that it reconnects.
pub const DEAD_CHECKS: u32 = 4;
pub const DEAD: Duration = secs(30);
pub const DEAD_EPHEMERAL: Duration = secs(120);
pub const DEAD_RECONNECTING: Duration = secs(300);
/// Between two such restarts; doubles up to [`REPAIR_MOST`], and begins anew after [`REPAIR_WELL`] without a failed check.
pub const REPAIR_FIRST: Duration = secs(60);
pub const REPAIR_MOST: Duration = secs(3600);
pub const REPAIR_WELL: Duration = secs(600);
/// An order to open a tunnel is answered when the provider gives the same reason for this long why no request gets through.
pub const ORDER_STUCK: Duration = secs(15);
/// An outage of a tunnel that lasts this long is told to an owner who is away.
pub const NOTIFY_OUTAGE: Duration = secs(30);
/// For the clients of a tunnel that was replaced, to go over to the new one.
pub const TUNNEL_DRAIN: Duration = secs(15);

/// For the clients of a tunnel that has to close before another plugin can open it, to hear of that.
pub const TUNNEL_LEAVE: Duration = secs(1);

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
/// A client that does not take its frames for this long is dropped; it resumes by number.
pub const SOCKET_SEND: Duration = secs(15);
/// Reading one request's header and body.
pub const HTTP_READ: Duration = secs(30);

// ---- Amounts: what a plugin, a child, a peer or a file can make the host hold, write or show. Each has a hostile test.
