//! The same components with wasmtime alone: the same version and engine settings as Nexus (epochs, a tick every 10 ms at
//! which a guest yields), the same generated bindings; no actor, no supervisor, no limits, no gate.

use crate::bindings as host;
use crate::bindings::caps::types::{Availability, CancelReason};
use crate::bindings::chat::nexus::plugin::chat_types::Event;
use crate::guests::{EVENTS, VERSION};
use anyhow::{Context as _, ensure};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use wasmtime::component::{Component, FutureReader, InstancePre, Linker, Source, StreamConsumer, StreamResult};
use wasmtime::{Config, Engine, Store, StoreContextMut, UpdateDeadline};

pub fn engine() -> anyhow::Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true).wasm_component_model_async(true);
    let engine = Engine::new(&config).map_err(plain)?;
    let weak = engine.weak();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(nexus_model::limits::EPOCH_TICK);
            let Some(engine) = weak.upgrade() else { return };
            engine.increment_epoch();
        }
    });
    Ok(engine)
}

pub fn compile(engine: &Engine, bytes: &[u8]) -> anyhow::Result<Component> {
    Component::new(engine, bytes).map_err(plain)
}

pub fn serialize(component: &Component) -> anyhow::Result<Vec<u8>> {
    component.serialize().map_err(plain)
}

pub fn deserialize(engine: &Engine, code: &[u8]) -> anyhow::Result<Component> {
    // SAFETY: the bytes come from `serialize` above, by an engine of the same settings in this process.
    #[allow(unsafe_code)]
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(plain)
}

/// Its imports trap: what is called here calls none.
pub fn pre(engine: &Engine, component: &Component) -> anyhow::Result<InstancePre<()>> {
    let mut linker = Linker::new(engine);
    linker.define_unknown_imports_as_traps(component).map_err(plain)?;
    linker.instantiate_pre(component).map_err(plain)
}

fn plain(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

fn store(engine: &Engine) -> Store<()> {
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Yield(1)));
    store
}

pub struct Tunnel {
    engine: Engine,
    pre: InstancePre<()>,
    running: (Store<()>, host::tunnel::TunnelProvider),
}

impl Tunnel {
    pub async fn new(engine: &Engine, pre: InstancePre<()>) -> anyhow::Result<Self> {
        let running = Self::start(engine, &pre).await?;
        Ok(Self {
            engine: engine.clone(),
            pre,
            running,
        })
    }

    async fn start(
        engine: &Engine,
        pre: &InstancePre<()>,
    ) -> anyhow::Result<(Store<()>, host::tunnel::TunnelProvider)> {
        let mut store = store(engine);
        let instance = pre.instantiate_async(&mut store).await.map_err(plain)?;
        let exports = host::tunnel::TunnelProvider::new(&mut store, &instance).map_err(plain)?;
        Ok((store, exports))
    }

    pub async fn calls(&mut self, count: usize) -> anyhow::Result<()> {
        let (store, exports) = &mut self.running;
        let exports = exports.nexus_plugin_tunnel().clone();
        let calls = store.run_concurrent(async move |a| -> wasmtime::Result<bool> {
            let mut good = true;
            for _ in 0..count {
                let answer = exports.call_check_availability(a).await?;
                good &= matches!(answer, Availability::Ready(fit) if fit.version == VERSION);
            }
            Ok(good)
        });
        ensure!(calls.await.map_err(plain)?.map_err(plain)?, "another answer");
        Ok(())
    }

    /// Falls, gets a new store and instance, and answers again.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        let (store, exports) = &mut self.running;
        let exports = exports.nexus_plugin_tunnel().clone();
        let fallen = store
            .run_concurrent(async move |a| {
                let origin = host::tunnel::exports::nexus::plugin::tunnel::Origin {
                    host: "127.0.0.1".to_owned(),
                    port: 1,
                };
                let cancel = a.with(|s| FutureReader::new(s, async { wasmtime::error::Ok(CancelReason::Stop) }))?;
                exports.call_run(a, origin, cancel).await.map(drop)
            })
            .await;
        ensure!(!matches!(fallen, Ok(Ok(()))), "it should have fallen");
        self.running = Self::start(&self.engine, &self.pre).await?;
        self.calls(1).await
    }
}

pub struct Chat {
    store: Store<()>,
    exports: host::chat::ChatBackend,
}

impl Chat {
    pub async fn new(engine: &Engine, pre: &InstancePre<()>) -> anyhow::Result<Self> {
        let mut store = store(engine);
        let instance = pre.instantiate_async(&mut store).await.map_err(plain)?;
        let exports = host::chat::ChatBackend::new(&mut store, &instance).map_err(plain)?;
        Ok(Self { store, exports })
    }

    pub async fn calls(&mut self, count: usize) -> anyhow::Result<()> {
        let exports = self.exports.nexus_plugin_chat().clone();
        let calls = self.store.run_concurrent(async move |a| -> wasmtime::Result<()> {
            for _ in 0..count {
                exports.call_check_availability(a).await?;
            }
            Ok(())
        });
        calls.await.map_err(plain)?.map_err(plain)
    }

    /// All events of one connection, lifted into the same types and counted.
    pub async fn events(&mut self) -> anyhow::Result<()> {
        let exports = self.exports.nexus_plugin_chat().clone();
        let count = self
            .store
            .run_concurrent(async move |a| -> wasmtime::Result<Option<usize>> {
                let cancel =
                    a.with(|s| FutureReader::new(s, std::future::pending::<wasmtime::Result<CancelReason>>()))?;
                let (events, mut outcome) = exports.call_events(a, cancel).await?;
                let (over, counted) = oneshot::channel();
                a.with(|mut s| {
                    events.pipe(
                        &mut s,
                        Counter {
                            count: 0,
                            over: Some(over),
                        },
                    )?;
                    outcome.close(&mut s)
                })?;
                Ok(counted.await.ok())
            });
        let count = count.await.map_err(plain)?.map_err(plain)?;
        ensure!(count.context("the stream was not read")? == EVENTS, "{count:?} events");
        Ok(())
    }
}

/// Says how many events there were when all have come.
struct Counter {
    count: usize,
    over: Option<oneshot::Sender<usize>>,
}

impl<D> StreamConsumer<D> for Counter {
    type Item = Event;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, Event>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut batch = Vec::with_capacity(source.remaining(&mut store).clamp(1, 256));
        source.read(store, &mut batch)?;
        self.count += std::hint::black_box(batch).len();
        if self.count == EVENTS
            && let Some(over) = self.over.take()
        {
            let _ = over.send(self.count);
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
