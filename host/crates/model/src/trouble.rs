//! A part of the host that does not work while the rest does: which, why, and what to do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Trouble` is a part of the host that does not work while the rest does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trouble {
    /// `part` is what does not work: `metrics`, `notify`, `plugin tunnel-mine`.
    #[schema(examples("metrics"))]
    pub part: String,
    /// `why` is a sentence.
    pub why: String,
    /// `fix` is what to do: a command, or lines for the configuration.
    #[schema(required)]
    pub fix: Option<String>,
}

impl Trouble {
    /// Makes one whose fix is known: a command, or lines for the configuration.
    pub fn new(part: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            part: part.into(),
            why: why.into(),
            fix: Some(fix.into()),
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} failed: {}", self.part, self.why)?;
        match &self.fix {
            Some(fix) => write!(f, " To fix: {fix}"),
            None => Ok(()),
        }
    }
}
