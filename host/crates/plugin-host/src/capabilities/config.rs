//! `config`: the plugin's own keys, checked long before.

use super::Capabilities;
use nexus_plugin_api::host::caps::config::Host;

impl Host for Capabilities {
    fn get(&mut self) -> wasmtime::Result<String> {
        Ok(self.ctx.config.clone())
    }
}
