//! Starting a child: its directory, its ports, its references, its shim.

use crate::child::{Child, Outputs, Phase};
use crate::child_task::Supervision;
use crate::environment::Environment;
use crate::error::ProcessError;
use crate::limits;
use crate::options::TableOptions;
use crate::orphans::{self, DirectChild};
use crate::output_log::OutputLog;
use crate::output_streams::{self, Pipe, Stream};
use crate::references::{Names, Place, References, Template};
use crate::reserved_ports::ReservedPorts;
use crate::shim_arguments::{CONTROL, INSTANCE_VARIABLE, REAPER, SHIM};
use crate::shim_protocol::{FromShim, Launch, line};
use crate::time::{millis, now};
use crate::types::{EnvironmentBase, Key, OutputMode, Spec};
use nexus_files::private;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

/// `SpawnMode` is how a child is started, as far as a specification does not say it.
pub(super) struct SpawnMode {
    /// `capture`: both outputs are kept for the caller, whatever their modes.
    pub(super) capture: bool,
    /// `hold_ports`: the ports stay bound while the child starts; see [`ReservedPorts`].
    pub(super) hold_ports: bool,
    pub(super) grace: Duration,
}

pub(super) async fn start(
    options: &TableOptions,
    key: Key,
    spec: Spec,
    refs: Arc<dyn References>,
    manner: SpawnMode,
) -> Result<Arc<Child>, ProcessError> {
    let (of, named, wanted, given) = (options.clone(), key.clone(), Arc::new(spec), Arc::clone(&refs));
    let spec = Arc::clone(&wanted);
    let capture = manner.capture;
    // Sockets, files, a fork: a slow disk holds up none of the threads that serve everybody.
    let prepared = tokio::task::spawn_blocking(move || prepare(&of, &named, &wanted, &*given, &manner));
    let prepared = prepared
        .await
        .unwrap_or_else(|e| Err(ProcessError::Unavailable(format!("Nexus is shutting down ({e})"))))?;
    let Prepared {
        dir,
        reserved,
        launch,
        shim,
        ours,
    } = prepared;
    let opened = match open(options, &key, &spec, &launch, shim, ours, capture).await {
        Ok(opened) => opened,
        Err(error) => {
            let _ = tokio::fs::remove_dir_all(&dir).await;
            return Err(error);
        }
    };
    let started_at = now();
    let (commands, received) = mpsc::unbounded_channel();
    let (phase, seen) = watch::channel(Phase::Running);
    let ports = reserved.ports().clone();
    let supervision = Supervision {
        shim: opened.shim,
        from: opened.from,
        to: opened.to,
        commands: received,
        phase,
        readers: opened.readers,
        log: opened.log.clone(),
        reserved,
        dir,
        instance_id: options.instance_id.clone(),
    };
    tokio::spawn(supervision.run());
    Ok(Arc::new(Child {
        key,
        spec,
        refs,
        pid: opened.pid,
        started_at,
        ports,
        log: opened.log,
        outputs: opened.outputs,
        stdin: Mutex::new(opened.stdin),
        commands,
        phase: seen,
    }))
}

/// `Prepared` is a child that only has to be told what to run.
struct Prepared {
    dir: PathBuf,
    reserved: ReservedPorts,
    launch: Launch,
    shim: DirectChild,
    ours: UnixStream,
}

/// Does everything of a start that blocks. The specification has passed its [`crate::spec_check`].
fn prepare(
    options: &TableOptions,
    key: &Key,
    spec: &Spec,
    refs: &dyn References,
    manner: &SpawnMode,
) -> Result<Prepared, ProcessError> {
    let dir = options.run_dir().join(&key.plugin).join(&key.name);
    let unavailable = |e: io::Error| ProcessError::Unavailable(format!("cannot prepare process `{}`: {e}", key.name));
    let mut reserved = ReservedPorts::pick(&spec.ports).map_err(unavailable)?;
    let launched = (|| {
        prepare_dir(&dir).map_err(unavailable)?;
        let names = SpecNames {
            spec,
            reserved: &reserved,
            dir: &dir,
        };
        write_files(&names, refs)?;
        let launch = launch(options, &names, refs, manner.grace)?;
        Ok((launch, fork(options, key, spec, manner.capture)?))
    })();
    if !manner.hold_ports {
        reserved.release();
    }
    match launched {
        Ok((launch, (shim, ours))) => Ok(Prepared {
            dir,
            reserved,
            launch,
            shim,
            ours,
        }),
        Err(error) => {
            let _ = std::fs::remove_dir_all(&dir);
            Err(error)
        }
    }
}

/// Makes the private directory empty, and for the operator alone.
fn prepare_dir(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    private::make_dir(&dir.join("tmp"))
}

struct SpecNames<'a> {
    spec: &'a Spec,
    reserved: &'a ReservedPorts,
    dir: &'a Path,
}

impl Names for SpecNames<'_> {
    fn port(&self, name: &str) -> Option<u16> {
        self.reserved.ports().get(name).copied()
    }
    fn dir(&self) -> Option<String> {
        self.dir.to_str().map(str::to_owned)
    }
    fn file(&self, name: &str) -> Option<String> {
        self.spec.files.iter().find(|(n, _)| n == name)?;
        self.dir.join(name).to_str().map(str::to_owned)
    }
}

/// `Filling` fills in texts that share one amount of bytes.
struct Filling<'a> {
    names: &'a SpecNames<'a>,
    refs: &'a dyn References,
    place: Place,
    left: usize,
}

impl Filling<'_> {
    fn fill(&mut self, what: &str, text: &str) -> Result<String, ProcessError> {
        let filled = Template::parse(text, self.place).and_then(|t| t.fill(self.names, self.refs, self.left));
        let filled = filled.map_err(|e| ProcessError::Invalid(format!("{what}: {e}")))?;
        if self.place != Place::File && filled.contains('\0') {
            return Err(ProcessError::Invalid(format!("{what} contains a zero byte")));
        }
        self.left = self.left.saturating_sub(filled.len());
        Ok(filled)
    }
}

impl<'a> SpecNames<'a> {
    fn filling(&'a self, refs: &'a dyn References, place: Place, most: usize) -> Filling<'a> {
        Filling {
            names: self,
            refs,
            place,
            left: most,
        }
    }
}

fn write_files(names: &SpecNames<'_>, refs: &dyn References) -> Result<(), ProcessError> {
    let mut filling = names.filling(refs, Place::File, limits::PROCESS_FILES_BYTES);
    for (name, content) in &names.spec.files {
        let content = filling.fill(&format!("file `{name}`"), content)?;
        private::options()
            .write(true)
            .create_new(true)
            .open(names.dir.join(name))
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .map_err(|e| ProcessError::Unavailable(format!("cannot write the private file `{name}`: {e}")))?;
    }
    Ok(())
}

fn launch(
    options: &TableOptions,
    names: &SpecNames<'_>,
    refs: &dyn References,
    grace: Duration,
) -> Result<Launch, ProcessError> {
    let spec = names.spec;
    let mut filling = names.filling(refs, Place::Argument, limits::PROCESS_ARGS_BYTES);
    let args = spec.args.iter().enumerate();
    let args = args
        .map(|(at, text)| filling.fill(&format!("argument {}", at + 1), text))
        .collect::<Result<_, _>>()?;
    let mut filling = names.filling(refs, Place::Environment, limits::PROCESS_ARGS_BYTES);
    let env = spec.env.iter().map(|(name, text)| {
        let filled = filling.fill(&format!("environment variable `{name}`"), text)?;
        Ok((name.clone(), filled))
    });
    let mut env = env.collect::<Result<Vec<_>, ProcessError>>()?;
    let cwd: PathBuf = spec.cwd.clone().unwrap_or_else(|| names.dir.to_owned());
    // Otherwise the operating system's "not found" reads as if the binary were missing.
    if !cwd.is_dir() {
        return Err(ProcessError::Invalid(format!(
            "the working directory `{}` does not exist",
            cwd.display()
        )));
    }
    let tmp = names.dir.join("tmp");
    let environment = Environment {
        base: spec.base,
        hidden: &options.hidden_env,
        instance_id: &options.instance_id,
        tmp: &tmp,
    };
    // The inherited one is where Nexus was started: programs believe it.
    if spec.base == EnvironmentBase::Inherit
        && let Some(dir) = cwd.to_str()
        && !env.iter().any(|(name, _)| name == "PWD")
    {
        env.push(("PWD".to_owned(), dir.to_owned()));
    }
    Ok(Launch {
        binary: spec.binary.clone().into_os_string(),
        args,
        env: environment.of(std::env::vars_os(), env),
        cwd: cwd.into_os_string(),
        grace_ms: millis(grace),
    })
}

struct Opened {
    shim: DirectChild,
    pid: u32,
    from: tokio::io::Lines<BufReader<tokio::net::unix::OwnedReadHalf>>,
    to: tokio::net::unix::OwnedWriteHalf,
    stdin: Option<tokio::process::ChildStdin>,
    log: OutputLog,
    outputs: Outputs,
    readers: JoinSet<()>,
}

fn failed(key: &Key, spec: &Spec, reason: &dyn std::fmt::Display) -> ProcessError {
    ProcessError::Unavailable(format!(
        "cannot start process `{}` ({}): {reason}",
        key.name,
        spec.binary.display()
    ))
}

/// Starts the shim, which then waits to be told what to run, and returns it with our end of its socket. Must be called
/// within tokio.
fn fork(
    options: &TableOptions,
    key: &Key,
    spec: &Spec,
    capture: bool,
) -> Result<(DirectChild, UnixStream), ProcessError> {
    let output = |mode: OutputMode| {
        if capture || mode != OutputMode::Discard {
            Stdio::piped()
        } else {
            Stdio::null()
        }
    };
    let (ours, theirs) = UnixStream::pair().map_err(|e| failed(key, spec, &e))?;
    let mut command = Command::new(&options.shim_exe);
    command
        .arg(SHIM)
        .arg(CONTROL)
        .arg(theirs.as_raw_fd().to_string())
        .env_clear()
        .env(INSTANCE_VARIABLE, &options.instance_id)
        .current_dir("/")
        .stdin(if spec.stdin { Stdio::piped() } else { Stdio::null() })
        .stdout(output(spec.stdout))
        .stderr(output(spec.stderr));
    leave_open(&mut command, theirs);
    // Our copy of the shim's end lives in the command, and goes with it.
    let shim = DirectChild::spawn(&mut command)
        .map_err(|e| failed(key, spec, &format_args!("{}: {e}", options.shim_exe.display())))?;
    Ok((shim, ours))
}

async fn open(
    options: &TableOptions,
    key: &Key,
    spec: &Spec,
    launch: &Launch,
    mut shim: DirectChild,
    ours: UnixStream,
    capture: bool,
) -> Result<Opened, ProcessError> {
    let io_failed = |e: io::Error| failed(key, spec, &e);
    ours.set_nonblocking(true).map_err(io_failed)?;
    let (from, mut to) = tokio::net::UnixStream::from_std(ours).map_err(io_failed)?.into_split();
    let mut from = BufReader::new(from).lines();
    let asked = async {
        to.write_all(&line(launch)?).await?;
        from.next_line().await
    };
    let answer = tokio::time::timeout(limits::PROCESS_START, asked).await;
    let answered = match answer {
        Ok(Ok(Some(answer))) => match serde_json::from_str(&answer) {
            Ok(FromShim::Started { pid }) => Ok(pid),
            Ok(FromShim::Failed { reason }) => Err(reason),
            _ => Err(format!("its shim answered `{answer}`")),
        },
        Ok(Ok(None)) => Err("its shim exited immediately".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("its shim did not answer".to_owned()),
    };
    let pid = match answered {
        Ok(pid) => pid,
        Err(reason) => {
            shim.kill();
            shim.wait().await;
            orphans::sweep(&options.instance_id).await;
            return Err(failed(key, spec, &reason));
        }
    };
    let mut opened = Opened {
        shim,
        pid,
        from,
        to,
        stdin: None,
        log: OutputLog::new(),
        outputs: Outputs::default(),
        readers: JoinSet::new(),
    };
    wire(&mut opened, spec, capture);
    Ok(opened)
}

/// Leads the child's streams to where their modes say.
fn wire(opened: &mut Opened, spec: &Spec, capture: bool) {
    let child = opened.shim.streams();
    opened.stdin = child.stdin.take();
    let stdout = child.stdout.take().map(|s| (Box::new(s) as Stream, false, spec.stdout));
    let stderr = child.stderr.take().map(|s| (Box::new(s) as Stream, true, spec.stderr));
    for (stream, stderr, mode) in [stdout, stderr].into_iter().flatten() {
        if capture {
            let [out, err] = &opened.outputs.captured;
            opened
                .readers
                .spawn(if stderr { err } else { out }.clone().fill(stream));
        } else if mode == OutputMode::Log {
            opened
                .readers
                .spawn(output_streams::log(stream, stderr, opened.log.clone()));
        } else {
            let pipe = Some(Pipe::new(stream));
            if stderr {
                opened.outputs.stderr = pipe
            } else {
                opened.outputs.stdout = pipe
            }
        }
    }
}

/// Leaves one descriptor open for the shim, beside the standard streams. The flag is cleared after the fork, in the
/// shim alone: another child that is started at this moment must not get it.
#[allow(unsafe_code)]
fn leave_open(command: &mut Command, theirs: UnixStream) {
    let clear = move || Ok(rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty())?);
    // SAFETY: between fork and exec only this system call is made; nothing allocates or locks.
    unsafe { command.pre_exec(clear) };
}

/// Starts the reaper, with a socket of the host as its standard input, on whose end it waits.
pub(super) fn start_reaper(options: &TableOptions) -> io::Result<(DirectChild, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(&options.shim_exe);
    command
        .args([SHIM, REAPER, &options.instance_id])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok((DirectChild::spawn(&mut command)?, ours))
}

/// Removes what an earlier life of the host left.
pub(super) fn clear(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    private::make_dir(dir)
}
