//! The channels of `[notify]`: a program of the operator's, and a webhook.

use super::Channel;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_config::resolved::Notify;
use nexus_egress::Webhook;
use nexus_model::limits;
use nexus_model::notice::Notice;
use nexus_process::{EnvironmentBase, OutputMode, Processes, References, Spec};
use std::path::PathBuf;
use std::sync::Arc;

/// Whose processes they are in the table; no plugin has a dot in its name.
const OWNER: &str = "nexus.notify";

/// The operator's program. It runs as every child does: under a shim, so that nothing of it is left behind.
struct CommandChannel {
    words: Vec<String>,
    processes: Arc<dyn Processes>,
}

/// A command has no references to secrets.
struct NoSecrets;

impl References for NoSecrets {
    fn secret(&self, name: &str) -> Result<String, String> {
        Err(format!("there is no secret `{name}`"))
    }
    fn generated(&self, name: &str) -> Result<String, String> {
        Err(format!("there is no secret `{name}`"))
    }
}

impl CommandChannel {
    /// What the operator wrote stands as it is: a brace begins no reference.
    fn spec(&self, event: &str) -> Option<Spec> {
        let (program, arguments) = self.words.split_first()?;
        Some(Spec {
            binary: PathBuf::from(program),
            args: arguments.iter().map(|text| text.replace('{', "{{")).collect(),
            base: EnvironmentBase::Clean,
            env: vec![("NEXUS_EVENT".to_owned(), event.to_owned())],
            ports: Vec::new(),
            files: Vec::new(),
            cwd: None,
            stdin: true,
            stdout: OutputMode::Log,
            stderr: OutputMode::Log,
            stop: Vec::new(),
            unless: None,
        })
    }
}

impl Channel for CommandChannel {
    fn name(&self) -> String {
        format!("the command {}", self.words.first().map_or("", String::as_str))
    }
    fn again(&self) -> u32 {
        0
    }
    fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let spec = self.spec(&notice.event.to_string()).ok_or("it names no program")?;
            let mut json = serde_json::to_vec(notice).map_err(|e| e.to_string())?;
            json.push(b'\n');
            let refs: Arc<dyn References> = Arc::new(NoSecrets);
            let run = self
                .processes
                .run_with_input(OWNER, spec, refs, limits::NOTIFY_TRY, json);
            let output = run.await.map_err(|e| e.to_string())?;
            for (stream, text) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
                if !text.trim().is_empty() {
                    tracing::debug!(stream, "{} wrote: {}", self.name(), text.trim());
                }
            }
            match (output.exit.code, output.exit.signal) {
                (Some(0), _) => Ok(()),
                (Some(code), _) => Err(format!("it exited with code {code}")),
                (None, signal) => Err(format!("it was killed by signal {}", signal.unwrap_or_default())),
            }
        }
        .boxed()
    }
}

impl Channel for Webhook {
    fn name(&self) -> String {
        format!("the webhook at {}", self.host)
    }
    fn again(&self) -> u32 {
        3
    }
    fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), String>> {
        async move { self.post(serde_json::to_vec(notice).map_err(|e| e.to_string())?).await }.boxed()
    }
}

/// Those that the configuration names.
///
/// # Errors
/// The webhook's address is none.
pub(super) fn of(notify: &Notify, processes: &Arc<dyn Processes>) -> anyhow::Result<Vec<Arc<dyn Channel>>> {
    let mut channels: Vec<Arc<dyn Channel>> = Vec::new();
    if let Some(words) = &notify.command {
        channels.push(Arc::new(CommandChannel {
            words: words.clone(),
            processes: Arc::clone(processes),
        }));
    }
    if let Some(address) = &notify.webhook {
        channels.push(Arc::new(Webhook::new(address).map_err(anyhow::Error::msg)?));
    }
    Ok(channels)
}
