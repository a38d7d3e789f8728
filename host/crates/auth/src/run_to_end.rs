//! Work that runs to its end even if the browser goes away: the plugin's credential and the host's users change together.

use crate::error::AuthError;

pub(super) async fn run_to_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, AuthError>> + Send + 'static,
) -> Result<T, AuthError> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|_| Err(AuthError::Unavailable("Nexus is stopping.".to_owned())))
}
