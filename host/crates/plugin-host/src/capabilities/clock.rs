//! `clock`: now, and waiting without using CPU.

use super::{Capabilities, Granted};
use nexus_plugin_api::host::caps::clock::{Host, HostWithStore};
use std::time::Duration;
use wasmtime::component::Accessor;

impl Host for Capabilities {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.ctx.ports.clock.now())
    }
}

impl<T: Send> HostWithStore<T> for Granted {
    async fn sleep(a: &Accessor<T, Self>, milliseconds: u64) -> wasmtime::Result<()> {
        let Some(_counted) = a.with(|mut s| s.get().admit_sleep()) else {
            let why = a.with(|mut s| s.get().too_many_asleep());
            return Err(wasmtime::format_err!("{why}"));
        };
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        Ok(())
    }
}
