mod host;
mod permission;
pub(super) mod state;

pub(super) use host::capability;
