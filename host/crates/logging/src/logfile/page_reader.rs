//! The newest lines of the log's file, for the page.

use super::line::{Filter, Line, plain};
use super::recent_lines::recent;
use nexus_model::log::{About, LogLine};
use std::path::PathBuf;

/// `LogError` says why the log is not shown, in a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// `NotKept`: the configuration says that there is no log file.
    #[error("This configuration disables the log file: [log] file = \"\". To fix: remove the key and restart Nexus.")]
    NotKept,
    /// `Unreadable`: the file is there and cannot be read; the text is the operating system's reason.
    #[error("The log cannot be read: {0}")]
    Unreadable(String),
}

/// `LogReader` reads the log's file, once at a time.
pub struct LogReader {
    path: Option<PathBuf>,
    reading: tokio::sync::Mutex<()>,
}

impl LogReader {
    /// `new` takes the log's file, where there is one.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// `latest` gives the newest `count` lines, the oldest of them first.
    ///
    /// # Errors
    /// There is no such file, or it cannot be read.
    pub async fn latest(&self, about: About, count: usize) -> Result<Vec<LogLine>, LogError> {
        let path = self.path.clone().ok_or(LogError::NotKept)?;
        let _alone = self.reading.lock().await;
        let filter = Filter { level: None, about };
        let read = tokio::task::spawn_blocking(move || recent(&path, count, &filter)).await;
        let lines = read.map_err(|error| LogError::Unreadable(error.to_string()))?;
        let lines = lines.map_err(|error| LogError::Unreadable(error.to_string()))?;
        Ok(lines.iter().map(shown).collect())
    }
}

fn shown(line: &Line) -> LogLine {
    match &line.parsed {
        Some(parsed) => LogLine {
            timestamp: Some(parsed.timestamp.clone()),
            level: Some(parsed.level.to_string()),
            text: parsed.text(),
        },
        None => LogLine {
            timestamp: None,
            level: None,
            text: plain(&line.raw),
        },
    }
}
