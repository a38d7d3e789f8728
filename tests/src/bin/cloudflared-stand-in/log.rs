//! Lines as cloudflared writes them, all on stderr: JSON where `TUNNEL_LOG_OUTPUT` says so, else text.

use serde_json::{Map, Value};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) struct Log {
    json: bool,
    info: bool,
}

/// Since the Unix epoch.
pub(crate) fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl Log {
    pub(crate) fn new(level: &str) -> Self {
        Self {
            json: std::env::var("TUNNEL_LOG_OUTPUT").is_ok_and(|output| output == "json"),
            info: ["debug", "info"].contains(&level),
        }
    }

    pub(crate) fn info(&self, message: &str, fields: Value) {
        if self.info {
            self.line("info", "INF", message, fields);
        }
    }

    pub(crate) fn error(&self, message: &str, fields: Value) {
        self.line("error", "ERR", message, fields);
    }

    fn line(&self, level: &str, short: &str, message: &str, fields: Value) {
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        // The clock's text is of no use to a reader; its shape is.
        let time = format!("2026-11-22T16:44:{:02}Z", seconds() % 60);
        if self.json {
            let mut all = fields;
            all.insert("level".to_owned(), level.into());
            all.insert("message".to_owned(), message.into());
            all.insert("time".to_owned(), time.into());
            eprintln!("{}", Value::Object(all));
        } else {
            let fields: String = fields.iter().map(|(key, value)| format!(" {key}={value}")).collect();
            eprintln!("{time} {short} {message}{fields}");
        }
    }
}
