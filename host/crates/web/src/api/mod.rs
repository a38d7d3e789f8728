//! `/api/v1`: all that the pages can do, as JSON for scripts. `openapi.json` beside this file is its description, served
//! at `/api/v1/openapi.json`; a test holds the two together.
//!
//! Two ways in. On the listeners of the pages with a login's cookie, and for anything but reading with the page's Origin,
//! as the pages themselves. And without a login on the control socket of the data directory ([`super::control`]), which
//! only this user of the machine can open; that is how `nexus status` and the others ask.
//!
//! Errors are `application/problem+json` (RFC 9457).

mod chat;
mod config;
mod problem;
mod tunnels;

use super::WebState;
use super::identity::{MaybeLogin, Who};
use super::pages;
use super::port::{Backend, Pending};
use axum::Json;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts as _, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::{Method, StatusCode, header};
use nexus_model::activity::Note;
use nexus_model::limits;
use nexus_model::log::{About, LogLine};
use nexus_model::trouble::Trouble;
use nexus_model::{plugin, tunnel};
use problem::Problem;
use serde::{Deserialize, Serialize};

const OPENAPI: &str = include_str!("openapi.json");

/// For the listeners of the pages.
pub(super) fn with_login(state: &WebState) -> Router<WebState> {
    Router::new()
        .route("/api/v1/openapi.json", get(openapi))
        .merge(routes().layer(middleware::from_fn_with_state(state.clone(), need_login)))
}

/// For the control socket, whose every caller is the operator.
pub(super) fn for_the_operator() -> Router<WebState> {
    Router::new()
        .route("/api/v1/openapi.json", get(openapi))
        .merge(routes())
}

fn routes() -> Router<WebState> {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/plugins", get(plugins))
        .route("/api/v1/plugins/details", get(details))
        .route("/api/v1/activity", get(activity))
        .route("/api/v1/log", get(log))
        .route("/api/v1/backend", get(chat::backend))
        .route("/api/v1/backend/start", post(chat::start))
        .route("/api/v1/backend/stop", post(chat::stop))
        .route("/api/v1/backend/restart", post(chat::restart))
        .route("/api/v1/backend/swap", post(chat::swap))
        .route("/api/v1/sessions", get(chat::list).post(chat::create))
        .route(
            "/api/v1/sessions/{session}",
            get(chat::session).patch(chat::rename).delete(chat::delete),
        )
        .route("/api/v1/sessions/{session}/older", get(chat::older))
        .route("/api/v1/sessions/{session}/parts/{part}", get(chat::part))
        .route("/api/v1/sessions/{session}/prompts", post(chat::prompt))
        .route(
            "/api/v1/sessions/{session}/prompts/{client_id}",
            delete(chat::take_back),
        )
        .route("/api/v1/sessions/{session}/continue", post(chat::go_on))
        .route("/api/v1/sessions/{session}/cancel", post(chat::cancel))
        .route("/api/v1/sessions/{session}/asks/{ask}", post(chat::reply))
        .route("/api/v1/tunnels", get(tunnels::list))
        .route("/api/v1/tunnels/{name}", get(tunnels::one))
        .route("/api/v1/tunnels/{name}/start", post(tunnels::start))
        .route("/api/v1/tunnels/{name}/stop", post(tunnels::stop))
        .route("/api/v1/tunnels/{name}/swap", post(tunnels::swap))
        .route("/api/v1/config", get(config::show))
        .route("/api/v1/config/apply", post(config::apply))
        .layer(axum::extract::DefaultBodyLimit::max(limits::API_BODY_BYTES))
        .layer(middleware::from_fn(audited))
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED, "Not with this method."))
}

/// What the guard of all listeners turns away, as the rest of the API says it.
pub(super) fn refuse(status: StatusCode, why: &str) -> Response {
    Problem::of(status, why.trim_end()).into_response()
}

/// Until the services are there. `what`: what takes the time, where that may be said.
pub(super) fn starting(what: Option<&str>) -> Response {
    Problem::starting(what).into_response()
}

/// What is below `/api/` and not there.
pub(super) async fn nothing() -> Response {
    Problem::of(
        StatusCode::NOT_FOUND,
        "There is no such resource; see /api/v1/openapi.json.",
    )
    .into_response()
}

/// Orders to the host itself are in the audit, whatever came of them: what a chat says is not.
async fn audited(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let orders = ["/api/v1/backend/", "/api/v1/tunnels/", "/api/v1/config/"];
    let order = (request.method() == Method::POST && orders.iter().any(|order| path.starts_with(order)))
        || matches!(*request.method(), Method::DELETE | Method::PATCH);
    if !order {
        return next.run(request).await;
    }
    let what = format!("{} {path}", request.method());
    let who = request.extensions().get::<Who>().cloned().unwrap_or_else(Who::operator);
    let answer = next.run(request).await;
    who.orders(&what, "", answer.status().as_str());
    answer
}

async fn need_login(State(state): State<WebState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match MaybeLogin::from_request_parts(&mut parts, &state).await {
        Ok(known @ MaybeLogin { login: Some(_), .. }) => {
            if let (Some(who), Some(login)) = (known.who(), known.login) {
                parts.extensions.insert(who);
                parts.extensions.insert(login);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Ok(_) => Problem::of(
            StatusCode::UNAUTHORIZED,
            "Log in first; the cookie of a login is needed.",
        )
        .into_response(),
        Err(refusal) => refusal,
    }
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

#[derive(Serialize)]
struct Status {
    /// Of Nexus.
    version: String,
    /// When this answer was made, in milliseconds since 1970.
    at: u64,
    config_file: String,
    /// What is being compiled, while all the rest works.
    starting: Option<String>,
    /// What does not work, besides plugins and tunnels, which say it themselves.
    troubles: Vec<Trouble>,
    /// What the configuration's file says that does not count yet.
    pending: Option<Pending>,
    workspace: String,
    backend: Backend,
    tunnels: Vec<tunnel::Status>,
    plugins: Vec<plugin::Status>,
}

async fn status(State(state): State<WebState>) -> Json<Status> {
    let services = &state.services;
    Json(Status {
        version: services.status.version().to_owned(),
        at: state.clock.now(),
        config_file: services.status.config_file().to_owned(),
        starting: services.status.starting(),
        troubles: services.status.troubles(),
        pending: services.config.pending().borrow().clone(),
        workspace: services.status.workspace().to_owned(),
        backend: services.chat.backend().borrow().clone(),
        tunnels: services.tunnels.tunnels().borrow().clone(),
        plugins: services.status.plugins().borrow().clone(),
    })
}

async fn plugins(State(state): State<WebState>) -> Json<Vec<plugin::Status>> {
    Json(state.services.status.plugins().borrow().clone())
}

/// In the order of the plugins.
async fn details(State(state): State<WebState>) -> Json<Vec<plugin::Details>> {
    Json(super::pages::status::details(&state).await)
}

/// The newest first.
#[derive(Deserialize)]
struct Lines {
    plugin: Option<String>,
    tunnel: Option<String>,
    lines: Option<u16>,
}

async fn log(
    State(state): State<WebState>,
    wanted: Result<Query<Lines>, QueryRejection>,
) -> Result<Json<Vec<LogLine>>, Problem> {
    let Query(wanted) = wanted.map_err(|error| Problem::of(error.status(), error.body_text()))?;
    let Lines { plugin, tunnel, lines } = wanted;
    let count = lines.map_or(pages::log::LINES, |lines| usize::from(lines).min(limits::API_LOG_LINES));
    Ok(Json(state.services.status.log(About { plugin, tunnel }, count).await?))
}

async fn activity(State(state): State<WebState>) -> Json<Vec<Note>> {
    Json(state.services.status.activity().borrow().iter().cloned().collect())
}
