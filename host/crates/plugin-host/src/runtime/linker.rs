//! The one linker, for all kinds of plugin: the capabilities of the contract, and the part of WASI 0.2 that standard
//! libraries of languages want. wasi:http is not here, and `wasi:sockets` opens nothing: standard libraries (Python's,
//! Rust's `std::net`) import it whether or not a plugin uses it, so it is linked, and every socket and every name is denied
//! (`allow_tcp`, `allow_udp` in [`crate::runtime::state`]). So no ungated way out exists.
//!
//! Linking a capability grants nothing: the gate decides at each call.

use crate::capabilities::{Capabilities, Granted};
use crate::runtime::state::State;
use nexus_plugin_api::host::caps::{clock, config, http, log, process, secrets, store};
use wasmtime::Engine;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings as wasi;
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

fn caps(state: &mut State) -> &mut Capabilities {
    &mut state.caps
}

/// # Errors
/// None that a machine or an operator could cause; a name linked twice.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    config::add_to_linker::<State, Granted>(l, caps)?;
    log::add_to_linker::<State, Granted>(l, caps)?;
    clock::add_to_linker::<State, Granted>(l, caps)?;
    store::add_to_linker::<State, Granted>(l, caps)?;
    secrets::add_to_linker::<State, Granted>(l, caps)?;
    http::add_to_linker::<State, Granted>(l, caps)?;
    process::add_to_linker::<State, Granted>(l, caps)?;

    wasi::io::error::add_to_linker::<State, Io>(l, |s| s.ctx().table)?;
    wasi::io::poll::add_to_linker::<State, Io>(l, |s| s.ctx().table)?;
    wasi::io::streams::add_to_linker::<State, Io>(l, |s| s.ctx().table)?;
    wasi::clocks::wall_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    wasi::clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    wasi::random::random::add_to_linker::<State, WasiRandom>(l, State::random)?;
    wasi::random::insecure::add_to_linker::<State, WasiRandom>(l, State::random)?;
    wasi::random::insecure_seed::add_to_linker::<State, WasiRandom>(l, State::random)?;
    // Standard libraries import it; there is no directory to open.
    wasi::filesystem::preopens::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    wasi::filesystem::types::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    wasi::sockets::network::add_to_linker::<State, WasiSockets>(l, &Default::default(), State::sockets)?;
    wasi::sockets::instance_network::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    wasi::sockets::ip_name_lookup::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    wasi::sockets::tcp::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    wasi::sockets::tcp_create_socket::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    wasi::sockets::udp::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    wasi::sockets::udp_create_socket::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    wasi::cli::exit::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::environment::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_input::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_output::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    Ok(linker)
}
