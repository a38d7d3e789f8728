//! What is wrong with a configuration, said so that nobody has to look anything up: the place, what was found, what was
//! expected, the nearest valid name and how to fix it. A reader collects every problem, not only the first.

use nexus_model::plural::count;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// `SHOWN` is how many problems are written out; a file with more of them is no configuration.
pub(crate) const SHOWN: usize = 20;
/// `EXCERPT` is how many characters of a line are shown.
const EXCERPT: usize = 200;
/// `NOTE` is how many characters a note may have.
const NOTE: usize = 1_000;

/// `THIS_LINE` is what a fix calls the line of its place, which a report shows above it. A sentence names file and line instead.
pub(crate) const THIS_LINE: &str = "this line";

/// `Span` is a byte range in the file's text.
pub type Span = Range<usize>;

/// `Place` is where a problem was introduced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `At`: in the file.
    At(Span),
    /// `Flag`: in a flag of the command line, such as `--listen`.
    Flag(&'static str),
    /// `Default`: nowhere in the file; a default does not hold on this machine.
    Default,
}

/// `Diagnostic` is one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `place` is where it stands.
    pub place: Place,
    /// `key` is the key path, such as `web.listen`; it is empty for the file as a whole.
    pub key: String,
    /// `problem` is one sentence, in lower case, without a full stop.
    pub problem: String,
    /// `found` is what stands there instead.
    pub found: Option<String>,
    /// `expected` is what may stand there.
    pub expected: Option<String>,
    /// `nearest` is the valid name that is most like what was written.
    pub nearest: Option<String>,
    /// `fix` is what to do, with the lines to write.
    pub fix: Option<String>,
    /// `hidden`: the line may hold a secret that should not be there, so only its beginning is shown.
    pub hidden: bool,
}

impl Diagnostic {
    /// `new` says what is wrong, and where.
    pub fn new(place: Place, key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            place,
            key: key.into(),
            problem: problem.into(),
            found: None,
            expected: None,
            nearest: None,
            fix: None,
            hidden: false,
        }
    }
    /// `hide_value` shows only the beginning of the line: the rest may hold a secret.
    #[must_use]
    pub fn hide_value(mut self) -> Self {
        self.hidden = true;
        self
    }
    /// `found` says what stands there instead.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }
    /// `expected` says what may stand there.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }
    /// Sets the nearest of `names` to `written`, if one is near enough to be meant.
    #[must_use]
    pub fn nearest<'a>(mut self, written: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.nearest = nearest(written, names).map(str::to_owned);
        self
    }
    /// `fix` says what to do, with the lines to write.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// `nearest` is the name that is most like `written`, if a slip of the fingers or the memory can have led from one to
/// the other.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    // Of a short name, one slip is a large part.
    let slip = |name: &str| written.len() > 2 && strsim::osa_distance(&written, name) == 1;
    names
        .into_iter()
        .map(|name| {
            let like = strsim::jaro_winkler(&written, name);
            (if slip(name) { like.max(0.9) } else { like }, name)
        })
        .filter(|(score, _)| *score > 0.78)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// `Report` is every problem of one configuration. Its `Display` is what the terminal shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// `file` is the file as the operator named it; `None`: there is no file.
    pub file: Option<PathBuf>,
    /// `source` is the text in which the places are.
    pub source: String,
    /// `diagnostics` are in the order of the file. There is at least one.
    pub diagnostics: Vec<Diagnostic>,
    /// `notices` tell of keys with old names, as [`crate::resolved::Config::notices`] do.
    pub notices: Vec<String>,
    /// `of_machine`: the problem is none of the text; the file, or what it names, cannot be read on this machine.
    pub of_machine: bool,
}

impl std::error::Error for Report {}

/// `LineColumn` is a place for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineColumn {
    /// `line` begins at 1.
    pub line: usize,
    /// `column` begins at 1 and counts characters.
    pub column: usize,
}

impl Report {
    /// Makes a report, sorted by place.
    pub fn new(file: Option<PathBuf>, source: String, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|d| match &d.place {
            Place::Flag(_) => (0, 0),
            Place::At(span) => (1, span.start),
            Place::Default => (2, 0),
        });
        Self {
            file,
            source,
            diagnostics,
            notices: Vec::new(),
            of_machine: false,
        }
    }

    /// `mistakes` is how many of the problems are in the text of the file.
    fn mistakes(&self) -> usize {
        if self.of_machine {
            return 0;
        }
        let in_text = self.diagnostics.iter().filter(|d| matches!(d.place, Place::At(_)));
        in_text.count()
    }

    /// `locate` says where `offset` is. An offset behind the end, or within a character, means the place before it.
    pub fn locate(&self, offset: usize) -> LineColumn {
        let before = prefix(&self.source, offset);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        LineColumn {
            line: 1 + before.matches('\n').count(),
            column: 1 + before.get(line_start..).unwrap_or("").chars().count(),
        }
    }

    fn write_excerpt(&self, f: &mut fmt::Formatter<'_>, span: &Span, hidden: bool) -> fmt::Result {
        let LineColumn { line, column } = self.locate(span.start);
        let name = self
            .file
            .as_ref()
            .map_or_else(|| "config".to_owned(), |p| p.display().to_string());
        let text = self
            .source
            .split('\n')
            .nth(line - 1)
            .unwrap_or("")
            .trim_end_matches('\r');
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let (text, column, cut) = part(text, column);
        // Tabs are kept, so that the caret stands where the terminal shows the place.
        let pad: String = text
            .chars()
            .take(column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let marked = self
            .source
            .get(span.clone())
            .unwrap_or("")
            .split('\n')
            .next()
            .unwrap_or("")
            .trim_end();
        let carets = "^".repeat(if hidden {
            1
        } else {
            marked.chars().count().clamp(1, EXCERPT)
        });
        let shown = match text.split_once('=') {
            Some((before, _)) if hidden => format!("{before}= …"),
            _ => text.clone(),
        };
        writeln!(f, "{gutter} --> {name}:{line}:{}", column + cut)?;
        writeln!(f, "{gutter}  |")?;
        writeln!(f, "{number}  | {}", clean(&shown))?;
        writeln!(f, "{gutter}  | {pad}{carets}")
    }
}

/// `part` has of a long line the characters around the column: (them, the column within them, how many were left out
/// before).
fn part(line: &str, column: usize) -> (String, usize, usize) {
    let cut = if column > EXCERPT { column - EXCERPT / 2 } else { 0 };
    (line.chars().skip(cut).take(EXCERPT).collect(), column - cut, cut)
}

fn prefix(text: &str, offset: usize) -> &str {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// `clean` replaces control characters, which could drive the terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for d in self.diagnostics.iter().take(SHOWN) {
            let problem: String = d.problem.chars().take(NOTE).collect();
            writeln!(f, "error: {}", clean(&problem))?;
            match &d.place {
                // It could not be read: there is no line to show.
                Place::At(_) if self.source.is_empty() => {
                    let file = self.file.as_ref().map(|file| file.display().to_string());
                    writeln!(f, "  --> {}", file.unwrap_or_else(|| "config".to_owned()))?;
                }
                Place::At(span) => self.write_excerpt(f, span, d.hidden)?,
                Place::Flag(flag) => writeln!(f, "  --> {flag} on the command line")?,
                Place::Default => writeln!(f, "  --> the default, which no file overrides")?,
            }
            let notes = [
                ("key", (!d.key.is_empty()).then_some(&d.key)),
                ("found", d.found.as_ref()),
                ("expected", d.expected.as_ref()),
                ("nearest", d.nearest.as_ref()),
                ("fix", d.fix.as_ref()),
            ];
            for (label, text) in notes.into_iter().filter_map(|(label, text)| Some((label, text?))) {
                let text: String = text.chars().take(NOTE).collect();
                let indent = format!("\n{}", " ".repeat(6 + label.len()));
                writeln!(
                    f,
                    "  = {label}: {}",
                    text.split('\n').map(clean).collect::<Vec<_>>().join(&indent)
                )?;
            }
            writeln!(f)?;
        }
        let more = self.diagnostics.len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(f, "… and {more} more\n")?;
        }
        for notice in &self.notices {
            writeln!(f, "warning: {}\n", clean(notice))?;
        }
        match self.mistakes() {
            0 => Ok(()),
            n => write!(f, "{} in the configuration", count(n, "problem")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_in_characters_and_survives_a_bad_offset() {
        let report = Report::new(None, "a = 1\nä = 2".to_owned(), Vec::new());
        assert_eq!(report.locate(6), LineColumn { line: 2, column: 1 });
        assert_eq!(report.locate(7), LineColumn { line: 2, column: 1 }, "within ä");
        assert_eq!(report.locate(8), LineColumn { line: 2, column: 2 });
        assert_eq!(report.locate(999), LineColumn { line: 2, column: 6 });
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        let d = Diagnostic::new(Place::At(6..11), "listn", "unknown key").nearest("listn", ["hosts", "listen"]);
        let text = Report::new(Some("n.toml".into()), "[web]\nlistn = 1\n".to_owned(), vec![d]).to_string();
        let expected = "error: unknown key\n  --> n.toml:2:1\n   |\n2  | listn = 1\n   | ^^^^^\n  = key: listn\n  = nearest: listen\n\n1 problem in the configuration";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_file_that_cannot_be_read_has_no_line_to_show() {
        let d = Diagnostic::new(Place::At(0..0), "", "cannot read the file");
        let report = Report {
            of_machine: true,
            ..Report::new(Some("n.toml".into()), String::new(), vec![d])
        };
        assert_eq!(report.to_string(), "error: cannot read the file\n  --> n.toml\n\n");
    }

    #[test]
    fn only_what_can_be_meant_is_near() {
        assert_eq!(nearest("Listen", ["listen", "hosts"]), Some("listen"));
        assert_eq!(nearest("wbe", ["log", "web"]), Some("web"));
        assert_eq!(nearest("zzz", ["listen", "hosts"]), None);
    }
}
