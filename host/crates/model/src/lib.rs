//! The words that all rooms share: plain data, no behaviour; and what all need to handle it: time, digests, private files.
//!
//! They are the host's own, apart from the WIT types, because they are written to disk (journal) and sent to
//! browsers and programs: they must be able to outlive a version of the plugin contract.

pub mod activity;
pub mod address;
pub mod allowance;
pub mod chat;
pub mod digest;
pub mod limits;
pub mod log;
pub mod notice;
pub mod plugin;
pub mod private;
pub mod reload;
pub mod time;
pub mod trouble;
pub mod tunnel;
