//! The one way of an answer to a permission request, from the live socket and from the API: each is in the audit, with who
//! gave it, from where, to what, and what came of it.

use super::WebState;
use super::identity::Who;
use super::port::ApiError;
use crate::model::chat::Answer;

/// Gives the answer and writes it down.
///
/// # Errors
/// As [`super::port::ChatApi::reply`].
pub(super) async fn give(
    state: &WebState,
    who: &Who,
    session: &str,
    ask: &str,
    answer: Answer,
) -> Result<(), ApiError> {
    let chat = &state.services.chat;
    // What the owner saw; it is gone once it is answered.
    let asked = chat.asked(session, ask).await;
    let gone = matches!(asked, Ok(None));
    let asked = asked.ok().flatten();
    let (subject, detail) = asked.map_or_else(Default::default, |asked| (asked.subject, asked.detail));
    let given = serde_json::to_value(&answer).unwrap_or_default();
    let given = given
        .get("type")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
        .to_owned();
    // A backend may take an answer to what it asked long ago, or to what another asked.
    let result = match gone {
        true => Err(ApiError::NotFound(
            "This request does not wait for an answer any more, so nothing was answered.".to_owned(),
        )),
        false => chat.reply(session, ask, answer).await,
    };
    let came = result.as_ref().map_or_else(ToString::to_string, |()| "done".to_owned());
    tracing::info!(
        target: "audit", event = "answer", account = who.account, answer = given, subject, detail, session, ask,
        place = who.place, peer = who.peer, result = came
    );
    result
}
