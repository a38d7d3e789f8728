//! What is around every page.

use super::marked;
use crate::WebState;
use crate::http::assets;
use askama::Template;
use askama::filters::Safe;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use nexus_auth::Session;
use nexus_chat::{BackendStatus, Install, Phase};
use nexus_model::limits::PROMPT_BYTES;
use nexus_model::trouble::sentence;

/// `Frame` is what is around every page.
pub(crate) struct Frame {
    pub title: String,
    pub assets: String,
    /// `page` says which script runs: `data-page` of the body.
    pub page: &'static str,
    pub login: Option<Session>,
    pub backend: Option<BackendStatus>,
    /// `app`: the app draws this page, and what the server draws is for browsers without JavaScript.
    pub app: Option<AppData>,
}

/// `AppData` is what the app has to know before it is connected.
pub(crate) struct AppData {
    /// `workspace` is the configured project folder.
    pub workspace: String,
    /// `longest` is how many bytes a message may have.
    pub longest: usize,
}

impl Frame {
    pub(in crate::pages) fn open(page: &'static str, title: &str) -> Self {
        Self {
            title: title.to_owned(),
            assets: assets::base(),
            page,
            login: None,
            backend: None,
            app: None,
        }
    }
    pub(in crate::pages) fn of(page: &'static str, title: &str, login: Session, backend: BackendStatus) -> Self {
        Self {
            login: Some(login),
            backend: Some(backend),
            ..Self::open(page, title)
        }
    }
    /// The same page, drawn by the app.
    pub(in crate::pages) fn in_app(self, state: &WebState) -> Self {
        let app = AppData {
            workspace: state.services.host.workspace.clone(),
            longest: PROMPT_BYTES,
        };
        Self { app: Some(app), ..self }
    }
    pub(in crate::pages) fn account(&self) -> &str {
        self.login.as_ref().map_or("", Session::account)
    }
    pub(in crate::pages) fn banners(&self) -> String {
        self.backend
            .as_ref()
            .map_or(String::new(), |backend| banners(backend, self.csrf()))
    }
    pub(in crate::pages) fn csrf(&self) -> &str {
        self.login.as_ref().map_or("", |login| &login.csrf)
    }
}

/// `Banners` are what has to be known about the backend on every page.
#[derive(Template)]
#[template(path = "banners.html")]
struct Banners<'a> {
    backend: &'a BackendStatus,
    csrf: &'a str,
}

impl Banners<'_> {
    fn sentence(&self, cause: &str, fix: &Option<String>) -> Safe<String> {
        marked(&sentence(cause, fix.as_deref()))
    }
}

/// `banners` are as the live socket sends them; what cannot be rendered is left out, and the log says so.
pub(crate) fn banners(backend: &BackendStatus, csrf: &str) -> String {
    Banners { backend, csrf }.render().unwrap_or_else(|error| {
        tracing::error!(%error, "cannot render the banners");
        String::new()
    })
}

pub(in crate::pages) fn show(page: &impl Template) -> Response {
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
