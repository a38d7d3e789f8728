//! The one way of an answer to a permission request, from the live socket and from the API: each is in the audit, with who
//! gave it, from where, to what, and what came of it.

use super::WebState;
use crate::error::ApiError;
use crate::http::identity::RequestOrigin;
use nexus_model::chat::{AgentRequest, Answer};
use nexus_model::digest::{hex, sha256};

/// Gives the answer and writes it down.
///
/// # Errors
/// As [`nexus_chat::ChatService::reply`].
pub(super) async fn give(
    state: &WebState,
    who: &RequestOrigin,
    session: &str,
    request: &str,
    answer: Answer,
) -> Result<(), ApiError> {
    let chat = &state.services.chat;
    // What the owner saw; it is gone once it is answered.
    let pending = chat.pending_request(session, request).await;
    let gone = matches!(pending, Ok(None));
    let pending = pending.ok().flatten();
    let AuditedRequest {
        subject,
        detail,
        more,
        change,
        sha256,
    } = pending.map(AuditedRequest::of).unwrap_or_default();
    let given = serde_json::to_value(&answer).unwrap_or_default();
    let given = given
        .get("type")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
        .to_owned();
    // What was granted by an answer of the backend's own kind is told by its name and its digest.
    let given = match &answer {
        Answer::Other { name, value } => {
            let digest = hex(&nexus_model::digest::sha256(&[value.to_string().as_bytes()]));
            format!("{given} {name} sha256:{digest}")
        }
        _ => given,
    };
    // A backend may take an answer to a request of long ago, or of another backend.
    let result = match gone {
        true => Err(ApiError::NotFound(
            "This request is no longer open, so your answer was not sent.".to_owned(),
        )),
        false => chat.reply(session, request, answer).await.map_err(ApiError::from),
    };
    let came = result.as_ref().map_or_else(ToString::to_string, |()| "done".to_owned());
    tracing::info!(
        target: "audit", event = "answer", account = who.account, answer = given, subject, detail, more, change, sha256,
        session, request, place = who.place, peer = who.peer, result = came
    );
    result
}

/// `AuditedRequest` is what was asked, as the audit has it. Each text is cut there; by the digest of all of it one can tell what
/// was answered from what only begins like it.
#[derive(Default)]
struct AuditedRequest {
    subject: String,
    detail: String,
    /// `more` is the folder, and what else the call is made with.
    more: String,
    change: String,
    /// `sha256` is that of `detail`, `more` and the changes as JSON, with a NUL between them.
    sha256: String,
}

impl AuditedRequest {
    fn of(request: AgentRequest) -> Self {
        let more = request
            .details
            .iter()
            .map(|detail| format!("{}: {}", detail.name, detail.text));
        let more = more.collect::<Vec<_>>().join("\n");
        let changes = request.changes.iter().map(|change| {
            let diff = change.diff.as_deref().unwrap_or_default();
            format!("{:?} {}\n{diff}", change.kind, change.path)
        });
        let change = changes.collect::<Vec<_>>().join("\n");
        // As JSON, in which no path and no diff can look like another.
        let exact = serde_json::to_string(&request.changes).unwrap_or_default();
        let all = [request.detail.as_str(), &more, &exact].join("\0");
        Self {
            subject: request.subject,
            sha256: hex(&sha256(&[all.as_bytes()])),
            detail: request.detail,
            more,
            change,
        }
    }
}
