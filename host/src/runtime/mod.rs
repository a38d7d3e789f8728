//! The plugin runtime: loads components, checks them, runs each under a supervisor, and offers them to the services
//! as the traits in [`port`].

pub mod port;

mod actor;
mod budget;
mod cache;
pub mod component;
mod engine;
#[cfg(test)]
mod fixtures;
mod limits;
mod linker;
mod pipe;
mod state;
mod stdio;
mod supervisor;
