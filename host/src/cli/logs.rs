//! `nexus logs`: shows the log's file, also the parts that were rotated away, while Nexus runs or not.

use super::common_options::CommonOptions;
use super::load_config::load_config;
use super::terminal::print_error;
use clap::Args;
use nexus_logging::logfile::{Filter, Line, Tail, last, plain};
use nexus_model::log::About;
use nexus_model::plural;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tracing::Level;

/// `POLL_INTERVAL` is the pause between two looks at a file that is followed.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// Keep running and show new lines until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// The number of lines to show after filtering, or `all`
    #[arg(long, short = 'n', value_name = "N", default_value = "100", value_parser = count)]
    lines: Count,
    /// Show only lines of this level or more severe: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    level: Option<Level>,
    /// Show only lines from and about this plugin
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Show only lines about this tunnel; with --plugin, lines that match either
    #[arg(long, value_name = "NAME")]
    tunnel: Option<String>,
    /// Show the audit log: who did, or tried to do, what
    #[arg(long, conflicts_with_all = ["plugin", "tunnel"])]
    audit: bool,
    /// Print the lines as stored: one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy)]
struct Count(Option<usize>);

fn count(text: &str) -> Result<Count, String> {
    if text == "all" {
        return Ok(Count(None));
    }
    let number = text
        .parse()
        .map_err(|_| "expected a whole number, or `all`".to_owned())?;
    Ok(Count(Some(number)))
}

fn level(text: &str) -> Result<Level, String> {
    // A number is a level too for `tracing`; nobody means that.
    let named = text.chars().all(char::is_alphabetic);
    named
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| "expected error, warn, info, debug or trace".to_owned())
}

pub(super) fn run(args: &LogsArgs, place: &CommonOptions) -> anyhow::Result<ExitCode> {
    let config = match load_config(place, None, &crate::builtin::components()) {
        Ok(config) => config,
        Err(e) => return Ok(e.show()),
    };
    if args.audit {
        return ended(
            show(args, &nexus_logging::audit::paths(&config.data_dir)),
            &config.data_dir.join("logs/audit.log"),
        );
    }
    let Some(file) = config.log.file else {
        anyhow::bail!(
            "this configuration disables the log file: [log] file = \"\". To fix: remove the key to use \
             logs/nexus.log in the data folder, and restart Nexus"
        );
    };
    ended(show(args, std::slice::from_ref(&file.path)), &file.path)
}

fn ended(shown: io::Result<()>, path: &Path) -> anyhow::Result<ExitCode> {
    match shown {
        // `nexus logs | head` has what it wants.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(e) if e.kind() == io::ErrorKind::NotFound => anyhow::bail!(
            "there is no log at {} yet: `nexus up` creates it. For a Nexus with another data folder or \
             configuration, use --data-dir DIR or --config FILE",
            path.display()
        ),
        Err(e) => Err(anyhow::Error::new(e).context(format!("cannot read the log {}", path.display()))),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// Shows one log, or several in the order of their times.
fn show(args: &LogsArgs, paths: &[PathBuf]) -> io::Result<()> {
    let filter = Filter {
        level: args.level,
        about: About {
            plugin: args.plugin.clone(),
            tunnel: args.tunnel.clone(),
        },
    };
    let mut out = Out {
        to: BufWriter::new(io::stdout().lock()),
        json: args.json,
        colour: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        damaged: 0,
        shown: 0,
    };
    let (mut lines, mut tails, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        let several = paths.len() > 1;
        let shown = last(path, args.lines.0, &filter, &mut |line| {
            if several {
                lines.push(line.clone());
                Ok(())
            } else {
                out.line(line)
            }
        });
        tails.push(match shown {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                missing.push(path);
                Tail::from_the_beginning(path)
            }
            other => other?,
        });
    }
    if let [path, ..] = missing.as_slice()
        && missing.len() == paths.len()
    {
        if !args.follow {
            return Err(io::ErrorKind::NotFound.into());
        }
        print_error(&format!("there is no log at {} yet: waiting for it", path.display()));
    }
    let at = |line: &Line| line.parsed.as_ref().map(|line| line.timestamp.clone());
    lines.sort_by_cached_key(at);
    let left_out = args.lines.0.map_or(0, |count| lines.len().saturating_sub(count));
    lines.iter().skip(left_out).try_for_each(|line| out.line(line))?;
    out.flush()?;
    if out.damaged > 0 {
        print_error(&format!("skipped {}", plural::count(out.damaged, "damaged line")));
    }
    if out.shown == 0 && filter != Filter::default() {
        print_error("no line of the log matches; without --level, --plugin and --tunnel all lines are shown");
    }
    if !args.follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(POLL_INTERVAL);
        for tail in &mut tails {
            let news = tail.look()?;
            if news.missed {
                print_error("some lines were lost to log rotation before they could be shown");
            }
            let mut wanted = news.lines.iter().filter(|line| filter.wants(line));
            wanted.try_for_each(|line| out.line(line))?;
        }
        out.flush()?;
    }
}

struct Out {
    to: BufWriter<StdoutLock<'static>>,
    json: bool,
    colour: bool,
    /// `damaged` counts lines that `--json` cannot show.
    damaged: usize,
    shown: usize,
}

impl Out {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        if self.json && line.parsed.is_none() {
            self.damaged += 1;
            return Ok(());
        }
        self.shown += 1;
        if self.json {
            writeln!(self.to, "{}", line.raw)
        } else {
            writeln!(self.to, "{}", for_people(line, self.colour))
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// `for_people` is as on stderr.
fn for_people(line: &Line, colour: bool) -> String {
    let Some(parsed) = &line.parsed else {
        return plain(&line.raw);
    };
    let level = format!("{:>5}", parsed.level);
    let level = match (colour, parsed.level) {
        (false, _) => level,
        (true, Level::ERROR) => format!("\x1b[31m{level}\x1b[0m"),
        (true, Level::WARN) => format!("\x1b[33m{level}\x1b[0m"),
        (true, Level::INFO) => format!("\x1b[32m{level}\x1b[0m"),
        (true, _) => format!("\x1b[34m{level}\x1b[0m"),
    };
    format!("{} {level} {}", plain(&parsed.timestamp), parsed.text())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_as_on_stderr_and_moves_no_cursor() {
        let line = |text: &str| Line::read(text.as_bytes());
        let whole = line(
            r#"{"timestamp":"2026-01-02T03:04:05Z","level":"WARN","fields":{"message":"crashed\u001b[2J","plugin":"p","n":3},"target":"t"}"#,
        );
        assert_eq!(
            for_people(&whole, false),
            "2026-01-02T03:04:05Z  WARN crashed⟨U+001B⟩[2J plugin=p n=3"
        );
        assert_eq!(for_people(&line("torn\x07\u{202e}"), true), "torn⟨U+0007⟩⟨U+202E⟩");
        assert!(for_people(&whole, true).contains("\x1b[33m WARN\x1b[0m"));
    }

    #[test]
    fn counts_and_levels_are_read() {
        assert_eq!(count("all").unwrap().0, None);
        assert_eq!(count("0").unwrap().0, Some(0));
        assert!(count("-1").unwrap_err().contains("all"));
        assert_eq!(level("Warn").unwrap(), Level::WARN);
        assert!(level("3").is_err() && level("loud").is_err());
    }
}
