//! What lies in the store of an instance.

use crate::capabilities::{Capabilities, Context};
use crate::runtime::clip;
use crate::runtime::guest_limits::{self, CpuMeter, Limiter};
use crate::runtime::stdio::LogStream;
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, Trap};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

pub(crate) struct State {
    pub(crate) caps: Capabilities,
    pub(crate) limiter: Limiter,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// A store with all limits in force, and the meter that must drive it.
pub(crate) fn store(engine: &Engine, context: &Arc<Context>) -> (Store<State>, CpuMeter) {
    let limits = context.gate.limits();
    // No arguments, no environment, no directory, no network: only where its words go.
    let wasi = WasiCtx::builder()
        .stdout(LogStream::new(Arc::clone(&context.log), false))
        .stderr(LogStream::new(Arc::clone(&context.log), true))
        .allow_tcp(false)
        .allow_udp(false)
        .build();
    let state = State {
        caps: Capabilities::new(Arc::clone(context)),
        limiter: Limiter::new(limits, Arc::clone(&context.counters)),
        wasi,
        table: ResourceTable::new(),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|s| &mut s.limiter);
    store.set_max_component_handles(guest_limits::handles(limits));
    store.set_hostcall_fuel(guest_limits::handed_over(limits));
    let meter = CpuMeter::default();
    meter.install(&mut store, limits);
    (store, meter)
}

/// Why a store came to its end, in one line for the operator.
pub(crate) fn cause(error: &wasmtime::Error, refused: Option<&str>, context: &Context) -> String {
    let mut text = if let Some(trap) = error.downcast_ref::<Trap>() {
        match trap {
            // The guest's own abort: what it said before is the cause.
            Trap::UnreachableCodeReached => "trap: it gave up".to_owned(),
            trap => format!("trap: {}", trap.to_string().trim_start_matches("wasm trap: ")),
        }
    } else if let Some(exit) = error.downcast_ref::<I32Exit>() {
        format!("it ended itself with exit code {}", exit.0)
    } else {
        limit_of(&error.root_cause().to_string(), context)
    };
    if let Some(refused) = refused {
        text = format!("{text} ({refused})");
    }
    if let Some(words) = context.log.take_last_words() {
        text = format!("{text}; its last words: {words}");
    }
    clip::sentence(text)
}

/// The engine's words for limits that it watches itself, in words for the operator. Its errors have no types for them.
fn limit_of(words: &str, context: &Context) -> String {
    let limits = context.gate.limits();
    if words.contains("handle limit exceeded") {
        let fix = context
            .gate
            .too_many_own(
                "holds too many streams, futures and calls",
                guest_limits::handles(limits),
            )
            .0;
        return format!("trap: {fix}");
    }
    if words.contains("fuel allocated for hostcalls") {
        let most = guest_limits::handed_over(limits);
        return format!("trap: it handed over more than {most} bytes at once, its limit");
    }
    format!("trap: {words}")
}
