mod host;
pub(in crate::capabilities) mod sink;

pub(super) use host::capability;
pub(crate) use sink::LogSink;
