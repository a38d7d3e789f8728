//! The log of this process: on stderr, since stdout carries the lines that programs read, and in a file; and the audit, in
//! files of its own.

use anyhow::Context as _;
use nexus_config::log_targets;
use nexus_config::resolved::Log;
use nexus_logging::audit::{Audit, TARGET};
use nexus_logging::logfile::{self, Background, EventFields, Writer};
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

/// `Logs` are where the lines of this process go.
pub(super) struct Logs {
    pub(super) terminal: Arc<Background>,
    file: Option<Arc<Background>>,
    audit: Audit,
}

impl Logs {
    /// Waits until all is written, for each of them no longer than that.
    pub(super) fn finish(&self, limit: Duration) {
        self.audit.finish(limit);
        if let Some(file) = &self.file {
            file.finish(limit);
        }
        self.terminal.finish(limit);
    }
}

/// Starts the log of this process. A file that cannot be written is said and done without: a full disk must not keep the
/// page from coming up.
///
/// # Errors
/// The filter is not one, or a log has been started before.
pub(super) fn start(log: &Log, data_dir: &Path) -> anyhow::Result<(Filter, Logs)> {
    let no_thread = "cannot start the log";
    let terminal = Arc::new(Background::stderr().context(no_thread)?);
    let (filter, handle) = reload::Layer::new(parse(&log.filter)?);
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(Arc::clone(&terminal))
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let stderr = if log.json {
        stderr.json().boxed()
    } else {
        stderr.with_target(false).fmt_fields(EventFields).boxed()
    };
    let opened = log.file.as_ref().map(|file| {
        let print_error = Arc::clone(&terminal);
        let print_error = move |text: &str| print_error.say(&format!("warning: {text}"));
        (&file.path, Writer::open(file, Box::new(print_error)))
    });
    let (writer, trouble) = match opened {
        None => (None, None),
        Some((_, Ok(writer))) => {
            let writer = Background::over("log", writer, logfile::missing).context(no_thread)?;
            (Some(Arc::new(writer)), None)
        }
        Some((path, Err(cause))) => (None, Some((path, cause))),
    };
    let file = writer.as_ref().map(|writer| {
        let layer = tracing_subscriber::fmt::layer().json().with_writer(Arc::clone(writer));
        layer.with_filter(filter_fn(|meta| meta.target() != TARGET))
    });
    let audit = Audit::of_host(data_dir, Some((Arc::clone(&terminal), log.json))).context(no_thread)?;
    tracing_subscriber::registry()
        .with(filter)
        .with(stderr.with_filter(filter_fn(|meta| meta.target() != TARGET)))
        .with(file)
        .with(audit.clone())
        .try_init()
        .map_err(|e| anyhow::anyhow!("cannot start the log: {e}"))?;
    if let Some((path, cause)) = trouble {
        tracing::warn!(
            "the log is written to stderr only, because {} cannot be used: {cause}. To fix: set another path with [log] \
             file = \"/path\", or file = \"\" for none",
            path.display()
        );
    }
    let logs = Logs {
        terminal,
        file: writer,
        audit,
    };
    Ok((Filter(handle), logs))
}

/// `Filter` says what of the log is written; it can be changed while it is.
pub(super) struct Filter(reload::Handle<Targets, Registry>);

impl Filter {
    /// `Err`: a sentence for the operator.
    pub(super) fn set(&self, text: &str) -> Result<(), String> {
        let filter = parse(text).map_err(|error| format!("{error:#}"))?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

fn parse(text: &str) -> anyhow::Result<Targets> {
    let filter = log_targets(text).map_err(|cause| anyhow::anyhow!("log.filter: {cause}"))?;
    // Who came in is not silenced by the way, only by name.
    if text.contains("audit") {
        return Ok(filter);
    }
    Ok(filter.with_target("audit", LevelFilter::INFO))
}

/// Whether what is written to stderr is kept by systemd's journal, which others of the machine may read.
pub(super) fn stderr_is_kept() -> bool {
    #[cfg(unix)]
    {
        let kept = std::env::var("JOURNAL_STREAM").ok().and_then(|text| {
            let (device, inode) = text.split_once(':')?;
            Some((device.parse::<u64>().ok()?, inode.parse::<u64>().ok()?))
        });
        let stderr = rustix::fs::fstat(std::io::stderr()).ok();
        kept.zip(stderr)
            .is_some_and(|(kept, stderr)| kept == (stderr.st_dev, stderr.st_ino))
    }
    #[cfg(not(unix))]
    false
}
