//! `/setup`: an account for who has a link. The token is in the link's fragment, which browsers do not send, so it reaches no
//! log and no tunnel's operator; the script moves it into the form, and without a script it is pasted.

use super::login::{Outcome, finish, show_step};
use super::step_form::Around;
use super::{Frame, StepForm, failure, show};
use crate::WebState;
use crate::error::ApiError;
use crate::http::arrival::Arrived;
use crate::http::csrf_form::{AnonymousForm, Fields};
use crate::http::identity::{Anonymous, MaybeLogin};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use nexus_auth::{AuthError, Joiner, Joining, Page, Progress};
use nexus_plugin_traits::auth::{Ask, Field, FieldKind};

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    frame: Frame,
    csrf: String,
    token: String,
    /// `owner`: it is the first account, whose name is asked for; else the link names the account.
    owner: bool,
    step: StepForm,
    /// `enrolls`: the plugin's first form is in `step`; else `methods` are the ways to log in.
    enrolls: bool,
    methods: Vec<(String, String)>,
    error: Option<String>,
}

pub(crate) async fn page(State(state): State<WebState>, anonymous: Anonymous) -> Response {
    match for_whom(&state).await {
        Ok(Some(owner)) => form(&state, &anonymous, owner, None, None, Said::default()).await,
        Ok(None) => Redirect::to("/login").into_response(),
        Err(error) => failure(&error.into()),
    }
}

/// Whether the link that is open is the owner's; `None`: there is none.
async fn for_whom(state: &WebState) -> Result<Option<bool>, AuthError> {
    let auth = &state.services.auth;
    Ok(if auth.setup_open().await? {
        Some(true)
    } else {
        auth.invitation_open().await?.then_some(false)
    })
}

pub(crate) async fn submit(
    State(state): State<WebState>,
    known: MaybeLogin,
    arrived: Arrived,
    posted: AnonymousForm,
) -> Response {
    let AnonymousForm { anonymous, fields } = posted;
    let token = fields.get("token").trim();
    // Somebody may paste the whole link.
    let token = token.rsplit('#').next().unwrap_or_default();
    let mut input = fields.input();
    let account = input.0.remove("account").unwrap_or_default();
    let auth = &state.services.auth;
    let arrival = match arrived.arrival().await {
        Ok(arrival) => arrival,
        Err(refused) => return refused,
    };
    let how = match fields.get("method") {
        "" => Joiner::Answer {
            state: fields.get("state"),
            input,
        },
        method => Joiner::Method(method, &arrival),
    };
    let progress = auth.join(token, account.trim(), how, &anonymous.client).await;
    let owner = match for_whom(&state).await {
        Ok(owner) => owner.unwrap_or_default(),
        Err(error) => return failure(&error.into()),
    };
    let again = async |said: Said| form(&state, &anonymous, owner, Some(&fields), None, said).await;
    match progress {
        Ok(Progress::Next(page)) if page.of_link => {
            form(&state, &anonymous, owner, Some(&fields), Some(page), Said::default()).await
        }
        Ok(Progress::Next(page)) => show_step(&anonymous, Some(page), Vec::new(), "", false, None, None),
        Err(AuthError::SetUpClosed) => Redirect::to("/login").into_response(),
        Err(AuthError::Rejected { field, cause }) => again(Said::At(field, cause)).await,
        Err(error @ (AuthError::SetUpWrong | AuthError::SetUpExpired | AuthError::Expired)) => {
            again(Said::Whole(error.to_string())).await
        }
        Err(error) => match ApiError::from(error) {
            ApiError::Refused(cause) => again(Said::Whole(cause)).await,
            error => failure(&error),
        },
        progress => match finish(&state, &anonymous, known, progress, "").await {
            Outcome::Answer(response) => *response,
            Outcome::Failed(error, _) => again(Said::Whole(error)).await,
        },
    }
}

/// `Said` is what is wrong.
#[derive(Default)]
enum Said {
    #[default]
    Nothing,
    Whole(String),
    At(String, String),
}

/// `enrolls`: the plugin will know the account by this name too.
fn account_field(enrolls: bool) -> Field {
    let what = if enrolls {
        "You log in with this name."
    } else {
        "The name of your account here."
    };
    Field {
        name: "account".into(),
        kind: FieldKind::Account,
        title: "Account name".into(),
        help: Some(format!(
            "{what} Use the letters a to z, digits and . _ - @, at most 64 characters."
        )),
    }
}

async fn form(
    state: &WebState,
    anonymous: &Anonymous,
    owner: bool,
    typed: Option<&Fields>,
    page: Option<Page>,
    said: Said,
) -> Response {
    let joining = match page {
        Some(page) => Ok(Joining::Enroll(page)),
        None => state.services.auth.joining(&anonymous.client).await,
    };
    let (page, enrolls, methods) = match joining {
        Ok(Joining::Enroll(page)) => (page, true, Vec::new()),
        Ok(Joining::Bind(methods)) => {
            let nothing = Ask::Form {
                fields: Vec::new(),
                problem: None,
            };
            let page = Page {
                ask: nothing,
                state: String::new(),
                of_link: true,
            };
            (page, false, methods)
        }
        Err(error) => return failure(&error.into()),
    };
    let (error, rejected) = match said {
        Said::Nothing => (None, None),
        Said::Whole(error) => (Some(error), None),
        Said::At(field, cause) => (None, Some((field, cause))),
    };
    let typed_into = |name: &str| typed.map_or(String::new(), |fields| fields.typed(name));
    let around = Around {
        button: "Create account",
        before: owner.then(|| account_field(enrolls)).into_iter().collect(),
        typed: Some(&typed_into),
        rejected,
        origin: &anonymous.site.origin,
    };
    let step = StepForm::new(page, around);
    let page = SetupPage {
        frame: Frame::open("setup", "Set up Nexus"),
        csrf: anonymous.csrf(),
        token: typed.map_or(String::new(), |fields| fields.get("token").to_owned()),
        owner,
        error: error.or_else(|| step.problem.clone()),
        step,
        enrolls,
        methods,
    };
    let status = if typed.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    anonymous.remember((status, show(&page)).into_response())
}
