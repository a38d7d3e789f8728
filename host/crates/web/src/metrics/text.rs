//! The text format of Prometheus, version 0.0.4: families of samples, each with its help and type.

use std::fmt::Write as _;

/// `CONTENT_TYPE` is for the answer's `Content-Type`.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// `Page` is one page, written from the top down. Names of metrics and labels are this program's own; values may be
/// anything.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Writes a family, where it has a sample: one without says nothing, and its absence is what alerts ask for.
    pub(super) fn family<'a>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'static str, &'a str)>, f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing into a string cannot fail.
        let _ = write!(self.0, "# HELP {name} {}\n# TYPE {name} {kind}\n", help_text(help));
        for (labels, value) in samples {
            self.0.push_str(name);
            let mut before = '{';
            for (label, value) in &labels {
                let _ = write!(self.0, "{before}{label}=\"{}\"", label_value(value));
                before = ',';
            }
            if !labels.is_empty() {
                self.0.push('}');
            }
            // Rust writes a float so that the same is read again, and never in a form that Prometheus does not know.
            let _ = writeln!(self.0, " {}", number(value));
        }
    }

    pub(super) fn one(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help, [(Vec::new(), value)]);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

fn help_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

fn label_value(text: &str) -> String {
    help_text(text).replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_the_format_says() {
        let mut page = Page::default();
        page.one("nexus_up", Kind::Gauge, "A \\ and\na line.", 1.0);
        page.family("nexus_none_total", Kind::Counter, "Nothing.", []);
        page.family(
            "nexus_some_total",
            Kind::Counter,
            "Some.",
            [
                (vec![("plugin", "a\"b\\c\nd"), ("kind", "ä")], 0.25),
                (vec![("plugin", "")], 1e15),
            ],
        );
        assert_eq!(
            page.finish(),
            "# HELP nexus_up A \\\\ and\\na line.\n# TYPE nexus_up gauge\nnexus_up 1\n\
             # HELP nexus_some_total Some.\n# TYPE nexus_some_total counter\n\
             nexus_some_total{plugin=\"a\\\"b\\\\c\\nd\",kind=\"ä\"} 0.25\nnexus_some_total{plugin=\"\"} 1000000000000000\n"
        );
        assert_eq!([number(f64::INFINITY), number(f64::NAN)], ["+Inf", "NaN"]);
    }
}
