//! Configuration in three stages: what was written (`authored`), what it means with every default filled in
//! (`prepared`), and what this machine makes of it (`resolved`: paths, secrets, plugins found). Only [`resolved`] is
//! passed inward.

pub mod resolved;
