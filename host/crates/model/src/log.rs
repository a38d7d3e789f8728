//! The log, as it is shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, SchemaType, Type};

/// `About` says what lines are about. With both `None`, all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// `plugin` asks for what a plugin said, and what was said about it.
    pub plugin: Option<String>,
    /// `tunnel` asks for what was said about a tunnel, and by or about the plugin that serves it where that is named
    /// beside it.
    pub tunnel: Option<String>,
}

/// `LogLine` is a line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// `timestamp` is the time at which the line was written, as RFC 3339 in UTC. Null: the line is damaged, for example
    /// by a power failure.
    #[schema(required, format = DateTime)]
    pub timestamp: Option<String>,
    /// `level` is one of [`level`]. None: the line is damaged.
    #[schema(required, schema_with = level)]
    pub level: Option<String>,
    /// `text` is the message and its fields. Further lines are indented by four spaces.
    pub text: String,
}

/// `level` has the levels as the log has them, and null.
fn level() -> Object {
    let levels = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].map(|level| Some(level.to_owned()));
    Object::builder()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some("`level` is the level of the line. Null: the line is damaged."))
        .enum_values(Some(levels.into_iter().chain([None])))
        .build()
}
