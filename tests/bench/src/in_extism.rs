//! Extism with a plugin that does the same, as its documentation says: synchronous calls, text in and out, and a function of
//! the host for what a plugin says unasked (it has no streams). The host reads the bytes of an event and does not decode
//! them, which a real one would have to.

use crate::guests::{EVENTS, VERSION};
use anyhow::ensure;
use extism::{CompiledPlugin, CurrentPlugin, Function, Plugin, PluginBuilder, UserData, Val, ValType};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

static SEEN: AtomicUsize = AtomicUsize::new(0);

fn event(plugin: &mut CurrentPlugin, inputs: &[Val], _: &mut [Val], _: UserData<()>) -> Result<(), extism::Error> {
    let bytes: Vec<u8> = plugin.memory_get_val(&inputs[0])?;
    std::hint::black_box(bytes);
    SEEN.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// `cache`: a configuration file of wasmtime's cache; none: it is compiled anew.
pub fn load(bytes: &[u8], cache: Option<&Path>) -> anyhow::Result<CompiledPlugin> {
    let builder = PluginBuilder::new(bytes).with_functions([Function::new(
        "event",
        [ValType::I64],
        [],
        UserData::new(()),
        event,
    )]);
    let builder = match cache {
        Some(file) => builder.with_cache_config(file),
        None => builder.with_cache_disabled(),
    };
    builder.compile()
}

pub struct Running(Plugin);

impl Running {
    pub fn new(compiled: &CompiledPlugin) -> anyhow::Result<Self> {
        Ok(Self(Plugin::new_from_compiled(compiled)?))
    }

    pub fn calls(&mut self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            let answer: String = self.0.call("probe", ())?;
            ensure!(answer == VERSION, "{answer:?}");
        }
        Ok(())
    }

    pub fn events(&mut self) -> anyhow::Result<()> {
        SEEN.store(0, Ordering::Relaxed);
        self.0.call::<(), ()>("events", ())?;
        ensure!(SEEN.load(Ordering::Relaxed) == EVENTS, "events are missing");
        Ok(())
    }

    /// Falls and answers again: Extism makes the new instance within the next call.
    pub fn crash(&mut self) -> anyhow::Result<()> {
        ensure!(self.0.call::<(), ()>("fall", ()).is_err(), "it should have fallen");
        self.calls(1)
    }
}
