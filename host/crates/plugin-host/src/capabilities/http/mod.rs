mod host;
mod permission;

pub(super) use host::capability;
