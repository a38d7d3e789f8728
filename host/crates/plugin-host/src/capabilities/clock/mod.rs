mod host;
mod wasi;

pub(super) use host::capability;
