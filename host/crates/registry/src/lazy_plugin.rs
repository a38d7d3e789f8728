//! A plugin that is not loaded yet, or cannot be: so that nothing else waits for its compilation, and one that does not load
//! takes nothing with it.
//!
//! It stands where the plugin will stand and has its state from the beginning. A start loads it first, beside
//! everything else, and again where the load before failed: what was wrong may have been corrected. Once it is loaded, the plugin itself
//! reports into the same place, so that whoever watches the state sees one plugin all the time.
//!
//! Not taken: an `Option` of a plugin in each service. Each would have to know all that can keep one from loading.

use futures::future::BoxFuture;
use nexus_model::plugin::{Availability, Failure, Kind, PluginState, PluginStatus, Refusal};
use nexus_model::time::Clock;
use nexus_model::trouble::Trouble;
use nexus_model::{chat, tunnel};
use nexus_plugin_traits::PluginRecord;
use nexus_plugin_traits::{
    BackendEvents, Call, CallError, CancelReason, ChatBackend, Prompt, Supervised, TunnelProvider, TunnelRun,
};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// `Load` loads a plugin that shows its state in this place.
pub type Load<P> =
    Box<dyn Fn(watch::Sender<PluginStatus>) -> BoxFuture<'static, Result<Arc<P>, Trouble>> + Send + Sync>;

/// `LazyPlugin` is a plugin that is loaded by its first start; see the module.
pub struct LazyPlugin<P: ?Sized>(Arc<Inner<P>>);

struct Inner<P: ?Sized> {
    name: String,
    status: watch::Sender<PluginStatus>,
    load: Load<P>,
    clock: Arc<dyn Clock>,
    now: Mutex<Now<P>>,
}

struct Now<P: ?Sized> {
    plugin: Option<Arc<P>>,
    loading: bool,
    /// `wanted`: it is to run as soon as it is loaded.
    wanted: bool,
    broken: Option<Trouble>,
}

impl<P: Supervised + ?Sized> LazyPlugin<P> {
    /// Makes one of which nothing is loaded before [`Self::prepare`] or a start.
    pub fn new(name: &str, kind: Kind, clock: Arc<dyn Clock>, load: Load<P>) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            status: watch::Sender::new(PluginStatus::unloaded(name, kind, PluginState::Stopped)),
            load,
            clock,
            now: Mutex::new(Now {
                plugin: None,
                loading: false,
                wanted: false,
                broken: None,
            }),
        }))
    }

    /// Loads it, and does not start it. `done` is called when that has come to its end, either way.
    pub fn prepare(&self, done: impl FnOnce() + Send + 'static) {
        let begin = {
            let mut now = self.0.now();
            let begin = now.plugin.is_none() && !now.loading;
            now.loading |= begin;
            begin
        };
        if begin {
            self.load(done);
        } else {
            done();
        }
    }

    fn load(&self, done: impl FnOnce() + Send + 'static) {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let loaded = (inner.load)(inner.status.clone()).await;
            inner.loaded(loaded);
            done();
        });
    }

    /// `plugin` is the plugin itself, once it is loaded.
    fn plugin(&self) -> Result<Arc<P>, CallError> {
        let now = self.0.now();
        now.plugin.clone().ok_or_else(|| {
            CallError::Unavailable(match &now.broken {
                Some(trouble) => trouble.cause.clone(),
                None => format!("the plugin {} is not loaded yet", self.0.name),
            })
        })
    }
}

impl<P: Supervised + ?Sized> Inner<P> {
    fn now(&self) -> MutexGuard<'_, Now<P>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded(&self, loaded: Result<Arc<P>, Trouble>) {
        let mut now = self.now();
        now.loading = false;
        match loaded {
            Ok(plugin) => {
                now.broken = None;
                now.plugin = Some(Arc::clone(&plugin));
                if now.wanted {
                    plugin.start();
                } else {
                    self.set(PluginState::Stopped);
                }
            }
            Err(trouble) => {
                tracing::error!(plugin = self.name, "{trouble}");
                now.broken = Some(trouble.clone());
                let at = self.clock.now();
                self.status.send_modify(|status| {
                    status.last_failure = Some(Failure {
                        at,
                        cause: trouble.cause.clone(),
                        fix: trouble.fix.clone(),
                        permanent: true,
                    });
                    status.state = PluginState::Failed { cause: trouble.cause };
                });
            }
        }
    }

    fn set(&self, state: PluginState) {
        self.status.send_if_modified(|status| {
            let changed = status.state != state;
            status.state = state;
            changed
        });
    }
}

impl<P: Supervised + ?Sized> Supervised for LazyPlugin<P> {
    fn status(&self) -> watch::Receiver<PluginStatus> {
        self.0.status.subscribe()
    }

    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        self.plugin().ok()?.measured()
    }

    fn broken(&self) -> Option<Trouble> {
        let now = self.0.now();
        now.broken.clone().or_else(|| now.plugin.as_ref()?.broken())
    }

    fn refused(&self) -> Vec<Refusal> {
        self.plugin().map(|plugin| plugin.refused()).unwrap_or_default()
    }

    fn start(&self) {
        let begin = {
            let mut now = self.0.now();
            now.wanted = true;
            if let Some(plugin) = &now.plugin {
                plugin.start();
                return;
            }
            // Before it returns: whoever looks next must not take the failure of before for that of now.
            self.0.set(PluginState::Starting);
            now.broken = None;
            let begin = !now.loading;
            now.loading = true;
            begin
        };
        if begin {
            self.load(|| ());
        }
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        let plugin = {
            let mut now = self.0.now();
            now.wanted = false;
            if now.plugin.is_none() {
                self.0.set(PluginState::Stopped);
            }
            now.plugin.clone()
        };
        Box::pin(async move {
            if let Some(plugin) = plugin {
                plugin.stop().await;
            }
        })
    }
}

/// Methods that do what those of the plugin do, once it is loaded.
macro_rules! delegate {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)+) => {
        $(fn $name<'a>(&'a self, $($arg: $type),*) -> Call<'a, $answer> {
            Box::pin(async move { self.plugin()?.$name($($arg),*).await })
        })+
    };
}

impl ChatBackend for LazyPlugin<dyn ChatBackend> {
    fn title(&self) -> String {
        let plugin = self.plugin();
        plugin.map_or_else(|_| self.0.name.clone(), |plugin| plugin.title())
    }
    fn is_example(&self) -> bool {
        self.plugin().is_ok_and(|plugin| plugin.is_example())
    }
    fn check_availability(&self) -> Call<'_, Availability> {
        Box::pin(async { self.plugin()?.check_availability().await })
    }
    fn events(&self) -> BackendEvents {
        // One that is not loaded reports nothing, and so that its connection ended.
        self.plugin()
            .map_or_else(|_| mpsc::channel(1).1.into(), |plugin| plugin.events())
    }
    fn leaving(&self, reason: CancelReason) {
        if let Ok(plugin) = self.plugin() {
            plugin.leaving(reason);
        }
    }
    fn features(&self) -> BTreeSet<chat::Feature> {
        self.plugin().map(|plugin| plugin.features()).unwrap_or_default()
    }
    fn prompt<'a>(
        &'a self,
        session: &'a chat::SessionInfo,
        prompt: Prompt,
        attachments: Vec<chat::NewAttachment>,
    ) -> Call<'a, chat::Admission> {
        Box::pin(async move { self.plugin()?.prompt(session, prompt, attachments).await })
    }
    delegate! {
        fn cancel(session: &'a chat::SessionInfo) -> ();
        fn reply(session: &'a chat::SessionInfo, request: &'a str, answer: chat::Answer) -> ();
        fn snapshot(session: &'a chat::SessionInfo, before: Option<String>) -> chat::Snapshot;
        fn sessions(workspace: Option<String>, limit: u32) -> Vec<chat::SessionInfo>;
        fn create(workspace: Option<String>, title: Option<String>) -> chat::SessionInfo;
        fn rename(session: &'a chat::SessionInfo, title: &'a str) -> ();
        fn delete(session: &'a chat::SessionInfo) -> ();
        fn models(workspace: &'a str) -> chat::ModelList;
        fn agents(workspace: &'a str) -> chat::AgentList;
        fn commands(workspace: &'a str) -> Vec<chat::Command>;
        fn read_attachment(session: &'a chat::SessionInfo, id: &'a str) -> chat::FileContent;
        fn fork(session: &'a chat::SessionInfo, before: Option<&'a str>) -> chat::SessionInfo;
        fn revert(session: &'a chat::SessionInfo, message: &'a str) -> chat::SessionInfo;
        fn restore(session: &'a chat::SessionInfo) -> chat::SessionInfo;
        fn compact(session: &'a chat::SessionInfo, model: Option<&'a str>) -> ();
        fn set_archived(session: &'a chat::SessionInfo, archived: bool) -> ();
        fn workspaces() -> Vec<chat::Workspace>;
        fn search_files(workspace: &'a str, query: &'a str, limit: u32) -> Vec<chat::FileEntry>;
        fn list_folder(workspace: &'a str, folder: &'a str) -> Vec<chat::FileEntry>;
        fn read_file(workspace: &'a str, path: &'a str) -> chat::FileContent;
        fn find_lines(workspace: &'a str, text: &'a str, limit: u32) -> Vec<chat::FoundLine>;
        fn providers() -> Vec<chat::Provider>;
        fn sign_in(provider: &'a str, method: &'a str, values: chat::SignInValues) -> ();
        fn begin_sign_in(provider: &'a str, method: &'a str, values: chat::SignInValues) -> chat::BrowserSignIn;
        fn finish_sign_in(provider: &'a str, method: &'a str, code: Option<String>) -> ();
        fn sign_out(provider: &'a str) -> ();
    }
}

impl TunnelProvider for LazyPlugin<dyn TunnelProvider> {
    fn describe(&self) -> Call<'_, tunnel::Descriptor> {
        Box::pin(async { self.plugin()?.describe().await })
    }
    fn check_availability(&self) -> Call<'_, Availability> {
        Box::pin(async { self.plugin()?.check_availability().await })
    }
    fn run(&self, origin: SocketAddr) -> Call<'_, TunnelRun> {
        Box::pin(async move { self.plugin()?.run(origin).await })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_model::time::SystemClock;
    use nexus_testkit::wait;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Plugin(watch::Sender<PluginStatus>);

    impl Supervised for Plugin {
        fn status(&self) -> watch::Receiver<PluginStatus> {
            self.0.subscribe()
        }
        fn start(&self) {
            self.0.send_modify(|status| status.state = PluginState::Running);
        }
        fn stop(&self) -> BoxFuture<'_, ()> {
            self.0.send_modify(|status| status.state = PluginState::Stopped);
            Box::pin(async {})
        }
    }

    /// One that loads from the `good`th time on.
    fn late(good: usize) -> LazyPlugin<Plugin> {
        let tried = AtomicUsize::new(0);
        LazyPlugin::new(
            "mine",
            Kind::Tunnel,
            Arc::new(SystemClock),
            Box::new(move |status| {
                let loaded = if tried.fetch_add(1, Ordering::SeqCst) + 1 < good {
                    Err(Trouble::new("plugin mine", "It is gone.", "put it back"))
                } else {
                    Ok(Arc::new(Plugin(status)))
                };
                Box::pin(std::future::ready(loaded))
            }),
        )
    }

    async fn state(late: &LazyPlugin<Plugin>, wanted: impl Fn(&PluginState) -> bool) -> PluginStatus {
        wait::watched("the state of the plugin", &mut late.status(), |status| {
            wanted(&status.state)
        })
        .await
    }

    #[tokio::test]
    async fn one_that_cannot_be_loaded_fails_alone_and_is_loaded_by_the_next_start() {
        let late = late(3);
        let (done, prepared) = tokio::sync::oneshot::channel();
        late.prepare(|| done.send(()).unwrap());
        wait::within("the plugin has been tried", prepared).await.unwrap();
        let failed = state(&late, |state| matches!(state, PluginState::Failed { .. })).await;
        assert_eq!(failed.last_failure.unwrap().fix.as_deref(), Some("put it back"));
        assert_eq!(late.broken().unwrap().cause, "It is gone.");
        late.start();
        assert_eq!(
            late.status().borrow().state,
            PluginState::Starting,
            "seen by who looks next"
        );
        state(&late, |state| matches!(state, PluginState::Failed { .. })).await;
        late.start();
        state(&late, |state| *state == PluginState::Running).await;
        assert_eq!(late.broken(), None);
        late.stop().await;
        assert_eq!(late.status().borrow().state, PluginState::Stopped);
        late.start();
        assert_eq!(late.status().borrow().state, PluginState::Running, "loaded once");
    }

    #[tokio::test]
    async fn what_is_stopped_while_it_loads_does_not_run() {
        let late = late(1);
        late.start();
        late.stop().await;
        let (done, loaded) = tokio::sync::oneshot::channel();
        // One that loads already is not loaded twice.
        late.prepare(|| done.send(()).unwrap());
        wait::within("the plugin has been tried", loaded).await.unwrap();
        wait::until_async("the plugin is loaded", async || late.plugin().is_ok()).await;
        assert_eq!(late.status().borrow().state, PluginState::Stopped);
    }
}
