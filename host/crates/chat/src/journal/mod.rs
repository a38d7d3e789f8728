//! The host's own record of every session: numbered events, written before anybody sees them.
//!
//! # Problem
//! A backend loses what was streaming when it dies, and does not number what it says; a page loses its connection all the
//! time. So neither can say to the other what it missed, and "is this a gap?" would be a guess at each reconnection.
//!
//! # Mechanism
//! **Numbers.** Each session counts its events from 1, strictly upwards, never twice. An event that changes nothing (a part
//! whose revision is known already) gets no number. An event is written to the database first and sent to subscribers then;
//! a client resumes from its last number and sees each event exactly once. Its state is the fold of its events ([`session_state`]),
//! held in memory while the session is used, and folded again from the rows otherwise. If a write fails or is abandoned half
//! way, the held state is thrown away and read again: the database is right.
//!
//! **Compaction.** Once a part is closed, the deltas and intermediate states between its first event and the closing one are
//! deleted, because the closing one holds all of it; so it is with a part that was dropped. The first event stays, so that
//! folding what is left gives the same state with the parts in the same order. The same happens now and then to a part that
//! stays open and is told again as a whole: a disk would not hold that. A client that resumes from inside such a range gets
//! the present state, any other gets each event that it missed. Nobody sees a hole.
//!
//! **Revisions.** A backend counts the revisions of a part again in each connection. [`Journal::ingest`] lifts them above
//! what the session has, doubled, so that the host's own corrections ([`reconcile`]) lie between two of the backend.
//!
//! **Deletion.** A session that was deleted leaves its id and its last number behind. Nothing that a backend still says of
//! it, and nothing that was on its way, brings it back; only [`Journal::create`] does, and its numbers go on.
//!
//! # Limits
//! A session takes no more than [`nexus_model::limits::SESSION_BYTES`] and says so from there on, in place of what it does
//! not take; so it is with requests that wait. Where the whole database has reached [`JOURNAL_BYTES`], nothing is taken until
//! something is deleted, as where the disk is full. A power cut may take deltas that are not closed yet, and no more; the
//! death of the process takes nothing.
//!
//! # Cost
//! One row for each event, and one commit for all events that are there at the same time. In memory: the state of each session
//! in use, at most [`JOURNAL_CACHE_BYTES`] of those that nobody looks at, and one line for each session in the list.
//!
//! # Rejected
//! Only the present state of each session, written over: a reader could not resume, and each token would write the whole
//! message again. A log of events as a file for each session: deletion, compaction and the list would each need their own way
//! to survive a crash, which SQLite has. The backend's own history: it misses what was streaming, and is gone with the backend.
//!
//! [`JOURNAL_BYTES`]: nexus_model::limits::JOURNAL_BYTES
//! [`JOURNAL_CACHE_BYTES`]: nexus_model::limits::JOURNAL_CACHE_BYTES

mod entry;
mod handle;
mod reconcile;
mod session_from_rows;
mod session_list;
mod session_row;
mod session_state;
mod subscription;
mod tables;

#[cfg(test)]
mod tests;

pub use entry::{Appended, Entry, Seq};
pub use handle::Journal;
pub use session_list::Listed;
pub use session_state::{MessageState, SessionState};
pub(crate) use session_state::{message_bytes, part_bytes};
pub use subscription::{Ended, Item, Subscription};
