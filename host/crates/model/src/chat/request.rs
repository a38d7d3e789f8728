//! A request of the agent, which waits for an answer of the user.

use super::answer::Answer;
use super::ext::Ext;
use super::file_change;
use super::file_change::FileChange;
use super::ids::{PartId, RequestId, SessionId};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `AgentRequest` is an open request of the agent: a permission request (answered by `once`, `always` or `reject`),
/// questions (answered by `answers` or `reject`), or one of a kind that only the backend knows (answered by `other` or `reject`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AgentRequest {
    /// `id` is the id with which the request is answered.
    pub id: RequestId,
    /// `requested_by` is the id of the session that made the request. A request of a sub-agent is shown in the session
    /// that started the sub-agent.
    pub requested_by: SessionId,
    /// `permission` is true for a permission request and false for questions.
    pub permission: bool,
    /// `subject` is the tool that the agent wants to use, or the subject of the questions.
    #[schema(examples("bash"))]
    pub subject: String,
    /// `detail` is the command or the path. Characters that are invisible, change the order of the text or imitate
    /// others are replaced by visible marks.
    pub detail: String,
    /// `always` lists the patterns that the answer `always` allows from then on.
    pub always: Vec<String>,
    /// `details` has more facts about the request: the folder in which a command runs, the path to which a file is
    /// moved, the path to which a link leads. A text that ends with `not shown here⟩` is incomplete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
    /// `changes` are what the permission would do to files.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        // 0.1 wrote one diff, as text.
        alias = "change",
        deserialize_with = "file_change::changes"
    )]
    pub changes: Vec<FileChange>,
    /// `questions` is absent for a permission request, and for a request of a kind that only the backend knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// `message` is the id of the message that the request belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    /// `part` is the id of the part with the tool call that waits for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub part: Option<PartId>,
    /// `created_at` is the time at which the agent made the request.
    pub created_at: Millis,
    /// `ext` has what the backend's plugin says of the request beside all that: all of it, for a request of a kind that
    /// only the backend knows.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}

impl AgentRequest {
    /// Checks that a request of this kind is answered so.
    ///
    /// # Errors
    /// What the request is answered with, in a sentence.
    pub fn takes(&self, answer: &Answer) -> Result<(), String> {
        let (fits, with) = if self.permission {
            (
                matches!(answer, Answer::Once | Answer::Always | Answer::Reject { .. }),
                "This is a permission request. To fix: answer it with `once`, `always` or `reject`.",
            )
        } else if !self.questions.is_empty() {
            (
                matches!(answer, Answer::Answers { .. } | Answer::Reject { .. }),
                "These are questions. To fix: answer them with `answers` or `reject`.",
            )
        } else {
            (
                matches!(answer, Answer::Other { .. } | Answer::Reject { .. }),
                "This is a request of a kind that only the backend knows. To fix: answer it with `other` or `reject`.",
            )
        };
        fits.then_some(()).ok_or_else(|| with.to_owned())
    }

    /// `size` is the number of bytes of text in it, nearly.
    pub fn size(&self) -> usize {
        let choices = |q: &Question| {
            let each = q.choices.iter().map(|c| c.label.len() + c.description.len());
            each.sum::<usize>()
        };
        let questions = |q: &Question| q.header.len() + q.text.len() + choices(q);
        self.detail.len()
            + file_change::size(&self.changes)
            + self.ext.size()
            + self.details.iter().map(|d| d.name.len() + d.text.len()).sum::<usize>()
            + self.always.iter().map(String::len).sum::<usize>()
            + self.questions.iter().map(questions).sum::<usize>()
    }
}

/// `RequestDetail` is a fact about a request of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestDetail)]
#[serde(default)]
pub struct Detail {
    /// `name` is the name of the fact, such as `In the folder`.
    #[schema(required)]
    pub name: String,
    /// `text` is a path or another text of one line.
    #[schema(required)]
    pub text: String,
}

/// `Question` is a question of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Question {
    /// `header` is a short title.
    #[schema(required)]
    pub header: String,
    /// `text` is the question.
    #[schema(required)]
    pub text: String,
    /// `choices` are the answers that the agent offers.
    #[schema(required)]
    pub choices: Vec<Choice>,
    /// `multiple` is true if several choices may be selected.
    #[schema(required)]
    pub multiple: bool,
    /// `allow_custom` is true if the user may also answer with text of their own.
    // 0.1 wrote `own`.
    #[serde(alias = "own")]
    #[schema(required)]
    pub allow_custom: bool,
}

/// `Choice` is an answer that the agent offers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Choice {
    /// `label` is the text of the answer, and the value that is sent back.
    #[schema(required)]
    pub label: String,
    /// `description` explains the answer. It may be empty.
    #[schema(required)]
    pub description: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_of_the_kind_of_its_request() {
        let request = |permission, questions: usize| AgentRequest {
            permission,
            questions: vec![Question::default(); questions],
            ..AgentRequest::default()
        };
        let answers = [
            Answer::Once,
            Answer::Always,
            Answer::Answers { answers: vec![] },
            Answer::Other {
                name: "acme.pin".to_owned(),
                value: serde_json::Value::Null,
            },
            Answer::Reject { message: None },
        ];
        for (request, fitting) in [
            (request(true, 0), [true, true, false, false, true]),
            (request(false, 1), [false, false, true, false, true]),
            (request(false, 0), [false, false, false, true, true]),
        ] {
            let found = answers.each_ref().map(|answer| request.takes(answer).is_ok());
            assert_eq!(found, fitting, "{request:?}");
        }
    }
}
