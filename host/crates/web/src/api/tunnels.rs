//! Tunnels.

use super::problem::{Guarded, JsonBody, KIND, Path, Problem, REFUSED, TooLong};
use crate::WebState;
use crate::error::ApiError;
use crate::state::unknown_tunnel;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use nexus_model::time::millis;
use nexus_model::tunnel::TunnelStatus;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const NAME: &str = "The `NAME` of `[tunnel.NAME]`";
const NO_TUNNEL: &str = "The tunnel does not exist. `detail` says how to create it.";

/// `NewTunnelPlugin` names another plugin for a tunnel.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTunnelPlugin {
    /// `plugin` is the `NAME` of `[plugin.NAME]` in the configuration.
    plugin: String,
}

/// `Swapped` is the result of a swap.
#[derive(Serialize, ToSchema)]
pub(super) struct Swapped {
    /// `url` is the address of the tunnel. Null: the tunnel is closed.
    #[schema(required, format = "uri")]
    url: Option<String>,
    /// `duration_ms` is the time until the old plugin had ended, in milliseconds.
    duration_ms: u64,
    /// `persisted` is true if the new plugin is also used after a restart of Nexus.
    persisted: bool,
    /// `disconnected` is true if clients of the tunnel were disconnected, because the old plugin had to close its fixed
    /// port first.
    disconnected: bool,
}

/// List the tunnels
///
/// They are in the order of the configuration.
#[utoipa::path(
    get,
    path = "/api/v1/tunnels",
    operation_id = "tunnels",
    tag = "tunnels",
    responses(
        (
            status = 200, description = "The tunnels and their state.", body = Vec<TunnelStatus>,
            links(
                ("tunnel" = (operation_id = "tunnel", parameters(("name" = "$response.body#/0/name")))),
                ("start_tunnel" = (operation_id = "start_tunnel", parameters(("name" = "$response.body#/0/name")))),
                ("stop_tunnel" = (operation_id = "stop_tunnel", parameters(("name" = "$response.body#/0/name")))),
                ("swap_tunnel" = (operation_id = "swap_tunnel", parameters(("name" = "$response.body#/0/name")))),
            ),
        ),
        Guarded,
    )
)]
pub(super) async fn list(State(state): State<WebState>) -> Json<Vec<TunnelStatus>> {
    Json(state.services.tunnels.statuses().borrow().clone())
}

/// Get a tunnel
#[utoipa::path(
    get,
    path = "/api/v1/tunnels/{name}",
    operation_id = "tunnel",
    tag = "tunnels",
    params(("name" = String, Path, description = NAME, example = "main")),
    responses(
        (status = 200, description = "The tunnel and its state.", body = TunnelStatus),
        (
            status = 404,
            description = "The tunnel does not exist. `detail` lists the tunnels that exist.",
            body = Problem,
            content_type = KIND,
        ),
        Guarded,
    )
)]
pub(super) async fn one(
    State(state): State<WebState>,
    Path(name): Path<String>,
) -> Result<Json<TunnelStatus>, Problem> {
    let tunnels = state.services.tunnels.statuses();
    let found = tunnels.borrow().iter().find(|tunnel| tunnel.name == name).cloned();
    found.map(Json).ok_or_else(|| {
        let all: Vec<_> = tunnels.borrow().iter().map(|tunnel| tunnel.name.clone()).collect();
        let all = if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(", ")
        };
        Problem::of(
            StatusCode::NOT_FOUND,
            format!("There is no tunnel `{name}`. Configured tunnels: {all}."),
        )
    })
}

/// Open a tunnel
///
/// The tunnel is also opened after a restart of Nexus. The response is sent before the tunnel is open: the state in it,
/// and every later one, is the result of this request.
#[utoipa::path(
    post,
    path = "/api/v1/tunnels/{name}/start",
    operation_id = "start_tunnel",
    tag = "tunnels",
    params(("name" = String, Path, description = NAME, example = "main")),
    responses(
        (status = 202, description = "The tunnel is opening.", body = TunnelStatus),
        (status = 404, description = NO_TUNNEL, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn start(
    State(state): State<WebState>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<TunnelStatus>), Problem> {
    let started = state.services.tunnels.open(&name).await;
    started.map_err(|error| unknown_tunnel(&state, &name, error.into()))?;
    Ok((StatusCode::ACCEPTED, one(State(state), Path(name)).await?))
}

/// Close a tunnel
#[utoipa::path(
    post,
    path = "/api/v1/tunnels/{name}/stop",
    operation_id = "stop_tunnel",
    tag = "tunnels",
    params(("name" = String, Path, description = NAME, example = "main")),
    responses(
        (status = 200, description = "The tunnel is closed.", body = TunnelStatus),
        (status = 404, description = NO_TUNNEL, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn stop(
    State(state): State<WebState>,
    Path(name): Path<String>,
) -> Result<Json<TunnelStatus>, Problem> {
    let stopped = state.services.tunnels.close(&name).await;
    stopped.map_err(|error| unknown_tunnel(&state, &name, error.into()))?;
    one(State(state), Path(name)).await
}

/// Replace the plugin of a tunnel
///
/// A tunnel that is open stays reachable. The response is sent when the old plugin has ended.
#[utoipa::path(
    post,
    path = "/api/v1/tunnels/{name}/swap",
    operation_id = "swap_tunnel",
    tag = "tunnels",
    params(("name" = String, Path, description = NAME, example = "main")),
    request_body = NewTunnelPlugin,
    responses(
        (status = 200, description = "The new plugin is in use.", body = Swapped),
        (status = 404, description = NO_TUNNEL, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn swap(
    State(state): State<WebState>,
    Path(name): Path<String>,
    JsonBody(swap): JsonBody<NewTunnelPlugin>,
) -> Result<Json<Swapped>, Problem> {
    let swapped = state.services.tunnels.swap(&name, &swap.plugin).await;
    let swapped = swapped.map_err(|error| match ApiError::from(error) {
        error @ ApiError::NotFound(_) => unknown_tunnel(&state, &name, error),
        error => state.not_swapped(&swap.plugin, error),
    })?;
    Ok(Json(Swapped {
        url: swapped.url,
        duration_ms: millis(swapped.took),
        persisted: swapped.kept,
        disconnected: swapped.cut,
    }))
}
