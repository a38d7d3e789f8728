//! `nexus doctor`: looks at everything that a start depends on, beside a nexus that runs or without one. It takes no
//! lock and changes nothing but the cache of compiled plugins.

mod finding;
mod load_checks;
mod machine;
mod plugins;
mod scratch_folder;
mod throttled;

pub(super) use load_checks::unloadable;

use super::common_options::CommonOptions;
use super::control_client::request;
use super::load_config::{LoadError, load_config};
use super::terminal::{as_it_is, complain, say};
use clap::Args;
use finding::{Finding, Level};
use nexus_config::resolved::Config;
use nexus_config::{Machine, Overrides, default_place, load, with_file};
use nexus_model::plural::count;
use nexus_model::trouble::parted;
use nexus_store::lock;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Print JSON: {"ok", "version", "findings": [{"check", "level", "found", "fix"}]}
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    /// `ok`: no finding is a failure.
    ok: bool,
    version: &'static str,
    findings: Vec<Finding>,
}

pub(super) fn run(args: &DoctorArgs, place: &CommonOptions) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    let config = configuration(place, &mut findings);
    let file = config.as_ref().and_then(|config| config.file.clone());
    if let Some(config) = config {
        let holder = lock::holder(&config.data_dir);
        machine::look(&config, holder.as_ref(), &mut findings);
        if holder.is_some() {
            throttled::look(&config, &mut findings);
            findings.extend(other_file(&config));
        }
        plugins::look(config, &mut findings);
    }
    for fix in findings.iter_mut().filter_map(|finding| finding.fix.as_mut()) {
        *fix = with_file(fix, file.as_deref());
    }
    let ok = findings.iter().all(|f| f.level != Level::Fail);
    if args.json {
        let report = Report {
            ok,
            version: env!("CARGO_PKG_VERSION"),
            findings,
        };
        as_it_is(&serde_json::to_string_pretty(&report)?);
    } else {
        show(&findings);
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(findings: &[Finding]) {
    let widest = findings.iter().map(|f| f.check.len()).max().unwrap_or(0);
    let indent = " ".repeat(widest + 8);
    let indented = |text: &str| text.trim_end().replace('\n', &format!("\n{indent}"));
    for finding in findings {
        let level = match finding.level {
            Level::Ok => "ok  ",
            Level::Warn => "WARN",
            Level::Fail => "FAIL",
        };
        say(&format!(
            "{level}  {:<widest$}  {}",
            finding.check,
            indented(&finding.found)
        ));
        if let Some(fix) = &finding.fix {
            say(&format!("{indent}To fix: {}", indented(fix)));
        }
    }
    let of = |level| findings.iter().filter(|f| f.level == level).count();
    complain(&match (of(Level::Fail), of(Level::Warn)) {
        (0, 0) => "Everything is OK.".to_owned(),
        (fails, warns) => format!("{}, {}", count(fails, "failure"), count(warns, "warning")),
    });
}

/// `no_file` says that there is no configuration, and where one would be read from without `--config`.
pub(super) fn no_file() -> String {
    let none = "no configuration file; none is required";
    match default_place() {
        Some(place) => format!("{none}. Nexus would read {}", place.display()),
        None => none.to_owned(),
    }
}

/// A Nexus that runs with the same data and another configuration: what is found here does not concern it.
fn other_file(config: &Config) -> Option<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let asked = runtime
        .block_on(request(&config.data_dir, "/api/v1/status", None))
        .ok()?;
    let theirs = asked.get("config_file")?.as_str()?;
    let ours = config.file.clone().or_else(default_place)?;
    (Path::new(theirs) != ours).then(|| {
        Finding::warn(
            "config.other",
            format!(
                "the running nexus uses another configuration, {theirs}, not {}",
                ours.display()
            ),
            format!("run `nexus doctor --config {theirs}`"),
        )
    })
}

/// The configuration, or the defaults where it is broken: the rest of the machine is looked at all the same.
fn configuration(place: &CommonOptions, findings: &mut Vec<Finding>) -> Option<Config> {
    let plugins = crate::builtin::components();
    match load_config(place, None, &plugins) {
        Ok(config) => {
            findings.push(match &config.file {
                Some(file) => Finding::ok("config", format!("{} is valid", file.display())),
                None => Finding::ok("config", no_file()),
            });
            findings.extend(config.notices.iter().map(|notice| {
                let (found, fix) = parted(notice);
                Finding::warn("config.old_key", found, fix.unwrap_or_default())
            }));
            return Some(config);
        }
        Err(LoadError::Config(report)) => findings.push(Finding::fail(
            "config",
            report.to_string(),
            "correct each line as described; the checks below use the defaults until then",
        )),
        Err(error) => findings.push(Finding::fail(
            "config",
            error.to_string(),
            "change to a folder that exists",
        )),
    }
    let overrides = Overrides {
        data_dir: place.data_dir.clone(),
        listen: None,
    };
    load(None, &overrides, &Machine::this(&plugins).ok()?).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_for_programs_stays() {
        let report = Report {
            ok: false,
            version: "1.2.3",
            findings: vec![Finding::ok("a", "fine"), Finding::fail("b.c", "broken", "fix it")],
        };
        assert_eq!(
            serde_json::to_value(report).unwrap(),
            serde_json::json!({ "ok": false, "version": "1.2.3", "findings": [
                { "check": "a", "level": "ok", "found": "fine", "fix": null },
                { "check": "b.c", "level": "fail", "found": "broken", "fix": "fix it" },
            ]})
        );
    }
}
