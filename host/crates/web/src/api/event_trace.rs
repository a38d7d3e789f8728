//! A trace of events, for the operator alone.

use super::problem::{JsonBody, KIND, Problem, TooLong};
use crate::Connection;
use axum::{Extension, Json};
use http::StatusCode;
use nexus_model::event_trace::{self, EventTrace};
use nexus_model::limits;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;

/// `TraceEvents` asks for a trace.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TraceEvents {
    /// `seconds` is how long to trace.
    #[serde(default = "default_seconds")]
    #[schema(minimum = 1, maximum = 60, default = 10)]
    seconds: u64,
}

fn default_seconds() -> u64 {
    limits::EVENT_TRACE.as_secs()
}

/// Trace where the time of events goes
///
/// Only on the control socket. The response is sent when the trace has ended, and contains nothing of what the events say. An
/// event is what was sent to a browser, with the newest stamp of each hop before that; so the trace is meant for a stream that
/// is slower than its way through Nexus, and for one browser.
#[utoipa::path(
    post,
    path = "/api/v1/trace",
    operation_id = "trace",
    tag = "status",
    security(()),
    request_body = TraceEvents,
    responses(
        (status = 200, description = "The trace.", body = EventTrace),
        (
            status = 403,
            description = "The request comes from a program that Nexus runs.",
            body = Problem,
            content_type = KIND,
        ),
        (
            status = 404,
            description = "The request was sent to an address of the pages.",
            body = Problem,
            content_type = KIND,
        ),
        (
            status = 409,
            description = "Another trace is running. Try again when it has ended.",
            body = Problem,
            content_type = KIND,
        ),
        TooLong,
        (status = 503, description = "Nexus is starting. Try again in a moment.", body = Problem, content_type = KIND),
    )
)]
pub(super) async fn trace(
    Extension(connection): Extension<Connection>,
    JsonBody(TraceEvents { seconds }): JsonBody<TraceEvents>,
) -> Result<Json<EventTrace>, Problem> {
    let most = limits::EVENT_TRACE_MOST.as_secs();
    if !(1..=most).contains(&seconds) {
        let cause = format!("`seconds` is {seconds}: expected 1 to {most}.");
        return Err(Problem::of(StatusCode::BAD_REQUEST, cause));
    }
    let Some(recording) = event_trace::begin() else {
        let cause =
            format!("Another trace is running. To fix: try again when it has ended, in {most} s at the latest.");
        return Err(Problem::of(StatusCode::CONFLICT, cause));
    };
    let begun = Instant::now();
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        // What there is until Nexus stops.
        () = connection.closing.cancelled() => {}
    }
    Ok(Json(EventTrace::of(recording.end(), begun.elapsed())))
}
