//! The plugin runtime: loads components, checks them, runs each under a supervisor, and offers them to the services
//! as the traits in [`port`].

pub mod port;
