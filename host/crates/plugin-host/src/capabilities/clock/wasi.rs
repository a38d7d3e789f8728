//! The clocks of WASI 0.3, which are those of `nexus:plugin/clock` by other names: whoever sleeps there is counted here too.

use super::sleep::sleep;
use crate::capabilities::capability::Find;
use crate::capabilities::context::{Capabilities, Granted};
use std::time::Duration;
use wasmtime::component::{Accessor, Linker};
use wasmtime_wasi::p3::bindings::clocks::{monotonic_clock, system_clock, types};

/// `RESOLUTION` is what one tick of the clocks is said to be.
const RESOLUTION: Duration = Duration::from_millis(1);

pub(super) fn link<T: Send + 'static>(linker: &mut Linker<T>, caps: Find<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, Granted>(linker, caps)?;
    monotonic_clock::add_to_linker::<T, Granted>(linker, caps)?;
    system_clock::add_to_linker::<T, Granted>(linker, caps)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl types::Host for Capabilities {}

impl system_clock::Host for Capabilities {
    fn now(&mut self) -> wasmtime::Result<system_clock::Instant> {
        let now = Duration::from_millis(self.ctx.clock.now());
        Ok(system_clock::Instant {
            seconds: now.as_secs().try_into()?,
            nanoseconds: now.subsec_nanos(),
        })
    }

    fn get_resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(nanoseconds(RESOLUTION))
    }
}

impl monotonic_clock::Host for Capabilities {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(nanoseconds(self.created.elapsed()))
    }

    fn get_resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }
}

impl<T: Send> monotonic_clock::HostWithStore<T> for Granted {
    async fn wait_until(a: &Accessor<T, Self>, when: u64) -> wasmtime::Result<()> {
        let now = a.with(|mut s| nanoseconds(s.get().created.elapsed()));
        sleep(a, Duration::from_nanos(when.saturating_sub(now))).await
    }

    async fn wait_for(a: &Accessor<T, Self>, how_long: u64) -> wasmtime::Result<()> {
        sleep(a, Duration::from_nanos(how_long)).await
    }
}
