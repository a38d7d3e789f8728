//! `config`: the plugin's own keys, checked long before.

use crate::bindings::caps::config as wit;
use crate::capabilities::capability::Capability;
use crate::capabilities::context::{Capabilities, Granted};
use nexus_config::resolved::Workspaces;

pub(in crate::capabilities) fn capability<T: Send + 'static>() -> Capability<T> {
    Capability::new("config", |linker, caps| wit::add_to_linker::<T, Granted>(linker, caps))
}

impl wit::Host for Capabilities {
    fn get(&mut self) -> wasmtime::Result<String> {
        Ok(self.ctx.states.config.json.clone())
    }

    fn workspaces(&mut self) -> wasmtime::Result<Vec<String>> {
        let all = self.ctx.workspaces.iter().flat_map(Workspaces::all);
        Ok(all.map(|path| path.display().to_string()).collect())
    }
}
