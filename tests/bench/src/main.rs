//! What a plugin costs in Nexus, beside the same component in wasmtime alone and beside a plugin of Extism that does the
//! same: `./tests/measure` runs it. The competitors take turns within each round, so that noise hits all of them; what is
//! printed is the median over the rounds.
#![allow(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::print_stdout)]

/// The host's own.
#[path = "../../../host/crates/plugin-host/src/bindings.rs"]
mod bindings;
mod guests;
mod in_extism;
mod in_nexus;
mod in_wasmtime;
mod table;

use anyhow::Context as _;
use guests::EVENTS;
use nexus_model::plugin::Kind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use table::{Row, Samples};

const ROUNDS: usize = 40;
const CALLS: usize = 2000;
/// Compiling takes its time.
const COMPILED: usize = 11;
/// Each waits for the supervisor's pause.
const PAUSED: usize = 7;

/// Measures an expression that may wait and may fail.
macro_rules! timed {
    ($samples:expr, $count:expr, $work:expr) => {{
        let begun = Instant::now();
        let result = $work?;
        $samples.add(begun.elapsed(), $count);
        result
    }};
}

fn main() -> anyhow::Result<()> {
    use tokio::runtime::Builder;
    let files = Files::write()?;
    println!("Calls, events and crashes, on two threads:\n");
    on(Builder::new_multi_thread().worker_threads(2), running(files.clone()))?;
    println!("\nThe same on one thread, as in the host:\n");
    on(&mut Builder::new_current_thread(), running(files.clone()))?;
    println!("\nFrom the file to what can be started:\n");
    on(
        Builder::new_multi_thread().worker_threads(2),
        async move { loading(&files) },
    )
}

/// As a task like any other, and not what the main thread waits for: that one is woken across threads.
fn on(
    builder: &mut tokio::runtime::Builder,
    work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) -> anyhow::Result<()> {
    let runtime = builder.enable_all().build()?;
    runtime.block_on(async { tokio::spawn(work).await? })
}

/// The components that are measured.
#[derive(Clone)]
struct Files {
    dir: Arc<tempfile::TempDir>,
    caller: Vec<u8>,
    streamer: Vec<u8>,
    extism: Vec<u8>,
}

impl Files {
    fn write() -> anyhow::Result<Self> {
        let files = Self {
            dir: Arc::new(tempfile::tempdir()?),
            caller: guests::caller()?,
            streamer: guests::streamer()?,
            extism: guests::extism()?,
        };
        std::fs::write(files.path("caller"), &files.caller)?;
        std::fs::write(files.path("streamer"), &files.streamer)?;
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name).with_extension("wasm")
    }
}

fn builtin(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../host/builtin/{name}.wasm"))
}

/// Calls, events and restarts.
async fn running(files: Files) -> anyhow::Result<()> {
    let engine = in_wasmtime::engine()?;
    let pre = |bytes: &[u8]| in_wasmtime::pre(&engine, &in_wasmtime::compile(&engine, bytes)?);
    let echo = builtin("chat-echo");
    let echo_bytes = std::fs::read(&echo)?;
    let mut raw = in_wasmtime::Tunnel::new(&engine, pre(&files.caller)?).await?;
    let mut raw_stream = in_wasmtime::Chat::new(&engine, &pre(&files.streamer)?).await?;
    let mut raw_echo = in_wasmtime::Chat::new(&engine, &pre(&echo_bytes)?).await?;

    let host = in_nexus::Host::new()?;
    let falling = host.load(Kind::Tunnel, &files.path("caller"))?;
    let nexus = host.tunnel(falling.clone()).await?;
    let nexus_stream = host.chat(host.load(Kind::Chat, &files.path("streamer"))?).await?;
    let nexus_echo = host.chat(host.load(Kind::Chat, &echo)?).await?;

    let compiled = in_extism::load(&files.extism, None)?;
    let mut extism = in_extism::Running::new(&compiled)?;

    let [mut call, mut echo_call, mut event, mut restart]: [[Samples; 3]; 4] = Default::default();
    for round in 0..=ROUNDS {
        if round == 1 {
            // The first round was for warming up.
            [call, echo_call, event, restart] = Default::default();
        }
        timed!(call[0], CALLS, raw.calls(CALLS).await);
        timed!(call[1], CALLS, nexus.calls(CALLS).await);
        timed!(call[2], CALLS, extism.calls(CALLS));
        timed!(echo_call[0], CALLS, raw_echo.calls(CALLS).await);
        timed!(echo_call[1], CALLS, nexus_echo.calls(CALLS).await);
        timed!(event[0], EVENTS, raw_stream.events().await);
        timed!(event[1], EVENTS, nexus_stream.events().await);
        timed!(event[2], EVENTS, extism.events());
        timed!(restart[0], 1, raw.crash().await);
        timed!(restart[1], 1, nexus.crash(true).await);
        timed!(restart[2], 1, extism.crash());
    }
    let mut paused = Samples::default();
    for _ in 0..PAUSED {
        // Each falls for the first time: the pause is the first one.
        let tunnel = host.tunnel(falling.clone()).await?;
        timed!(paused, 1, tunnel.crash(false).await);
    }

    let pause = nexus_model::limits::RESTART_FIRST.as_millis();
    let with_pause = format!("the same with the supervisor's first pause of {pause} ms");
    table::print(&[
        row("smallest call (`check-availability`, by hand)", &call),
        Row {
            what: "the same of chat-echo (Rust, async)",
            raw: Some(&echo_call[0]),
            nexus: &echo_call[1],
            extism: None,
        },
        row("event (a delta, one a write)", &event),
        row("trap to the next answer, at once", &restart),
        Row {
            what: &with_pause,
            raw: None,
            nexus: &paused,
            extism: None,
        },
    ]);
    Ok(())
}

fn row<'a>(what: &'a str, samples: &'a [Samples; 3]) -> Row<'a> {
    Row {
        what,
        raw: Some(&samples[0]),
        nexus: &samples[1],
        extism: Some(&samples[2]),
    }
}

/// From bytes to what can be started, compiled anew and from the cache. What is written by hand differs between the
/// competitors by what they need around it; a real component only two of them can load.
fn loading(files: &Files) -> anyhow::Result<()> {
    let cache = tempfile::tempdir()?;
    let settings = cache.path().join("cache.toml");
    std::fs::write(
        &settings,
        format!("[cache]\ndirectory = {:?}\n", cache.path().join("code")),
    )?;
    let opencode = builtin("chat-opencode");
    let opencode_bytes = std::fs::read(&opencode)?;
    let both = [
        (Kind::Tunnel, files.path("caller"), &files.caller),
        (Kind::Chat, opencode, &opencode_bytes),
    ];
    let [mut cold, mut cached]: [[[Samples; 3]; 2]; 2] = Default::default();
    for _ in 0..COMPILED {
        for (n, (kind, path, bytes)) in both.iter().enumerate() {
            // As a process that has just started: each has an engine of its own, made before.
            let engine = in_wasmtime::engine()?;
            let component = timed!(cold[n][0], 1, in_wasmtime::compile(&engine, bytes));
            let host = in_nexus::Host::new()?;
            timed!(cold[n][1], 1, host.load(*kind, path));
            let code = in_wasmtime::serialize(&component)?;
            for _ in 0..5 {
                timed!(cached[n][0], 1, in_wasmtime::deserialize(&engine, &code));
                timed!(cached[n][1], 1, host.load(*kind, path));
            }
        }
        timed!(cold[0][2], 1, in_extism::load(&files.extism, None));
        in_extism::load(&files.extism, Some(&settings)).context("wasmtime's cache")?;
        for _ in 0..5 {
            timed!(cached[0][2], 1, in_extism::load(&files.extism, Some(&settings)));
        }
    }
    let sizes = [files.caller.len(), opencode_bytes.len()].map(|size| size as f64 / 1e3);
    let words = |how: &str, n: usize| format!("load {how}, {} ({:.0} KB)", ["by hand", "chat-opencode"][n], sizes[n]);
    let mut rows = Vec::new();
    for n in 0..2 {
        for (how, samples) in [("cold", &cold[n]), ("cached", &cached[n])] {
            rows.push((words(how, n), samples, n == 0));
        }
    }
    let rows: Vec<_> = rows
        .iter()
        .map(|(what, samples, extism)| Row {
            what,
            raw: Some(&samples[0]),
            nexus: &samples[1],
            extism: extism.then_some(&samples[2]),
        })
        .collect();
    table::print(&rows);
    Ok(())
}
