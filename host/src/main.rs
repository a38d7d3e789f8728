use std::process::ExitCode;

fn main() -> ExitCode {
    // A shim and a reaper are this program too; they must begin before any thread does.
    if let Some(code) = nexus_process::dispatch(std::env::args_os()) {
        return code;
    }
    nexus::cli::main(std::env::args_os())
}
