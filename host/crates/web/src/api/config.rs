//! The configuration's file.

use super::problem::{Guarded, JsonBody, KIND, Problem, TooLong};
use crate::WebState;
use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use nexus_auth::Session;
use nexus_model::reload::Pending;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `ConfigFile` describes the configuration file.
#[derive(Serialize, ToSchema)]
pub(super) struct ConfigFile {
    /// `file` is the path of the file.
    file: String,
    /// `pending` describes changes that are not active. Null: there are none.
    #[schema(required)]
    pending: Option<Pending>,
}

/// `ApplyConfig` confirms the changes of the configuration file.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyConfig {
    /// `id` is the `pending.id` of the changes that were shown.
    id: String,
}

/// Get the changes of the configuration file that are not active
#[utoipa::path(
    get,
    path = "/api/v1/config",
    operation_id = "config",
    tag = "configuration",
    responses(
        (status = 200, description = "The configuration file.", body = ConfigFile),
        Guarded,
    )
)]
pub(super) async fn show(State(state): State<WebState>) -> Json<ConfigFile> {
    let services = &state.services;
    Json(ConfigFile {
        file: services.host.config_file.clone(),
        pending: services.reload.pending().borrow().clone(),
    })
}

/// Apply the changes of the configuration file
///
/// The request needs a login from the last five minutes, and is refused on the control socket. The response is sent when
/// the changes have been applied.
#[utoipa::path(
    post,
    path = "/api/v1/config/apply",
    operation_id = "apply_config",
    tag = "configuration",
    request_body = ApplyConfig,
    responses(
        (status = 200, description = "The changes are active.", body = ConfigFile),
        (
            status = 409,
            description = "The file has changed since, or some of the changes could not be applied. Those are still pending.",
            body = Problem,
            content_type = KIND,
        ),
        TooLong,
        Guarded,
        (
            status = 403,
            description = "The login is older than five minutes, or the request comes from another site or from a program that Nexus runs.",
            body = Problem,
            content_type = KIND,
        ),
    )
)]
pub(super) async fn apply(
    State(state): State<WebState>,
    login: Option<Extension<Session>>,
    JsonBody(apply): JsonBody<ApplyConfig>,
) -> Result<Json<ConfigFile>, Problem> {
    let fresh = match &login {
        Some(Extension(login)) => state.services.auth.recently_checked(&login.login),
        // Whoever runs on this machine can open the socket and edit the file: this is not a confirmation.
        None => false,
    };
    if !fresh {
        return Err(Problem::of(
            StatusCode::FORBIDDEN,
            "This needs a login from the last five minutes. To fix: choose Apply on the status page, which asks \
             for one, or restart Nexus.",
        ));
    }
    state.services.reload.apply(&apply.id).await?;
    Ok(show(State(state)).await)
}
