mod environment;
mod find_binary;
mod host;
pub(in crate::capabilities) mod pending_starts;
mod permission;

pub use find_binary::find_binary;
pub(super) use host::capability;
