//! Files of a host among other programs of the same machine: what is read holds nobody up ([`bounded`]), and what is
//! written is for its owner alone ([`private`]).
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("settings");
//! std::fs::write(&path, "ten bytes!").unwrap();
//! assert_eq!(nexus_files::bounded::read(&path, 10).unwrap(), b"ten bytes!");
//! let refused = nexus_files::bounded::read(&path, 9).unwrap_err();
//! assert_eq!(refused, "it has more than 9 bytes");
//! ```

#![warn(missing_docs)]

pub mod bounded;
pub mod private;
