//! Who did what: the audit, in files of its own beside the log.
//!
//! Problem: a stranger who posts to the login page writes hundreds of lines a second. In the log they would push out what
//! the owner did, and each other.
//!
//! Mechanism: every event of the target [`TARGET`] is taken here and by no other part of the log. What only somebody who
//! is known can cause goes to `logs/audit.log` of the data folder, one line each; what a stranger (or the agent) can
//! cause goes to `logs/audit-strangers.log`, folded ([`network`] tells who is the same). Each has its own size, so that no stranger pushes out a
//! line of the owner's, and a flood at one place hides nothing at another. Lines are JSON like the log's; `nexus logs
//! --audit` shows both in the order of their times. Commands beside the host append to the same files ([`AuditFile`]).
//!
//! Limits: whoever is this user can remove the files. What the host has in its queue is lost by `kill -9`. A tunnel's peer
//! is what the tunnel's program says, which is marked: any process of the machine can open that listener and say another.

mod file;
mod fold_repeats;
mod layer;
mod paths;

pub use file::AuditFile;
pub use fold_repeats::network;
pub use layer::Audit;
pub use layer::time;
pub use paths::{TARGET, paths};
