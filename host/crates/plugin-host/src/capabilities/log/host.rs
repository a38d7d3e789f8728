//! `log`: the plugin's words in the host's log.

use crate::bindings::caps::log as wit;
use crate::capabilities::capability::Capability;
use crate::capabilities::context::{Capabilities, Granted};

pub(in crate::capabilities) fn capability<T: Send + 'static>() -> Capability<T> {
    Capability {
        interface: "log",
        link: |linker, caps| wit::add_to_linker::<T, Granted>(linker, caps),
    }
}

impl wit::Host for Capabilities {
    fn write(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.ctx.log.write(level, &message);
        Ok(())
    }
}
