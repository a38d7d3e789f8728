//! The one linker, for all kinds of plugin: the capabilities of the contract, and the part of WASI 0.2 and 0.3 that standard
//! libraries of languages want. Requests of wasi:http go where those of the capability `http` go; the clocks of WASI 0.3 are
//! linked with the capability `clock`. There is nothing behind sockets, files, the environment and the terminal: they are
//! linked for each component that imports them, and deny ([`super::denied_wasi`]). So no ungated way out exists.
//!
//! Linking a capability grants nothing: the gate decides at each call.

use super::denied_wasi::with_denied;
use super::minor::Minors;
use crate::engine::instance_state::InstanceState;
use wasmtime::Engine;
use wasmtime::component::{Component, HasData, InstancePre, Linker, ResourceTable};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings as wasi;
use wasmtime_wasi::p3::bindings as wasi3;
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi_http::WasiHttp;
use wasmtime_wasi_http::p2::bindings::http as http2;
use wasmtime_wasi_http::p3::bindings::http as http3;

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Makes the linker with all capabilities in it, in the types of each of these minors.
///
/// # Errors
/// None that a machine or an operator could cause; a name linked twice.
pub(crate) fn linker(engine: &Engine, minors: Minors) -> wasmtime::Result<Linker<InstanceState>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    for minor in minors.iter() {
        (minor.link)(l)?;
    }

    wasi::io::error::add_to_linker::<InstanceState, Io>(l, |s| s.ctx().table)?;
    wasi::io::poll::add_to_linker::<InstanceState, Io>(l, |s| s.ctx().table)?;
    wasi::io::streams::add_to_linker::<InstanceState, Io>(l, |s| s.ctx().table)?;
    wasi::clocks::wall_clock::add_to_linker::<InstanceState, WasiClocks>(l, InstanceState::clocks)?;
    wasi::clocks::monotonic_clock::add_to_linker::<InstanceState, WasiClocks>(l, InstanceState::clocks)?;
    wasi::random::random::add_to_linker::<InstanceState, WasiRandom>(l, InstanceState::random)?;
    wasi::random::insecure::add_to_linker::<InstanceState, WasiRandom>(l, InstanceState::random)?;
    wasi::random::insecure_seed::add_to_linker::<InstanceState, WasiRandom>(l, InstanceState::random)?;
    wasi::cli::exit::add_to_linker::<InstanceState, WasiCli>(l, InstanceState::cli)?;
    wasi::cli::stdin::add_to_linker::<InstanceState, WasiCli>(l, InstanceState::cli)?;
    wasi::cli::stdout::add_to_linker::<InstanceState, WasiCli>(l, InstanceState::cli)?;
    wasi::cli::stderr::add_to_linker::<InstanceState, WasiCli>(l, InstanceState::cli)?;
    http2::types::add_to_linker::<InstanceState, WasiHttp>(
        l,
        &http2::types::LinkOptions::default(),
        InstanceState::http,
    )?;
    http2::outgoing_handler::add_to_linker::<InstanceState, WasiHttp>(l, InstanceState::http)?;

    wasi3::random::random::add_to_linker::<InstanceState, WasiRandom>(l, InstanceState::random)?;
    wasi3::random::insecure::add_to_linker::<InstanceState, WasiRandom>(l, InstanceState::random)?;
    wasi3::random::insecure_seed::add_to_linker::<InstanceState, WasiRandom>(l, InstanceState::random)?;
    wasi3::cli::exit::add_to_linker::<InstanceState, WasiCli>(l, InstanceState::cli)?;
    wasi3::cli::stdin::add_to_linker::<InstanceState, WasiCli>(l, InstanceState::cli)?;
    wasi3::cli::stdout::add_to_linker::<InstanceState, WasiCli>(l, InstanceState::cli)?;
    wasi3::cli::stderr::add_to_linker::<InstanceState, WasiCli>(l, InstanceState::cli)?;
    http3::types::add_to_linker::<InstanceState, WasiHttp>(l, InstanceState::http)?;
    http3::client::add_to_linker::<InstanceState, WasiHttp>(l, InstanceState::http)?;
    Ok(linker)
}

/// Links a component with it.
///
/// # Errors
/// The component imports what is not in it: a part of WASI, for the contract was compared before.
pub(crate) fn link(
    linker: &Linker<InstanceState>,
    component: &Component,
) -> wasmtime::Result<InstancePre<InstanceState>> {
    match with_denied(linker, component.engine(), component)? {
        Some(with) => with.instantiate_pre(component),
        None => linker.instantiate_pre(component),
    }
}
