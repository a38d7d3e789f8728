//! The data that all crates of the host share: plain, without input or output; time, and a trace of where it goes; and the limits of
//! the host.
//!
//! These types are the host's own, apart from the WIT's, because they are written to disk (the journal) and sent to browsers
//! and programs: they must be able to outlive a version of the plugin contract.
//!
//! ```
//! use nexus_model::{address::is_global, tunnel::public_address};
//!
//! let shown = public_address("HTTPS://Chat.Example.ORG:443/").unwrap();
//! assert_eq!(shown, "https://chat.example.org");
//! assert!(!is_global("169.254.169.254".parse().unwrap()), "a cloud's metadata service");
//! ```

#![warn(missing_docs)]

pub mod activity;
pub mod address;
pub mod backoff;
pub mod chat;
pub mod digest;
pub mod event_trace;
pub mod limits;
pub mod log;
pub mod notice;
pub mod plugin;
pub mod plural;
pub mod random;
pub mod reload;
pub mod time;
pub mod token_bucket;
pub mod trouble;
pub mod tunnel;
pub mod units;
