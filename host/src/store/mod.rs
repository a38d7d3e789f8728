//! The SQLite database in the data directory, and the small stores on it.

pub mod port;
