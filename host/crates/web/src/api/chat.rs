//! The backend and its sessions.

use super::problem::{Body, Problem};
use crate::identity::Who;
use crate::live::protocol::{Rendered, Server};
use crate::live::view;
use crate::port::{Backend, Frame, Prompt};
use crate::{WebState, answers};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use futures::StreamExt as _;
use http::StatusCode;
use nexus_model::chat::{Admission, Answer, Root, SessionInfo};
use serde::{Deserialize, Serialize};

/// Characters of a title.
const TITLE: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Swap {
    plugin: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    #[serde(default)]
    title: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    title: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPrompt {
    client_id: String,
    text: String,
    #[serde(default)]
    consent: Option<String>,
    /// Do not wait for the turn that runs.
    #[serde(default)]
    now: bool,
}

#[derive(Serialize)]
pub(super) struct Admitted {
    client_id: Option<String>,
    /// It was there already.
    duplicate: bool,
}

pub(super) async fn backend(State(state): State<WebState>) -> Json<Backend> {
    Json(state.services.chat.backend().borrow().clone())
}

pub(super) async fn start(State(state): State<WebState>) -> Result<Json<Backend>, Problem> {
    state.services.chat.start().await?;
    Ok(backend(State(state)).await)
}

pub(super) async fn stop(State(state): State<WebState>) -> Result<Json<Backend>, Problem> {
    state.services.chat.stop().await?;
    Ok(backend(State(state)).await)
}

pub(super) async fn restart(State(state): State<WebState>) -> Result<Json<Backend>, Problem> {
    state.services.chat.restart().await?;
    Ok(backend(State(state)).await)
}

pub(super) async fn swap(State(state): State<WebState>, Body(swap): Body<Swap>) -> Result<Json<Backend>, Problem> {
    let swapped = state.services.chat.swap(&swap.plugin).await;
    swapped.map_err(|error| state.not_swapped(error))?;
    Ok(backend(State(state)).await)
}

pub(super) async fn list(State(state): State<WebState>) -> Json<Vec<Root>> {
    Json(state.services.chat.sessions().borrow().to_vec())
}

fn title(title: &str) -> Result<(), Problem> {
    let why = format!("A title has 1 to {TITLE} characters, and not blanks alone.");
    if title.chars().count() > TITLE {
        return Err(Problem::of(StatusCode::BAD_REQUEST, why));
    }
    if title.trim().is_empty() {
        return Err(Problem::of(StatusCode::CONFLICT, why));
    }
    Ok(())
}

pub(super) async fn create(
    State(state): State<WebState>,
    Body(new): Body<New>,
) -> Result<(StatusCode, Json<SessionInfo>), Problem> {
    if let Some(wanted) = &new.title {
        title(wanted)?;
    }
    let made = state.services.chat.create(new.title, None).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// As the live socket's `state` frame has it.
pub(super) async fn session(
    State(state): State<WebState>,
    Path(session): Path<String>,
) -> Result<Json<Server>, Problem> {
    let mut frames = state.services.chat.subscribe(&session, None).await?;
    match frames.next().await {
        Some(Frame::State(folded)) => Ok(Json(view::state(&session, *folded, &state.renderer).await)),
        _ => Err(Problem::of(
            StatusCode::SERVICE_UNAVAILABLE,
            "It is being written just now; try again.",
        )),
    }
}

/// Before which message.
#[derive(Deserialize)]
pub(super) struct Before {
    before: String,
}

/// As the live socket's `older` frame has it.
pub(super) async fn older(
    State(state): State<WebState>,
    Path(session): Path<String>,
    wanted: Result<Query<Before>, QueryRejection>,
) -> Result<Json<Server>, Problem> {
    let Query(wanted) = wanted.map_err(|error| Problem::of(error.status(), error.body_text()))?;
    let folded = state.services.chat.state(&session).await?;
    Ok(Json(
        view::older(&session, folded, &wanted.before, &state.renderer).await,
    ))
}

/// A part of a message, whole.
pub(super) async fn part(
    State(state): State<WebState>,
    Path((session, part)): Path<(String, String)>,
) -> Result<Json<Rendered>, Problem> {
    let folded = state.services.chat.state(&session).await?;
    let mut parts = folded.messages.into_iter().flat_map(|(_, parts)| parts);
    match parts.find(|known| known.id == part) {
        Some(part) => Ok(Json(view::whole(part, &state.renderer))),
        None => Err(Problem::of(
            StatusCode::NOT_FOUND,
            "There is no such part of this conversation.",
        )),
    }
}

pub(super) async fn take_back(
    State(state): State<WebState>,
    Path((session, client_id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    state.services.chat.take_back(&session, &client_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn rename(
    State(state): State<WebState>,
    Path(session): Path<String>,
    Body(rename): Body<Rename>,
) -> Result<StatusCode, Problem> {
    title(&rename.title)?;
    state.services.chat.rename(&session, &rename.title).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(State(state): State<WebState>, Path(session): Path<String>) -> Result<StatusCode, Problem> {
    state.services.chat.delete(&session).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn admitted(admission: Admission, client_id: Option<String>) -> Result<(StatusCode, Json<Admitted>), Problem> {
    let duplicate = match admission {
        Admission::Admitted => false,
        Admission::Duplicate => true,
        Admission::Refused(why) => return Err(Problem::of(StatusCode::CONFLICT, why)),
        Admission::ConsentNeeded { id, text } => return Err(Problem::consent(id, text)),
        Admission::Unknown(why) => return Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE, why)),
    };
    Ok((StatusCode::ACCEPTED, Json(Admitted { client_id, duplicate })))
}

pub(super) async fn prompt(
    State(state): State<WebState>,
    Path(session): Path<String>,
    Body(new): Body<NewPrompt>,
) -> Result<(StatusCode, Json<Admitted>), Problem> {
    crate::live::acceptable(&new.client_id, &new.text).map_err(|why| Problem::of(StatusCode::CONFLICT, why))?;
    let prompt = Prompt {
        client_id: new.client_id.clone(),
        text: new.text,
        consent: new.consent,
        now: new.now,
    };
    admitted(state.services.chat.prompt(&session, prompt).await?, Some(new.client_id))
}

pub(super) async fn go_on(
    State(state): State<WebState>,
    Path(session): Path<String>,
) -> Result<(StatusCode, Json<Admitted>), Problem> {
    admitted(state.services.chat.continue_interrupted(&session).await?, None)
}

pub(super) async fn cancel(State(state): State<WebState>, Path(session): Path<String>) -> Result<StatusCode, Problem> {
    state.services.chat.cancel(&session).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn reply(
    State(state): State<WebState>,
    who: Option<Extension<Who>>,
    Path((session, ask)): Path<(String, String)>,
    Body(answer): Body<Answer>,
) -> Result<StatusCode, Problem> {
    let who = who.map_or_else(Who::operator, |Extension(who)| who);
    answers::give(&state, &who, &session, &ask, answer).await?;
    Ok(StatusCode::NO_CONTENT)
}
