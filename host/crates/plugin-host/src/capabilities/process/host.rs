//! `process`: child processes of the plugin, which belong to the host.

use crate::bindings::caps::process as wit;
use crate::bindings::caps::types::Error;
use crate::capabilities::capability::{Capability, HostResult};
use crate::capabilities::context::{Capabilities, Context, Granted, enter};
use crate::capabilities::gate::Gate;
use crate::capabilities::secrets::references::PluginReferences;
use crate::capabilities::stream_producers::{ByteProducer, ItemProducer};
use nexus_config::resolved::Workspaces;
use nexus_model::limits;
use nexus_model::plural;
use nexus_process::{ProcessError, References};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Accessor, Lift, Lower, StreamProducer, StreamReader};

pub(in crate::capabilities) fn capability<T: Send + 'static>() -> Capability<T> {
    Capability {
        limit: |gate| Some(plural::of(gate.limits().processes.into(), "process", "processes")),
        located: Gate::located,
        ..Capability::new("process", |linker, caps| wit::add_to_linker::<T, Granted>(linker, caps))
    }
}

fn failed(e: ProcessError) -> Error {
    match e {
        ProcessError::Invalid(t) => Error::Invalid(t),
        ProcessError::NotFound(t) => Error::NotFound(t),
        ProcessError::Timeout(t) => Error::Timeout(t),
        ProcessError::Unavailable(t) => Error::Unavailable(t),
        ProcessError::Denied(t) => Error::Denied(t),
        ProcessError::Present(t) => Error::Other(t),
    }
}

impl Context {
    fn key(&self, name: &str) -> nexus_process::Key {
        nexus_process::Key {
            plugin: self.owner.clone(),
            name: name.to_owned(),
        }
    }

    fn references(&self) -> Arc<dyn References> {
        Arc::new(PluginReferences {
            gate: Arc::clone(&self.gate),
            generated: Arc::clone(&self.states.secrets.generated),
        })
    }

    /// Takes a place for one more process with a name. It is held until the process is listed, also where the plugin
    /// does not wait for that.
    fn place(self: &Arc<Self>, key: &nexus_process::Key) -> Result<Starting, Error> {
        // Locked before the list is taken: what is started meanwhile is in one of the two.
        let mut starts = self.states.process.pending();
        let listed = self.states.process.processes.list();
        let running = listed
            .iter()
            .filter(|process| process.key.plugin == self.owner && process.exit.is_none())
            .map(|process| process.key.name.as_str());
        let others: BTreeSet<&str> = running
            .chain(starts.named.values().map(String::as_str))
            .filter(|name| key.name != *name)
            .collect();
        self.gate.another_process(others.len())?;
        self.gate.another_start(&self.states.process.started)?;
        let number = starts.next();
        starts.named.insert(number, key.name.clone());
        drop(starts);
        Ok(Starting {
            of: Arc::clone(self),
            number,
        })
    }

    /// Takes a place for a process that runs to its end. It is counted apart: a plugin asks for the version of a
    /// program while its own server runs.
    fn run_place(self: &Arc<Self>) -> Result<Starting, Error> {
        let mut starts = self.states.process.pending();
        self.gate.another_process(starts.runs.len())?;
        self.gate.another_start(&self.states.process.started)?;
        self.states.process.started.used(1.0);
        let number = starts.next();
        starts.runs.insert(number);
        drop(starts);
        Ok(Starting {
            of: Arc::clone(self),
            number,
        })
    }

    /// Looks for the file of a program, which may wait for a disk.
    async fn binary(&self, name: String) -> Result<PathBuf, Error> {
        let gate = Arc::clone(&self.gate);
        let found = tokio::task::spawn_blocking(move || gate.find(&name)).await;
        found
            .map_err(|e| Error::Other(format!("cannot search for the binary: {e}")))??
            .map_err(Error::NotFound)
    }

    /// `places` are the file of a binary, and the directory it runs in.
    async fn places(&self, binary: String, cwd: Option<String>) -> Result<(PathBuf, Option<PathBuf>), Error> {
        let (gate, workspaces, name) = (Arc::clone(&self.gate), self.workspaces.clone(), binary.clone());
        let directory =
            tokio::task::spawn_blocking(move || gate.directory(&name, cwd.as_deref(), workspaces.as_ref())).await;
        let directory = directory.map_err(|e| Error::Other(format!("cannot search for the directory: {e}")))??;
        Ok((self.binary(binary).await?, directory))
    }

    /// `unless_present` holds in each workspace, whichever of them the process is told of later.
    fn unless_present(&self, unless: wit::UnlessPresent, cwd: Option<&Path>) -> nexus_process::UnlessPresent {
        let all = self.workspaces.iter().flat_map(Workspaces::all);
        let elsewhere: Vec<PathBuf> = all.filter(|path| Some(*path) != cwd).map(Path::to_owned).collect();
        let or = if elsewhere.is_empty() {
            unless.or
        } else {
            let ends = if unless.or.is_empty() { "" } else { ", or " };
            format!("{}{ends}take that folder out of `workspaces` in [chat.main]", unless.or)
        };
        nexus_process::UnlessPresent {
            folders: unless.folders,
            files: unless.files,
            keys: unless.keys,
            above: unless.above,
            home: unless.home,
            elsewhere,
            or,
        }
    }

    async fn spec(&self, spec: wit::Spec) -> Result<nexus_process::Spec, Error> {
        for text in [Some(&spec.binary), spec.cwd.as_ref()].into_iter().flatten() {
            if text.len() > nexus_process::limits::PATH_BYTES {
                let (most, found) = (nexus_process::limits::PATH_BYTES, text.len());
                return Err(Error::Invalid(format!(
                    "a path can have at most {most} bytes, but this one has {found}"
                )));
            }
        }
        let inherit = spec.base == wit::EnvironmentBase::Inherit;
        let env: Vec<_> = spec
            .env
            .into_iter()
            .map(|variable| (variable.name, variable.value))
            .collect();
        self.gate.run(&spec.binary, inherit, &env)?;
        let (binary, cwd) = self.places(spec.binary, spec.cwd).await?;
        let stop = spec.stop.into_iter().map(stop_step).collect::<Result<_, _>>()?;
        let unless = spec
            .unless_present
            .map(|unless| self.unless_present(unless, cwd.as_deref()));
        Ok(nexus_process::Spec {
            binary,
            args: spec.args,
            base: if inherit {
                nexus_process::EnvironmentBase::Inherit
            } else {
                nexus_process::EnvironmentBase::Clean
            },
            env,
            ports: spec.ports,
            files: spec.files.into_iter().map(|f| (f.name, f.content)).collect(),
            cwd,
            stdin: spec.stdin,
            stdout: output_mode(spec.stdout),
            stderr: output_mode(spec.stderr),
            stop,
            unless,
        })
    }
}

/// `Starting` counts against `limits.processes` until it is dropped.
struct Starting {
    of: Arc<Context>,
    number: u64,
}

impl Drop for Starting {
    fn drop(&mut self) {
        let mut starts = self.of.states.process.pending();
        starts.named.remove(&self.number);
        starts.runs.remove(&self.number);
    }
}

/// Holds a place until the work is done, though the plugin may cancel the call: a start that was begun goes on.
async fn holding<T: Send + 'static>(
    place: Starting,
    work: impl Future<Output = Result<T, ProcessError>> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::spawn(async move {
        let done = work.await;
        drop(place);
        done
    });
    let done = done.await;
    done.map_err(|e| Error::Other(format!("cannot start the process: {e}")))?
        .map_err(failed)
}

fn output_mode(mode: wit::OutputMode) -> nexus_process::OutputMode {
    match mode {
        wit::OutputMode::Log => nexus_process::OutputMode::Log,
        wit::OutputMode::Pipe => nexus_process::OutputMode::Pipe,
        wit::OutputMode::Discard => nexus_process::OutputMode::Discard,
    }
}

fn stop_step(step: wit::StopStep) -> Result<nexus_process::StopStep, Error> {
    Ok(match step {
        wit::StopStep::Http(http) => {
            if !http.url.starts_with("process://") {
                return Err(Error::Invalid(format!(
                    "a stop step must use process://…, not `{}`",
                    http.url
                )));
            }
            nexus_process::StopStep::Http {
                method: http.method,
                url: http.url,
                headers: http
                    .headers
                    .into_iter()
                    .map(|header| (header.name, header.value))
                    .collect(),
                timeout: Duration::from_millis(http.timeout),
            }
        }
        wit::StopStep::Signal(signal) => nexus_process::StopStep::Signal(match signal {
            wit::Signal::Terminate => nexus_process::Signal::Terminate,
            wit::Signal::Interrupt => nexus_process::Signal::Interrupt,
            wit::Signal::HangUp => nexus_process::Signal::HangUp,
            wit::Signal::Kill => nexus_process::Signal::Kill,
        }),
        wit::StopStep::Wait(ms) => nexus_process::StopStep::Wait(Duration::from_millis(ms)),
    })
}

fn exit(exit: nexus_process::Exit) -> wit::Exit {
    wit::Exit {
        code: exit.code,
        signal: exit.signal,
        at: exit.at,
    }
}

fn line(line: nexus_process::Line) -> wit::Line {
    let stream = if line.stderr {
        wit::OutputStream::Stderr
    } else {
        wit::OutputStream::Stdout
    };
    wit::Line {
        stream,
        text: line.text,
        dropped: line.dropped,
    }
}

/// `stream` makes what was opened a stream of the plugin's.
fn stream<T, I, P>(a: &Accessor<T, Granted>, opened: Result<P, Error>) -> HostResult<StreamReader<I>>
where
    T: 'static,
    P: StreamProducer<T, Item = I>,
    I: Lower + Lift + Send + Sync + 'static,
{
    match opened {
        Ok(producer) => a.with(|s| StreamReader::new(s, producer)).map(Ok),
        Err(refused) => Ok(Err(refused)),
    }
}

impl wit::Host for Capabilities {}

impl<T: Send + 'static> wit::HostWithStore<T> for Granted {
    async fn find(a: &Accessor<T, Self>, binary: String) -> HostResult<String> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            Ok(ctx.binary(binary).await?.display().to_string())
        }
        .await)
    }

    async fn run(a: &Accessor<T, Self>, spec: wit::Spec, timeout: u64) -> HostResult<wit::OutputOfRun> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            let spec = ctx.spec(spec).await?;
            let _place_of_run = ctx.run_place()?;
            let timeout = Duration::from_millis(timeout).min(limits::PROCESS_RUN);
            let run = ctx
                .states
                .process
                .processes
                .run(&ctx.owner, spec, ctx.references(), timeout);
            let out = run.await.map_err(failed)?;
            Ok(wit::OutputOfRun {
                exit: exit(out.exit),
                stdout: out.stdout,
                stderr: out.stderr,
            })
        }
        .await)
    }

    async fn ensure(a: &Accessor<T, Self>, name: String, spec: wit::Spec) -> HostResult<wit::Running> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            let spec = ctx.spec(spec).await?;
            let key = ctx.key(&name);
            let place = ctx.place(&key)?;
            let (processes, references) = (Arc::clone(&ctx.states.process.processes), ctx.references());
            let running = holding(place, async move { processes.ensure(key, spec, references).await }).await;
            // One that is adopted, or refused before anything was done for it (`Other`: by what is present), costs nothing.
            if !matches!(
                &running,
                Ok(nexus_process::Running { adopted: true, .. }) | Err(Error::Invalid(_) | Error::Other(_))
            ) {
                ctx.states.process.started.used(1.0);
            }
            let running = running?;
            Ok(wit::Running {
                outcome: if running.adopted {
                    wit::Outcome::Adopted
                } else {
                    wit::Outcome::Started
                },
                pid: running.pid,
                started_at: running.started_at,
                ports: running
                    .ports
                    .into_iter()
                    .map(|(name, number)| wit::Port { name, number })
                    .collect(),
            })
        }
        .await)
    }

    async fn exited(a: &Accessor<T, Self>, name: String) -> HostResult<wit::Exit> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            ctx.states
                .process
                .processes
                .exited(ctx.key(&name))
                .await
                .map(exit)
                .map_err(failed)
        }
        .await)
    }

    async fn lines(a: &Accessor<T, Self>, name: String) -> HostResult<StreamReader<wit::Line>> {
        let opened = enter(a).and_then(|(ctx, place)| {
            let source = ctx.states.process.processes.lines(&ctx.key(&name)).map_err(failed)?;
            Ok(ItemProducer::new(source, line, place))
        });
        stream(a, opened)
    }

    async fn output(a: &Accessor<T, Self>, name: String, of: wit::OutputStream) -> HostResult<StreamReader<u8>> {
        let opened = enter(a).and_then(|(ctx, place)| {
            let (key, stderr) = (ctx.key(&name), of == wit::OutputStream::Stderr);
            let source = ctx.states.process.processes.output(&key, stderr).map_err(failed)?;
            Ok(ByteProducer::new(source, place))
        });
        stream(a, opened)
    }

    async fn write(a: &Accessor<T, Self>, name: String, data: Vec<u8>) -> HostResult<()> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            ctx.states
                .process
                .processes
                .write(ctx.key(&name), data)
                .await
                .map_err(failed)
        }
        .await)
    }

    async fn stop(a: &Accessor<T, Self>, name: String) -> HostResult<wit::Exit> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            ctx.states
                .process
                .processes
                .stop(ctx.key(&name))
                .await
                .map(exit)
                .map_err(failed)
        }
        .await)
    }
}
