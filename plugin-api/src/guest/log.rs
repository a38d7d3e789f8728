//! Lines for the operator. Never put a secret here.

pub use super::caps::log::Level;

/// Writes a line of the level DEBUG, which the host hides unless `log.filter` asks for it.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// Writes a line of the level INFO: what an operator wants to read later.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// Writes a line of the level WARN: something is wrong, and the plugin goes on.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// Writes a line of the level ERROR: something does not work.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

/// Writes to the host's log in a component, and to standard error in a native test.
fn write(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    super::caps::log::write(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    #[allow(clippy::print_stderr)] // There is no host in a native test
    {
        eprintln!("{level:?} {message}");
    }
}

/// Sends the text of a panic to the host's log before the trap. `job` does this by itself; an auth plugin calls
/// it first thing in its functions. Repeating it is free.
pub fn panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|info| error(info.to_string()))));
}
