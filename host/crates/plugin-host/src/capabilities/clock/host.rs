//! `clock`: now, how much time has passed, and waiting without using CPU.

use super::sleep::sleep;
use crate::bindings::caps::clock as wit;
use crate::capabilities::capability::Capability;
use crate::capabilities::context::{Capabilities, Granted};
use std::time::Duration;
use wasmtime::component::Accessor;

pub(in crate::capabilities) fn capability<T: Send + 'static>() -> Capability<T> {
    Capability::new("clock", |linker, caps| {
        wit::add_to_linker::<T, Granted>(linker, caps)?;
        super::wasi::link(linker, caps)
    })
}

impl wit::Host for Capabilities {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.ctx.clock.now())
    }

    fn elapsed(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl<T: Send> wit::HostWithStore<T> for Granted {
    async fn sleep(a: &Accessor<T, Self>, milliseconds: u64) -> wasmtime::Result<()> {
        sleep(a, Duration::from_millis(milliseconds)).await
    }
}
