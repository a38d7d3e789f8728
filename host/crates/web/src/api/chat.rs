//! The backend and its sessions.

use super::listed_names;
use super::problem::{Guarded, JsonBody, KIND, Path, Problem, Query, REFUSED, TooLong};
use crate::http::identity::RequestOrigin;
use crate::live::protocol::{NewPrompt, Rendered, Server};
use crate::live::session_view;
use crate::{WebState, permission_answers};
use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use nexus_chat::BackendStatus;
use nexus_chat::journal::Item;
use nexus_model::chat::{Admission, Answer, Root, SessionInfo};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Characters of a title.
const TITLE: usize = 200;

pub(super) const SESSION: &str = "The id of the session";
pub(super) const NO_SESSION: &str = "The session does not exist.";
pub(super) const UNREADABLE: &str = "The stored session cannot be read.";

/// `BackendSwap` names another plugin for the chat backend.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BackendSwap {
    /// `plugin` is the `NAME` of `[plugin.NAME]` in the configuration.
    #[schema(examples("chat-echo"))]
    plugin: String,
}

/// `NewSession` describes a session to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSession {
    /// `title` is the title: 1 to 200 characters, and not only white space. Absent: the backend chooses one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    title: Option<String>,
    /// `workspace` is the path of a project folder of the backend. Absent: the configured one.
    #[serde(default)]
    workspace: Option<String>,
}

/// `SessionChange` is what is to change of a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionChange {
    /// `title` is the new title: 1 to 200 characters, and not only white space. Absent: it stays.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    title: Option<String>,
    /// `archived` is true to archive the session, and false to take it out of the archive. Absent: it stays.
    #[serde(default)]
    archived: Option<bool>,
}

/// `Admitted` says that a prompt was accepted.
#[derive(Serialize, ToSchema)]
pub(super) struct Admitted {
    /// `client_id` is the id with which the prompt was sent. Null: it had none.
    #[schema(required)]
    client_id: Option<String>,
    /// `duplicate` is true if the prompt had been accepted before.
    duplicate: bool,
}

/// Get the chat backend
#[utoipa::path(
    get,
    path = "/api/v1/backend",
    operation_id = "backend",
    tag = "chat",
    responses(
        (status = 200, description = "The backend and its state.", body = BackendStatus),
        Guarded,
    )
)]
pub(super) async fn backend(State(state): State<WebState>) -> Json<BackendStatus> {
    Json(state.services.chat.backend().borrow().clone())
}

/// Start the backend
///
/// If its program was not found, Nexus checks for it again.
#[utoipa::path(
    post,
    path = "/api/v1/backend/start",
    operation_id = "start_backend",
    tag = "chat",
    responses(
        (status = 200, description = "The backend and its state.", body = BackendStatus),
        Guarded,
    )
)]
pub(super) async fn start(State(state): State<WebState>) -> Result<Json<BackendStatus>, Problem> {
    state.services.chat.start().await?;
    Ok(backend(State(state)).await)
}

/// Stop the backend
///
/// Running turns have time to finish.
#[utoipa::path(
    post,
    path = "/api/v1/backend/stop",
    operation_id = "stop_backend",
    tag = "chat",
    responses(
        (status = 200, description = "The backend is stopped.", body = BackendStatus),
        Guarded,
    )
)]
pub(super) async fn stop(State(state): State<WebState>) -> Result<Json<BackendStatus>, Problem> {
    state.services.chat.stop().await?;
    Ok(backend(State(state)).await)
}

/// Restart the backend
#[utoipa::path(
    post,
    path = "/api/v1/backend/restart",
    operation_id = "restart_backend",
    tag = "chat",
    responses(
        (status = 200, description = "The backend is starting.", body = BackendStatus),
        Guarded,
    )
)]
pub(super) async fn restart(State(state): State<WebState>) -> Result<Json<BackendStatus>, Problem> {
    state.services.chat.restart().await?;
    Ok(backend(State(state)).await)
}

/// Replace the plugin of the backend
///
/// The sessions of the old backend can still be read.
#[utoipa::path(
    post,
    path = "/api/v1/backend/swap",
    operation_id = "swap_backend",
    tag = "chat",
    request_body = BackendSwap,
    responses(
        (status = 200, description = "The new backend is starting.", body = BackendStatus),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn swap(
    State(state): State<WebState>,
    JsonBody(swap): JsonBody<BackendSwap>,
) -> Result<Json<BackendStatus>, Problem> {
    let swapped = state.services.chat.swap(&swap.plugin).await;
    swapped.map_err(|error| state.not_swapped(&swap.plugin, error.into()))?;
    Ok(backend(State(state)).await)
}

/// List the sessions
///
/// The most recently active session is the first.
#[utoipa::path(
    get,
    path = "/api/v1/sessions",
    operation_id = "sessions",
    tag = "chat",
    responses(
        (status = 200, description = "The sessions. Sessions of sub-agents are not included.", body = Vec<Root>),
        Guarded,
    )
)]
pub(super) async fn list(State(state): State<WebState>) -> Json<Vec<Root>> {
    Json(state.services.chat.sessions().borrow().to_vec())
}

fn title(title: &str) -> Result<(), Problem> {
    let cause = format!("A title must have 1 to {TITLE} characters and must not be blank.");
    if title.chars().count() > TITLE {
        return Err(Problem::of(StatusCode::BAD_REQUEST, cause));
    }
    if title.trim().is_empty() {
        return Err(Problem::of(StatusCode::CONFLICT, cause));
    }
    Ok(())
}

/// Create a session
///
/// A request that is sent twice creates two sessions. `create` on the live socket has an id and creates one.
#[utoipa::path(
    post,
    path = "/api/v1/sessions",
    operation_id = "create_session",
    tag = "chat",
    request_body(content = Option<NewSession>),
    responses(
        (
            status = 201, description = "The session was created.", body = SessionInfo,
            links(
                ("session" = (operation_id = "session", parameters(("session" = "$response.body#/id")))),
                ("change_session" = (operation_id = "change_session", parameters(("session" = "$response.body#/id")))),
                ("delete_session" = (operation_id = "delete_session", parameters(("session" = "$response.body#/id")))),
                ("prompt" = (operation_id = "prompt", parameters(("session" = "$response.body#/id")))),
                ("continue" = (operation_id = "continue", parameters(("session" = "$response.body#/id")))),
                ("cancel" = (operation_id = "cancel", parameters(("session" = "$response.body#/id")))),
            ),
        ),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn create(
    State(state): State<WebState>,
    JsonBody(new): JsonBody<Option<NewSession>>,
) -> Result<(StatusCode, Json<SessionInfo>), Problem> {
    let (wanted, workspace) = new.map_or((None, None), |new| (new.title, new.workspace));
    if let Some(wanted) = &wanted {
        title(wanted)?;
    }
    let made = state.services.chat.create(workspace, wanted, None).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Get a session
///
/// The response is the frame `state` of the live socket.
#[utoipa::path(
    get,
    path = "/api/v1/sessions/{session}",
    operation_id = "session",
    tag = "chat",
    params(("session" = String, Path, description = SESSION)),
    responses(
        (
            status = 200,
            description = "The session with its newest messages, as many as fit into a frame.",
            body = ref("#/components/schemas/ServerState"),
        ),
        (status = 404, description = NO_SESSION, body = Problem, content_type = KIND),
        (status = 409, description = UNREADABLE, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn session(
    State(state): State<WebState>,
    Path(session): Path<String>,
) -> Result<Json<Server>, Problem> {
    let mut subscription = state.services.chat.subscribe(&session, None).await?;
    let whole = match subscription.next().await {
        Ok(Item::State(whole)) => session_view::state(&session, *whole, &state.renderer).await,
        Ok(Item::Event(_)) | Err(_) => None,
    };
    whole.map(Json).ok_or_else(|| {
        Problem::of(
            StatusCode::SERVICE_UNAVAILABLE,
            "This part is being written; try again.",
        )
    })
}

/// `Before` selects older messages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Before {
    /// The value of `before` from the session, or from the last response with older messages
    before: String,
}

/// Get older messages of a session
///
/// The oldest message is the first. The response is the frame `older` of the live socket.
#[utoipa::path(
    get,
    path = "/api/v1/sessions/{session}/older",
    operation_id = "older_messages",
    tag = "chat",
    params(
        ("session" = String, Path, description = SESSION),
        Before,
    ),
    responses(
        (status = 200, description = "The older messages.", body = ref("#/components/schemas/ServerOlder")),
        (status = 404, description = NO_SESSION, body = Problem, content_type = KIND),
        (status = 409, description = UNREADABLE, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn older(
    State(state): State<WebState>,
    Path(session): Path<String>,
    Query(wanted): Query<Before>,
) -> Result<Json<Server>, Problem> {
    let whole = state.services.chat.state(&session).await?;
    Ok(Json(
        session_view::older(&session, whole, &wanted.before, &state.renderer).await,
    ))
}

/// Get a complete part of a message
#[utoipa::path(
    get,
    path = "/api/v1/sessions/{session}/parts/{part}",
    operation_id = "part",
    tag = "chat",
    params(
        ("session" = String, Path, description = SESSION),
        ("part" = String, Path, description = "The id of the part"),
    ),
    responses(
        (status = 200, description = "The part.", body = Rendered),
        (
            status = 404,
            description = "The session or the part does not exist.",
            body = Problem,
            content_type = KIND,
        ),
        (status = 409, description = UNREADABLE, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn part(
    State(state): State<WebState>,
    Path((session, part)): Path<(String, String)>,
) -> Result<Json<Rendered>, Problem> {
    let whole = state.services.chat.state(&session).await?;
    let mut parts = whole.messages.into_iter().flat_map(|known| known.parts);
    match parts.find(|known| known.id == part) {
        Some(part) => Ok(Json(session_view::whole(part, &state.renderer))),
        None => Err(Problem::of(StatusCode::NOT_FOUND, "This part does not exist.")),
    }
}

/// Take a waiting prompt back
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/{session}/prompts/{client_id}",
    operation_id = "take_back_prompt",
    tag = "chat",
    params(
        ("session" = String, Path, description = SESSION),
        ("client_id" = String, Path, description = "The id with which the prompt was sent"),
    ),
    responses(
        (status = 204, description = "The prompt was taken back."),
        (
            status = 404,
            description = "The prompt does not exist, or it is not waiting any more.",
            body = Problem,
            content_type = KIND,
        ),
        (status = 409, description = "The prompt is being sent.", body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn take_back(
    State(state): State<WebState>,
    Path((session, client_id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    state.services.chat.take_back(&session, &client_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rename or archive a session
#[utoipa::path(
    patch,
    path = "/api/v1/sessions/{session}",
    operation_id = "change_session",
    tag = "chat",
    params(("session" = String, Path, description = SESSION)),
    request_body = SessionChange,
    responses(
        (status = 204, description = "The session was changed."),
        (status = 404, description = NO_SESSION, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn change(
    State(state): State<WebState>,
    Path(session): Path<String>,
    JsonBody(change): JsonBody<SessionChange>,
) -> Result<StatusCode, Problem> {
    let chat = &state.services.chat;
    if change.title.is_none() && change.archived.is_none() {
        chat.state(&session).await?;
        let cause = "Nothing is to change. To fix: send `title`, `archived`, or both.";
        return Err(Problem::of(StatusCode::CONFLICT, cause));
    }
    if let Some(wanted) = &change.title {
        title(wanted)?;
        chat.rename(&session, wanted).await?;
    }
    if let Some(archived) = change.archived {
        chat.set_archived(&session, archived).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a session
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/{session}",
    operation_id = "delete_session",
    tag = "chat",
    params(("session" = String, Path, description = SESSION)),
    responses(
        (status = 204, description = "The session was deleted."),
        (status = 404, description = NO_SESSION, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn delete(State(state): State<WebState>, Path(session): Path<String>) -> Result<StatusCode, Problem> {
    state.services.chat.delete(&session).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn admitted(admission: Admission, client_id: Option<String>) -> Result<(StatusCode, Json<Admitted>), Problem> {
    let duplicate = match admission {
        Admission::Admitted => false,
        Admission::Duplicate => true,
        Admission::Refused(cause) => return Err(Problem::of(StatusCode::CONFLICT, cause)),
        Admission::ConsentNeeded { id, text } => return Err(Problem::consent(id, text)),
        Admission::Unknown(cause) => return Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE, cause)),
    };
    Ok((StatusCode::ACCEPTED, Json(Admitted { client_id, duplicate })))
}

/// Send a prompt
///
/// A prompt is admitted once for each `client_id`. While a turn is running, it waits until the turn has ended.
#[utoipa::path(
    post,
    path = "/api/v1/sessions/{session}/prompts",
    operation_id = "prompt",
    tag = "chat",
    params(("session" = String, Path, description = SESSION)),
    request_body = NewPrompt,
    responses(
        (status = 202, description = "The prompt was accepted.", body = Admitted),
        (status = 404, description = NO_SESSION, body = Problem, content_type = KIND),
        (
            status = 409,
            description = "The prompt was refused, or a consent is missing: then `consent` is its id.",
            body = Problem,
            content_type = KIND,
        ),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn prompt(
    State(state): State<WebState>,
    Path(session): Path<String>,
    JsonBody(new): JsonBody<NewPrompt>,
) -> Result<(StatusCode, Json<Admitted>), Problem> {
    crate::live::acceptable(&new).map_err(|cause| Problem::of(StatusCode::CONFLICT, cause))?;
    let client_id = new.client_id.clone();
    let (prompt, now) = new.parts();
    let options = prompt.options.clone();
    let admission = state.services.chat.prompt(&session, prompt, now).await;
    let answer = admission.map_err(Problem::from);
    let answer = answer.and_then(|admission| admitted(admission, Some(client_id)));
    answer.map_err(|problem| listed_names::of_prompt(problem, &options))
}

/// Continue an interrupted answer
#[utoipa::path(
    post,
    path = "/api/v1/sessions/{session}/continue",
    operation_id = "continue",
    tag = "chat",
    params(("session" = String, Path, description = SESSION)),
    responses(
        (status = 202, description = "The answer is being continued.", body = Admitted),
        (status = 404, description = NO_SESSION, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn go_on(
    State(state): State<WebState>,
    Path(session): Path<String>,
) -> Result<(StatusCode, Json<Admitted>), Problem> {
    admitted(state.services.chat.continue_interrupted(&session).await?, None)
}

/// Stop the running turn
#[utoipa::path(
    post,
    path = "/api/v1/sessions/{session}/cancel",
    operation_id = "cancel",
    tag = "chat",
    params(("session" = String, Path, description = SESSION)),
    responses(
        (status = 204, description = "The turn is being stopped, or none was running."),
        (status = 404, description = NO_SESSION, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn cancel(State(state): State<WebState>, Path(session): Path<String>) -> Result<StatusCode, Problem> {
    state.services.chat.cancel(&session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Answer a request of the agent
#[utoipa::path(
    post,
    path = "/api/v1/sessions/{session}/requests/{request}",
    operation_id = "reply",
    tag = "chat",
    params(
        ("session" = String, Path, description = SESSION),
        ("request" = String, Path, description = "The id of the request"),
    ),
    request_body = Answer,
    responses(
        (status = 204, description = "The agent has the answer."),
        (
            status = 404,
            description = "The session does not exist, or has no such open request.",
            body = Problem,
            content_type = KIND,
        ),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn reply(
    State(state): State<WebState>,
    who: Option<Extension<RequestOrigin>>,
    Path((session, request)): Path<(String, String)>,
    JsonBody(answer): JsonBody<Answer>,
) -> Result<StatusCode, Problem> {
    let who = who.map_or_else(RequestOrigin::operator, |Extension(who)| who);
    permission_answers::give(&state, &who, &session, &request, answer).await?;
    Ok(StatusCode::NO_CONTENT)
}
