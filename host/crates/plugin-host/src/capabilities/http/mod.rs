mod host;
mod permission;
mod send;
pub(in crate::capabilities) mod state;
mod wasi;

pub(super) use host::capability;
pub(crate) use wasi::WasiRequests;
