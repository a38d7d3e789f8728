//! The table of processes as its callers see it: the operating system is behind it, or nothing at all
//! ([`crate::Refusing`]).

use crate::error::ProcessError;
use crate::references::References;
use crate::types::{Exit, Info, Key, Line, RunOutput, Running, Spec, Usage};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// `Processes` is a table of processes by name. A future that is dropped cancels nothing that was begun: the process is then
/// either wholly there, to be adopted, or wholly gone. Only [`Self::run`] and [`Self::run_with_input`] end what nobody waits for.
///
/// The errors are sentences for the operator, see [`ProcessError`]. `NotFound` says that nothing was started by this name, or
/// that it ended long ago.
pub trait Processes: Send + Sync + 'static {
    /// `run` runs a program to its end; it is killed with all its descendants after `timeout`.
    fn run(
        &self,
        plugin: &str,
        spec: Spec,
        refs: Arc<dyn References>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<RunOutput, ProcessError>>;
    /// `run_with_input` does as [`Self::run`], with `input` on the program's standard input, which then ends.
    fn run_with_input(
        &self,
        _plugin: &str,
        _spec: Spec,
        _refs: Arc<dyn References>,
        _timeout: Duration,
        _input: Vec<u8>,
    ) -> BoxFuture<'_, Result<RunOutput, ProcessError>> {
        let refused = ProcessError::Unavailable("programs cannot be run here".to_owned());
        Box::pin(std::future::ready(Err(refused)))
    }
    /// `ensure` adopts the process that runs by this name with an equal specification, or starts one; one with another
    /// specification is stopped first.
    fn ensure(&self, key: Key, spec: Spec, refs: Arc<dyn References>) -> BoxFuture<'_, Result<Running, ProcessError>>;
    /// `exited` waits until the process has ended; its descendants may still be ending.
    fn exited(&self, key: Key) -> BoxFuture<'_, Result<Exit, ProcessError>>;
    /// `lines` gives the kept lines from the start of the process, then new ones; it is closed after the last.
    ///
    /// # Errors
    /// `NotFound`.
    fn lines(&self, key: &Key) -> Result<mpsc::Receiver<Line>, ProcessError>;
    /// `output` gives the raw bytes of a stream in mode `Pipe`, in chunks; the process is held back while nobody reads.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` where the stream is in another mode or has a reader already.
    fn output(&self, key: &Key, stderr: bool) -> Result<mpsc::Receiver<bytes::Bytes>, ProcessError>;
    /// `write` writes all of `data` to the process's standard input.
    fn write(&self, key: Key, data: Vec<u8>) -> BoxFuture<'_, Result<(), ProcessError>>;
    /// `stop` carries out the stop sequence and returns when no descendant is left.
    fn stop(&self, key: Key) -> BoxFuture<'_, Result<Exit, ProcessError>>;
    /// `port` is the loopback port that the host keeps for a running process.
    fn port(&self, key: &Key, port: &str) -> Option<u16>;
    /// `stop_all` stops every process, of one plugin or of all, each by its own sequence, at the same time.
    fn stop_all(&self, plugin: Option<&str>) -> BoxFuture<'_, ()>;
    /// `list` has every process that runs, and those that ended as far as they are kept.
    fn list(&self) -> Vec<Info>;
    /// `usage` has those that run, with what they use as far as it is known here. It reads `/proc` of the whole machine,
    /// which takes milliseconds.
    fn usage(&self) -> Vec<(Info, Option<Usage>)> {
        let running = self.list().into_iter().filter(|info| info.exit.is_none());
        running.map(|info| (info, None)).collect()
    }
}
