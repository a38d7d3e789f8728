//! Which prompts are not even passed on.

use super::protocol::NewPrompt;
use nexus_model::chat::is_client_id;
use nexus_model::limits::{FOLDER_PATH_BYTES, ID_BYTES, PROMPT_ATTACHMENTS, PROMPT_BYTES};

/// `COMMAND_NAME` bounds the name of a command, in bytes.
const COMMAND_NAME: usize = 128;

/// Checks that a prompt can be sent at all. `Err`: a sentence for the person.
pub(crate) fn acceptable(prompt: &NewPrompt) -> Result<(), String> {
    if !is_client_id(&prompt.client_id) {
        return Err("client_id must be 1 to 128 characters of A-Z, a-z, 0-9, `_` and `-`".into());
    }
    let words = match &prompt.command {
        None if prompt.text.trim().is_empty() => return Err("This message has no text.".into()),
        None => prompt.text.len(),
        Some(_) if !prompt.text.trim().is_empty() => {
            return Err("A message has a text or a command, not both. To fix: put the text into `arguments`.".into());
        }
        Some(call) => {
            let name = &call.name;
            if name.is_empty()
                || name.len() > COMMAND_NAME
                || name.starts_with('/')
                || name.contains(char::is_whitespace)
            {
                return Err(format!(
                    "The name of a command is 1 to {COMMAND_NAME} bytes without white space and without `/`."
                ));
            }
            call.arguments.len()
        }
    };
    if words > PROMPT_BYTES {
        return Err(format!(
            "This message is longer than the limit of {} KiB.",
            PROMPT_BYTES / 1024
        ));
    }
    if prompt.attachments.len() > PROMPT_ATTACHMENTS || prompt.files.len() > PROMPT_ATTACHMENTS {
        return Err(format!(
            "A message can have {PROMPT_ATTACHMENTS} files, and point at {PROMPT_ATTACHMENTS} more."
        ));
    }
    if prompt
        .files
        .iter()
        .any(|path| path.is_empty() || path.len() > FOLDER_PATH_BYTES)
    {
        return Err(format!("A path in `files` is 1 to {FOLDER_PATH_BYTES} bytes long."));
    }
    let ids = [&prompt.model, &prompt.agent, &prompt.variant, &prompt.consent]
        .into_iter()
        .flatten();
    if ids
        .chain(&prompt.attachments)
        .any(|id| id.is_empty() || id.len() > ID_BYTES)
    {
        return Err(format!(
            "An id of a model, an agent, a variant, a consent or an attachment is 1 to {ID_BYTES} bytes long."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_model::chat::CommandCall;

    fn prompt() -> NewPrompt {
        NewPrompt {
            client_id: "c".to_owned(),
            text: "t".to_owned(),
            ..NewPrompt::default()
        }
    }

    #[test]
    fn a_prompt_beyond_its_bounds_is_not_passed_on() {
        assert_eq!(acceptable(&prompt()), Ok(()));
        let call = |name: &str, arguments: usize| {
            Some(CommandCall {
                name: name.to_owned(),
                arguments: "x".repeat(arguments),
            })
        };
        let command = |command| NewPrompt {
            text: String::new(),
            command,
            ..prompt()
        };
        assert_eq!(acceptable(&command(call("review", 3))), Ok(()));
        let ids = |n: usize| vec!["upload-1".to_owned(); n];
        for bad in [
            NewPrompt {
                client_id: "c d".to_owned(),
                ..prompt()
            },
            NewPrompt {
                text: " ".to_owned(),
                ..prompt()
            },
            NewPrompt {
                text: "x".repeat(PROMPT_BYTES + 1),
                ..prompt()
            },
            NewPrompt {
                command: call("review", 0),
                ..prompt()
            },
            command(call("", 0)),
            command(call("/review", 0)),
            command(call("a b", 0)),
            command(call(&"x".repeat(COMMAND_NAME + 1), 0)),
            command(call("review", PROMPT_BYTES + 1)),
            NewPrompt {
                attachments: ids(PROMPT_ATTACHMENTS + 1),
                ..prompt()
            },
            NewPrompt {
                files: ids(PROMPT_ATTACHMENTS + 1),
                ..prompt()
            },
            NewPrompt {
                files: vec![String::new()],
                ..prompt()
            },
            NewPrompt {
                files: vec!["x".repeat(FOLDER_PATH_BYTES + 1)],
                ..prompt()
            },
            NewPrompt {
                model: Some("x".repeat(ID_BYTES + 1)),
                ..prompt()
            },
            NewPrompt {
                agent: Some(String::new()),
                ..prompt()
            },
        ] {
            assert!(acceptable(&bad).is_err(), "{bad:?}");
        }
    }
}
