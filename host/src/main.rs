use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else, above all before there is a second thread.
    if let Some(code) = nexus::process::keeper::dispatch(std::env::args_os()) {
        return code;
    }
    nexus::cli::main(std::env::args_os())
}
