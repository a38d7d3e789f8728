//! How a plugin sleeps, by whichever interface.

use crate::capabilities::context::Granted;
use std::time::Duration;
use wasmtime::component::Accessor;

/// Waits without using CPU, as one of the plugin's sleeping tasks.
///
/// # Errors
/// Too many of its tasks sleep: a trap, for no function of a clock can refuse.
pub(super) async fn sleep<T: Send>(a: &Accessor<T, Granted>, time: Duration) -> wasmtime::Result<()> {
    let Some(_counted) = a.with(|mut s| s.get().admit_sleep()) else {
        let cause = a.with(|mut s| s.get().too_many_asleep());
        return Err(wasmtime::format_err!("{cause}"));
    };
    tokio::time::sleep(time).await;
    Ok(())
}
