fn main() -> std::process::ExitCode {
    if let Some(code) = nexus::process::keeper::dispatch(std::env::args_os()) {
        return code;
    }
    std::process::ExitCode::SUCCESS
}
