//! In place of a login plugin that cannot be loaded: nobody can log in by it. Whoever is logged in stays so, and the
//! commands of this machine work.
//!
//! [`or_nobody`] decides it.
//!
//! Not taken: another login plugin in its place. Who may come in is decided by the one that the operator chose.

use nexus_model::plugin::{Failure, Kind, PluginState, PluginStatus};
use nexus_model::time::Millis;
use nexus_model::trouble::Trouble;
use nexus_plugin_traits::{AuthProvider, Call, CallError, auth};
use std::sync::Arc;

/// `SAID` is for strangers too, so it is without the reason.
const SAID: &str = "Nobody can log in now: the login plugin cannot be used. If you run this Nexus, `nexus status` or \
    `nexus doctor` on its machine shows the reason and the fix.";

/// Returns the login plugin, or in place of one that cannot be loaded the provider that refuses everything.
pub fn or_nobody(loaded: Result<Arc<dyn AuthProvider>, Trouble>, name: &str, now: Millis) -> Arc<dyn AuthProvider> {
    loaded.unwrap_or_else(|trouble| {
        tracing::error!(plugin = name, "nobody can log in: {trouble}");
        Arc::new(NoLogin::new(name, trouble, now))
    })
}

/// `NoLogin` is the provider that refuses everything, with the reason in its status.
struct NoLogin(PluginStatus, Trouble);

impl NoLogin {
    fn new(name: &str, trouble: Trouble, now: Millis) -> Self {
        let cause = trouble.cause.clone();
        let failure = Failure {
            at: now,
            cause: trouble.cause.clone(),
            fix: trouble.fix.clone(),
            permanent: true,
        };
        let status = PluginStatus {
            name: name.to_owned(),
            kind: Kind::Auth,
            version: String::new(),
            state: PluginState::Failed { cause },
            restarts: 0,
            last_failure: Some(failure),
            tunnel: None,
        };
        Self(status, trouble)
    }
}

fn no<T: Send + 'static>() -> Call<'static, T> {
    Box::pin(std::future::ready(Err(CallError::Unavailable(SAID.to_owned()))))
}

impl AuthProvider for NoLogin {
    fn name(&self) -> &str {
        &self.0.name
    }
    fn status(&self) -> PluginStatus {
        self.0.clone()
    }
    fn broken(&self) -> Option<Trouble> {
        Some(self.1.clone())
    }
    fn enrolls(&self) -> bool {
        // The page that would enroll says why nobody can.
        true
    }
    fn methods(&self) -> Call<'_, Vec<auth::Method>> {
        no()
    }
    fn begin<'a>(&'a self, _: &'a str, _: auth::Context) -> Call<'a, auth::Step> {
        no()
    }
    fn proceed(&self, _: Vec<u8>, _: auth::Answer, _: auth::Context) -> Call<'_, auth::Step> {
        no()
    }
    fn authenticate(&self, _: auth::Facts) -> Call<'_, auth::Verdict> {
        no()
    }
    fn enroll(&self, _: auth::Context) -> Call<'_, auth::Step> {
        no()
    }
    fn change<'a>(&'a self, _: &'a str, _: auth::Context) -> Call<'a, auth::Step> {
        no()
    }
    fn reset<'a>(&'a self, _: &'a str, _: auth::Context) -> Call<'a, auth::Step> {
        no()
    }
    fn proceed_managing(&self, _: Vec<u8>, _: auth::Answer, _: auth::Context) -> Call<'_, auth::Step> {
        no()
    }
    fn remove<'a>(&'a self, _: &'a str) -> Call<'a, ()> {
        no()
    }
}
