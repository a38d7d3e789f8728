//! Stage three: what this machine makes of the configuration.

use crate::authored::{Authored, RENAMED};
use crate::diagnostic::{Diagnostic, Place, Report};
use crate::locations::absolute;
use crate::machine::{Machine, NO_DATA_DIR, Overrides, place_for_data};
use crate::plugins;
use crate::prepared::{Listen, Prepared};
use crate::resolved::{Broken, Chat, Config, Log, LogFile, Tunnel, Web};
use crate::secret::SecretSource;
use crate::toml_reader::{Findings, Located};
use nexus_model::trouble::Trouble;
use nexus_plugin_api::renamed_keys::{self, Current};
use std::path::Path;

/// Resolves a text: all three stages.
///
/// # Errors
/// Every problem of every stage, each with its place.
pub(super) fn resolve(
    text: &str,
    file: Option<&Path>,
    overrides: &Overrides,
    machine: &Machine<'_>,
) -> Result<Config, Report> {
    let mut findings = Findings::default();
    let current = renamed_keys::current(text, &RENAMED);
    let config = resolve_noting(&current, file, overrides, machine, &mut findings);
    let mut diagnostics = as_written(&current, findings.diagnostics);
    let (both, old): (Vec<_>, Vec<_>) = current.old.iter().partition(|key| key.both);
    for key in both {
        let at = Place::At(key.span.clone());
        // To the reader it is an unknown key.
        diagnostics.retain(|found| found.place != at);
        let twice = format!(
            "`{}` and `{}` are the old and the new name of the same key, but both are set",
            key.was, key.now
        );
        let fix = format!("delete `{}` in line {}", key.was, key.line);
        diagnostics.push(Diagnostic::new(at, key.was, twice).fix(fix));
    }
    let name = file.map_or_else(|| "config".to_owned(), |file| file.display().to_string());
    let keys = old.into_iter().map(|key| format!("{name}:{}: {key}", key.line));
    let values = findings.renamed.into_iter().map(|(span, value)| {
        let line = renamed_keys::new_line(text, current.span_written(&span), &value);
        format!(
            "{name}:{}: the parts of the log have been renamed; the old names are only read by this version. To fix: \
             write {line}",
            line.first
        )
    });
    let notices = keys.chain(values).chain(findings.notices).collect();
    match config {
        Some(config) if diagnostics.is_empty() => Ok(Config { notices, ..config }),
        _ => Err(Report {
            notices,
            ..Report::new(file.map(Path::to_owned), text.to_owned(), diagnostics)
        }),
    }
}

/// `as_written` are the same problems with their places in the file as it is.
fn as_written(current: &Current<'_>, mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    for diagnostic in &mut found {
        if let Place::At(span) = &mut diagnostic.place {
            *span = current.span_written(span);
        }
    }
    found
}

/// Does the same and notes every problem; `None` only where something was noted.
pub(super) fn resolve_noting(
    current: &Current<'_>,
    file: Option<&Path>,
    overrides: &Overrides,
    machine: &Machine<'_>,
    findings: &mut Findings,
) -> Option<Config> {
    let text = current.text.as_ref();
    let authored = Authored::read(text, findings);
    let prepared = Prepared::of(authored, &Listen { flag: overrides.listen }, findings);
    let file = file.map(|f| absolute(&machine.cwd, f));
    let folder = file
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(&machine.cwd)
        .to_owned();
    let from_folder = |written: &str| absolute(&folder, Path::new(written));

    let written = prepared.chat.workspace.as_ref();
    let workspace = written.map_or_else(|| machine.cwd.clone(), |written| from_folder(&written.value));
    let usable = match written {
        Some(written) if !workspace.is_dir() => Err(no_workspace(written, &workspace)),
        _ => Ok(workspace.as_path()),
    };
    let plugins::Resolved { plugins, broken } = plugins::resolve(&prepared, machine, &from_folder, &usable, findings);
    let in_file = file.clone();
    let report = |found: Vec<Diagnostic>| {
        let found = as_written(current, found);
        Report::new(in_file.clone(), current.written.to_owned(), found).to_string()
    };
    let broken = broken.into_iter().map(|(name, (digest, found))| {
        let trouble = trouble(format!("plugin {name}"), &found);
        let report = report(found);
        (
            name,
            Broken {
                digest,
                trouble,
                report,
            },
        )
    });
    let broken = broken.collect();
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
    let Some(data_dir) = place_for_data(overrides, machine) else {
        let nowhere = Diagnostic::new(Place::Default, "", NO_DATA_DIR);
        findings.push(nowhere.fix("give one with --data-dir DIR"));
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
    let mut untold = Vec::new();
    let notify = notify.resolve(&from_folder, machine.env, &mut untold, findings);
    let troubles = (!untold.is_empty()).then(|| trouble("notify".to_owned(), &untold));
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
        notices: Vec::new(),
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
                    public_check: t.public_check,
                };
                (t.name, tunnel)
            })
            .collect(),
        plugins,
        broken,
        troubles: troubles.into_iter().collect(),
        log,
        metrics,
        notify,
    })
}

fn no_workspace(written: &Located<String>, path: &Path) -> Diagnostic {
    let shown = path.display();
    let (what, fix) = if path.exists() {
        ("is not a folder", "choose a folder".to_owned())
    } else {
        ("does not exist", format!("run `mkdir -p {shown}`"))
    };
    written
        .problem(format!("the workspace {shown} {what}"))
        .expected("a folder that exists; a relative path starts at this file's folder")
        .fix(fix)
}

/// `trouble` is what keeps one part from working, as a sentence, with all that there is to do.
fn trouble(part: String, found: &[Diagnostic]) -> Trouble {
    let sentences = found.iter().map(|diagnostic| match &diagnostic.found {
        Some(found) => format!("{}: {}.", diagnostic.problem, found.trim_end_matches('.')),
        None => format!("{}.", diagnostic.problem),
    });
    let fixes: Vec<&str> = found
        .iter()
        .filter_map(|diagnostic| diagnostic.fix.as_deref())
        .collect();
    Trouble {
        part,
        why: sentences.collect::<Vec<_>>().join(" "),
        fix: (!fixes.is_empty()).then(|| fixes.join("\n")),
    }
}
