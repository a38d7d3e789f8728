//! A service on a fake provider, in a directory of a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::AuthService;
use nexus_model::time::ManualClock;
use nexus_store::Store;
use nexus_store::activity_log::ActivityLog;
pub(crate) use nexus_testkit::{FakeAuth as Fake, auth_config as config};
use std::path::Path;
use std::sync::Arc;

pub(crate) async fn service(dir: &Path, fake: Fake) -> (Arc<AuthService>, ManualClock) {
    let clock = ManualClock::at(1_700_000_000_000);
    (reopen(dir, fake, &clock).await, clock)
}

pub(crate) async fn reopen(dir: &Path, fake: Fake, clock: &ManualClock) -> Arc<AuthService> {
    let store = Store::open(dir).unwrap();
    let activity = Arc::new(ActivityLog::unkept(Arc::new(clock.clone())));
    let opened = AuthService::open(Arc::new(fake), store, Arc::new(clock.clone()), config(), activity).await;
    Arc::new(opened.unwrap())
}
