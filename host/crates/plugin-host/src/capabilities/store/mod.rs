mod host;
mod permission;
pub(in crate::capabilities) mod state;

pub(super) use host::capability;
