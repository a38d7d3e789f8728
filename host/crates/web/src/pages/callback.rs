//! `/login/callback`: the way back from another site.
//!
//! Problem: the cookies of this page are `SameSite=Strict`, so a browser that another site sends here brings none of them, and
//! nobody can tell whether it is the one that began.
//!
//! Mechanism: what comes back is shown as a form of our own, which the script sends at once; that request is of this site,
//! and has the cookies. The state in it is encrypted, bound to the browser's cookie and used once, so a stranger's answer,
//! brought by a link, is worth nothing.

use super::login::{Outcome, finish};
use super::{Frame, failure, message, show};
use crate::WebState;
use crate::error::ApiError;
use crate::http::csrf_form::{Returned, ReturnedForm};
use crate::http::identity::MaybeLogin;
use askama::Template;
use axum::extract::{Query, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use nexus_auth::FirstAccount;
use nexus_plugin_traits::auth::Answer;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "callback.html")]
struct CallbackPage {
    frame: Frame,
    returned: Returned,
}

const INVALID: &str = "What the other site sent back is not the answer to a login that began here. Log in again.";

fn invalid() -> Response {
    message(StatusCode::BAD_REQUEST, "This could not be done", INVALID)
}

pub(crate) async fn page(RawQuery(query): RawQuery) -> Response {
    let Some(returned) = Returned::parse(query.unwrap_or_default().as_bytes()) else {
        return invalid();
    };
    let frame = Frame::open("callback", "Log in");
    show(&CallbackPage { frame, returned })
}

#[derive(Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

pub(crate) async fn submit(
    State(state): State<WebState>,
    Query(Next { next }): Query<Next>,
    known: MaybeLogin,
    posted: ReturnedForm,
) -> Response {
    let ReturnedForm { anonymous, returned } = posted;
    let Some(returned) = returned.filter(|_| !anonymous.is_fresh()) else {
        return invalid();
    };
    let answer = Answer::Redirect(returned.parameters);
    let auth = &state.services.auth;
    let login = known.login.as_ref().map(|session| &session.login);
    let progress = auth.proceed(&returned.state, answer, &anonymous.client, login).await;
    match finish(&state, &anonymous, known, progress, &next).await {
        Outcome::Answer(response) => *response,
        Outcome::Failed(error, known) => match auth.first_account().await {
            // There is no login yet to lead back to.
            Ok(FirstAccount::Missing { .. }) => {
                let text = format!("{error}\nOpen the set-up link again.");
                failure(&ApiError::Refused(text)).into_response()
            }
            _ => super::login::begin(&state, &anonymous, &next, *known, None, Some(error)).await,
        },
    }
}
