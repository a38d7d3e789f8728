//! What is done to a session as a whole, and the files of its messages.

use super::chat::{NO_SESSION, SESSION, UNREADABLE};
use super::file_response::FileResponse;
use super::listed_names;
use super::problem::{Guarded, JsonBody, KIND, Path, Problem, Query, REFUSED, TooLong};
use crate::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use http::{StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use nexus_model::chat::{Attachment, FileContent, PromptOptions, SessionInfo};
use nexus_model::limits;
use nexus_plugin_api::text;
use serde::Deserialize;
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

const ABSENT: &str = "The session or the message does not exist.";

/// Refuses what can be no id.
fn check_id(id: Option<&str>) -> Result<(), Problem> {
    if id.is_none_or(|id| (1..=limits::ID_BYTES).contains(&id.len())) {
        return Ok(());
    }
    let cause = format!("An id is 1 to {} bytes long.", limits::ID_BYTES);
    Err(Problem::of(StatusCode::CONFLICT, cause))
}

/// `Fork` says where the new session ends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Fork {
    /// `before` is the id of the first message that is not in the new session. Absent: all messages are.
    #[serde(default)]
    before: Option<String>,
}

/// Fork a session
///
/// The new session has the messages of this one, which stays as it is.
#[utoipa::path(
    post,
    path = "/api/v1/sessions/{session}/fork",
    operation_id = "fork",
    tag = "chat",
    params(("session" = String, Path, description = SESSION)),
    request_body(content = Option<Fork>),
    responses(
        (status = 201, description = "The new session.", body = SessionInfo),
        (status = 404, description = ABSENT, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn fork(
    State(state): State<WebState>,
    Path(session): Path<String>,
    JsonBody(fork): JsonBody<Option<Fork>>,
) -> Result<(StatusCode, Json<SessionInfo>), Problem> {
    let before = fork.and_then(|fork| fork.before);
    check_id(before.as_deref())?;
    let made = state.services.chat.fork(&session, before.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// `Revert` names the first message that is taken back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revert {
    /// `message` is the id of a message of the user.
    message: String,
}

/// Take messages back
///
/// The message and all after it are taken back, and what the turns did to files is undone. They can be restored until the next
/// prompt.
#[utoipa::path(
    post,
    path = "/api/v1/sessions/{session}/revert",
    operation_id = "revert",
    tag = "chat",
    params(("session" = String, Path, description = SESSION)),
    request_body = Revert,
    responses(
        (status = 200, description = "The session as it is now.", body = SessionInfo),
        (status = 404, description = ABSENT, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn revert(
    State(state): State<WebState>,
    Path(session): Path<String>,
    JsonBody(revert): JsonBody<Revert>,
) -> Result<Json<SessionInfo>, Problem> {
    check_id(Some(&revert.message))?;
    Ok(Json(state.services.chat.revert(&session, &revert.message).await?))
}

/// Restore messages that were taken back
///
/// Where nothing is taken back, nothing happens.
#[utoipa::path(
    post,
    path = "/api/v1/sessions/{session}/restore",
    operation_id = "restore",
    tag = "chat",
    params(("session" = String, Path, description = SESSION)),
    responses(
        (status = 200, description = "The session as it is now.", body = SessionInfo),
        (status = 404, description = NO_SESSION, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn restore(
    State(state): State<WebState>,
    Path(session): Path<String>,
) -> Result<Json<SessionInfo>, Problem> {
    Ok(Json(state.services.chat.restore(&session).await?))
}

/// `Compact` says which model writes the summary.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Compact {
    /// `model` is the id of a model. Absent: that of the session.
    #[serde(default)]
    model: Option<String>,
}

/// Summarize the earlier messages
///
/// From then on the model has a summary in their place. The messages stay in the session.
#[utoipa::path(
    post,
    path = "/api/v1/sessions/{session}/compact",
    operation_id = "compact",
    tag = "chat",
    params(("session" = String, Path, description = SESSION)),
    request_body(content = Option<Compact>),
    responses(
        (status = 202, description = "The backend has begun: a turn is running."),
        (status = 404, description = NO_SESSION, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn compact(
    State(state): State<WebState>,
    Path(session): Path<String>,
    JsonBody(compact): JsonBody<Option<Compact>>,
) -> Result<StatusCode, Problem> {
    let model = compact.and_then(|compact| compact.model);
    check_id(model.as_deref())?;
    let begun = state.services.chat.compact(&session, model.as_deref()).await;
    let options = PromptOptions {
        model,
        ..PromptOptions::default()
    };
    begun.map_err(|error| listed_names::of_prompt(error.into(), &options))?;
    Ok(StatusCode::ACCEPTED)
}

/// `Upload` names the file.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Upload {
    /// The name of the file: 1 to 255 bytes, without a folder
    #[param(example = "screenshot.png")]
    name: String,
}

/// `UPLOADING` is what bounds the memory that bodies of uploads take while they are read.
static UPLOADING: Semaphore = Semaphore::const_new(limits::UPLOADS);

/// Upload a file for a prompt
///
/// The body is the content of the file, and its `Content-Type` the media type. A prompt of this session names the id in
/// `attachments`.
#[utoipa::path(
    post,
    path = "/api/v1/sessions/{session}/attachments",
    operation_id = "upload",
    tag = "chat",
    params(("session" = String, Path, description = SESSION), Upload),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "The file is kept.", body = Attachment),
        (status = 404, description = NO_SESSION, body = Problem, content_type = KIND),
        (status = 408, description = "The body did not come in time.", body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        (status = 413, description = "The file is larger than 8 MiB.", body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn upload(
    State(state): State<WebState>,
    Path(session): Path<String>,
    Query(upload): Query<Upload>,
    request: Request,
) -> Result<(StatusCode, Json<Attachment>), Problem> {
    let name = file_name(&upload.name)?;
    let given = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let mime = text::line(given.unwrap_or("application/octet-stream")).into_owned();
    if mime.len() > limits::TITLE_BYTES {
        return Err(Problem::of(StatusCode::CONFLICT, "The Content-Type is too long."));
    }
    let data = body(request.into_body()).await?;
    let content = FileContent { mime, data };
    let kept = state.services.chat.upload(&session, &name, content).await?;
    Ok((StatusCode::CREATED, Json(kept)))
}

/// A name for people and for the backend: no folder, nothing that hides.
fn file_name(given: &str) -> Result<String, Problem> {
    let name = text::line(given).into_owned();
    let fits = (1..=255).contains(&name.len())
        && !name.contains(['/', '\\'])
        && name.trim() == name
        && name != "."
        && name != "..";
    if fits {
        return Ok(name);
    }
    let cause =
        "The name of a file must have 1 to 255 bytes, and no folder. To fix: send its last part alone as `name`.";
    Err(Problem::of(StatusCode::CONFLICT, cause))
}

async fn body(body: Body) -> Result<Vec<u8>, Problem> {
    let Ok(_slot) = UPLOADING.try_acquire() else {
        let cause = format!("{} files are being uploaded already. Try again.", limits::UPLOADS);
        return Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE, cause));
    };
    let read = Limited::new(body, limits::PROMPT_ATTACHMENTS_BYTES).collect();
    match tokio::time::timeout(limits::UPLOAD_READ, read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::of(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "The file is larger than {} MiB.",
                limits::PROMPT_ATTACHMENTS_BYTES >> 20
            ),
        )),
        Ok(Err(_)) => Err(Problem::of(
            StatusCode::BAD_REQUEST,
            "The body ended before it was complete.",
        )),
        Err(_) => Err(Problem::of(
            StatusCode::REQUEST_TIMEOUT,
            "The body did not come in time.",
        )),
    }
}

/// Get the content of an attachment
///
/// Pictures and texts are sent as such, anything else as `application/octet-stream`.
#[utoipa::path(
    get,
    path = "/api/v1/sessions/{session}/attachments/{attachment}",
    operation_id = "attachment",
    tag = "chat",
    params(
        ("session" = String, Path, description = SESSION),
        ("attachment" = String, Path, description = "The id of the attachment"),
    ),
    responses(
        (status = 200, description = "The content.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "The session or the file does not exist.", body = Problem, content_type = KIND),
        (status = 409, description = UNREADABLE, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn attachment(
    State(state): State<WebState>,
    Path((session, attachment)): Path<(String, String)>,
) -> Result<FileResponse, Problem> {
    Ok(FileResponse(
        state.services.chat.attachment(&session, &attachment).await?,
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn status(problem: Problem) -> StatusCode {
        use axum::response::IntoResponse as _;
        problem.into_response().status()
    }

    #[tokio::test(start_paused = true)]
    async fn uploads_have_bounds_of_size_time_and_number() {
        let most = limits::PROMPT_ATTACHMENTS_BYTES;
        assert_eq!(body(Body::from(vec![0; most])).await.unwrap().len(), most);
        let larger = body(Body::from(vec![0; most + 1])).await;
        assert_eq!(status(larger.unwrap_err()), StatusCode::PAYLOAD_TOO_LARGE);
        let never = || Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
        let began = tokio::time::Instant::now();
        assert_eq!(status(body(never()).await.unwrap_err()), StatusCode::REQUEST_TIMEOUT);
        assert!(began.elapsed() >= limits::UPLOAD_READ);
        let mut slow: Vec<_> = (0..limits::UPLOADS).map(|_| Box::pin(body(never()))).collect();
        for upload in &mut slow {
            assert!(upload.now_or_never().is_none());
        }
        let one_more = body(Body::from("x")).await;
        assert_eq!(status(one_more.unwrap_err()), StatusCode::SERVICE_UNAVAILABLE);
        drop(slow);
        assert_eq!(body(Body::from("x")).await.unwrap(), b"x");
    }

    #[test]
    fn the_name_of_a_file_is_one_line_without_a_folder() {
        assert_eq!(file_name("a b.png").unwrap(), "a b.png");
        // What hides is seen.
        assert_eq!(file_name("a\u{202e}gnp").unwrap(), "a⟨U+202E⟩gnp");
        for bad in ["", " ", "a/b", "a\\b", "..", ".", &"x".repeat(256)] {
            assert_eq!(status(file_name(bad).unwrap_err()), StatusCode::CONFLICT, "{bad:?}");
        }
    }
}
