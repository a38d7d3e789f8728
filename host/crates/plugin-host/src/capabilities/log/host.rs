//! `log`: the plugin's words in the host's log.

use crate::bindings::caps::log as wit;
use crate::capabilities::capability::Capability;
use crate::capabilities::context::{Capabilities, Granted};
use nexus_model::plural;

pub(in crate::capabilities) fn capability<T: Send + 'static>() -> Capability<T> {
    Capability {
        limit: |gate| {
            let lines = plural::of(gate.limits().log_lines.into(), "line", "lines");
            Some(format!("{lines} in the log per second"))
        },
        ..Capability::new("log", |linker, caps| wit::add_to_linker::<T, Granted>(linker, caps))
    }
}

impl wit::Host for Capabilities {
    fn write(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.ctx.log.write(level, &message);
        Ok(())
    }
}
