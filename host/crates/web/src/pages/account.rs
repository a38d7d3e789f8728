//! `/account`: change the credential, log out here or everywhere else.

use super::{FormField, Frame, failure, locked, show};
use crate::WebState;
use crate::http::csrf_form::UserForm;
use crate::http::identity::{Anonymous, User, farewell};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use nexus_auth::{AuthError, Session};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    inputs: Vec<FormField>,
    done: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct ChangedQuery {
    changed: Option<u8>,
    others: Option<usize>,
}

pub(crate) async fn page(State(state): State<WebState>, Query(done): Query<ChangedQuery>, user: User) -> Response {
    let done = match (done.changed, done.others) {
        (Some(_), _) => Some("Password changed. All other logins of this account have ended.".to_owned()),
        (_, Some(0)) => Some("There were no other logins.".to_owned()),
        (_, Some(1)) => Some("One other login has ended.".to_owned()),
        (_, Some(n)) => Some(format!("{n} other logins have ended.")),
        _ => None,
    };
    form(&state, user.login, done, None, None).await
}

pub(crate) async fn change(State(state): State<WebState>, anonymous: Anonymous, user: UserForm) -> Response {
    let (auth, input) = (&state.services.auth, user.fields.input());
    match auth.change_password(&user.login.login, input, &anonymous.client).await {
        Ok(()) => Redirect::to("/account?changed=1").into_response(),
        Err(AuthError::Rejected { field, cause }) => form(&state, user.login, None, None, Some((&field, &cause))).await,
        Err(AuthError::BadCredential) => {
            form(
                &state,
                user.login,
                None,
                None,
                Some(("current", "This is not the current password.")),
            )
            .await
        }
        Err(AuthError::Locked { until }) => {
            form(&state, user.login, None, Some(locked(until, state.clock.now())), None).await
        }
        Err(error) => form(&state, user.login, None, Some(error.to_string()), None).await,
    }
}

pub(crate) async fn logout(State(state): State<WebState>, user: UserForm) -> Response {
    if let Err(error) = state.services.auth.logout(&user.login.login).await {
        return failure(&error.into());
    }
    let mut response = Redirect::to("/login").into_response();
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
    login: Session,
    done: Option<String>,
    error: Option<String>,
    rejected: Option<(&str, &str)>,
) -> Response {
    let fields = match state.services.auth.change_fields().await {
        Ok(fields) => fields,
        Err(error) => return failure(&error.into()),
    };
    let known = fields
        .iter()
        .any(|field| rejected.is_some_and(|(name, _)| name == field.name));
    let error = error.or_else(|| rejected.filter(|_| !known).map(|(_, cause)| cause.to_owned()));
    let status = if error.is_some() || rejected.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let backend = state.services.chat.backend().borrow().clone();
    let mut inputs = FormField::list(&fields, true, &|_| String::new(), rejected);
    // A form that asks for the present one too says which is which.
    if fields.iter().any(|field| field.name == "current") {
        for row in inputs
            .iter_mut()
            .filter(|row| row.name != "current" && row.title.starts_with("Password"))
        {
            row.title = format!("New p{}", row.title.trim_start_matches('P'));
        }
    }
    if rejected.is_none() {
        // Nobody came to this page only to type a password.
        inputs.iter_mut().for_each(|row| row.first = false);
    }
    let page = AccountPage {
        frame: Frame::of("account", "Account", login, backend),
        inputs,
        done,
        error,
    };
    (status, show(&page)).into_response()
}
