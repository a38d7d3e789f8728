//! Child processes that belong to the host: named, adopted by the plugin's next instance, and never left behind.

pub mod port;
