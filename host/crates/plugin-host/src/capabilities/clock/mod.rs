mod host;
mod sleep;
mod wasi;

pub(super) use host::capability;
