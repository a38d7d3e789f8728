//! `/` and `/s/ID`: the frame of the chat. What is in a chat comes over the live socket, so that there is one
//! way for it to arrive, not two that have to agree.

use super::{Frame, failure, show};
use crate::WebState;
use crate::http::csrf_form::UserForm;
use crate::http::identity::{MaybeLogin, User};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use nexus_auth::{FirstAccount, Session};
use nexus_chat::ChatError;
use nexus_chat::Install;

#[derive(Template)]
#[template(path = "app.html")]
struct AppPage {
    frame: Frame,
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct WelcomePage {
    frame: Frame,
    link_open: bool,
    /// `command` adds an account without the link.
    command: String,
}

pub(crate) async fn fresh(State(state): State<WebState>, known: MaybeLogin) -> Response {
    if let Some(login) = known.login {
        return app(&state, login, false);
    }
    match state.services.auth.first_account().await {
        Ok(FirstAccount::Present) => Redirect::to("/login").into_response(),
        Ok(FirstAccount::Missing { link_open }) => show(&WelcomePage {
            frame: Frame::open("welcome", "Welcome"),
            link_open,
            command: state.services.host.command("user add NAME"),
        }),
        Err(error) => failure(&error.into()),
    }
}

pub(crate) async fn session(State(state): State<WebState>, Path(session): Path<String>, user: User) -> Response {
    let chats = &state.services.chat;
    let listed = chats.sessions().borrow().iter().any(|root| root.info.id == session);
    // The page says so too, by the answer on its own connection; a status is for what has no eyes.
    let missing = !listed && matches!(chats.subscribe(&session, None).await, Err(ChatError::NotFound(_)));
    app(&state, user.login, missing)
}

/// The app's own settings; what they are is known to the browser alone.
pub(crate) async fn settings(State(state): State<WebState>, user: User) -> Response {
    let backend = state.services.chat.backend().borrow().clone();
    show(&AppPage {
        frame: Frame::of("settings", "Settings", user.login, backend).in_app(&state),
    })
}

/// `app` is the same page for every chat: what is in it comes over the live socket.
fn app(state: &WebState, login: Session, missing: bool) -> Response {
    let title = if missing { "No such chat" } else { "Chat" };
    let backend = state.services.chat.backend().borrow().clone();
    let mut response = show(&AppPage {
        frame: Frame::of("chat", title, login, backend).in_app(state),
    });
    if missing && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

pub(crate) async fn install(State(state): State<WebState>, _user: UserForm) -> Response {
    match state.services.chat.install() {
        Ok(()) => Redirect::to("/install").into_response(),
        Err(error) => failure(&error.into()),
    }
}

#[derive(Template)]
#[template(path = "installing.html")]
struct InstallingPage {
    frame: Frame,
    progress: String,
}

/// `INSTALLING` is the number of seconds until the page looks how far the installation is.
const INSTALLING: u16 = 2;

/// Shows how far it is; when it is done, the chat. It goes on by a header, so that it needs no script.
pub(crate) async fn installing(State(state): State<WebState>, user: User) -> Response {
    let mut backend = state.services.chat.backend().borrow().clone();
    match backend.missing.take().map(|missing| missing.install) {
        None => Redirect::to("/").into_response(),
        Some(Install::Running { progress }) => {
            let frame = Frame::of("installing", "Installing", user.login, backend);
            let mut response = show(&InstallingPage { frame, progress });
            let headers = response.headers_mut();
            headers.insert(http::HeaderName::from_static("refresh"), INSTALLING.into());
            response
        }
        // The status page has the reason, and the button.
        Some(Install::Unsupported | Install::Available { .. } | Install::Failed { .. }) => {
            Redirect::to("/status").into_response()
        }
    }
}
