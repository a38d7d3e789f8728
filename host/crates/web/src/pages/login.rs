//! `/login`: shows whatever form the login plugin asks for, step by step.

use super::redirect::safe;
use super::{FormField, Frame, failure, locked, show};
use crate::WebState;
use crate::error::ApiError;
use crate::http::csrf_form::{AnonymousForm, Fields};
use crate::http::identity::{Anonymous, MaybeLogin, welcome};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use nexus_auth::{AuthError, FirstAccount, Page, Progress};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    csrf: String,
    state: String,
    next: String,
    /// Of one who is logged in.
    again: bool,
    inputs: Vec<FormField>,
    error: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
    /// Also for one who is logged in.
    again: Option<u8>,
}

pub(crate) async fn page(
    State(state): State<WebState>,
    Query(next): Query<Next>,
    known: MaybeLogin,
    anonymous: Anonymous,
) -> Response {
    let again = known.login.is_some() && next.again.is_some();
    if known.login.is_some() && !again {
        return Redirect::to(safe(&next.next)).into_response();
    }
    match state.services.auth.first_account().await {
        Ok(FirstAccount::Present) => begin(&state, &anonymous, &next.next, again, None, None).await,
        Ok(FirstAccount::Missing { .. }) => Redirect::to("/").into_response(),
        Err(error) => failure(&error.into()),
    }
}

pub(crate) async fn submit(State(state): State<WebState>, known: MaybeLogin, posted: AnonymousForm) -> Response {
    let AnonymousForm { anonymous, fields } = posted;
    let next = fields.get("next").to_owned();
    let again = known.login.is_some();
    let auth = &state.services.auth;
    let error = match auth.login(fields.get("state"), fields.input(), &anonymous.client).await {
        Ok(Progress::Done(login)) => {
            if let Some(old) = known.login
                && let Err(error) = auth.logout(&old.login).await
            {
                tracing::warn!(%error, "cannot end a login that was replaced");
            }
            let mut response = Redirect::to(safe(&next)).into_response();
            welcome(&mut response, &anonymous.site, &login, auth.session_lifetime());
            return response;
        }
        Ok(Progress::Next(page)) => return show_page(&anonymous, page, &next, again, None, None),
        Err(AuthError::Locked { until }) => locked(until, state.clock.now()),
        Err(AuthError::Expired) => "This form has expired. Please log in again.".to_owned(),
        Err(error) => error.to_string(),
    };
    begin(&state, &anonymous, &next, again, Some(&fields), Some(error)).await
}

async fn begin(
    state: &WebState,
    anonymous: &Anonymous,
    next: &str,
    again: bool,
    typed: Option<&Fields>,
    error: Option<String>,
) -> Response {
    match state.services.auth.begin_login(None, &anonymous.client).await {
        Ok(page) => show_page(anonymous, page, next, again, typed, error),
        Err(error) => failure(&error.into()),
    }
}

fn show_page(
    anonymous: &Anonymous,
    page: Page,
    next: &str,
    again: bool,
    typed: Option<&Fields>,
    error: Option<String>,
) -> Response {
    let Page::Form { fields, state } = page else {
        // Said instead of a form that cannot work.
        return failure(&ApiError::Unavailable(
            "The auth plugin needs a login method that this version of Nexus does not support yet (redirect or passkey). To \
             fix: select another plugin in [auth]."
                .to_owned(),
        ));
    };
    let status = if error.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let page = LoginPage {
        frame: Frame::open("login", "Log in"),
        csrf: anonymous.csrf(),
        state,
        next: safe(next).to_owned(),
        again,
        inputs: FormField::list(
            &fields,
            false,
            &|name| typed.map_or(String::new(), |fields| fields.get(&format!("field-{name}")).to_owned()),
            None,
        ),
        error,
    };
    anonymous.remember((status, show(&page)).into_response())
}
