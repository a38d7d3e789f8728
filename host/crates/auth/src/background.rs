//! What goes on beside the requests.

use crate::service::AuthService;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// `ACCOUNT_CHECK` is how often it is checked whether an account was made by `nexus user add`, while there is none.
const ACCOUNT_CHECK: Duration = Duration::from_secs(2);
/// `SWEEP` is how often expired logins are removed.
const SWEEP: Duration = Duration::from_secs(3600);

impl AuthService {
    /// Starts two tasks: one notices an account that another process made, one removes expired logins. Both end when
    /// they are aborted.
    pub fn background(self: &Arc<Self>) -> [JoinHandle<()>; 2] {
        [
            tokio::spawn(await_account(Arc::clone(self))),
            tokio::spawn(sweep(Arc::clone(self))),
        ]
    }
}

async fn await_account(auth: Arc<AuthService>) {
    while !*auth.has_account.borrow() {
        if matches!(auth.setup_open().await, Ok(false)) {
            auth.has_account.send_replace(true);
            return;
        }
        tokio::time::sleep(ACCOUNT_CHECK).await;
    }
}

async fn sweep(auth: Arc<AuthService>) {
    loop {
        if let Err(error) = auth.sweep().await {
            tracing::warn!(%error, "cannot remove expired logins");
        }
        tokio::time::sleep(SWEEP).await;
    }
}
