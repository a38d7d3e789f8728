//! `nexus doctor`: looks at everything that a start depends on, beside a Nexus that runs or without one. It takes no
//! lock and changes nothing but the cache of compiled plugins.

mod finding;
mod load_checks;
mod machine;
mod plugins;
mod scratch_folder;
mod serving;
mod throttled;

pub(super) use load_checks::unloadable;

use super::common_options::CommonOptions;
use super::control_client::request;
use super::load_config::{LoadError, load_config};
use super::terminal::{print_error, print_raw, say};
use clap::Args;
use finding::{Finding, Level};
use nexus_config::resolved::Config;
use nexus_config::{HostEnvironment, Overrides, command, default_place, load, shell_word, with_file};
use nexus_model::plural::count;
use nexus_model::trouble::cause_and_fix;
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
    let read = config.as_ref().and_then(|config| config.file.clone());
    // One that cannot be read is the one to correct.
    let given = || place.config.as_ref().and_then(|file| std::path::absolute(file).ok());
    let file = read.or_else(given);
    if let Some(mut config) = config {
        let holder = lock::holder(&config.data_dir);
        machine::look(&config, holder.as_ref(), &mut findings);
        if holder.is_some() {
            throttled::look(&config, &mut findings);
            findings.extend(other_file(&config));
            serving::look(&mut config, &mut findings);
        }
        plugins::look(config, &mut findings);
    }
    for finding in &mut findings {
        finding.found = place.with_place(&finding.found);
        if let Some(fix) = &mut finding.fix {
            *fix = place.with_place(&with_file(fix, file.as_deref()));
        }
    }
    let ok = findings.iter().all(|f| f.level != Level::Fail);
    if args.json {
        let report = Report {
            ok,
            version: env!("CARGO_PKG_VERSION"),
            findings,
        };
        print_raw(&serde_json::to_string_pretty(&report)?);
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
    print_error(&match (of(Level::Fail), of(Level::Warn)) {
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
                "the running Nexus uses another configuration, {theirs}, not {}",
                ours.display()
            ),
            // Also where it is the default: this call names another one.
            format!(
                "run `{}`",
                command(
                    &format!("doctor --config {}", shell_word(theirs)),
                    None,
                    Some(&config.data_dir)
                )
            ),
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
                let (found, fix) = cause_and_fix(notice);
                Finding::warn("config.old_key", found, fix.unwrap_or_default())
            }));
            return Some(config);
        }
        Err(LoadError::Config(report)) => findings.push(Finding::fail(
            "config",
            report.to_string().trim_end(),
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
    load(None, &overrides, &HostEnvironment::this(&plugins).ok()?).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// What the command finds beside a host that says `answer` to the question for its status.
    #[cfg(unix)]
    fn beside_a_host(config: &Config, answer: &serde_json::Value) -> Option<Finding> {
        use std::io::{Read as _, Write as _};
        let socket = config.data_dir.join(nexus_web::http::control_socket::FILE);
        let _ = std::fs::remove_file(&socket);
        let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        let body = answer.to_string();
        let host = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                asked.push(byte[0]);
            }
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all((head + &body).as_bytes()).unwrap();
            String::from_utf8(asked).unwrap()
        });
        let found = other_file(config);
        assert!(host.join().unwrap().starts_with("GET /api/v1/status "));
        found
    }

    #[cfg(unix)]
    #[test]
    fn a_host_with_another_configuration_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = nexus_testkit::config(dir.path(), "");
        config.data_dir = dir.path().to_owned();
        let ours = config.file.clone().unwrap();
        let found = beside_a_host(&config, &serde_json::json!({ "config_file": "/srv/my nexus.toml" })).unwrap();
        assert_eq!((found.check.as_str(), found.level), ("config.other", Level::Warn));
        assert_eq!(
            found.found,
            format!(
                "the running Nexus uses another configuration, /srv/my nexus.toml, not {}",
                ours.display()
            )
        );
        let data = config.data_dir.display();
        let fix = format!("run `nexus doctor --config '/srv/my nexus.toml' --data-dir {data}`");
        assert_eq!(found.fix, Some(fix));
        let same = serde_json::json!({ "config_file": ours.to_str().unwrap() });
        assert_eq!(beside_a_host(&config, &same), None);
        std::fs::remove_file(dir.path().join(nexus_web::http::control_socket::FILE)).unwrap();
        assert_eq!(other_file(&config), None, "nobody answers");
    }

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
