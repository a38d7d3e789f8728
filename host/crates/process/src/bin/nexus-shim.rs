//! A shim and a reaper, and nothing else: for a host that does not start its own program again.

fn main() -> std::process::ExitCode {
    nexus_process::dispatch(std::env::args_os()).unwrap_or_else(|| std::process::ExitCode::from(2))
}
