//! The pages. Each file is one page: its template's data and its handlers.

pub(super) mod access;
pub(super) mod account;
pub(super) mod chat;
pub(super) mod log;
pub(super) mod login;
pub(super) mod setup;
pub(super) mod status;

use crate::error::ApiError;
use crate::http::assets;
use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use nexus_auth::Session;
use nexus_chat::{BackendStatus, Install, Phase};
use nexus_model::time::Millis;
use nexus_plugin_traits::auth::{Field, FieldKind};

/// What the frame around every page needs.
pub(super) struct Frame {
    pub title: String,
    pub assets: String,
    /// Which script runs: `data-page` of the body.
    pub page: &'static str,
    pub login: Option<Session>,
    pub backend: Option<BackendStatus>,
}

impl Frame {
    fn open(page: &'static str, title: &str) -> Self {
        Self {
            title: title.to_owned(),
            assets: assets::base(),
            page,
            login: None,
            backend: None,
        }
    }
    fn of(page: &'static str, title: &str, login: Session, backend: BackendStatus) -> Self {
        Self {
            login: Some(login),
            backend: Some(backend),
            ..Self::open(page, title)
        }
    }
    fn account(&self) -> &str {
        self.login.as_ref().map_or("", Session::account)
    }
    fn banners(&self) -> String {
        self.backend
            .as_ref()
            .map_or(String::new(), |backend| banners(backend, self.csrf()))
    }
    fn csrf(&self) -> &str {
        self.login.as_ref().map_or("", |login| &login.csrf)
    }
}

/// What has to be known about the backend on every page.
#[derive(Template)]
#[template(path = "banners.html")]
struct Banners<'a> {
    backend: &'a BackendStatus,
    csrf: &'a str,
}

/// The banners as the live socket sends them; what cannot be rendered is left out, and the log says so.
pub(super) fn banners(backend: &BackendStatus, csrf: &str) -> String {
    Banners { backend, csrf }.render().unwrap_or_else(|error| {
        tracing::error!(%error, "cannot render the banners");
        String::new()
    })
}

/// One row of a form.
pub(super) struct Input {
    name: String,
    title: String,
    help: Option<String>,
    kind: &'static str,
    autocomplete: &'static str,
    value: String,
    error: Option<String>,
    first: bool,
}

impl Input {
    /// `new`: a credential is chosen here, not shown.
    fn list(fields: &[Field], new: bool, typed: &dyn Fn(&str) -> String, rejected: Option<(&str, &str)>) -> Vec<Self> {
        let mut first_free = true;
        let mut rows: Vec<Self> = fields
            .iter()
            .map(|field| {
                let (kind, autocomplete) = match field.kind {
                    FieldKind::Account => ("text", "username"),
                    FieldKind::Password if new && field.name != "current" => ("password", "new-password"),
                    FieldKind::Password => ("password", "current-password"),
                    FieldKind::Code => ("text", "one-time-code"),
                    FieldKind::Text => ("text", "off"),
                };
                // A secret is never written back into a page.
                let value = if field.kind == FieldKind::Account {
                    typed(&field.name)
                } else {
                    String::new()
                };
                Self {
                    name: field.name.clone(),
                    title: field.title.clone(),
                    help: field.help.clone(),
                    kind,
                    autocomplete,
                    value,
                    error: rejected
                        .filter(|(name, _)| *name == field.name)
                        .map(|(_, why)| why.to_owned()),
                    first: false,
                }
            })
            .collect();
        let wrong = rows.iter().position(|row| row.error.is_some());
        let empty = rows.iter().position(|row| row.value.is_empty());
        for (index, row) in rows.iter_mut().enumerate() {
            row.first = first_free && wrong.or(empty) == Some(index);
            first_free &= !row.first;
        }
        rows
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage {
    frame: Frame,
    text: String,
}

/// A page that says one thing.
pub(super) fn message(status: StatusCode, title: &str, text: &str) -> Response {
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

/// Until there is anything else.
pub(super) fn starting(what: Option<&str>) -> Response {
    let frame = Frame::open("starting", "Nexus is starting");
    (StatusCode::SERVICE_UNAVAILABLE, show(&StartingPage { frame, what })).into_response()
}

/// A page for what a service could not do.
pub(super) fn failure(error: &ApiError) -> Response {
    match error {
        ApiError::NotFound(text) => message(StatusCode::NOT_FOUND, "Not found", text),
        ApiError::Refused(text) => message(StatusCode::CONFLICT, "Not done", text),
        ApiError::Unavailable(text) => message(StatusCode::SERVICE_UNAVAILABLE, "Not now", text),
    }
}

pub(super) async fn not_found() -> Response {
    message(StatusCode::NOT_FOUND, "Not found", "This page does not exist.")
}

fn show(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot render a page");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "This page cannot be rendered; see the log for the reason.\n",
            )
                .into_response()
        }
    }
}

/// `in 12 minutes`, for lockouts and restarts.
fn until(at: Millis, now: Millis) -> String {
    let seconds = at.saturating_sub(now).div_ceil(1000);
    match seconds {
        0 => "now".to_owned(),
        1 => "in 1 second".to_owned(),
        2..=90 => format!("in {seconds} seconds"),
        _ => format!("in {} minutes", seconds.div_ceil(60)),
    }
}

fn locked(at: Millis, now: Millis) -> String {
    format!(
        "Too many wrong attempts. This account is locked here; try again {}. To unlock it now, run `nexus user unlock \
         ACCOUNT` on the machine.",
        until(at, now)
    )
}
