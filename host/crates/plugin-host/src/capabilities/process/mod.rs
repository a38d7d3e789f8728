mod environment;
mod find_binary;
mod host;
mod permission;
pub(in crate::capabilities) mod starts;

pub use find_binary::find_binary;
pub(super) use host::capability;
