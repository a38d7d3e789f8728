//! What the host writes down for its operator: the log in a file and the audit log. Both are written by a thread of their
//! own behind a bounded queue, so that nobody waits for a disk.

pub mod audit;
pub mod logfile;
