//! What lies in the store of an instance.

use super::cpu_meter::{CpuMeter, OF_CPU};
use super::guest_limits::{self, Limiter};
use super::guest_stdio::LogStream;
use super::wasmtime_engine::GuestEngine;
use crate::capabilities::{Capabilities, Context, WasiRequests};
use crate::truncate;
use nexus_model::limits;
use nexus_model::trouble::sentence;
use nexus_plugin_api::error_text::TO_FIX;
use nexus_plugin_api::text;
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, Trap, WasmBacktrace};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtxView;

pub(crate) struct InstanceState {
    pub(crate) caps: Capabilities,
    pub(crate) limiter: Limiter,
    wasi: WasiCtx,
    requests: WasiRequests,
    table: ResourceTable,
}

impl InstanceState {
    /// `http` is `wasi:http`, which sends as the capability does.
    pub(crate) fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.requests.view(&mut self.table)
    }
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// `store` is a store with all limits applied, and the meter that must drive it.
pub(crate) fn store(engine: &GuestEngine, context: &Arc<Context>) -> (Store<InstanceState>, CpuMeter) {
    let limits = context.gate.limits();
    // Only where its words go: behind the environment, files and the network is nothing of wasmtime's (`denied_wasi`).
    let wasi = WasiCtx::builder()
        .stdout(LogStream::new(Arc::clone(&context.log), false))
        .stderr(LogStream::new(Arc::clone(&context.log), true))
        .build();
    let caps = Capabilities::new(Arc::clone(context));
    let mut table = ResourceTable::new();
    table.set_max_capacity(guest_limits::resources(limits));
    let state = InstanceState {
        requests: WasiRequests::new(&caps, guest_limits::handed_over(limits)),
        caps,
        limiter: Limiter::new(limits, Arc::clone(&context.counters)),
        wasi,
        table,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|s| &mut s.limiter);
    store.set_max_component_handles(guest_limits::handles(limits));
    store.set_hostcall_fuel(guest_limits::handed_over(limits));
    let meter = CpuMeter::new(engine.clock.clone());
    meter.install(&mut store, limits);
    (store, meter)
}

/// `crash_cause` says why a store came to its end, in one line for the operator.
pub(crate) fn crash_cause(error: &wasmtime::Error, refused: Option<&str>, context: &Context) -> String {
    let mut text = if let Some(trap) = error.downcast_ref::<Trap>() {
        match trap {
            // The guest's own abort: what it said before is the cause.
            Trap::UnreachableCodeReached => "trap: it aborted".to_owned(),
            trap => format!("trap: {}", trap.to_string().trim_start_matches("wasm trap: ")),
        }
    } else if let Some(exit) = error.downcast_ref::<I32Exit>() {
        format!("it exited with code {}", exit.0)
    } else {
        limit_of(&error.root_cause().to_string(), context)
    };
    if let Some(refused) = refused {
        text = format!("{text} ({refused})");
    }
    if let Some(at) = trace(error) {
        text = format!("{text}, in {at}");
    }
    if let Some(words) = context.log.take_last_lines() {
        text = format!("{text}; its last log line: {words}");
    }
    let memory = refused.is_some_and(|refused| refused.contains(guest_limits::OF_MEMORY));
    let fix = if memory {
        context.gate.more_memory()
    } else if text.contains(OF_CPU) {
        context.gate.more_cpu()
    } else {
        return truncate::text(text, limits::SENTENCE_BYTES);
    };
    // Whatever the plugin said: the fix stands at the end.
    let room = limits::SENTENCE_BYTES.saturating_sub(fix.len() + TO_FIX.len() + ". ".len());
    sentence(&truncate::text(text, room), Some(&fix))
}

/// `trace` says where it was: the function of the contract that the host had called, and what of the plugin's own code
/// led to the trap, the innermost first. `None` where the component has no names.
fn trace(error: &wasmtime::Error) -> Option<String> {
    let frames = error.downcast_ref::<WasmBacktrace>()?.frames().iter();
    // The names of the source, without the hash that Rust puts behind them.
    let names = frames.filter_map(|frame| Some(format!("{:#}", rustc_demangle::demangle(frame.func_name()?))));
    let names: Vec<String> = names.collect();
    let contract = names.iter().find_map(|name| {
        let (_, called) = name.split_once("nexus:plugin/")?;
        let (interface, function) = called.split_once('#')?;
        let interface = interface.split_once('@').map_or(interface, |(name, _)| name);
        Some(format!("{interface}.{function}"))
    });
    let own = names.iter().filter(|name| {
        // What every panic goes through, and what the bindings are made of.
        let around = [
            "std::",
            "core::",
            "alloc::",
            "wit_bindgen::",
            "dlmalloc::",
            "__",
            "rust_",
            "abort",
            "_start",
            "cabi_",
        ];
        let plain = name.trim_start_matches('<');
        !around.iter().any(|start| plain.starts_with(start)) && !name.contains("nexus:plugin/")
    });
    let own: Vec<String> = own
        .take(limits::TRACE_FRAMES)
        .map(|name| truncate::text(text::line(name).into_owned(), limits::TRACE_NAME_BYTES))
        .collect();
    match (contract, own.is_empty()) {
        (None, true) => None,
        (Some(called), true) => Some(called),
        (None, false) => Some(own.join(" < ")),
        (Some(called), false) => Some(format!("{called} ({})", own.join(" < "))),
    }
}

/// `limit_of` puts the engine's words for limits that it watches itself into words for the operator. Its errors have no
/// types for them: tests with plugins that run into each of them hold these words.
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
    if words.contains("resource table has no free keys") {
        let most = guest_limits::resources(limits);
        let fix = context
            .gate
            .too_many_own("holds too many streams, requests and bodies of WASI", most);
        return format!("trap: {}", fix.0);
    }
    // WASI 0.2 has no error for it.
    if words.contains("total size of fields exceeds limit") {
        let most = limits::HTTP_FIELDS_BYTES;
        return format!("trap: it made headers of more than {most} bytes with wasi:http, the fixed limit");
    }
    if words.contains("fuel allocated for hostcalls") {
        let most = guest_limits::handed_over(limits);
        return format!("trap: it passed more than {most} bytes at once, its limit");
    }
    format!("trap: {words}")
}
