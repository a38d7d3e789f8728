//! The table itself: which process has which name, and whose turn it is to change it.
//!
//! Starting and stopping run in tasks of their own: a plugin whose call is dropped half-way (it trapped, it was
//! replaced) leaves a process that is either wholly there, to be adopted, or wholly gone.

use crate::child::Child;
use crate::error::ProcessError;
use crate::limits::{self, PROCESS_GRACE};
use crate::options::TableOptions;
use crate::orphans::DirectChild;
use crate::processes::Processes;
use crate::references::References;
use crate::start::{self, SpawnMode};
use crate::this_process::become_subreaper;
use crate::time::Millis;
use crate::types::{Exit, Info, Key, Line, RunOutput, Running, Spec, Usage};
use crate::{spec_check, stop, unless_present, usage};
use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{OnceCell, mpsc};

/// `EARLY` is the age in milliseconds below which a process with ports that fails may have failed to bind them.
const EARLY: u64 = 5_000;
const REAPER_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Table(Arc<Inner>);

struct Inner {
    options: TableOptions,
    slots: Mutex<BTreeMap<Key, Arc<Slot>>>,
    runs: Mutex<HashMap<u64, Arc<Child>>>,
    run_number: AtomicU64,
    reaper: OnceCell<AbortOnDrop>,
}

/// `Slot` is one name. It stays when its process has ended, for the exit and the last lines, until younger ones of its
/// plugin have ended too: see [`Inner::forget`].
#[derive(Default)]
struct Slot {
    /// `turn` is held while the process is started or stopped.
    turn: tokio::sync::Mutex<()>,
    child: Mutex<Option<Arc<Child>>>,
    starts: AtomicU32,
    /// `release_ports`: the next start lets the ports go before the child runs.
    release_ports: AtomicBool,
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    fn child(&self) -> Option<Arc<Child>> {
        lock(&self.child).clone()
    }
}

impl Table {
    /// Makes the table, as [`crate::open`] says.
    pub(super) fn new(options: TableOptions) -> Result<Self, ProcessError> {
        if options.instance_id.is_empty() || options.instance_id.contains('\0') {
            return Err(ProcessError::Invalid("the instance id is empty".to_owned()));
        }
        let dir = options.run_dir();
        start::clear(&dir).map_err(|e| ProcessError::Unavailable(format!("cannot clear `{}`: {e}", dir.display())))?;
        become_subreaper().map_err(|e| ProcessError::Unavailable(format!("this process cannot adopt orphans: {e}")))?;
        Ok(Self(Arc::new(Inner {
            options,
            slots: Mutex::default(),
            runs: Mutex::default(),
            run_number: AtomicU64::new(0),
            reaper: OnceCell::new(),
        })))
    }
}

impl Inner {
    fn slot(&self, key: &Key) -> Option<Arc<Slot>> {
        lock(&self.slots).get(key).cloned()
    }

    fn child(&self, key: &Key) -> Result<Arc<Child>, ProcessError> {
        let child = self.slot(key).and_then(|slot| slot.child());
        child.ok_or_else(|| ProcessError::NotFound(format!("process `{}` was never started", key.name)))
    }

    /// Drops the names of a plugin that are of no use any more: those under which nothing was started, and those that ended,
    /// but for the last [`limits::PROCESS_ENDED`]. A plugin chooses the names, so without an end it could make the host keep
    /// any number of them.
    fn forget(&self, plugin: &str) {
        let mut slots = lock(&self.slots);
        // The map holds one; whoever else holds one works with it. More come only while the map is locked.
        let idle = |slot: &Arc<Slot>| Arc::strong_count(slot) == 1;
        let mut ended: Vec<(Millis, Key)> = Vec::new();
        slots.retain(|key, slot| {
            if key.plugin != plugin || !idle(slot) {
                return true;
            }
            let Some(child) = slot.child() else { return false };
            ended.extend(child.exit().map(|exit| (exit.at, key.clone())));
            true
        });
        ended.sort_unstable();
        let old = ended.len().saturating_sub(limits::PROCESS_ENDED);
        for (_, key) in ended.into_iter().take(old) {
            slots.remove(&key);
        }
    }

    /// Sees to it that there is a reaper before the first child, and a new one where it was killed.
    async fn ensure_reaper(&self) -> Result<(), ProcessError> {
        let begun = self.reaper.get_or_try_init(|| async {
            let options = self.options.clone();
            let first = tokio::task::spawn_blocking(move || start::start_reaper(&options));
            let first = first.await.map_err(std::io::Error::other)??;
            Ok::<_, std::io::Error>(AbortOnDrop(tokio::spawn(keep_reaper(self.options.clone(), first))))
        });
        let failed = |e| {
            ProcessError::Unavailable(format!(
                "{}: cannot start the reaper of child processes: {e}",
                self.options.shim_exe.display()
            ))
        };
        begun.await.map(|_| ()).map_err(failed)
    }

    async fn ensure(self: Arc<Self>, key: Key, spec: Spec, refs: Arc<dyn References>) -> Result<Running, ProcessError> {
        plain(&key.plugin)?;
        plain(&key.name)?;
        spec_check::check(&spec)?;
        let plugin = key.plugin.clone();
        let ensured = self.ensure_slot(key, spec, refs).await;
        self.forget(&plugin);
        ensured
    }

    async fn ensure_slot(&self, key: Key, spec: Spec, refs: Arc<dyn References>) -> Result<Running, ProcessError> {
        let slot = lock(&self.slots).entry(key.clone()).or_default().clone();
        let _turn = slot.turn.lock().await;
        if let Some(child) = slot.child() {
            if child.exit().is_none() && *child.spec == spec {
                unless_present::refuse(&spec).await?;
                return Ok(child.running(true));
            }
            let running = child.exit().is_none();
            let exit = stop::stop(&child).await;
            let early = exit.at.saturating_sub(child.started_at) < EARLY;
            if !running && early && exit.code != Some(0) && !child.ports.is_empty() {
                slot.release_ports.fetch_not(Ordering::SeqCst);
            }
        }
        self.ensure_reaper().await?;
        let manner = SpawnMode {
            capture: false,
            hold_ports: !slot.release_ports.load(Ordering::SeqCst),
            grace: PROCESS_GRACE,
        };
        unless_present::refuse(&spec).await?;
        let child = start::start(&self.options, key, spec, refs, manner).await?;
        slot.starts.fetch_add(1, Ordering::SeqCst);
        let running = child.running(false);
        *lock(&slot.child) = Some(child);
        Ok(running)
    }

    async fn stop(self: Arc<Self>, key: Key) -> Result<Exit, ProcessError> {
        self.child(&key)?;
        let slot = self.slot(&key).unwrap_or_default();
        let _turn = slot.turn.lock().await;
        Ok(stop::stop(&*self.child(&key)?).await)
    }

    async fn run(
        self: Arc<Self>,
        plugin: String,
        mut spec: Spec,
        refs: Arc<dyn References>,
        timeout: Duration,
        input: Option<Vec<u8>>,
    ) -> Result<RunOutput, ProcessError> {
        plain(&plugin)?;
        spec_check::check(&spec)?;
        // Nobody else could write into it.
        spec.stdin = input.is_some();
        self.ensure_reaper().await?;
        unless_present::refuse(&spec).await?;
        let number = self.run_number.fetch_add(1, Ordering::SeqCst);
        // No process of a plugin has such a name.
        let key = Key {
            plugin,
            name: format!(".run-{number}"),
        };
        let shown = spec.binary.display().to_string();
        let manner = SpawnMode {
            capture: true,
            hold_ports: true,
            grace: Duration::ZERO,
        };
        let table = self.clone();
        let child = whole(async move { start::start(&table.options, key, spec, refs, manner).await }).await?;
        lock(&self.runs).insert(number, child.clone());
        let _entry = RunEntry { table: &self, number };
        let fed = async {
            if let (Some(input), Some(mut stdin)) = (input, child.stdin.lock().await.take()) {
                // A program that reads nothing is one that does not want it.
                let _ = stdin.write_all(&input).await;
            }
            child.exited().await
        };
        let exit = tokio::time::timeout(timeout, fed).await;
        stop::end(&child, Duration::ZERO).await;
        let exit = exit
            .map_err(|_| ProcessError::Timeout(format!("`{shown}` did not exit within {} ms", timeout.as_millis())))?;
        let [stdout, stderr] = &child.outputs.captured;
        Ok(RunOutput {
            exit,
            stdout: stdout.text(),
            stderr: stderr.text(),
        })
    }
}

/// `RunEntry` is removed also where the caller cancels: without its entry the child has no holder left, and is ended.
struct RunEntry<'a> {
    table: &'a Inner,
    number: u64,
}

impl Drop for RunEntry<'_> {
    fn drop(&mut self) {
        if let Some(child) = lock(&self.table.runs).remove(&self.number) {
            child.end(Duration::ZERO);
        }
    }
}

async fn keep_reaper(options: TableOptions, first: (DirectChild, std::os::unix::net::UnixStream)) {
    let mut reaper = first;
    loop {
        reaper.0.wait().await;
        loop {
            tokio::time::sleep(REAPER_PAUSE).await;
            match start::start_reaper(&options) {
                Ok(next) => {
                    reaper = next;
                    break;
                }
                Err(error) => tracing::warn!(%error, "the reaper of child processes exited and cannot be restarted"),
            }
        }
    }
}

fn plain(name: &str) -> Result<(), ProcessError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > limits::PROCESS_NAME_BYTES || name.starts_with('.') || !name.chars().all(allowed)
    {
        return Err(ProcessError::Invalid(format!(
            "`{}` cannot name a process; use up to {} letters, digits, `-`, `_` and `.`, not a dot at the start",
            spec_check::shown(name),
            limits::PROCESS_NAME_BYTES
        )));
    }
    Ok(())
}

/// Runs work in a task of its own; see the head of this file.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, ProcessError>> + Send + 'static,
) -> Result<T, ProcessError> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|e| Err(ProcessError::Unavailable(format!("Nexus is shutting down ({e})"))))
}

/// Bounds a command for who waits: one that hangs all the same (a child that not even the kernel can end, or many commands
/// for one name) goes on by itself, and says so to its caller.
async fn in_time<T>(
    name: String,
    command: impl Future<Output = Result<T, ProcessError>> + Send,
) -> Result<T, ProcessError> {
    let answer = tokio::time::timeout(limits::PROCESS_COMMAND, command).await;
    answer.unwrap_or_else(|_| {
        Err(ProcessError::Timeout(format!(
            "process `{}` neither started nor exited within {} s",
            spec_check::shown(&name),
            limits::PROCESS_COMMAND.as_secs()
        )))
    })
}

impl Processes for Table {
    fn run(
        &self,
        plugin: &str,
        spec: Spec,
        refs: Arc<dyn References>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<RunOutput, ProcessError>> {
        Box::pin(self.0.clone().run(plugin.to_owned(), spec, refs, timeout, None))
    }

    fn run_with_input(
        &self,
        plugin: &str,
        spec: Spec,
        refs: Arc<dyn References>,
        timeout: Duration,
        input: Vec<u8>,
    ) -> BoxFuture<'_, Result<RunOutput, ProcessError>> {
        let run = self.0.clone().run(plugin.to_owned(), spec, refs, timeout, Some(input));
        Box::pin(run)
    }

    fn ensure(&self, key: Key, spec: Spec, refs: Arc<dyn References>) -> BoxFuture<'_, Result<Running, ProcessError>> {
        let name = key.name.clone();
        Box::pin(in_time(name, whole(self.0.clone().ensure(key, spec, refs))))
    }

    fn exited(&self, key: Key) -> BoxFuture<'_, Result<Exit, ProcessError>> {
        Box::pin(async move { Ok(self.0.child(&key)?.exited().await) })
    }

    fn lines(&self, key: &Key) -> Result<mpsc::Receiver<Line>, ProcessError> {
        Ok(self.0.child(key)?.log.read())
    }

    fn output(&self, key: &Key, stderr: bool) -> Result<mpsc::Receiver<Bytes>, ProcessError> {
        let child = self.0.child(key)?;
        let pipe = if stderr {
            &child.outputs.stderr
        } else {
            &child.outputs.stdout
        };
        let stream = if stderr { "stderr" } else { "stdout" };
        let not_piped = || ProcessError::Invalid(format!("{stream} of process `{}` is not in mode `pipe`", key.name));
        pipe.as_ref().ok_or_else(not_piped)?.read()
    }

    fn write(&self, key: Key, data: Vec<u8>) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(async move { self.0.child(&key)?.write(&data).await })
    }

    fn stop(&self, key: Key) -> BoxFuture<'_, Result<Exit, ProcessError>> {
        let name = key.name.clone();
        Box::pin(in_time(name, whole(self.0.clone().stop(key))))
    }

    fn port(&self, key: &Key, port: &str) -> Option<u16> {
        let child = self.0.child(key).ok().filter(|child| child.exit().is_none())?;
        child.ports.get(port).copied()
    }

    fn stop_all(&self, plugin: Option<&str>) -> BoxFuture<'_, ()> {
        let meant = |key: &Key| plugin.is_none_or(|p| p == key.plugin);
        let keys: Vec<Key> = lock(&self.0.slots).keys().filter(|key| meant(key)).cloned().collect();
        let runs: Vec<_> = lock(&self.0.runs)
            .values()
            .filter(|child| meant(&child.key))
            .cloned()
            .collect();
        let stops = keys.into_iter().map(|key| Processes::stop(self, key));
        Box::pin(async move {
            let ends = runs.iter().map(|child| stop::end(child, Duration::ZERO));
            tokio::join!(join_all(stops.collect::<Vec<_>>()), join_all(ends));
        })
    }

    fn usage(&self) -> Vec<(Info, Option<Usage>)> {
        let running: Vec<Info> = self.list().into_iter().filter(|info| info.exit.is_none()).collect();
        let pids: Vec<u32> = running.iter().map(|info| info.pid).collect();
        running.into_iter().zip(usage::of(&pids)).collect()
    }

    fn list(&self) -> Vec<Info> {
        let slots: Vec<_> = lock(&self.0.slots)
            .iter()
            .map(|(key, slot)| (key.clone(), slot.clone()))
            .collect();
        let info = slots.into_iter().filter_map(|(key, slot)| {
            let child = slot.child()?;
            let restarts = slot.starts.load(Ordering::SeqCst).saturating_sub(1);
            Some(Info {
                key,
                pid: child.pid,
                started_at: child.started_at,
                exit: child.exit(),
                restarts,
            })
        });
        info.collect()
    }
}
