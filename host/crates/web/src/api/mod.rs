//! `/api/v1`: all that the pages can do, as JSON for scripts. Its description is made from the handlers and their types
//! ([`document`]), and served at `/api/v1/openapi.json`.
//!
//! Two ways in. On the listeners of the pages with a login's cookie, and for anything but reading with the page's Origin,
//! as the pages themselves. And without a login on the control socket of the data folder ([`crate::http::control_socket`]), which
//! only this user of the machine can open; that is how `nexus status` and the others ask.
//!
//! Errors are `application/problem+json` (RFC 9457).

mod chat;
mod config;
mod document;
mod problem;
mod tunnels;

use super::WebState;
use super::pages;
use crate::http::identity::{MaybeLogin, Who};
use axum::Json;
use axum::Router;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};
use nexus_chat::BackendStatus;
use nexus_model::activity::Note;
use nexus_model::limits;
use nexus_model::log::{About, LogLine};
use nexus_model::plugin;
use nexus_model::plugin::PluginStatus;
use nexus_model::reload::Pending;
use nexus_model::trouble::Trouble;
use nexus_model::tunnel::TunnelStatus;
use problem::{Guarded, KIND, Problem, Query, Unreadable};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

/// `with_login` is for the listeners of the pages.
pub(super) fn with_login(state: &WebState) -> Router<WebState> {
    Router::from(open()).merge(guarded().layer(middleware::from_fn_with_state(state.clone(), need_login)))
}

/// `for_the_operator` is for the control socket, whose every caller is the operator.
pub(super) fn for_the_operator() -> Router<WebState> {
    Router::from(open()).merge(guarded())
}

/// `open` is what needs no login.
fn open() -> OpenApiRouter<WebState> {
    OpenApiRouter::default().routes(routes!(openapi))
}

/// `operations` are what needs a login, each with its description.
fn operations() -> Vec<UtoipaMethodRouter<WebState>> {
    vec![
        routes!(status),
        routes!(plugins),
        routes!(details),
        routes!(activity),
        routes!(log),
        routes!(chat::backend),
        routes!(chat::start),
        routes!(chat::stop),
        routes!(chat::restart),
        routes!(chat::swap),
        routes!(chat::list, chat::create),
        routes!(chat::session, chat::rename, chat::delete),
        routes!(chat::older),
        routes!(chat::part),
        routes!(chat::prompt),
        routes!(chat::take_back),
        routes!(chat::go_on),
        routes!(chat::cancel),
        routes!(chat::reply),
        routes!(tunnels::list),
        routes!(tunnels::one),
        routes!(tunnels::start),
        routes!(tunnels::stop),
        routes!(tunnels::swap),
        routes!(config::show),
        routes!(config::apply),
    ]
}

fn guarded() -> Router<WebState> {
    let routes = operations().into_iter();
    Router::from(routes.fold(OpenApiRouter::default(), OpenApiRouter::routes))
        .layer(axum::extract::DefaultBodyLimit::max(limits::API_BODY_BYTES))
        .layer(middleware::from_fn(audited))
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed."))
}

/// `refuse` says what the guard of all listeners turns away, as the rest of the API says it.
pub(super) fn refuse(status: StatusCode, why: &str) -> Response {
    Problem::of(status, why.trim_end()).into_response()
}

/// `starting` is answered until the services are there. `what` is what takes the time, where that may be said.
pub(super) fn starting(what: Option<&str>) -> Response {
    Problem::starting(what).into_response()
}

/// `nothing` is what is below `/api/` and not there.
pub(super) async fn nothing() -> Response {
    Problem::of(
        StatusCode::NOT_FOUND,
        "There is no such resource; see /api/v1/openapi.json.",
    )
    .into_response()
}

/// Writes orders to the host itself into the audit, whatever came of them: what a chat says is not.
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
        Ok(_) => Problem::of(StatusCode::UNAUTHORIZED, "Log in first: a login cookie is required.").into_response(),
        // What is said of it is a page.
        Err(refusal) => Problem::of(refusal.status(), refused(refusal.status())).into_response(),
    }
}

fn refused(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN => {
            "This request comes from a program that Nexus runs, which does not act for the owner. To fix: send it from a \
             program that you started."
        }
        _ => "The login cannot be checked now. To fix: try again in a moment; if it stays so, the log says why.",
    }
}

/// This description
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    operation_id = "openapi",
    tag = "status",
    security(()),
    responses(
        (status = 200, description = "The OpenAPI document.", body = Object),
        (
            status = 421,
            description = "The request is for a host name that this Nexus does not have.",
            body = Problem,
            content_type = KIND,
        ),
        (status = 503, description = "Nexus is starting. Try again in a moment.", body = Problem, content_type = KIND),
    )
)]
async fn openapi() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        document::text(open, operations),
    )
        .into_response()
}

/// What runs.
#[derive(Serialize, ToSchema)]
struct Status {
    /// `version` is the one of Nexus.
    version: String,
    /// `at` is when this answer was made, in milliseconds since the Unix epoch.
    at: u64,
    /// `config_file` is the path of the active configuration, or of the one that would be active if it existed.
    config_file: String,
    /// `starting` is what is being compiled, while all the rest works.
    #[schema(required)]
    starting: Option<String>,
    /// `troubles` are what does not work, besides plugins and tunnels, which say it themselves.
    troubles: Vec<Trouble>,
    /// `pending` is what the configuration's file says and is not active.
    #[schema(required)]
    pending: Option<Pending>,
    /// `workspace` is the path of the agent's project directory.
    workspace: String,
    backend: BackendStatus,
    tunnels: Vec<TunnelStatus>,
    plugins: Vec<PluginStatus>,
}

/// All at once
#[utoipa::path(
    get,
    path = "/api/v1/status",
    operation_id = "status",
    tag = "status",
    responses(
        (status = 200, description = "What runs.", body = Status),
        Guarded,
    )
)]
async fn status(State(state): State<WebState>) -> Json<Status> {
    let services = &state.services;
    Json(Status {
        version: services.host.version.clone(),
        at: state.clock.now(),
        config_file: services.host.config_file.clone(),
        starting: services.plugins.progress.text(),
        troubles: services.plugins.statuses.troubles(),
        pending: services.reload.pending().borrow().clone(),
        workspace: services.host.workspace.clone(),
        backend: services.chat.backend().borrow().clone(),
        tunnels: services.tunnels.statuses().borrow().clone(),
        plugins: services.plugins.statuses.subscribe().borrow().clone(),
    })
}

/// The plugins
#[utoipa::path(
    get,
    path = "/api/v1/plugins",
    operation_id = "plugins",
    tag = "status",
    responses(
        (
            status = 200,
            description = "The login plugin, the chat plugin, and those of the tunnels.",
            body = Vec<PluginStatus>,
        ),
        Guarded,
    )
)]
async fn plugins(State(state): State<WebState>) -> Json<Vec<PluginStatus>> {
    Json(state.services.plugins.statuses.subscribe().borrow().clone())
}

/// What each plugin is, may do and did
#[utoipa::path(
    get,
    path = "/api/v1/plugins/details",
    operation_id = "plugin_details",
    tag = "status",
    responses(
        (status = 200, description = "The details, in the order of the plugins.", body = Vec<plugin::Details>),
        Guarded,
    )
)]
async fn details(State(state): State<WebState>) -> Json<Vec<plugin::Details>> {
    Json(super::pages::status::details(&state).await)
}

/// Which lines of the log.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Lines {
    /// What the plugin of this name wrote, and what was written about it
    plugin: Option<String>,
    /// What was written about the tunnel of this name; with `plugin`: that or this
    tunnel: Option<String>,
    /// How many of the newest lines; at most 1000 are given
    #[param(maximum = 65535, default = 200)]
    lines: Option<u16>,
}

/// The newest lines of the log, the oldest of them first
#[utoipa::path(
    get,
    path = "/api/v1/log",
    operation_id = "log",
    tag = "status",
    params(Lines),
    responses(
        (status = 200, description = "Lines out of the last part of the log.", body = Vec<LogLine>),
        (status = 409, description = "No log is kept in a file.", body = Problem, content_type = KIND),
        Unreadable,
        Guarded,
    )
)]
async fn log(
    State(state): State<WebState>,
    Query(Lines { plugin, tunnel, lines }): Query<Lines>,
) -> Result<Json<Vec<LogLine>>, Problem> {
    let count = lines.map_or(pages::log::LINES, |lines| usize::from(lines).min(limits::API_LOG_LINES));
    Ok(Json(state.services.log.latest(About { plugin, tunnel }, count).await?))
}

/// What happened last, the newest first
#[utoipa::path(
    get,
    path = "/api/v1/activity",
    operation_id = "activity",
    tag = "status",
    responses(
        (status = 200, description = "At most 100 notes.", body = Vec<Note>),
        Guarded,
    )
)]
async fn activity(State(state): State<WebState>) -> Json<Vec<Note>> {
    Json(state.services.activity.recent().borrow().iter().cloned().collect())
}
