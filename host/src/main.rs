use std::process::ExitCode;

fn main() -> ExitCode {
    // A keeper or guardian is this binary too; it must begin before any thread does.
    if let Some(code) = nexus_process::keeper::dispatch(std::env::args_os()) {
        return code;
    }
    nexus::cli::main(std::env::args_os())
}
