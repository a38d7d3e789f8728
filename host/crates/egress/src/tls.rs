//! What every client needs before it is made.

use crate::error::OutgoingError;
use std::sync::Arc;

/// `install_provider` chooses ring for the whole process.
pub(super) fn install_provider() {
    // Err: one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// `no_tls` is for a client that never speaks TLS: reading the machine's certificates takes longer than its requests.
pub(super) fn no_tls() -> Result<rustls::ClientConfig, OutgoingError> {
    Ok(
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| OutgoingError::Unavailable(format!("cannot start the HTTP client: {e}")))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth(),
    )
}
