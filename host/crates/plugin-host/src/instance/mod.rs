//! A running instance: the task that drives it, the supervisor that starts it again, and a plugin that is loaded late.

mod actor;
mod initial_status;
mod late_loading;
mod refused_settings;
mod restart_budget;
mod supervisor;
mod template;

pub use initial_status::unloaded;
pub use late_loading::{Late, Load};

pub(crate) use actor::{Ended, Exports, Handle, refused};
pub(crate) use initial_status::identify;
pub(crate) use refused_settings::read as read_refused;
pub(crate) use restart_budget::pause;
pub(crate) use supervisor::Supervisor;
pub(crate) use template::InstanceTemplate;
