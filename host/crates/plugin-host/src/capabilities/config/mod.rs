mod host;

pub(super) use host::capability;
