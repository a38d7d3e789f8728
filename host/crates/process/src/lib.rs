//! Child processes that belong to their host: they have names, a new caller can adopt them, and none outlives the host.
//!
//! # What it is for
//!
//! A program that runs other programs for somebody else (Nexus runs `opencode serve`, `cloudflared` and `ssh` for its
//! plugins) has to promise three things that [`std::process::Command`] does not:
//!
//! * **Nothing is left behind**: not when the host is killed with SIGKILL, and not by a child whose own children start
//!   sessions of their own (`setsid`), as the tools of an agent do.
//! * **A process has a name.** [`Processes::ensure`] starts it, or answers with the one that runs under that name with an
//!   equal [`Spec`]. So a process outlives the crash of the plugin that asked for it.
//! * **What it costs has an end**: ports, files, arguments, lines, bytes and times are bounded, see [`limits`].
//!
//! # Who ends what, from the inside out
//!
//! | what ends | who ends the rest |
//! | --- | --- |
//! | the child | its shim, of which all its descendants are children or become ones (subreaper) |
//! | the host | every shim: its socket to the host closes |
//! | the shim | PDEATHSIG ends the child; the host, a subreaper too, adopts and ends the rest |
//! | host and shim at once | PDEATHSIG, and the reaper, one for each host: it kills what carries the host's instance id |
//!
//! The shim and the reaper are the program itself, started again with `__shim` as its first argument; so [`dispatch`] is the
//! first call of `main`. `nexus-shim` of this crate is a shim and nothing else, for a host that prefers a program of its own.
//!
//! # At work
//!
//! ```no_run
//! # #[cfg(target_os = "linux")]
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), nexus_process::ProcessError> {
//!     let table = nexus_process::open(nexus_process::TableOptions {
//!         data_dir: "/var/lib/example".into(),
//!         instance_id: "an id that no other host has".into(),
//!         shim_exe: "/usr/libexec/nexus-shim".into(),
//!         hidden_env: vec!["API_KEY".into()],
//!     })?;
//!     let key = nexus_process::Key { plugin: "example".into(), name: "sleeper".into() };
//!     let spec = nexus_process::Spec::new("/bin/sleep", ["1000"]);
//!     let running = table.ensure(key.clone(), spec, std::sync::Arc::new(nexus_process::NoReferences)).await?;
//!     println!("process {} is running", running.pid);
//!     table.stop(key).await?; // with all its descendants
//!     Ok(())
//! }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
//!
//! # Limits
//!
//! Children need Linux 5.3 or newer (pidfds, subreapers, `/proc`); elsewhere [`open`] answers with [`Refusing`]. Rejected:
//! process groups, which one `setsid` of a tool leaves; PID namespaces and cgroups, which need privileges or delegation.

#![warn(missing_docs)]

pub mod ancestry;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod child_task;
pub mod connection_owner;
#[cfg(target_os = "linux")]
mod environment;
mod error;
mod host_variables;
pub mod limits;
mod no_processes;
mod open_table;
mod options;
#[cfg(target_os = "linux")]
mod orphans;
#[cfg(target_os = "linux")]
mod output_log;
#[cfg(target_os = "linux")]
mod output_streams;
#[cfg(target_os = "linux")]
mod process_tree;
mod processes;
#[cfg(target_os = "linux")]
mod reaper;
pub mod references;
#[cfg(target_os = "linux")]
mod reserved_ports;
#[cfg(target_os = "linux")]
mod shim;
mod shim_arguments;
#[cfg(target_os = "linux")]
mod shim_protocol;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
mod spec_check;
#[cfg(target_os = "linux")]
mod start;
#[cfg(target_os = "linux")]
mod stop;
mod subprocess_modes;
#[cfg(target_os = "linux")]
mod table;
mod this_process;
mod time;
mod types;
#[cfg(target_os = "linux")]
mod unless_present;
#[cfg(target_os = "linux")]
mod usage;

pub use error::ProcessError;
pub use host_variables::is_our_own;
pub use no_processes::Refusing;
pub use open_table::open;
pub use options::TableOptions;
pub use processes::Processes;
pub use references::{NoReferences, References};
pub use shim_arguments::INSTANCE_VARIABLE;
pub use subprocess_modes::dispatch;
pub use this_process::{become_subreaper, hide_from_other_programs, own};
pub use time::Millis;
pub use types::{
    EnvironmentBase, Exit, Info, Key, Line, OutputMode, OwnUsage, RunOutput, Running, Signal, Spec, StopStep,
    UnlessPresent, Usage,
};
