//! An auth provider as a component: an instance for each call, so that logins share nothing and run in parallel.
//!
//! Hashing a password takes 30 ms of CPU. It happens on a small tokio runtime of its own, so that it never
//! holds up an answer that streams; a semaphore bounds how many instances exist.
//!
//! Three numbers bound this work, and each bounds something else. Who may have a password checked, and in which order, is
//! `nexus-auth`'s (`HASH_AT_ONCE`): it is fair between those who knock. [`limits::AUTH_THREADS`] is where the work runs, so
//! how much CPU it takes from the rest of the host. [`limits::AUTH_INSTANCES`] is memory: the login page asks for methods and
//! fields without any of those permits, and a provider may wait for a server in each of its calls.

use super::convert_auth as convert;
use crate::bindings::auth::nexus::plugin::auth_types::Step;
use crate::bindings::caps::types::Error;
use crate::engine::guest_calls::{AuthGuests, ManageCalls};
use crate::engine::instance_state::{self, InstanceState};
use crate::instance::{InstanceTemplate, refused};
use futures::future::BoxFuture;
use nexus_model::limits;
use nexus_model::plugin::{Failure, PluginStatus};
use nexus_plugin_traits::PluginRecord;
use nexus_plugin_traits::{AuthProvider, Call, CallError, auth};
use std::sync::{Arc, OnceLock};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;
use wasmtime::component::Accessor;

/// `AuthThreads` are the threads for logins, made at the first one.
#[derive(Default)]
pub(crate) struct AuthThreads(OnceLock<Runtime>);

impl AuthThreads {
    fn get(&self) -> Result<&Runtime, CallError> {
        if let Some(runtime) = self.0.get() {
            return Ok(runtime);
        }
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let made = builder
            .worker_threads(limits::AUTH_THREADS)
            .thread_name("auth")
            .enable_all()
            .build();
        let made = made.map_err(|e| CallError::Unavailable(format!("cannot create threads for logins: {e}")))?;
        // Two first logins at once: one of the two is not needed.
        if let Err(spare) = self.0.set(made) {
            spare.shutdown_background();
        }
        self.0
            .get()
            .ok_or_else(|| CallError::Unavailable("no threads for logins".into()))
    }
}

impl Drop for AuthThreads {
    fn drop(&mut self) {
        // Waiting here could block another runtime's thread, which tokio forbids.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

type AuthExports = AuthGuests;
type Manage = Box<dyn ManageCalls>;

pub(crate) struct WasmAuth {
    template: InstanceTemplate,
    threads: Arc<AuthThreads>,
    instances: Arc<Semaphore>,
    status: watch::Sender<PluginStatus>,
    /// `enrolls`: it exports the optional interface.
    enrolls: bool,
}

impl WasmAuth {
    pub(crate) fn new(
        template: InstanceTemplate,
        threads: Arc<AuthThreads>,
        status: PluginStatus,
        enrolls: bool,
    ) -> Self {
        Self {
            template,
            enrolls,
            threads,
            instances: Arc::new(Semaphore::new(limits::AUTH_INSTANCES)),
            status: watch::Sender::new(status),
        }
    }

    fn note_crash(&self, cause: &str) {
        tracing::warn!(plugin = self.name(), "the plugin crashed: {cause}");
        let at = self.template.context.clock.now();
        self.status.send_modify(|status| {
            status.last_failure = Some(Failure {
                at,
                cause: cause.to_owned(),
                fix: None,
                permanent: false,
            });
            status.restarts = status.restarts.saturating_add(1);
        });
    }

    /// Makes one call in an instance of its own.
    async fn call<T, F>(&self, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(
                &'a Accessor<InstanceState>,
                &'a AuthExports,
            ) -> BoxFuture<'a, wasmtime::Result<Result<T, Error>>>
            + Send
            + 'static,
    {
        let counters = &self.template.context.counters;
        counters.call();
        let limit = self.template.context.gate.limits().call;
        let threads = self.threads.get()?;
        let work = async {
            let place = Arc::clone(&self.instances).acquire_owned().await;
            let place = place.map_err(|e| CallError::Unavailable(e.to_string()))?;
            let template = self.template.clone();
            // Dropped with this future: a caller that cancels ends the instance, even one that spins.
            let task = AbortOnDropHandle::new(threads.spawn(async move {
                let _place = place;
                once(template, call).await
            }));
            task.await
                .unwrap_or_else(|e| Err(format!("an error in the host: {e}")))
                .map_err(CallError::Crashed)?
                .map_err(|e| refused(e, &self.template.context))
        };
        let answer = tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            counters.error();
            Err(CallError::Timeout(format!(
                "the plugin {} did not answer within {} ms",
                self.name(),
                limit.as_millis()
            )))
        });
        if let Err(CallError::Crashed(cause)) = &answer {
            counters.error();
            self.note_crash(cause);
        }
        answer
    }

    /// `step` is what a call for one gives.
    fn step<'a>(&'a self, call: impl Future<Output = Result<Step, CallError>> + Send + 'a) -> Call<'a, auth::Step> {
        Box::pin(async { convert::step(call.await?, &self.template.context.mask) })
    }

    /// Makes a call of the optional interface.
    async fn manage<T, F>(&self, what: &'static str, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<InstanceState>, &'a Manage) -> BoxFuture<'a, wasmtime::Result<Result<T, Error>>>
            + Send
            + 'static,
    {
        let answer = self.call(|a, e: &AuthExports| match &e.manage {
            Some(manage) => {
                let answer = call(a, manage);
                Box::pin(async { Ok(answer.await?.map(Some)) })
            }
            None => Box::pin(async { Ok(Ok(None)) }),
        });
        answer.await?.ok_or(CallError::Unsupported(what))
    }
}

/// Makes a call in a fresh instance. `Err`: the cause of the crash.
async fn once<T, F>(template: InstanceTemplate, call: F) -> Result<Result<T, Error>, String>
where
    T: Send + 'static,
    F: for<'a> FnOnce(
            &'a Accessor<InstanceState>,
            &'a AuthExports,
        ) -> BoxFuture<'a, wasmtime::Result<Result<T, Error>>>
        + Send,
{
    let InstanceTemplate {
        engine,
        pre,
        minor,
        context,
        ..
    } = template;
    let (mut store, meter) = instance_state::store(&engine, &context);
    let result = meter
        .drive(Arc::clone(&context.cpu), async {
            let instance = pre.instantiate_async(&mut store).await?;
            let exports = (minor.auth)(&mut store, &instance)?;
            store.run_concurrent(async |a| call(a, &exports).await).await?
        })
        .await;
    result.map_err(|e| {
        context.counters.trap();
        instance_state::crash_cause(&e, store.data_mut().limiter.refused.take().as_deref(), &context)
    })
}

impl AuthProvider for WasmAuth {
    fn name(&self) -> &str {
        self.template.context.gate.plugin()
    }

    fn status(&self) -> PluginStatus {
        self.status.borrow().clone()
    }

    fn changes(&self) -> watch::Receiver<PluginStatus> {
        self.status.subscribe()
    }

    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        Some(Arc::clone(&self.template.record))
    }

    fn enrolls(&self) -> bool {
        self.enrolls
    }

    fn methods(&self) -> Call<'_, Vec<auth::Method>> {
        Box::pin(async {
            let call = self.call(|a, e: &AuthExports| Box::pin(async { e.auth.call_describe(a).await.map(Ok) }));
            convert::methods(call.await?)
        })
    }

    fn begin<'a>(&'a self, method: &'a str, context: auth::Context) -> Call<'a, auth::Step> {
        let (method, context) = (method.to_owned(), convert::context(context));
        self.step(self.call(|a, e: &AuthExports| Box::pin(e.auth.call_begin(a, method, context))))
    }

    fn proceed(&self, state: Vec<u8>, answer: auth::Answer, context: auth::Context) -> Call<'_, auth::Step> {
        let (answer, context) = (convert::answer(answer), convert::context(context));
        self.step(self.call(|a, e: &AuthExports| Box::pin(e.auth.call_proceed(a, state, answer, context))))
    }

    fn authenticate(&self, facts: auth::Facts) -> Call<'_, auth::Verdict> {
        let facts = convert::facts(facts);
        Box::pin(async {
            let call = self.call(|a, e: &AuthExports| Box::pin(e.auth.call_authenticate(a, facts)));
            convert::verdict(call.await?, &self.template.context.mask)
        })
    }

    fn enroll(&self, context: auth::Context) -> Call<'_, auth::Step> {
        let context = convert::context(context);
        self.step(self.manage("enroll accounts", |a, m| Box::pin(m.call_enroll(a, context))))
    }

    fn change<'a>(&'a self, subject: &'a str, context: auth::Context) -> Call<'a, auth::Step> {
        let (subject, context) = (subject.to_owned(), convert::context(context));
        self.step(self.manage("change credentials", |a, m| {
            Box::pin(m.call_change(a, subject, context))
        }))
    }

    fn reset<'a>(&'a self, subject: &'a str, context: auth::Context) -> Call<'a, auth::Step> {
        let (subject, context) = (subject.to_owned(), convert::context(context));
        self.step(self.manage("reset credentials", |a, m| Box::pin(m.call_reset(a, subject, context))))
    }

    fn proceed_managing(&self, state: Vec<u8>, answer: auth::Answer, context: auth::Context) -> Call<'_, auth::Step> {
        let (answer, context) = (convert::answer(answer), convert::context(context));
        self.step(self.manage("enroll accounts", |a, m| {
            Box::pin(m.call_proceed(a, state, answer, context))
        }))
    }

    fn remove<'a>(&'a self, subject: &'a str) -> Call<'a, ()> {
        let subject = subject.to_owned();
        Box::pin(self.manage("remove credentials", |a, m| Box::pin(m.call_remove(a, subject))))
    }
}
