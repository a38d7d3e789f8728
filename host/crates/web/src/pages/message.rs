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
}

/// `message` is a page that says one thing.
pub(crate) fn message(status: StatusCode, title: &str, text: &str) -> Response {
    (
        status,
        show(&MessagePage {
            frame: Frame::open("message", title),
            text: text.to_owned(),
        }),
    )
        .into_response()
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
    match error {
        ApiError::NotFound(text) => message(StatusCode::NOT_FOUND, "Not found", text),
        ApiError::Refused(text) => message(StatusCode::CONFLICT, "Not done", text),
        ApiError::Unavailable(text) => message(StatusCode::SERVICE_UNAVAILABLE, "Not now", text),
    }
}

pub(crate) async fn not_found() -> Response {
    message(StatusCode::NOT_FOUND, "Not found", "This page does not exist.")
}
