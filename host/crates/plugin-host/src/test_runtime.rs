//! What the tests run plugins with: a plugin without any grant, and ports that nothing may reach.

#![allow(clippy::panic, clippy::unwrap_used)]

use crate::{HostServices, RuntimeOptions};
use futures::future::BoxFuture;
use nexus_config::resolved::{Grants, Limits, Plugin, Source};
use nexus_egress::{Outgoing, OutgoingError, Request, Response};
use nexus_model::time::SystemClock;
use nexus_plugin_traits::{TranscriptError, Transcripts, Utterance};
use nexus_process::{self as process, Processes};
use nexus_store::Store;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn options(dir: &Path) -> RuntimeOptions {
    let closed = Arc::new(Closed);
    RuntimeOptions {
        data_dir: dir.to_path_buf(),
        cache_in: dir.to_path_buf(),
        services: HostServices {
            clock: Arc::new(SystemClock),
            processes: closed.clone(),
            outgoing: closed.clone(),
            transcripts: closed,
            kv: Store::in_memory().unwrap().into(),
        },
    }
}

pub(crate) fn plugin(source: Source) -> Plugin {
    Plugin {
        name: "demo".into(),
        kind: nexus_model::plugin::Kind::Tunnel,
        source,
        digest: None,
        component: Default::default(),
        config: serde_json::Map::new(),
        grants: Grants::default(),
        missing: Vec::new(),
        limits: Limits {
            memory: 8 << 20,
            cpu: Duration::from_millis(200),
            cpu_share: 100,
            call: Duration::from_secs(30),
            streams: 4,
            processes: 1,
            log_lines: 10,
        },
    }
}

/// Ports behind a gate that nothing may pass in these tests.
struct Closed;

impl Outgoing for Closed {
    fn fetch(&self, _: Request) -> BoxFuture<'_, Result<Response, OutgoingError>> {
        panic!("the gate let a request through")
    }
}
impl Processes for Closed {
    fn run(
        &self,
        _: &str,
        _: process::Spec,
        _: Arc<dyn process::References>,
        _: Duration,
    ) -> BoxFuture<'_, Result<process::RunOutput, process::ProcessError>> {
        panic!("the gate let a process through")
    }
    fn ensure(
        &self,
        _: process::Key,
        _: process::Spec,
        _: Arc<dyn process::References>,
    ) -> BoxFuture<'_, Result<process::Running, process::ProcessError>> {
        panic!("the gate let a process through")
    }
    fn exited(&self, _: process::Key) -> BoxFuture<'_, Result<process::Exit, process::ProcessError>> {
        Box::pin(std::future::pending())
    }
    fn lines(&self, _: &process::Key) -> Result<tokio::sync::mpsc::Receiver<process::Line>, process::ProcessError> {
        Err(process::ProcessError::NotFound("none".into()))
    }
    fn output(
        &self,
        _: &process::Key,
        _: bool,
    ) -> Result<tokio::sync::mpsc::Receiver<bytes::Bytes>, process::ProcessError> {
        Err(process::ProcessError::NotFound("none".into()))
    }
    fn write(&self, _: process::Key, _: Vec<u8>) -> BoxFuture<'_, Result<(), process::ProcessError>> {
        Box::pin(async { Ok(()) })
    }
    fn stop(&self, _: process::Key) -> BoxFuture<'_, Result<process::Exit, process::ProcessError>> {
        Box::pin(async { Err(process::ProcessError::NotFound("none".into())) })
    }
    fn port(&self, _: &process::Key, _: &str) -> Option<u16> {
        None
    }
    fn stop_all(&self, _: Option<&str>) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
    fn list(&self) -> Vec<process::Info> {
        Vec::new()
    }
}

impl Transcripts for Closed {
    fn read<'a>(
        &'a self,
        _: &'a str,
        session: &'a str,
        _: Option<&'a str>,
        _: u32,
    ) -> BoxFuture<'a, Result<Vec<Utterance>, TranscriptError>> {
        let none = TranscriptError::NotFound(format!("there is no session {session}"));
        Box::pin(async { Err(none) })
    }
    fn attachment<'a>(
        &'a self,
        _: &'a str,
        session: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<nexus_model::chat::FileContent, TranscriptError>> {
        let none = TranscriptError::NotFound(format!("there is no session {session}"));
        Box::pin(async { Err(none) })
    }
}
