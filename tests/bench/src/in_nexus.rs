//! What the services of Nexus see: the supervised actor behind its gate and its limits, by `nexus-plugin-traits`. Nothing of it was made for this bench.

use crate::guests::{EVENTS, VERSION};
use anyhow::{Context as _, anyhow, ensure};
use nexus_config::grants::StoreGrant;
use nexus_config::resolved::{Grants, Limits, Plugin, Source};
use nexus_model::limits;
use nexus_model::plugin::{Availability, Kind, PluginState};
use nexus_model::time::SystemClock;
use nexus_plugin_host::{HostServices, Loaded, Runtime, RuntimeOptions};
use nexus_plugin_traits::{
    BackendEvent, CallError, ChatBackend, TranscriptError, Transcripts, TunnelProvider, Utterance,
};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// No session was ever written of.
struct NoTranscripts;

impl Transcripts for NoTranscripts {
    fn read<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Option<&'a str>,
        _: u32,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Utterance>, TranscriptError>> + Send + 'a>> {
        Box::pin(async { Err(TranscriptError::NotFound("There are no sessions.".to_owned())) })
    }

    fn attachment<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<nexus_model::chat::FileContent, TranscriptError>> + Send + 'a>> {
        Box::pin(async { Err(TranscriptError::NotFound("There are no sessions.".to_owned())) })
    }
}

/// A runtime with a data folder of its own, as a host has one.
pub struct Host {
    runtime: Arc<Runtime>,
    _dir: tempfile::TempDir,
}

impl Host {
    pub fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let runtime = Runtime::new(RuntimeOptions {
            data_dir: dir.path().to_owned(),
            cache_in: dir.path().to_owned(),
            services: HostServices {
                clock: Arc::new(SystemClock),
                processes: Arc::new(nexus_process::Refusing::new("there are none here")),
                outgoing: Arc::new(nexus_egress::Client::new()),
                kv: nexus_store::Store::open(dir.path())?.into(),
                transcripts: Arc::new(NoTranscripts),
            },
        })?;
        Ok(Self { runtime, _dir: dir })
    }

    /// From the component's file to what can be started. The second time its compiled code comes from the cache.
    pub fn load(&self, kind: Kind, file: &Path) -> anyhow::Result<Loaded> {
        let plugin = Plugin {
            name: "bench".to_owned(),
            kind,
            source: Source::File(file.to_owned()),
            digest: None,
            component: Default::default(),
            config: serde_json::Map::new(),
            grants: Grants {
                store: StoreGrant {
                    writes: u64::MAX,
                    ..StoreGrant::default()
                },
                ..Grants::default()
            },
            missing: Vec::new(),
            limits: Limits {
                memory: 64 << 20,
                cpu: limits::GUEST_CPU,
                cpu_share: limits::PLUGIN_CPU_SHARE_MOST,
                call: limits::PLUGIN_CALL,
                streams: 64,
                processes: 1,
                log_lines: 100,
            },
        };
        Ok(self.runtime.load(&plugin, None)?)
    }

    /// A tunnel provider that runs.
    pub async fn tunnel(&self, loaded: Loaded) -> anyhow::Result<Tunnel> {
        let tunnel = self.runtime.tunnel(loaded, "bench.tunnel".to_owned(), None)?;
        tunnel.start();
        let mut status = tunnel.status();
        status.wait_for(|s| s.state == PluginState::Running).await?;
        Ok(Tunnel(tunnel))
    }

    /// A chat backend that runs.
    pub async fn chat(&self, loaded: Loaded) -> anyhow::Result<Chat> {
        let chat = self.runtime.chat(loaded, std::env::temp_dir().into(), None)?;
        chat.start();
        let mut status = chat.status();
        status.wait_for(|s| s.state == PluginState::Running).await?;
        Ok(Chat(chat))
    }
}

pub struct Tunnel(Arc<dyn TunnelProvider>);

impl Tunnel {
    pub async fn calls(&self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            let answer = self.0.check_availability().await?;
            ensure!(answer == Availability::ready(VERSION), "{answer:?}");
        }
        Ok(())
    }

    /// Crashes, and answers again. `at_once`: without the supervisor's pause, as after a press of the page's button.
    pub async fn crash(&self, at_once: bool) -> anyhow::Result<()> {
        match self.0.run(([127, 0, 0, 1], 1).into()).await {
            Err(CallError::Crashed(_)) => {}
            other => return Err(anyhow!("it should have crashed: {other:?}")),
        }
        if at_once {
            self.0.start();
        } else {
            // What a caller gets meanwhile is "try again": here somebody waits instead.
            let mut status = self.0.status();
            status.wait_for(|s| s.state == PluginState::Running).await?;
        }
        self.calls(1).await
    }
}

pub struct Chat(Arc<dyn ChatBackend>);

impl Chat {
    pub async fn calls(&self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            self.0.check_availability().await?;
        }
        Ok(())
    }

    /// All events of one connection, as the service that writes the journal gets them.
    pub async fn events(&self) -> anyhow::Result<()> {
        let mut stream = self.0.events();
        for _ in 0..EVENTS {
            let event = stream.recv().await.context("the stream ended")?;
            ensure!(
                matches!(event, BackendEvent::Event(_) | BackendEvent::Opened(_)),
                "{event:?}"
            );
        }
        Ok(())
    }
}
