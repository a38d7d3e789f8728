//! What the backend offers to choose from, the files of its project folders, and the providers of its models.

use super::file_response::FileResponse;
use super::listed_names;
use super::problem::{Guarded, JsonBody, KIND, Path, Problem, Query, REFUSED, TooLong};
use crate::WebState;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use nexus_model::chat::{
    AgentList, BrowserSignIn, Command, FileEntry, FoundLine, ModelList, Provider, SignInValues, Workspace,
};
use nexus_model::limits;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

const PROVIDER: &str = "The id of the provider";
const NO_FILE: &str = "The file or folder does not exist.";

/// `In` names a project folder.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct In {
    /// The path of a project folder of the backend. Absent: the configured one
    workspace: Option<String>,
}

/// List the models
#[utoipa::path(
    get,
    path = "/api/v1/backend/models",
    operation_id = "models",
    tag = "backend",
    params(In),
    responses(
        (status = 200, description = "The models that can be used now.", body = ModelList),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn models(State(state): State<WebState>, Query(at): Query<In>) -> Result<Json<ModelList>, Problem> {
    Ok(Json(state.services.chat.models(at.workspace).await?))
}

/// List the agents
#[utoipa::path(
    get,
    path = "/api/v1/backend/agents",
    operation_id = "agents",
    tag = "backend",
    params(In),
    responses(
        (status = 200, description = "The agents that a prompt can be sent to.", body = AgentList),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn agents(State(state): State<WebState>, Query(at): Query<In>) -> Result<Json<AgentList>, Problem> {
    Ok(Json(state.services.chat.agents(at.workspace).await?))
}

/// List the commands
#[utoipa::path(
    get,
    path = "/api/v1/backend/commands",
    operation_id = "commands",
    tag = "backend",
    params(In),
    responses(
        (status = 200, description = "The commands of the backend.", body = Vec<Command>),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn commands(
    State(state): State<WebState>,
    Query(at): Query<In>,
) -> Result<Json<Vec<Command>>, Problem> {
    Ok(Json(state.services.chat.commands(at.workspace).await?))
}

/// List the project folders
#[utoipa::path(
    get,
    path = "/api/v1/backend/workspaces",
    operation_id = "workspaces",
    tag = "backend",
    responses(
        (
            status = 200,
            description = "The folders in which sessions may be created, the configured one first.",
            body = Vec<Workspace>,
        ),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn workspaces(State(state): State<WebState>) -> Result<Json<Vec<Workspace>>, Problem> {
    Ok(Json(state.services.chat.workspaces().await?))
}

/// `Search` is a search for files.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// A part of the path
    query: String,
    /// The path of a project folder of the backend. Absent: the configured one
    workspace: Option<String>,
    /// How many are given at most, up to 500
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

fn bounded(text: &str) -> Result<&str, Problem> {
    if text.len() <= limits::FOLDER_PATH_BYTES {
        return Ok(text);
    }
    let cause = format!(
        "A path or a text to search for can have {} bytes.",
        limits::FOLDER_PATH_BYTES
    );
    Err(Problem::of(StatusCode::BAD_REQUEST, cause))
}

fn limit(wanted: Option<u32>, otherwise: u32, most: usize) -> u32 {
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    wanted.unwrap_or(otherwise).clamp(1, most)
}

/// Search for files
///
/// The best match is the first.
#[utoipa::path(
    get,
    path = "/api/v1/backend/files",
    operation_id = "search_files",
    tag = "backend",
    params(Search),
    responses(
        (status = 200, description = "Files and folders.", body = Vec<FileEntry>),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn search_files(
    State(state): State<WebState>,
    Query(search): Query<Search>,
) -> Result<Json<Vec<FileEntry>>, Problem> {
    let limit = limit(search.limit, 50, limits::SEARCHED_FILES);
    let query = bounded(&search.query)?;
    Ok(Json(
        state.services.chat.search_files(search.workspace, query, limit).await?,
    ))
}

/// `Folder` names a folder.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Folder {
    /// The path of the folder, relative to the project folder. Empty: that itself
    #[serde(default)]
    folder: String,
    /// The path of a project folder of the backend. Absent: the configured one
    workspace: Option<String>,
}

/// List a folder
#[utoipa::path(
    get,
    path = "/api/v1/backend/files/list",
    operation_id = "list_folder",
    tag = "backend",
    params(Folder),
    responses(
        (status = 200, description = "What is in the folder.", body = Vec<FileEntry>),
        (status = 404, description = NO_FILE, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn list_folder(
    State(state): State<WebState>,
    Query(at): Query<Folder>,
) -> Result<Json<Vec<FileEntry>>, Problem> {
    let folder = bounded(&at.folder)?;
    Ok(Json(state.services.chat.list_folder(at.workspace, folder).await?))
}

/// `File` names a file.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct File {
    /// The path of the file, relative to the project folder
    path: String,
    /// The path of a project folder of the backend. Absent: the configured one
    workspace: Option<String>,
}

/// Get the content of a file
///
/// Pictures and texts are sent as such, anything else as `application/octet-stream`.
#[utoipa::path(
    get,
    path = "/api/v1/backend/files/content",
    operation_id = "read_file",
    tag = "backend",
    params(File),
    responses(
        (status = 200, description = "The content.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = NO_FILE, body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn read_file(
    State(state): State<WebState>,
    Query(file): Query<File>,
) -> Result<FileResponse, Problem> {
    let path = bounded(&file.path)?;
    Ok(FileResponse(state.services.chat.read_file(file.workspace, path).await?))
}

/// `LineSearch` is a search in files.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LineSearch {
    /// The text. The backend may take it for a regular expression
    text: String,
    /// The path of a project folder of the backend. Absent: the configured one
    workspace: Option<String>,
    /// How many lines are given at most, up to 1000
    #[param(minimum = 1, maximum = 1000, default = 200)]
    limit: Option<u32>,
}

/// Search in files
#[utoipa::path(
    get,
    path = "/api/v1/backend/files/lines",
    operation_id = "find_lines",
    tag = "backend",
    params(LineSearch),
    responses(
        (status = 200, description = "Lines with the text.", body = Vec<FoundLine>),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn find_lines(
    State(state): State<WebState>,
    Query(lines): Query<LineSearch>,
) -> Result<Json<Vec<FoundLine>>, Problem> {
    let limit = limit(lines.limit, 200, limits::FOUND_LINES);
    let text = bounded(&lines.text)?;
    Ok(Json(
        state.services.chat.find_lines(lines.workspace, text, limit).await?,
    ))
}

/// List the providers of models
#[utoipa::path(
    get,
    path = "/api/v1/backend/providers",
    operation_id = "providers",
    tag = "backend",
    responses(
        (status = 200, description = "The providers that the user can sign in to.", body = Vec<Provider>),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn providers(State(state): State<WebState>) -> Result<Json<Vec<Provider>>, Problem> {
    Ok(Json(state.services.chat.providers().await?))
}

/// `SignIn` is a sign-in to a provider of models.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// `method` is the id of a way to sign in to this provider.
    method: String,
    /// `values` has a value for each field of that way. Nexus passes them to the backend and keeps none of them.
    #[serde(default)]
    values: SignInValues,
}

impl SignIn {
    fn check(self) -> Result<Self, Problem> {
        let values = &self.values.0;
        let fits = |text: &String| text.len() <= limits::SENTENCE_BYTES;
        if values.len() <= limits::SIGN_IN_FIELDS
            && values.keys().chain(values.values()).all(fits)
            && fits(&self.method)
        {
            return Ok(self);
        }
        let cause = format!(
            "A sign-in can have {} values of {} bytes.",
            limits::SIGN_IN_FIELDS,
            limits::SENTENCE_BYTES
        );
        Err(Problem::of(StatusCode::CONFLICT, cause))
    }
}

/// Sign in to a provider with a key
#[utoipa::path(
    post,
    path = "/api/v1/backend/providers/{provider}/sign-in",
    operation_id = "sign_in",
    tag = "backend",
    params(("provider" = String, Path, description = PROVIDER)),
    request_body = SignIn,
    responses(
        (status = 204, description = "The backend has the key."),
        (status = 404, description = "The provider does not exist.", body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn sign_in(
    State(state): State<WebState>,
    Path(provider): Path<String>,
    JsonBody(given): JsonBody<SignIn>,
) -> Result<StatusCode, Problem> {
    let SignIn { method, values } = given.check()?;
    let signed_in = state.services.chat.sign_in(&provider, &method, values).await;
    signed_in.map_err(|error| listed_names::of_sign_in(error.into(), &method))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begin to sign in at a page of a provider
#[utoipa::path(
    post,
    path = "/api/v1/backend/providers/{provider}/begin",
    operation_id = "begin_sign_in",
    tag = "backend",
    params(("provider" = String, Path, description = PROVIDER)),
    request_body = SignIn,
    responses(
        (status = 200, description = "The page.", body = BrowserSignIn),
        (status = 404, description = "The provider does not exist.", body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn begin_sign_in(
    State(state): State<WebState>,
    Path(provider): Path<String>,
    JsonBody(given): JsonBody<SignIn>,
) -> Result<Json<BrowserSignIn>, Problem> {
    let SignIn { method, values } = given.check()?;
    let begun = state.services.chat.begin_sign_in(&provider, &method, values).await;
    let begun = begun.map_err(|error| listed_names::of_sign_in(error.into(), &method));
    Ok(Json(begun?))
}

/// `SignInEnd` ends a sign-in at a page of a provider.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInEnd {
    /// `method` is the id with which it began.
    method: String,
    /// `code` is what the page showed at its end. Absent: it shows none.
    #[serde(default)]
    code: Option<String>,
}

/// Finish a sign-in at a page of a provider
///
/// The response is 503 as long as the user is not done there; then ask again.
#[utoipa::path(
    post,
    path = "/api/v1/backend/providers/{provider}/finish",
    operation_id = "finish_sign_in",
    tag = "backend",
    params(("provider" = String, Path, description = PROVIDER)),
    request_body = SignInEnd,
    responses(
        (status = 204, description = "The user is signed in."),
        (status = 404, description = "The provider does not exist.", body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        TooLong,
        Guarded,
    )
)]
pub(super) async fn finish_sign_in(
    State(state): State<WebState>,
    Path(provider): Path<String>,
    JsonBody(end): JsonBody<SignInEnd>,
) -> Result<StatusCode, Problem> {
    let long = |text: &String| text.len() > limits::SENTENCE_BYTES;
    if long(&end.method) || end.code.as_ref().is_some_and(long) {
        let cause = format!(
            "A code and the id of a method can have {} bytes.",
            limits::SENTENCE_BYTES
        );
        return Err(Problem::of(StatusCode::CONFLICT, cause));
    }
    let chat = &state.services.chat;
    let finished = chat.finish_sign_in(&provider, &end.method, end.code).await;
    finished.map_err(|error| listed_names::of_sign_in(error.into(), &end.method))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign out of a provider
#[utoipa::path(
    delete,
    path = "/api/v1/backend/providers/{provider}",
    operation_id = "sign_out",
    tag = "backend",
    params(("provider" = String, Path, description = PROVIDER)),
    responses(
        (status = 204, description = "The backend has no credential for the provider any more."),
        (status = 404, description = "The provider does not exist.", body = Problem, content_type = KIND),
        (status = 409, description = REFUSED, body = Problem, content_type = KIND),
        Guarded,
    )
)]
pub(super) async fn sign_out(
    State(state): State<WebState>,
    Path(provider): Path<String>,
) -> Result<StatusCode, Problem> {
    state.services.chat.sign_out(&provider).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_path_that_a_client_sends_has_an_end() {
        let most = "x".repeat(limits::FOLDER_PATH_BYTES);
        assert_eq!(bounded(&most).unwrap(), most);
        assert!(bounded(&format!("{most}x")).is_err());
        assert_eq!(
            (
                limit(None, 50, 500),
                limit(Some(0), 50, 500),
                limit(Some(9_999), 50, 500)
            ),
            (50, 1, 500)
        );
    }

    #[test]
    fn what_is_typed_to_sign_in_has_an_end_and_is_not_shown() {
        let given = |values: usize, length: usize| SignIn {
            method: "key".to_owned(),
            values: SignInValues(BTreeMap::from_iter(
                (0..values).map(|n| (n.to_string(), "s".repeat(length))),
            )),
        };
        assert!(given(limits::SIGN_IN_FIELDS, limits::SENTENCE_BYTES).check().is_ok());
        assert!(given(limits::SIGN_IN_FIELDS + 1, 1).check().is_err());
        assert!(given(1, limits::SENTENCE_BYTES + 1).check().is_err());
        assert_eq!(format!("{:?}", given(1, 3).values), r#"{"0"}"#);
    }
}
