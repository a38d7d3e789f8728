//! The configuration's file.

use super::problem::{Body, Problem};
use crate::WebState;
use crate::port::{Login, Pending};
use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
pub(super) struct File {
    file: String,
    pending: Option<Pending>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Apply {
    id: String,
}

pub(super) async fn show(State(state): State<WebState>) -> Json<File> {
    let services = &state.services;
    Json(File {
        file: services.status.config_file().to_owned(),
        pending: services.config.pending().borrow().clone(),
    })
}

/// Returns when it is done.
pub(super) async fn apply(
    State(state): State<WebState>,
    login: Option<Extension<Login>>,
    Body(apply): Body<Apply>,
) -> Result<Json<File>, Problem> {
    let fresh = match &login {
        Some(Extension(login)) => state.services.auth.fresh(login).await?,
        // Whoever runs on this machine can open the socket and edit the file: this is not a confirmation.
        None => false,
    };
    if !fresh {
        return Err(Problem::of(
            StatusCode::FORBIDDEN,
            "This needs a login of the last five minutes: apply it on the status page, which asks for one, or start Nexus \
             again.",
        ));
    }
    state.services.config.apply(&apply.id).await?;
    Ok(show(State(state)).await)
}
