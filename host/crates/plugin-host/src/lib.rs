//! Runs plugin components: each in a sandbox, under limits and a supervisor, with what its operator granted and nothing
//! else. It offers them to the rest of the host as the traits of `nexus-plugin-traits`.

pub mod capabilities;
pub mod runtime;
