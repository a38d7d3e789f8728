//! `/setup`: the first account. The token is in the link's fragment, which browsers do not send, so it reaches no log
//! and no tunnel's operator; the script moves it into the form, and without a script it is pasted.

use super::{FormField, Frame, failure, show};
use crate::WebState;
use crate::error::ApiError;
use crate::http::csrf_form::{AnonymousForm, Fields};
use crate::http::identity::{Anonymous, welcome};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use nexus_auth::{AuthError, FirstAccount};
use nexus_plugin_traits::auth::{Field, FieldKind};

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    frame: Frame,
    csrf: String,
    token: String,
    inputs: Vec<FormField>,
    error: Option<String>,
}

pub(crate) async fn page(State(state): State<WebState>, anonymous: Anonymous) -> Response {
    match state.services.auth.first_account().await {
        Ok(FirstAccount::Present) => Redirect::to("/login").into_response(),
        Ok(FirstAccount::Missing { .. }) => form(&state, &anonymous, None, None, None).await,
        Err(error) => failure(&error.into()),
    }
}

pub(crate) async fn submit(State(state): State<WebState>, posted: AnonymousForm) -> Response {
    let AnonymousForm { anonymous, fields } = posted;
    let token = fields.get("token").trim();
    // Somebody may paste the whole link.
    let token = token.rsplit('#').next().unwrap_or_default();
    let mut input = fields.input();
    let account = input.0.remove("account").unwrap_or_default();
    let auth = &state.services.auth;
    match auth.setup(token, account.trim(), input, &anonymous.client).await {
        Ok(login) => {
            let mut response = Redirect::to("/").into_response();
            welcome(&mut response, &anonymous.site, &login, auth.session_lifetime());
            response
        }
        Err(AuthError::SetUpClosed) => Redirect::to("/login").into_response(),
        Err(error @ (AuthError::SetUpWrong | AuthError::SetUpExpired)) => {
            form(&state, &anonymous, Some(&fields), Some(&error.to_string()), None).await
        }
        Err(AuthError::Rejected { field, cause }) => {
            form(&state, &anonymous, Some(&fields), None, Some((&field, &cause))).await
        }
        Err(error) => match ApiError::from(error) {
            ApiError::Refused(cause) => form(&state, &anonymous, Some(&fields), Some(&cause), None).await,
            error => failure(&error),
        },
    }
}

async fn form(
    state: &WebState,
    anonymous: &Anonymous,
    typed: Option<&Fields>,
    error: Option<&str>,
    rejected: Option<(&str, &str)>,
) -> Response {
    let mut fields = match state.services.auth.enroll_fields().await {
        Ok(fields) => fields,
        Err(error) => return failure(&error.into()),
    };
    fields.insert(
        0,
        Field {
            name: "account".into(),
            kind: FieldKind::Account,
            title: "Account name".into(),
            help: Some(
                "You log in with this name. Use the letters a to z, digits and . _ - @, at most 64 characters.".into(),
            ),
        },
    );
    let known = fields
        .iter()
        .any(|field| rejected.is_some_and(|(name, _)| name == field.name));
    let page = SetupPage {
        frame: Frame::open("setup", "Set up Nexus"),
        csrf: anonymous.csrf(),
        token: typed.map_or(String::new(), |fields| fields.get("token").to_owned()),
        inputs: FormField::list(
            &fields,
            true,
            &|name| typed.map_or(String::new(), |fields| fields.get(&format!("field-{name}")).to_owned()),
            rejected,
        ),
        // A rejection of a field that is not in the form must not be lost.
        error: error
            .map(str::to_owned)
            .or_else(|| rejected.filter(|_| !known).map(|(_, cause)| cause.to_owned())),
    };
    let status = if typed.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    anonymous.remember((status, show(&page)).into_response())
}
