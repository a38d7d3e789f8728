//! `/log`: the newest lines of the log, of a plugin, of a tunnel or of all. The script asks for it again and again.

use super::{Frame, failure, show};
use crate::WebState;
use crate::http::identity::User;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::header;
use nexus_model::log::{About, LogLine};
use serde::Deserialize;

/// `LINES` is how many lines are shown.
pub(crate) const LINES: usize = 200;

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    about: String,
    lines: Vec<LogLine>,
    /// `command` shows the same in a terminal.
    command: String,
}

#[derive(Deserialize)]
pub(crate) struct Which {
    plugin: Option<String>,
    tunnel: Option<String>,
}

pub(crate) async fn page(State(state): State<WebState>, Query(which): Query<Which>, user: User) -> Response {
    let about = match (&which.tunnel, &which.plugin) {
        (Some(tunnel), _) => format!("tunnel {tunnel}"),
        (None, Some(plugin)) => format!("plugin {plugin}"),
        (None, None) => String::new(),
    };
    let mut words = "logs --follow".to_owned();
    for (flag, name) in [("--tunnel", &which.tunnel), ("--plugin", &which.plugin)] {
        // What somebody else wrote into the address is no command to copy.
        let plain = |name: &&String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if let Some(name) = name.as_ref().filter(plain) {
            words = format!("{words} {flag} {name}");
        }
    }
    let Which { plugin, tunnel } = which;
    let lines = match state.services.log.latest(About { plugin, tunnel }, LINES).await {
        Ok(lines) => lines,
        Err(error) => return failure(&error.into()),
    };
    let backend = state.services.chat.backend().borrow().clone();
    let page = LogPage {
        frame: Frame::of("log", "Log", user.login, backend).in_app(&state),
        about,
        lines,
        command: state.services.host.command(&words),
    };
    ([(header::CACHE_CONTROL, "no-store")], show(&page)).into_response()
}
