//! Processes where there are none: a platform without a shim, a command beside a running host.

use crate::error::ProcessError;
use crate::processes::Processes;
use crate::references::References;
use crate::types::{Exit, Info, Key, Line, RunOutput, Running, Spec};
use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// `Refusing` is a table that answers everything with one sentence.
pub struct Refusing(String);

impl Refusing {
    /// `new` takes the sentence that every call is answered with.
    pub fn new(cause: impl Into<String>) -> Self {
        Self(cause.into())
    }

    fn refused<T>(&self) -> Result<T, ProcessError> {
        Err(ProcessError::Unavailable(self.0.clone()))
    }
}

impl Processes for Refusing {
    fn run(
        &self,
        _: &str,
        _: Spec,
        _: Arc<dyn References>,
        _: Duration,
    ) -> BoxFuture<'_, Result<RunOutput, ProcessError>> {
        Box::pin(ready(self.refused()))
    }
    fn run_with_input(
        &self,
        _: &str,
        _: Spec,
        _: Arc<dyn References>,
        _: Duration,
        _: Vec<u8>,
    ) -> BoxFuture<'_, Result<RunOutput, ProcessError>> {
        Box::pin(ready(self.refused()))
    }
    fn ensure(&self, _: Key, _: Spec, _: Arc<dyn References>) -> BoxFuture<'_, Result<Running, ProcessError>> {
        Box::pin(ready(self.refused()))
    }
    fn exited(&self, _: Key) -> BoxFuture<'_, Result<Exit, ProcessError>> {
        Box::pin(ready(self.refused()))
    }
    fn lines(&self, _: &Key) -> Result<mpsc::Receiver<Line>, ProcessError> {
        self.refused()
    }
    fn output(&self, _: &Key, _: bool) -> Result<mpsc::Receiver<Bytes>, ProcessError> {
        self.refused()
    }
    fn write(&self, _: Key, _: Vec<u8>) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(ready(self.refused()))
    }
    fn stop(&self, _: Key) -> BoxFuture<'_, Result<Exit, ProcessError>> {
        Box::pin(ready(self.refused()))
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
