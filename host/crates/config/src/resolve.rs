//! Stage three: what this machine makes of the configuration.

use crate::authored::{Authored, RENAMED};
use crate::diagnostic::{Diagnostic, Place, Report, SHOWN, THIS_LINE};
use crate::host_environment::{HostEnvironment, NO_DATA_DIR, Overrides, place_for_data};
use crate::locations::absolute;
use crate::plugins::{self, Broken};
use crate::prepared::{Listen, Prepared, PreparedLog, PreparedTunnel};
use crate::resolved::{Chat, Config, Log, LogFile, Tunnel, UnavailablePlugin, Web};
use crate::secret::SecretSource;
use crate::toml_reader::Findings;
use crate::workspaces;
use nexus_model::trouble::{Trouble, capitalized};
use nexus_plugin_api::renamed_keys::{self, Current};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Resolves a text: all three stages.
///
/// # Errors
/// Every problem of every stage, each with its place.
pub(super) fn resolve(
    text: &str,
    file: Option<&Path>,
    overrides: &Overrides,
    machine: &HostEnvironment<'_>,
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
    let values = findings.renamed.into_iter().map(|renamed| {
        let line = renamed_keys::new_line(text, current.span_written(&renamed.span), &renamed.value);
        format!(
            "{name}:{}: {}; a later one will not. To fix: write {line}",
            line.first, renamed.change
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
    machine: &HostEnvironment<'_>,
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

    let (workspaces, unusable) = workspaces::resolve(
        prepared.chat.workspace.as_ref(),
        &prepared.chat.workspaces,
        &machine.cwd,
        &from_folder,
        findings,
    );
    let usable = unusable.is_empty().then_some(workspaces.first.as_path());
    let plugins::Resolved { plugins, broken } = plugins::resolve(&prepared, machine, &from_folder, usable, findings);
    let outside = OutsideReport {
        current,
        file: file.as_deref(),
    };
    let broken = broken.into_iter().map(|(name, broken)| {
        let broken = outside.unavailable(&name, broken, &unusable);
        (name, broken)
    });
    let broken = broken.collect();
    let unusable = outside.report(unusable);
    let Some(data_dir) = place_for_data(overrides, machine) else {
        let nowhere = Diagnostic::new(Place::Default, "", NO_DATA_DIR);
        findings.push(nowhere.fix("give one with --data-dir DIR"));
        return None;
    };
    let secret_variables = secret_variables(&prepared);
    let files = files(&prepared).into_iter().map(from_folder).collect();
    let mut untold = Vec::new();
    let notify = prepared
        .notify
        .resolve(&from_folder, machine.env, &mut untold, findings);
    let troubles = untold
        .iter()
        .map(|one| outside.trouble("notify".to_owned(), std::slice::from_ref(one)))
        .collect();
    Some(Config {
        secret_variables,
        log: log(prepared.log, &data_dir, &from_folder),
        data_dir,
        file,
        text: text.to_owned(),
        notices: Vec::new(),
        files,
        web: Web {
            listen: prepared.listen,
            hosts: prepared.hosts,
            public_url: prepared.public_url,
        },
        auth: prepared.auth,
        chat: Chat {
            name: prepared.chat.name,
            plugin: prepared.chat.plugin,
            fallback: prepared.chat.fallback,
            workspaces,
            unusable,
        },
        tunnels: prepared.tunnels.into_iter().map(tunnel).collect(),
        plugins,
        broken,
        troubles,
        metrics: prepared.metrics,
        notify,
    })
}

/// `OutsideReport` puts into words what this machine does not give to a part of the configuration.
struct OutsideReport<'a> {
    current: &'a Current<'a>,
    file: Option<&'a Path>,
}

impl OutsideReport<'_> {
    /// `unavailable` is a plugin with what this machine does not give it. `workspaces` is what is wrong with the project folders.
    fn unavailable(&self, name: &str, broken: Broken, workspaces: &[Diagnostic]) -> UnavailablePlugin {
        let Broken {
            digest,
            found,
            homeless,
        } = broken;
        let mut all = found.clone();
        all.extend(workspaces.iter().filter(|_| homeless).cloned());
        UnavailablePlugin {
            digest,
            trouble: self.trouble(format!("plugin {name}"), &all),
            report: self.report(found),
        }
    }

    /// `report` is what was found, as `nexus config check` shows it; none where that is nothing.
    fn report(&self, found: Vec<Diagnostic>) -> Option<String> {
        let found = as_written(self.current, found);
        let report = Report {
            of_machine: true,
            ..Report::new(self.file.map(Path::to_owned), self.current.written.to_owned(), found)
        };
        (!report.diagnostics.is_empty()).then(|| report.to_string().trim_end().to_owned())
    }

    /// `trouble` is what keeps one part from working, as a sentence for each cause with its place, and all that there is to do; of more than
    /// `SHOWN`, the first ones.
    fn trouble(&self, subject: String, found: &[Diagnostic]) -> Trouble {
        let found: Vec<_> = found.iter().take(SHOWN).cloned().collect();
        let found = as_written(self.current, found);
        let report = Report::new(
            self.file.map(Path::to_owned),
            self.current.written.to_owned(),
            Vec::new(),
        );
        let place = |diagnostic: &Diagnostic| match (&diagnostic.place, self.file) {
            (Place::At(span), Some(file)) => Some(format!("{}:{}", file.display(), report.locate(span.start).line)),
            _ => None,
        };
        let sentences = found.iter().enumerate().map(|(n, diagnostic)| {
            let found = diagnostic.found.as_ref();
            let found = found.map(|found| format!(": {}", found.trim_end_matches('.')));
            let place = place(diagnostic).map(|place| format!(" ({place})"));
            let (found, place) = (found.unwrap_or_default(), place.unwrap_or_default());
            let sentence = format!("{}{found}{place}.", diagnostic.problem);
            if n == 0 { sentence } else { capitalized(&sentence) }
        });
        let fixes: Vec<String> = found
            .iter()
            .filter_map(|diagnostic| {
                let place = place(diagnostic).unwrap_or_else(|| THIS_LINE.to_owned());
                Some(diagnostic.fix.as_deref()?.replace(THIS_LINE, &place))
            })
            .collect();
        Trouble {
            subject,
            cause: sentences.collect::<Vec<_>>().join(" "),
            fix: (!fixes.is_empty()).then(|| fixes.join("\n")),
        }
    }
}

/// `secret_variables` are the variables of the environment that hold secrets.
fn secret_variables(prepared: &Prepared) -> Vec<String> {
    let sources = prepared.plugins.iter().flat_map(|(_, plugin)| &plugin.grants.secrets);
    let variables: BTreeSet<String> = sources
        .filter_map(|(_, source)| match &source.value {
            SecretSource::Env(name) => Some(name.clone()),
            SecretSource::File(_) => None,
        })
        .chain(prepared.notify.variable().map(str::to_owned))
        .collect();
    variables.into_iter().collect()
}

/// `files` are the paths of components and secrets, as they are written.
fn files(prepared: &Prepared) -> Vec<&str> {
    let written = prepared.plugins.iter().flat_map(|(_, plugin)| {
        let secrets = plugin
            .grants
            .secrets
            .iter()
            .filter_map(|(_, source)| match &source.value {
                SecretSource::File(path) => Some(path.as_str()),
                SecretSource::Env(_) => None,
            });
        plugin.source.iter().map(|source| source.value.as_str()).chain(secrets)
    });
    written.collect()
}

fn log(log: PreparedLog, data_dir: &Path, from_folder: &dyn Fn(&str) -> PathBuf) -> Log {
    let path = match log.file.as_deref() {
        None => Some(data_dir.join("logs/nexus.log")),
        Some("") => None,
        Some(written) => Some(from_folder(written)),
    };
    Log {
        filter: log.filter,
        json: log.json,
        file: path.map(|path| LogFile {
            path,
            max_size: log.max_size,
            max_files: log.max_files,
        }),
    }
}

fn tunnel(tunnel: PreparedTunnel) -> (String, Tunnel) {
    let name = tunnel.name.clone();
    let tunnel = Tunnel {
        name: tunnel.name,
        plugin: tunnel.plugin,
        autostart: tunnel.autostart,
        allow_plaintext: tunnel.allow_plaintext,
        listen: tunnel.listen,
        hosts: tunnel.hosts,
        public_check: tunnel.public_check,
    };
    (name, tunnel)
}
