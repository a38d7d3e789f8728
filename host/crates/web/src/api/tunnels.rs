//! Tunnels.

use super::problem::{Body, Problem};
use crate::port::ApiError;
use crate::{WebState, unknown_tunnel};
use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use nexus_model::tunnel::Status;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Swap {
    plugin: String,
}

#[derive(Serialize)]
pub(super) struct Swapped {
    url: Option<String>,
    /// Milliseconds, until the old plugin was gone.
    took: u64,
    kept: bool,
    /// Whoever came through the old one lost the connection: it had to close first.
    cut: bool,
}

pub(super) async fn list(State(state): State<WebState>) -> Json<Vec<Status>> {
    Json(state.services.tunnels.tunnels().borrow().clone())
}

pub(super) async fn one(State(state): State<WebState>, Path(name): Path<String>) -> Result<Json<Status>, Problem> {
    let tunnels = state.services.tunnels.tunnels();
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
            format!("There is no tunnel `{name}`; there is: {all}."),
        )
    })
}

/// Returns before it is open. The state that it answers with, and each one from then on, tells of this order.
pub(super) async fn start(
    State(state): State<WebState>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Status>), Problem> {
    let started = state.services.tunnels.start(&name).await;
    started.map_err(|error| unknown_tunnel(&state, &name, error))?;
    Ok((StatusCode::ACCEPTED, one(State(state), Path(name)).await?))
}

pub(super) async fn stop(State(state): State<WebState>, Path(name): Path<String>) -> Result<Json<Status>, Problem> {
    let stopped = state.services.tunnels.stop(&name).await;
    stopped.map_err(|error| unknown_tunnel(&state, &name, error))?;
    one(State(state), Path(name)).await
}

pub(super) async fn swap(
    State(state): State<WebState>,
    Path(name): Path<String>,
    Body(swap): Body<Swap>,
) -> Result<Json<Swapped>, Problem> {
    let swapped = state.services.tunnels.swap(&name, &swap.plugin).await;
    let swapped = swapped.map_err(|error| match error {
        ApiError::NotFound(_) => unknown_tunnel(&state, &name, error),
        error => state.not_swapped(error),
    })?;
    Ok(Json(Swapped {
        url: swapped.url,
        took: u64::try_from(swapped.took.as_millis()).unwrap_or(u64::MAX),
        kept: swapped.kept,
        cut: swapped.cut,
    }))
}
