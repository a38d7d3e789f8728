//! `/api/v1`: everything that the pages can do, as JSON for scripts. Its description, `openapi.json` beside this file, is made from the
//! handlers and their types by a test (`document.rs`), and served at `/api/v1/openapi.json`.
//!
//! Three ways in. On the listeners of the pages with a login's cookie, and for anything but reading with the page's Origin,
//! as the pages themselves; or with a token, where the login plugin takes them. And without a login on the control socket of the data folder ([`crate::http::control_socket`]), which
//! only this user of the machine can open; that is how `nexus status` and the others ask.
//!
//! Errors are `application/problem+json` (RFC 9457).

mod backend_choices;
mod chat;
mod config;
#[cfg(test)]
mod document;
mod event_trace;
mod file_response;
mod listed_names;
mod problem;
mod query_keys;
mod session_changes;
mod tunnels;

use super::WebState;
use super::pages;
use crate::http::bearer::{Caller, NoCaller, status_of};
use crate::http::identity::RequestOrigin;
use axum::Json;
use axum::Router;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::{Method, StatusCode, header};
use nexus_auth::AuthError;
use nexus_chat::BackendStatus;
use nexus_model::activity::Note;
use nexus_model::limits;
use nexus_model::log::{About, LogLine};
use nexus_model::plugin;
use nexus_model::plugin::PluginStatus;
use nexus_model::reload::Pending;
use nexus_model::trouble::Trouble;
use nexus_model::tunnel::TunnelStatus;
use problem::{Guarded, KIND, Problem, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Makes a router of operations and, for the document, their descriptions. Serving needs no description: making them all for
/// each listener took megabytes and a part of the start. A macro, because `#[utoipa::path]` puts what it knows of a handler into
/// a type beside it, `__path_HANDLER`.
macro_rules! operations {
    ($served:ident, $described:ident: $($module:ident { $($handler:ident),+ })+) => {
        pastey::paste! {
            fn $served() -> Router<WebState> {
                use utoipa::Path as _;
                use utoipa_axum::PathItemExt as _;
                Router::new()$($(.route(
                    &$module::[<__path_ $handler>]::path(),
                    $module::[<__path_ $handler>]::methods()
                        .iter()
                        .fold(MethodRouter::new(), |router, method| {
                            router.on(method.to_method_filter(), $module::$handler)
                        }),
                ))+)+
            }
            #[cfg(test)]
            fn $described() -> Vec<utoipa_axum::router::UtoipaMethodRouter<WebState>> {
                vec![$($(utoipa_axum::routes!($module::$handler)),+),+]
            }
        }
    };
}

// What needs no login.
operations!(open, describe_open: self { openapi });

// What needs a login.
operations!(guarded, describe_guarded:
    self { status, plugins, details, activity, log }
    chat {
        backend, start, stop, restart, swap, list, create, session, change, delete, older, part, prompt, take_back, go_on,
        cancel, reply
    }
    session_changes { fork, revert, restore, compact, upload, attachment }
    backend_choices {
        models, agents, commands, workspaces, search_files, list_folder, read_file, find_lines, providers, sign_in, begin_sign_in,
        finish_sign_in, sign_out
    }
    tunnels { list, one, start, stop, swap }
    config { show, apply }
);

// What only the operator at this machine may ask, on the control socket.
operations!(local, describe_local: event_trace { trace });

/// `with_login` is for the listeners of the pages.
pub(super) fn with_login(state: &WebState) -> Router<WebState> {
    bounded(open()).merge(bounded(guarded()).layer(middleware::from_fn_with_state(state.clone(), need_login)))
}

/// `for_the_operator` is for the control socket, whose every caller is the operator.
pub(super) fn for_the_operator() -> Router<WebState> {
    bounded(open()).merge(bounded(guarded().merge(local())))
}

fn bounded(operations: Router<WebState>) -> Router<WebState> {
    operations
        .layer(axum::extract::DefaultBodyLimit::max(limits::API_BODY_BYTES))
        .layer(middleware::from_fn(query_keys::only_known))
        .layer(middleware::from_fn(listed_names::named))
        .layer(middleware::from_fn(audited))
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed."))
}

/// `refuse` says what the guard of all listeners turns away, as the rest of the API says it.
pub(super) fn refuse(status: StatusCode, cause: &str) -> Response {
    Problem::of(status, cause.trim_end()).into_response()
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

/// Writes requests to the host itself into the audit, whatever came of them: what is said in a session is not.
async fn audited(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let audited = [
        "/api/v1/backend/",
        "/api/v1/tunnels/",
        "/api/v1/config/",
        "/api/v1/trace",
    ];
    let changes_host = (request.method() == Method::POST && audited.iter().any(|prefix| path.starts_with(prefix)))
        || matches!(*request.method(), Method::DELETE | Method::PATCH);
    if !changes_host {
        return next.run(request).await;
    }
    let what = format!("{} {path}", request.method());
    let who = request
        .extensions()
        .get::<RequestOrigin>()
        .cloned()
        .unwrap_or_else(RequestOrigin::operator);
    let answer = next.run(request).await;
    who.note_command(&what, "", answer.status().as_str());
    answer
}

async fn need_login(State(state): State<WebState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match Caller::from_request_parts(&mut parts, &state).await {
        Ok(Caller { known, .. }) if known.login.is_some() => {
            if let (Some(who), Some(login)) = (known.who(), known.login) {
                parts.extensions.insert(who);
                parts.extensions.insert(login);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Ok(_) => Problem::of(StatusCode::UNAUTHORIZED, "Log in first: a login cookie is required.").into_response(),
        Err(NoCaller::Token(error)) => {
            let detail = match &error {
                AuthError::BadCredential => "The token is not valid.".to_owned(),
                AuthError::Locked { .. } => "Too many wrong tokens from this address. Try again later.".to_owned(),
                other => other.to_string(),
            };
            Problem::of(status_of(&error), detail).into_response()
        }
        // What is said of it is a page.
        Err(NoCaller::Page(refusal)) => Problem::of(refusal.status(), refused(refusal.status())).into_response(),
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

/// Get this document
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    operation_id = "openapi",
    tag = "status",
    security(()),
    responses(
        (status = 200, description = "The OpenAPI document.", body = Object),
        (status = 400, description = "The query has an unknown key.", body = Problem, content_type = KIND),
        (
            status = 421,
            description = "The request is for a host name that is not configured.",
            body = Problem,
            content_type = KIND,
        ),
        (status = 503, description = "Nexus is starting. Try again in a moment.", body = Problem, content_type = KIND),
    )
)]
async fn openapi() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        include_str!("openapi.json"),
    )
        .into_response()
}

/// `Status` is the state of Nexus and its parts.
#[derive(Serialize, ToSchema)]
struct Status {
    /// `version` is the version of Nexus.
    version: String,
    /// `at` is the time of this status.
    at: u64,
    /// `config_file` is the path of the configuration file. The file may not exist.
    config_file: String,
    /// `starting` describes the plugins that are being compiled while Nexus is already running. Null: none.
    #[schema(required)]
    starting: Option<String>,
    /// `problems` are the parts of Nexus that do not work. Plugins and tunnels are not among them: their own state says it.
    problems: Vec<Trouble>,
    /// `pending` describes changes in the configuration file that are not active. Null: there are none.
    #[schema(required)]
    pending: Option<Pending>,
    /// `workspace` is the path of the project folder in which the agent works.
    workspace: String,
    /// `workspaces` are the paths of all project folders, that one first.
    workspaces: Vec<String>,
    /// `backend` is the chat backend.
    backend: BackendStatus,
    /// `tunnels` are the tunnels, in the order of the configuration.
    tunnels: Vec<TunnelStatus>,
    /// `plugins` are the plugins that are in use.
    plugins: Vec<PluginStatus>,
    /// `running_turns` is the number of sessions of the backend with a running turn.
    running_turns: usize,
    /// `chat_plugins` are the plugins that can be the backend.
    chat_plugins: Vec<ChatPlugin>,
    /// `tunnel_plugins` are the names of the plugins that can provide a tunnel.
    tunnel_plugins: Vec<String>,
}

/// `ChatPlugin` is a plugin that can be the backend.
#[derive(Serialize, ToSchema)]
struct ChatPlugin {
    /// `name` is the `NAME` of `[plugin.NAME]` in the configuration.
    name: String,
    /// `example` is true if no model answers in it, as far as that is known before it runs.
    example: bool,
}

/// Get the status of Nexus
#[utoipa::path(
    get,
    path = "/api/v1/status",
    operation_id = "status",
    tag = "status",
    responses(
        (status = 200, description = "The status.", body = Status),
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
        problems: services.plugins.statuses.troubles(),
        pending: services.reload.pending().borrow().clone(),
        workspace: services.host.workspace.clone(),
        workspaces: services.host.workspaces.clone(),
        backend: services.chat.backend().borrow().clone(),
        tunnels: services.tunnels.statuses().borrow().clone(),
        plugins: services.plugins.statuses.subscribe().borrow().clone(),
        running_turns: services.chat.busy(),
        chat_plugins: services
            .chat
            .plugins()
            .into_iter()
            .map(|name| ChatPlugin {
                example: services.chat.is_example(&name),
                name,
            })
            .collect(),
        tunnel_plugins: services.plugins.catalog.of_kind(nexus_model::plugin::Kind::Tunnel),
    })
}

/// List the plugins
#[utoipa::path(
    get,
    path = "/api/v1/plugins",
    operation_id = "plugins",
    tag = "status",
    responses(
        (
            status = 200,
            description = "The plugins that are in use: the login plugin, the chat plugin and the tunnel plugins.",
            body = Vec<PluginStatus>,
        ),
        Guarded,
    )
)]
async fn plugins(State(state): State<WebState>) -> Json<Vec<PluginStatus>> {
    Json(state.services.plugins.statuses.subscribe().borrow().clone())
}

/// Get the details of the plugins
#[utoipa::path(
    get,
    path = "/api/v1/plugins/details",
    operation_id = "plugin_details",
    tag = "status",
    responses(
        (status = 200, description = "The details, in the same order as the list of plugins.", body = Vec<plugin::Details>),
        Guarded,
    )
)]
async fn details(State(state): State<WebState>) -> Json<Vec<plugin::Details>> {
    Json(super::pages::status::details(&state).await)
}

/// `Lines` selects lines of the log.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Lines {
    /// The name of a plugin: only lines that it wrote or that are about it
    plugin: Option<String>,
    /// The name of a tunnel: only lines about it. With `plugin`: lines that match either
    tunnel: Option<String>,
    /// The number of lines, at most 1000
    #[param(maximum = 65535, default = 200)]
    lines: Option<u16>,
}

/// Get the newest lines of the log
///
/// The oldest of them is the first.
#[utoipa::path(
    get,
    path = "/api/v1/log",
    operation_id = "log",
    tag = "status",
    params(Lines),
    responses(
        (status = 200, description = "Lines from the last part of the log.", body = Vec<LogLine>),
        (status = 409, description = "Nexus does not write a log file.", body = Problem, content_type = KIND),
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

/// List the last events of the host
///
/// The newest is the first.
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
