//! A running instance: who drives it, and the supervisor that starts it again.

mod actor;
mod exports;
mod initial_status;
mod job_queue;
mod refused_settings;
mod restart_budget;
mod supervisor;
mod template;
mod turns;

pub(crate) use actor::{Ended, Handle, refused};
pub(crate) use exports::Exports;
pub(crate) use initial_status::identify;
pub(crate) use refused_settings::read as read_refused;
pub(crate) use restart_budget::pause;
pub(crate) use supervisor::Supervisor;
pub(crate) use template::InstanceTemplate;
