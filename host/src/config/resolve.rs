//! Stage three: what this machine makes of the configuration.

use super::authored::{Authored, SecretSource};
use super::diagnostic::{Diagnostic, Place, Report};
use super::plugins;
use super::prepared::{Listen, Prepared};
use super::read::Findings;
use super::resolved::{Chat, Config, Log, LogFile, Tunnel, Web};
use super::{Machine, Overrides};
use std::path::{Component, Path, PathBuf};

/// # Errors
/// Every problem of every stage, each with its place.
pub(super) fn resolve(
    text: &str,
    file: Option<&Path>,
    overrides: &Overrides,
    machine: &Machine<'_>,
) -> Result<Config, Report> {
    let mut findings = Findings::default();
    let config = resolve_noting(text, file, overrides, machine, &mut findings);
    match config {
        Some(config) if findings.diagnostics.is_empty() => Ok(config),
        _ => Err(Report::new(
            file.map(Path::to_owned),
            text.to_owned(),
            findings.diagnostics,
        )),
    }
}

/// None only where something was noted.
pub(super) fn resolve_noting(
    text: &str,
    file: Option<&Path>,
    overrides: &Overrides,
    machine: &Machine<'_>,
    findings: &mut Findings,
) -> Option<Config> {
    let authored = Authored::read(text, findings);
    let prepared = Prepared::of(authored, &Listen { flag: overrides.listen }, findings);
    let file = file.map(|f| absolute(&machine.cwd, f));
    let folder = file
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(&machine.cwd)
        .to_owned();
    let from_folder = |written: &str| absolute(&folder, Path::new(written));

    let workspace = match &prepared.chat.workspace {
        None => machine.cwd.clone(),
        Some(written) => {
            let path = from_folder(&written.value);
            if !path.is_dir() {
                findings.push(
                    written
                        .problem("the workspace is not there")
                        .found(format!(
                            "{}, {}",
                            path.display(),
                            if path.exists() {
                                "not a folder"
                            } else {
                                "which does not exist"
                            }
                        ))
                        .expected("a folder that exists; a relative path starts at this file's folder")
                        .fix(format!("run: mkdir -p {}", path.display())),
                );
            }
            path
        }
    };
    let plugins = plugins::resolve(&prepared, machine, &from_folder, &workspace, findings);
    let secret_variables: std::collections::BTreeSet<String> = prepared
        .plugins
        .iter()
        .flat_map(|(_, plugin)| &plugin.secrets)
        .filter_map(|(_, source)| match &source.value {
            SecretSource::Env(name) => Some(name.clone()),
            SecretSource::File(_) => None,
        })
        .chain(prepared.notify.variable().map(str::to_owned))
        .collect();
    let Some(data_dir) = data_dir(overrides, machine) else {
        let nowhere = Diagnostic::new(Place::Default, "", super::NO_DATA_DIR);
        findings.push(nowhere.fix("say one: --data-dir DIR"));
        return None;
    };
    let written = prepared.plugins.iter().flat_map(|(_, plugin)| {
        let secrets = plugin.secrets.iter().filter_map(|(_, source)| match &source.value {
            SecretSource::File(path) => Some(path.as_str()),
            SecretSource::Env(_) => None,
        });
        plugin.source.iter().map(|source| source.value.as_str()).chain(secrets)
    });
    let files = written.map(from_folder).collect();
    let Prepared {
        listen,
        hosts,
        public_url,
        auth,
        chat,
        tunnels,
        log,
        metrics,
        notify,
        ..
    } = prepared;
    let notify = notify.resolve(&from_folder, machine.env, findings);
    let secret_variables = secret_variables.into_iter().collect();
    let log_path = match log.file.as_deref() {
        None => Some(data_dir.join("logs/nexus.log")),
        Some("") => None,
        Some(written) => Some(from_folder(written)),
    };
    let log = Log {
        filter: log.filter,
        json: log.json,
        file: log_path.map(|path| LogFile {
            path,
            max_size: log.max_size,
            max_files: log.max_files,
        }),
    };
    Some(Config {
        secret_variables,
        data_dir,
        file,
        text: text.to_owned(),
        files,
        web: Web {
            listen,
            hosts,
            public_url,
        },
        auth,
        chat: Chat {
            name: chat.name,
            plugin: chat.plugin,
            fallback: chat.fallback,
            workspace,
        },
        tunnels: tunnels
            .into_iter()
            .map(|t| {
                let tunnel = Tunnel {
                    name: t.name.clone(),
                    plugin: t.plugin,
                    autostart: t.autostart,
                    allow_plaintext: t.allow_plaintext,
                    listen: t.listen,
                    hosts: t.hosts,
                    probe: t.probe,
                };
                (t.name, tunnel)
            })
            .collect(),
        plugins,
        log,
        metrics,
        notify,
    })
}

pub(super) fn data_dir(overrides: &Overrides, machine: &Machine<'_>) -> Option<PathBuf> {
    match (&overrides.data_dir, &machine.data_home) {
        (Some(named), _) => Some(absolute(&machine.cwd, named)),
        (None, home) => Some(home.as_ref()?.join("nexus")),
    }
}

/// Without `.` and `..`, and without asking the disk: a path that does not exist yet has one too.
fn absolute(base: &Path, path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}
