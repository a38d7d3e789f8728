//! `/login`: whatever the login plugin asks for, step by step.

use super::redirect::safe;
use super::step_form::Around;
use super::{Frame, StepForm, failure, locked, show};
use crate::WebState;
use crate::error::ApiError;
use crate::http::arrival::Arrived;
use crate::http::csrf_form::{AnonymousForm, Fields};
use crate::http::identity::{Anonymous, MaybeLogin, welcome};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use nexus_auth::{AuthError, FirstAccount, Page, Progress};
use nexus_plugin_traits::auth::{Ask, Method, MethodKind};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    csrf: String,
    next: String,
    heading: &'static str,
    /// Of one who is logged in.
    again: bool,
    step: Option<StepForm>,
    /// `others` are the methods that are not begun here.
    others: Vec<Other>,
    error: Option<String>,
}

pub(super) struct Other {
    title: String,
    href: String,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    next: String,
    /// Also for one who is logged in.
    again: Option<u8>,
    /// The method that was chosen.
    method: Option<String>,
    /// Who has just logged out is not logged in by the request itself.
    out: Option<u8>,
}

pub(crate) async fn page(
    State(state): State<WebState>,
    Query(asked): Query<Asked>,
    known: MaybeLogin,
    arrived: Arrived,
    anonymous: Anonymous,
) -> Response {
    let again = known.login.is_some() && asked.again.is_some();
    if known.login.is_some() && !again {
        return Redirect::to(safe(&asked.next)).into_response();
    }
    match state.services.auth.first_account().await {
        Ok(FirstAccount::Present) => {}
        Ok(FirstAccount::Missing { .. }) => return Redirect::to("/").into_response(),
        Err(error) => return failure(&error.into()),
    }
    let ambient = match state.services.auth.ambient_methods().await {
        Ok(ambient) => ambient,
        Err(error) => return failure(&error.into()),
    };
    let mut refused = None;
    // Who is to show that it is them, has just logged out, or was led here by another site, presses a button for it.
    let invited = arrived.is_opened() && (asked.method.is_some() || !(again || asked.out.is_some()));
    let asked_for = |method: &&Method| asked.method.as_ref().is_none_or(|id| *id == method.id);
    let interactive = asked.method.clone();
    let interactive = interactive.filter(|id| ambient.iter().all(|method| method.id != *id));
    let ambient: Vec<_> = ambient.iter().filter(asked_for).filter(|_| invited).collect();
    if !ambient.is_empty() {
        let arrival = match arrived.arrival().await {
            Ok(arrival) => arrival,
            Err(refused) => return refused,
        };
        for method in ambient {
            match state.services.auth.ambient(method, &arrival, &anonymous.client).await {
                Ok(Some(login)) => {
                    return match finish(&state, &anonymous, known, Ok(Progress::Done(login)), &asked.next).await {
                        Outcome::Answer(response) => *response,
                        Outcome::Failed(error, _) => failure(&ApiError::Refused(error)),
                    };
                }
                Ok(None) if asked.method.is_some() => {
                    refused = Some(format!("This request does not show who you are by {}.", method.title));
                }
                Ok(None) => {}
                Err(error) => refused = Some(said(&state, &error)),
            }
        }
    }
    match interactive.filter(|_| refused.is_none()) {
        Some(method) => chosen_method(&state, &anonymous, &method, &asked.next, known).await,
        None => begin(&state, &anonymous, &asked.next, known, None, refused).await,
    }
}

fn said(state: &WebState, error: &AuthError) -> String {
    match error {
        AuthError::Locked { until } => locked(*until, state.clock.now()),
        AuthError::Expired => "This form has expired. Please log in again.".to_owned(),
        error => error.to_string(),
    }
}

async fn chosen_method(
    state: &WebState,
    anonymous: &Anonymous,
    method: &str,
    next: &str,
    known: MaybeLogin,
) -> Response {
    let again = known.login.is_some();
    match state.services.auth.begin_login(Some(method), &anonymous.client).await {
        // By a link: a form that leads to another site would be stopped by our own policy.
        Ok(Page {
            ask: Ask::Redirect { url },
            ..
        }) => anonymous.remember(Redirect::to(&url).into_response()),
        Ok(page) => {
            let others = others(state, Some(method), next, again).await;
            show_step(anonymous, Some(page), others, next, again, None, None)
        }
        Err(error) => begin(state, anonymous, next, known, None, Some(said(state, &error))).await,
    }
}

pub(crate) async fn submit(State(state): State<WebState>, known: MaybeLogin, posted: AnonymousForm) -> Response {
    let AnonymousForm { anonymous, fields } = posted;
    let next = fields.get("next").to_owned();
    let auth = &state.services.auth;
    let login = known.login.as_ref().map(|session| &session.login);
    let progress = auth
        .proceed(fields.get("state"), fields.answer(), &anonymous.client, login)
        .await;
    match finish(&state, &anonymous, known, progress, &next).await {
        Outcome::Answer(response) => *response,
        Outcome::Failed(error, known) => begin(&state, &anonymous, &next, *known, Some(&fields), Some(error)).await,
    }
}

/// `Outcome` is what an answer led to.
pub(super) enum Outcome {
    Answer(Box<Response>),
    /// `Failed`: it begins again, with this in its place.
    Failed(String, Box<MaybeLogin>),
}

/// Goes on after an answer, of whatever step.
pub(super) async fn finish(
    state: &WebState,
    anonymous: &Anonymous,
    known: MaybeLogin,
    progress: Result<Progress, AuthError>,
    next: &str,
) -> Outcome {
    let auth = &state.services.auth;
    Outcome::Answer(Box::new(match progress {
        Ok(Progress::Done(login)) => {
            if let Some(old) = known.login
                && let Err(error) = auth.logout(&old.login).await
            {
                tracing::warn!(%error, "cannot end a login that was replaced");
            }
            let mut response = Redirect::to(safe(next)).into_response();
            welcome(&mut response, &anonymous.site, &login, auth.session_lifetime());
            response
        }
        Ok(Progress::Changed) => Redirect::to("/account?changed=1").into_response(),
        Ok(Progress::Next(page)) => show_step(
            anonymous,
            Some(page),
            Vec::new(),
            next,
            known.login.is_some(),
            None,
            None,
        ),
        Err(error) => return Outcome::Failed(said(state, &error), Box::new(known)),
    }))
}

/// `begin` is the page with the first method that needs no other site, and buttons for the others.
pub(super) async fn begin(
    state: &WebState,
    anonymous: &Anonymous,
    next: &str,
    known: MaybeLogin,
    typed: Option<&Fields>,
    error: Option<String>,
) -> Response {
    let auth = &state.services.auth;
    let again = known.login.is_some();
    let methods = match auth.interactive().await {
        Ok(methods) => methods,
        Err(error) => return failure(&error.into()),
    };
    let here = methods.iter().find(|method| method.kind != MethodKind::Redirect);
    let page = match here {
        Some(method) => match auth.begin_login(Some(&method.id), &anonymous.client).await {
            Ok(page) => Some(page),
            Err(error) => return failure(&error.into()),
        },
        None => None,
    };
    let others = others(state, here.map(|method| method.id.as_str()), next, again).await;
    if page.is_none() && others.is_empty() && error.is_none() {
        let text = "The login plugin offers no way to log in on a page, at most tokens for programs.";
        return failure(&ApiError::Refused(text.to_owned()));
    }
    show_step(anonymous, page, others, next, again, typed, error)
}

/// `others` are the methods beside the one that is begun.
async fn others(state: &WebState, here: Option<&str>, next: &str, again: bool) -> Vec<Other> {
    let Ok(methods) = state.services.auth.methods().await else {
        return Vec::new();
    };
    let again = if again { "again=1&" } else { "" };
    let other = |method: &&Method| method.kind != MethodKind::Bearer && here != Some(method.id.as_str());
    let methods = methods.iter().filter(other).map(|method| Other {
        title: method.title.clone(),
        href: format!("/login?{again}method={}&next={}", method.id, safe(next)),
    });
    methods.collect()
}

pub(super) fn show_step(
    anonymous: &Anonymous,
    page: Option<Page>,
    others: Vec<Other>,
    next: &str,
    again: bool,
    typed: Option<&Fields>,
    error: Option<String>,
) -> Response {
    let status = if error.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let typed = |name: &str| typed.map_or(String::new(), |fields| fields.typed(name));
    let around = Around {
        button: "Log in",
        typed: Some(&typed),
        origin: &anonymous.site.origin,
        ..Around::default()
    };
    let step = page.map(|page| StepForm::new(page, around));
    let page = LoginPage {
        frame: Frame::open("login", "Log in"),
        csrf: anonymous.csrf(),
        next: safe(next).to_owned(),
        heading: match &step {
            Some(step) if step.makes_passkey() => "Create a passkey",
            _ if again => "Log in again",
            _ => "Log in",
        },
        again,
        error: error.or_else(|| step.as_ref().and_then(|step| step.problem.clone())),
        step,
        others,
    };
    anonymous.remember((status, show(&page)).into_response())
}
