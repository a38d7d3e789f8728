mod environment;
mod find_binary;
mod host;
mod permission;
pub(in crate::capabilities) mod state;

pub use find_binary::find_binary;
pub(super) use host::capability;
