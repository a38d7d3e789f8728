//! `/account`: change the credential, log out here or everywhere else.

use super::step_form::Around;
use super::{Frame, StepForm, failure, locked, show};
use crate::WebState;
use crate::http::csrf_form::UserForm;
use crate::http::identity::{Anonymous, User, farewell};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use nexus_auth::{AuthError, Page, Session};
use nexus_plugin_traits::auth::{Ask, FieldKind};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    step: Option<StepForm>,
    /// `what` the user has to log in with.
    what: &'static str,
    done: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct ChangedQuery {
    changed: Option<u8>,
    others: Option<usize>,
}

pub(crate) async fn page(
    State(state): State<WebState>,
    Query(done): Query<ChangedQuery>,
    anonymous: Anonymous,
    user: User,
) -> Response {
    let done = match (done.changed, done.others) {
        (Some(_), _) => Some("Changed. All other logins of this account have ended.".to_owned()),
        (_, Some(0)) => Some("There were no other logins.".to_owned()),
        (_, Some(1)) => Some("One other login has ended.".to_owned()),
        (_, Some(n)) => Some(format!("{n} other logins have ended.")),
        _ => None,
    };
    form(&state, &anonymous, user.login, done, None, None).await
}

pub(crate) async fn change(State(state): State<WebState>, anonymous: Anonymous, user: UserForm) -> Response {
    let (auth, fields) = (&state.services.auth, &user.fields);
    let login = &user.login.login;
    let progress = auth
        .proceed_changing(fields.get("state"), fields.answer(), &anonymous.client, login)
        .await;
    let error = match progress {
        Ok(None) => return Redirect::to("/account?changed=1").into_response(),
        Ok(Some(page)) => return form(&state, &anonymous, user.login, None, Some(page), None).await,
        Err(AuthError::Locked { until }) => Wrong::Whole(locked(until, state.clock.now())),
        Err(AuthError::BadCredential) => Wrong::Present,
        Err(AuthError::Rejected { field, cause }) => Wrong::At(field, cause),
        Err(error) => Wrong::Whole(error.to_string()),
    };
    form(&state, &anonymous, user.login, None, None, Some(error)).await
}

/// `Wrong` says what is.
enum Wrong {
    Whole(String),
    At(String, String),
    /// `Present`: the credential that the user has.
    Present,
}

pub(crate) async fn logout(State(state): State<WebState>, user: UserForm) -> Response {
    if let Err(error) = state.services.auth.logout(&user.login.login).await {
        return failure(&error.into());
    }
    let mut response = Redirect::to("/login?out=1").into_response();
    farewell(&mut response, &user.site);
    response
}

pub(crate) async fn logout_others(State(state): State<WebState>, user: UserForm) -> Response {
    match state.services.auth.logout_others(&user.login.login).await {
        Ok(count) => Redirect::to(&format!("/account?others={count}")).into_response(),
        Err(error) => failure(&error.into()),
    }
}

async fn form(
    state: &WebState,
    anonymous: &Anonymous,
    login: Session,
    done: Option<String>,
    page: Option<Page>,
    mut wrong: Option<Wrong>,
) -> Response {
    let page = match page {
        Some(page) => Some(page),
        None => match state.services.auth.change(&login.login, &anonymous.client).await {
            Ok(page) => page,
            // The page has more than that.
            Err(error) => {
                wrong = wrong.or_else(|| Some(Wrong::Whole(error.to_string())));
                None
            }
        },
    };
    let asked_again = page
        .as_ref()
        .is_some_and(|page| matches!(&page.ask, Ask::Form { problem: Some(_), .. }));
    let status = if wrong.is_some() || asked_again {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let (error, rejected) = match wrong {
        None => (None, None),
        Some(Wrong::Whole(error)) => (Some(error), None),
        Some(Wrong::At(field, cause)) => (None, Some((field, cause))),
        Some(Wrong::Present) => {
            let cause = "This is not the current password.".to_owned();
            let field = page.as_ref().and_then(present);
            (None, Some((field.unwrap_or_default(), cause)))
        }
    };
    let nothing_wrong = error.is_none() && rejected.is_none() && !asked_again;
    let around = Around {
        button: "Change password",
        rejected,
        origin: &anonymous.site.origin,
        ..Around::default()
    };
    let mut step = page.map(|page| StepForm::new(page, around));
    if let Some(step) = step.as_mut().filter(|_| nothing_wrong) {
        // Nobody came to this page only to type a password.
        step.inputs.iter_mut().for_each(|row| row.first = false);
    }
    let backend = state.services.chat.backend().borrow().clone();
    let password = step.as_ref().is_some_and(StepForm::has_password);
    let page = AccountPage {
        what: if password { "password" } else { "credential" },
        frame: Frame::of("account", "Account", login, backend),
        done,
        error: error.or_else(|| step.as_ref().and_then(|step| step.problem.clone())),
        step,
    };
    anonymous.remember((status, show(&page)).into_response())
}

/// `present` is the field of the credential that the user has.
fn present(page: &Page) -> Option<String> {
    let Ask::Form { fields, .. } = &page.ask else {
        return None;
    };
    let present = fields.iter().find(|field| field.kind == FieldKind::Password);
    present.map(|field| field.name.clone())
}
