//! Tunnels.

use super::problem::{Guarded, JsonBody, KIND, Path, Problem, REFUSED, Unreadable, UnreadableBody};
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
const NO_TUNNEL: &str = "There is no such tunnel: `detail` says how to make it.";

/// A swap of a tunnel's plugin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTunnelPlugin {
    /// `plugin` is the `NAME` of `[plugin.NAME]`.
    plugin: String,
}

/// Another plugin serves the tunnel.
#[derive(Serialize, ToSchema)]
pub(super) struct Swapped {
    /// `url` is where the tunnel leads now. Null: it is closed.
    #[schema(required, format = "uri")]
    url: Option<String>,
    /// `took` is how long it took until the old plugin was gone, in milliseconds.
    took: u64,
    /// `kept`: it holds after a restart too.
    kept: bool,
    /// `cut`: a client that came through the old one lost the connection. The listener has a fixed port, so it had to close first.
    cut: bool,
}

/// The tunnels, in the order of the configuration
#[utoipa::path(
    get,
    path = "/api/v1/tunnels",
    operation_id = "tunnels",
    tag = "tunnels",
    responses(
        (
            status = 200, description = "The tunnels as they are now.", body = Vec<TunnelStatus>,
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

/// A tunnel
#[utoipa::path(
    get,
    path = "/api/v1/tunnels/{name}",
    operation_id = "tunnel",
    tag = "tunnels",
    params(("name" = String, Path, description = NAME, example = "main")),
    responses(
        (status = 200, description = "The tunnel as it is now.", body = TunnelStatus),
        (
            status = 404,
            description = "There is no such tunnel: `detail` says which there are.",
            body = Problem,
            content_type = KIND,
        ),
        Unreadable,
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

/// Open a tunnel, now and after a restart
///
/// It is answered before the tunnel is open. The state in the answer, and each one from then on, tells of this order.
#[utoipa::path(
    post,
    path = "/api/v1/tunnels/{name}/start",
    operation_id = "start_tunnel",
    tag = "tunnels",
    params(("name" = String, Path, description = NAME, example = "main")),
    responses(
        (status = 202, description = "The tunnel is opening.", body = TunnelStatus),
        (status = 404, description = NO_TUNNEL, body = Problem, content_type = KIND),
        Unreadable,
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
        Unreadable,
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

/// Let another plugin serve a tunnel; an open one stays reachable
///
/// It is answered when the old plugin is gone.
#[utoipa::path(
    post,
    path = "/api/v1/tunnels/{name}/swap",
    operation_id = "swap_tunnel",
    tag = "tunnels",
    params(("name" = String, Path, description = NAME, example = "main")),
    request_body = NewTunnelPlugin,
    responses(
        (status = 200, description = "The old plugin is gone.", body = Swapped),
        (status = 404, description = NO_TUNNEL, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        UnreadableBody,
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
        took: millis(swapped.took),
        kept: swapped.kept,
        cut: swapped.cut,
    }))
}
