//! Where there is no keeper yet: children are refused, since nothing could promise that they end with the host.

use super::port::{Exit, Info, Key, Line, ProcessError, Processes, References, RunOutput, Running, Spec};
use crate::time::Clock;
use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

#[derive(Clone)]
pub struct TableOptions {
    pub data_dir: PathBuf,
    pub marker: String,
    pub keeper_exe: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub hidden_env: Vec<String>,
}

pub struct Table(());

impl Table {
    /// # Errors
    /// Never.
    pub fn new(_: TableOptions) -> Result<Self, ProcessError> {
        Ok(Self(()))
    }
}

fn refused<T>() -> Result<T, ProcessError> {
    Err(ProcessError::Unavailable(format!(
        "child processes need Linux for now: on {} nothing would end them with nexus",
        std::env::consts::OS
    )))
}

impl Processes for Table {
    fn run(
        &self,
        _: &str,
        _: Spec,
        _: Arc<dyn References>,
        _: Duration,
    ) -> BoxFuture<'_, Result<RunOutput, ProcessError>> {
        Box::pin(ready(refused()))
    }
    fn ensure(&self, _: Key, _: Spec, _: Arc<dyn References>) -> BoxFuture<'_, Result<Running, ProcessError>> {
        Box::pin(ready(refused()))
    }
    fn exited(&self, _: Key) -> BoxFuture<'_, Result<Exit, ProcessError>> {
        Box::pin(ready(refused()))
    }
    fn lines(&self, _: &Key) -> Result<mpsc::Receiver<Line>, ProcessError> {
        refused()
    }
    fn output(&self, _: &Key, _: bool) -> Result<mpsc::Receiver<Bytes>, ProcessError> {
        refused()
    }
    fn write(&self, _: Key, _: Vec<u8>) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(ready(refused()))
    }
    fn stop(&self, _: Key) -> BoxFuture<'_, Result<Exit, ProcessError>> {
        Box::pin(ready(refused()))
    }
    fn port(&self, _: &Key, _: &str) -> Option<u16> {
        None
    }
    fn stop_all(&self, _: Option<&str>) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
    fn list(&self) -> Vec<Info> {
        Vec::new()
    }
}
