pub(in crate::capabilities) mod generated;
mod host;
pub(in crate::capabilities) mod mask;
mod permission;
pub(in crate::capabilities) mod references;
pub(in crate::capabilities) mod state;

pub(crate) use generated::GeneratedSecrets;
pub(super) use host::capability;
pub(crate) use mask::Mask;
