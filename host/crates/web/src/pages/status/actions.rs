//! The commands of the status page: the backend started, stopped or replaced, a tunnel, changes of the configuration.

use crate::WebState;
use crate::http::csrf_form::UserForm;
use crate::pages::{Frame, message, not_done, redirect, show};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use nexus_model::limits;

pub(crate) async fn backend(State(state): State<WebState>, Path(action): Path<String>, user: UserForm) -> Response {
    let chat = std::sync::Arc::clone(&state.services.chat);
    if user.fields.get("sure") != "yes"
        && let plugin = user.fields.get("plugin")
        && let Some(questions) = questions(&action, plugin, chat.busy(), chat.is_example(plugin))
    {
        return confirm(user, &action, questions);
    }
    // Answers that run have time to finish: the page shows that it waits, and nobody waits for it here.
    match action.as_str() {
        "start" => drop(tokio::spawn(async move { chat.start().await })),
        "stop" => drop(tokio::spawn(async move { chat.stop().await })),
        "restart" => drop(tokio::spawn(async move { chat.restart().await })),
        "swap" => {
            // Refused at once where it can be seen at once.
            let plugin = user.fields.get("plugin");
            if let Err(error) = chat.swap(plugin).await {
                return not_done(
                    "The chat backend was not replaced",
                    &state.not_swapped(plugin, error.into()),
                );
            }
        }
        _ => {
            return message(
                StatusCode::NOT_FOUND,
                "Not found",
                "The chat backend can be started, stopped, restarted or replaced.",
            );
        }
    }
    Redirect::to("/status").into_response()
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    frame: Frame,
    csrf: String,
    action: String,
    plugin: String,
    questions: Vec<String>,
    go: String,
}

/// `questions` are what has to be known before a command that takes something away; empty: it takes nothing.
fn questions(action: &str, plugin: &str, busy: usize, example: bool) -> Option<Vec<String>> {
    let mut questions = Vec::new();
    if busy > 0 && matches!(action, "stop" | "restart" | "swap") {
        let drain = limits::CHAT_DRAIN.as_secs();
        let chats = match busy {
            1 => "One chat has a running answer.".to_owned(),
            many => format!("{many} chats have a running answer."),
        };
        questions.push(format!(
            "{chats} Nexus waits {drain} s for it to finish. After that the answer is interrupted; you can continue \
             it later."
        ));
    }
    if action == "swap" && example {
        questions.push(format!(
            "{plugin} is an example without a model. All chats of the current backend become read-only until it is \
             the chat backend again."
        ));
    }
    (!questions.is_empty()).then_some(questions)
}

/// Asks once more, as a page: it works without a script.
fn confirm(user: UserForm, action: &str, questions: Vec<String>) -> Response {
    let plugin = user.fields.get("plugin").to_owned();
    let (title, go) = match action {
        "stop" => ("Stop the chat backend?", "Stop".to_owned()),
        "restart" => ("Restart the chat backend?", "Restart".to_owned()),
        _ => ("Replace the chat backend?", format!("Replace with {plugin}")),
    };
    let csrf = user.login.csrf;
    let frame = Frame::open("message", title);
    show(&ConfirmPage {
        frame,
        csrf,
        action: action.to_owned(),
        plugin,
        questions,
        go,
    })
}

/// Only with a fresh login: whoever finds an open session, or is the agent on this machine, grants nobody anything.
pub(crate) async fn apply(State(state): State<WebState>, user: UserForm) -> Response {
    if !state.services.auth.recently_checked(&user.login.login) {
        return redirect::again("/status");
    }
    let id = user.fields.get("id").to_owned();
    let config = std::sync::Arc::clone(&state.services.reload);
    if config
        .pending()
        .borrow()
        .as_ref()
        .is_none_or(|pending| pending.id != id)
    {
        return message(
            StatusCode::CONFLICT,
            "The changes were not applied",
            "The configuration file has changed again. To fix: review the changes on the status page, then choose Apply.",
        );
    }
    // It takes a while, and the page shows how it goes: nobody waits for it here.
    tokio::spawn(async move { config.apply(&id).await });
    Redirect::to("/status").into_response()
}

pub(crate) async fn tunnel(
    State(state): State<WebState>,
    Path((name, action)): Path<(String, String)>,
    user: UserForm,
) -> Response {
    let done = match action.as_str() {
        "start" => state.services.tunnels.open(&name).await,
        "stop" => state.services.tunnels.close(&name).await,
        "swap" => {
            // It takes a while, and the page shows how it goes: nobody waits for it here.
            let (tunnels, plugin) = (
                std::sync::Arc::clone(&state.services.tunnels),
                user.fields.get("plugin").to_owned(),
            );
            tokio::spawn(async move { tunnels.swap(&name, &plugin).await });
            Ok(())
        }
        _ => {
            return message(
                StatusCode::NOT_FOUND,
                "Not found",
                "A tunnel can be started or stopped, and its provider can be replaced.",
            );
        }
    };
    let title = if action == "start" {
        "The tunnel was not opened"
    } else {
        "The tunnel was not closed"
    };
    match done {
        Ok(()) => Redirect::to("/status").into_response(),
        Err(error) => not_done(title, &error.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::questions;

    #[test]
    fn only_what_takes_something_away_is_asked_about() {
        for action in ["start", "restart", "stop", "swap"] {
            assert_eq!(questions(action, "chat-mine", 0, false), None, "{action}");
        }
        assert_eq!(questions("start", "", 3, true), None);
        for action in ["restart", "stop", "swap"] {
            let asked = questions(action, "chat-mine", 1, false).unwrap();
            assert!(asked[0].contains("waits 30 s"), "{asked:?}");
        }
        let asked = questions("swap", "chat-echo", 2, true).unwrap();
        assert!(
            asked[0].contains("2 chats") && asked[1].contains("without a model"),
            "{asked:?}"
        );
    }
}
