//! The message and the fields of an event, as stderr shows them.
//!
//! `tracing-subscriber`'s own way puts the fields behind the last line of a message, where they spoil lines to paste, and
//! leaves what is in a field as it is. Here it is as in [`super::Parsed::text`]: fields stand behind the first line of a message,
//! and everything is seen. The lines are indented by [`super::Background`].

use super::line::on_lines;
use nexus_plugin_api::text::prose;
use std::fmt::{self, Debug};
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// `EventFields` writes the message and the fields of an event.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventFields;

impl<'writer> FormatFields<'writer> for EventFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut parts = Parts {
            ansi: writer.has_ansi_escapes(),
            parts: Vec::new(),
        };
        fields.record(&mut parts);
        writer.write_str(&on_lines(parts.parts))
    }
}

struct Parts {
    ansi: bool,
    parts: Vec<String>,
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        let value = prose(value.trim_end_matches('\n'));
        self.parts.push(match (field.name(), self.ansi) {
            ("message", _) => value.into_owned(),
            (name, true) => format!("\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}"),
            (name, false) => format!("{name}={value}"),
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::logfile::Background;
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What stderr shows of the events of `log`.
    fn shown(log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let terminal = Arc::new(Background::over("test", kept.clone(), |_| String::new()).unwrap());
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(EventFields)
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(Arc::clone(&terminal))
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        terminal.finish(Duration::from_secs(60));
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn an_event_is_shown_with_its_lines_and_the_fields_apart() {
        assert_eq!(
            shown(|| {
                tracing::warn!(plugin = "bore", n = 1, "it failed");
                tracing::warn!(plugin = "bore", "To fix:\n[plugin.bore]\nbinary = \"/opt/bore\"");
            }),
            " WARN it failed plugin=\"bore\" n=1\n \
             WARN To fix: plugin=\"bore\"\n    [plugin.bore]\n    binary = \"/opt/bore\"\n"
        );
    }

    #[test]
    fn no_message_and_no_field_forges_an_event_or_moves_the_cursor() {
        let forged = "x\n WARN forged\r WARN forged\x1b[1F\u{202e}";
        let said = shown(|| {
            tracing::warn!("{forged}");
            tracing::warn!(error = %forged, n = 1, "it failed");
        });
        let events = said.split(['\n', '\r']).filter(|line| line.starts_with(" WARN"));
        assert_eq!(events.count(), 2, "{said}");
        assert!(!said.contains(['\x1b', '\r', '\u{202e}']), "{said}");
    }
}
