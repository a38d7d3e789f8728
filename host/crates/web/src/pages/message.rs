//! Pages that say one thing.

use super::page_frame::{Frame, show};
use crate::error::ApiError;
use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage {
    frame: Frame,
    text: String,
    /// It is about something on the status page.
    of_status: bool,
}

/// `message` is a page that says one thing.
pub(crate) fn message(status: StatusCode, title: &str, text: &str) -> Response {
    one(status, title, text, false)
}

/// A page that says why something on the status page was not done, and leads back there.
pub(crate) fn not_done(title: &str, error: &ApiError) -> Response {
    one(status(error), title, &error.to_string(), true)
}

fn one(status: StatusCode, title: &str, text: &str, of_status: bool) -> Response {
    let page = MessagePage {
        frame: Frame::open("message", title),
        text: text.to_owned(),
        of_status,
    };
    (status, show(&page)).into_response()
}

fn status(error: &ApiError) -> StatusCode {
    match error {
        ApiError::NotFound(_) => StatusCode::NOT_FOUND,
        ApiError::Refused(_) => StatusCode::CONFLICT,
        ApiError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[derive(Template)]
#[template(path = "starting.html")]
struct StartingPage<'a> {
    frame: Frame,
    what: Option<&'a str>,
}

/// `starting` is shown until there is anything else.
pub(crate) fn starting(what: Option<&str>) -> Response {
    let frame = Frame::open("starting", "Nexus is starting");
    (StatusCode::SERVICE_UNAVAILABLE, show(&StartingPage { frame, what })).into_response()
}

/// `failure` is a page for what a service could not do.
pub(crate) fn failure(error: &ApiError) -> Response {
    let title = match error {
        ApiError::NotFound(_) => "Not found",
        ApiError::Refused(_) => "This could not be done",
        ApiError::Unavailable(_) => "Not available at the moment",
    };
    message(status(error), title, &error.to_string())
}

pub(crate) async fn not_found() -> Response {
    message(StatusCode::NOT_FOUND, "Not found", "This page does not exist.")
}
