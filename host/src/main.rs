use std::process::ExitCode;

fn main() -> ExitCode {
    nexus::cli::main(std::env::args_os())
}
