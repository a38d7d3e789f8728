//! What the host writes down for its operator: the log in a file ([`logfile`]) and the audit ([`audit`]). Both are written by
//! a thread of their own behind a bounded queue, so that nobody waits for a disk.
//!
//! ```
//! # use nexus_config::resolved::LogFile;
//! use nexus_logging::logfile::{Filter, Writer, last};
//! use std::io::Write as _;
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("nexus.log");
//! let log = Writer::open(&LogFile { path: path.clone(), max_size: 1 << 20, max_files: 3 }, Box::new(|_| {})).unwrap();
//! writeln!(&log, "one line").unwrap();
//! let mut lines = Vec::new();
//! last(&path, Some(10), &Filter::default(), &mut |line| {
//!     lines.push(line.raw.clone());
//!     Ok(())
//! })?;
//! assert_eq!(lines, ["one line"]);
//! # Ok::<_, std::io::Error>(())
//! ```

#![warn(missing_docs)]

pub mod audit;
pub mod logfile;
