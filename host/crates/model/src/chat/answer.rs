//! What a user answers to a request of the agent, and how long that may be.

use crate::limits;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, Object, Type};

/// `Answer` is the answer to a request of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(examples(json!({"type": "reject", "message": "Use the staging database."})))]
pub enum Answer {
    /// `once`: allow the action this time.
    Once,
    /// `always`: allow the action, and from then on everything that `always` of the request lists.
    Always,
    /// `reject`: do not allow the action, or do not answer the questions.
    Reject {
        /// `message` is a text for the agent, at most 64 KiB.
        message: Option<String>,
    },
    /// `answers`: the answers to the questions.
    Answers {
        /// `answers` has for each question the labels that were chosen, and the text that the user wrote.
        #[schema(schema_with = answers)]
        answers: Vec<Vec<String>>,
    },
    /// `other`: the answer to a request of a kind that only the backend knows.
    Other {
        /// `name` is the kind of the answer: 1 to 64 of `a-z 0-9 . _ -`.
        #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9._-]+$")]
        name: String,
        /// `value` is the answer, at most 16 KiB as text.
        value: serde_json::Value,
    },
}

/// `answers` has the bounds of [`Answer::check`].
fn answers() -> Array {
    let text = Object::builder()
        .schema_type(Type::String)
        .max_length(Some(limits::ANSWER_BYTES));
    let chosen = Array::builder()
        .items(text)
        .max_items(Some(limits::REQUEST_CHOICES + 1));
    Array::builder()
        .items(chosen)
        .max_items(Some(limits::REQUEST_QUESTIONS))
        .description(Some(
            "`answers` has for each question the labels that were chosen, and the text that the user wrote: at most 64 KiB each.",
        ))
        .build()
}

impl Answer {
    /// Checks that the answer is no longer than its bounds: [`limits::REQUEST_QUESTIONS`], [`limits::REQUEST_CHOICES`]
    /// and [`limits::ANSWER_BYTES`].
    ///
    /// # Errors
    /// What is more than an answer may hold, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        let words = |text: &String| match text.len() {
            n if n <= limits::ANSWER_BYTES => Ok(()),
            n => Err(format!(
                "The answer is too long: {n} bytes, the limit is {}. To fix: shorten the answer and send the rest as \
                 a message.",
                limits::ANSWER_BYTES
            )),
        };
        let few = |what: &str, n: usize, most: usize| match n {
            n if n <= most => Ok(()),
            n => Err(format!("There are {n} {what}, but at most {most} are allowed.")),
        };
        match self {
            Self::Once | Self::Always => Ok(()),
            Self::Reject { message } => message.iter().try_for_each(words),
            Self::Answers { answers } => {
                few("answers", answers.len(), limits::REQUEST_QUESTIONS)?;
                answers.iter().try_for_each(|chosen| {
                    few("choices of one question", chosen.len(), limits::REQUEST_CHOICES + 1)?;
                    chosen.iter().try_for_each(words)
                })
            }
            Self::Other { name, value } => {
                let bytes = value.to_string().len();
                if bytes > limits::EXT_VALUE_BYTES {
                    let most = limits::EXT_VALUE_BYTES;
                    return Err(format!("The answer is too long: {bytes} bytes, the limit is {most}."));
                }
                let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
                if (1..=limits::EXT_NAME_BYTES).contains(&name.len()) && name.bytes().all(known) {
                    return Ok(());
                }
                Err(format!(
                    "The name of the answer is not one. To fix: use 1 to {} of a-z, 0-9, dot, _ and -.",
                    limits::EXT_NAME_BYTES
                ))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_bounds() {
        let answers = |answers| Answer::Answers { answers }.check();
        assert_eq!(answers(vec![vec!["Blue".to_owned()], vec![]]), Ok(()));
        assert!(
            answers(vec![vec![]; limits::REQUEST_QUESTIONS + 1])
                .unwrap_err()
                .contains("answers")
        );
        let many = vec![String::new(); limits::REQUEST_CHOICES + 2];
        assert!(answers(vec![many]).unwrap_err().contains("choices"));
        let long = "x".repeat(limits::ANSWER_BYTES + 1);
        assert!(answers(vec![vec![long.clone()]]).unwrap_err().contains("too long"));
        let other = |name: &str, value: &str| {
            let value = serde_json::Value::from(value);
            Answer::Other {
                name: name.to_owned(),
                value,
            }
            .check()
        };
        assert_eq!(other("acme.pin", "1234"), Ok(()));
        assert!(other("acme.pin", &long).unwrap_err().contains("too long"));
        assert!(other("", "x").is_err() && other("Acme", "x").is_err() && other(&"x".repeat(65), "x").is_err());
        assert!(Answer::Reject { message: Some(long) }.check().is_err());
    }
}
