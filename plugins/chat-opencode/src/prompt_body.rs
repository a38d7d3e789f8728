//! What opencode is sent for a prompt: the words or the command, the files, who is to answer. And why it is not sent: what opencode
//! would take and then fail with, or do without asking.

use crate::choices::{self, no_such_model};
use crate::settings::{Settings, split_model};
use crate::{attachments, commands, connection_state, workspace_files};
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::chat::types::SessionRef;
use nexus_plugin_api::chat::{CommandCall, Input, NewAttachment, Options};
use serde_json::{Map, Value, json};

/// `Words` are what the owner wrote.
#[derive(Debug, Clone, PartialEq)]
pub enum Words {
    Text(String),
    Command(CommandCall),
}

/// `Parts` is a prompt as the host gives it.
#[derive(Debug, PartialEq)]
pub struct Parts {
    words: Words,
    /// `files` are those of the workspace that the owner points at.
    files: Vec<String>,
    attachments: Vec<NewAttachment>,
}

/// `Body` is a prompt that can be sent.
#[derive(Debug)]
pub struct Body {
    pub words: Words,
    /// `answers` is the model that will answer, where that is known before.
    pub answers: Option<String>,
    files: Vec<Value>,
    model: Option<String>,
    agent: Option<String>,
    variant: Option<String>,
}

/// `words` sorts the pieces of a prompt.
///
/// # Errors
/// What of it cannot be sent.
pub fn words(inputs: Vec<Input>) -> Result<Parts, String> {
    let mut text = Vec::new();
    let mut command = None;
    let (mut files, mut attachments) = (Vec::new(), Vec::new());
    for input in inputs {
        match input {
            Input::Text(more) => text.push(more),
            Input::Command(call) => command = Some(call),
            Input::File(path) => files.push(path),
            Input::Attachment(attachment) => attachments.push(attachment),
            Input::Other(ext) => return Err(format!("This plugin cannot send {:?} to opencode.", ext.name)),
        }
    }
    let words = match command {
        Some(_) if !text.is_empty() => return Err("A prompt is a text or a command, not both.".to_owned()),
        Some(call) => Words::Command(call),
        None => Words::Text(text.join("\n")),
    };
    Ok(Parts {
        words,
        files,
        attachments,
    })
}

/// `make` asks opencode for what the prompt names.
///
/// # Errors
/// opencode does not answer. The inner one: why the prompt is refused.
pub async fn make(
    session: &SessionRef,
    settings: &Settings,
    parts: Parts,
    options: Options,
) -> Result<Result<Body, String>, Error> {
    let workspace = &session.workspace;
    let Parts {
        words,
        files: paths,
        attachments,
    } = parts;
    if let Some(wanted) = &options.model {
        let Some((provider, name)) = split_model(wanted) else {
            return Ok(Err(format!("{wanted:?} is not a model: expected provider/model.")));
        };
        // opencode would keep it for the session, and fail with it.
        if !choices::providers(workspace).await?.has(provider, name) {
            return Ok(Err(no_such_model(wanted)));
        }
    }
    let mut agent_model = None;
    if let Some(wanted) = &options.agent {
        match choices::agent(workspace, wanted).await? {
            Some(model) => agent_model = model,
            None => return Ok(Err(format!("opencode has no agent {wanted:?} that takes prompts."))),
        }
    }
    // An agent's own model is what its maker wants; the configured one is for what has none.
    let model = options.model.or_else(|| match &agent_model {
        Some(_) => None,
        None => settings.model.clone(),
    });
    let mut answers = model.clone().or(agent_model);
    if let Words::Command(call) = &words {
        match command(workspace, settings, call).await? {
            Ok(own) => answers = own.or(answers),
            Err(why) => return Ok(Err(why)),
        }
    }
    let folder = connection_state::with(|c| c.normalizer.folders().of(workspace).unwrap_or_default().to_owned())?;
    let mut files = Vec::new();
    for path in &paths {
        match workspace_files::part(workspace, &folder, path).await {
            Ok(part) => files.push(part),
            Err(Error::NotFound(why)) => return Ok(Err(why)),
            Err(other) => return Err(other),
        }
    }
    for attachment in &attachments {
        match attachments::part(attachment) {
            Ok(part) => files.push(part),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(Body {
        words,
        answers,
        files,
        model,
        agent: options.agent,
        variant: options.variant,
    }))
}

/// The model that a command has of its own, or why it is not sent.
async fn command(
    workspace: &str,
    settings: &Settings,
    call: &CommandCall,
) -> Result<Result<Option<String>, String>, Error> {
    let all = commands::all(workspace).await?;
    let Some(command) = all.into_iter().find(|command| command.name == call.name) else {
        return Ok(Err(format!("opencode has no command /{}.", call.name)));
    };
    let free = |key: &str| settings.policy().is_ok_and(|policy| policy.allows(key));
    if !free("bash") {
        if command.runs_programs() {
            return Ok(Err(format!(
                "The command /{} runs programs (!` in its text), which opencode does without a permission request. To fix: take \
                 them out of the command, or set permission = {{ bash = \"allow\" }} under [plugin.chat-opencode.config].",
                call.name
            )));
        }
        if let Some(why) = command.arguments_error(&call.arguments) {
            return Ok(Err(why));
        }
    }
    if !free("external_directory") {
        for path in command.paths(&call.arguments) {
            if workspace_files::leads_outside(workspace, &path).await? {
                return Ok(Err(format!(
                    "opencode would read {path:?} for the command /{} without a permission request, and it is not in the \
                     workspace. To fix: write it without the @, so that the agent asks for it.",
                    call.name
                )));
            }
        }
    }
    if command.model.is_some() {
        return Ok(Ok(command.model));
    }
    Ok(Ok(match &command.agent {
        Some(agent) => choices::model_of_agent(workspace, agent).await?,
        None => None,
    }))
}

impl Body {
    /// `json` is the body of the request. `id`: that of the message.
    pub fn json(self, id: &str) -> Value {
        let mut body = Map::new();
        let mut put = |key: &str, value: Value| {
            body.insert(key.to_owned(), value);
        };
        put("messageID", json!(id));
        let model = self.model.as_deref().and_then(split_model);
        match self.words {
            Words::Text(text) => {
                let mut parts = vec![json!({ "type": "text", "text": text })];
                parts.extend(self.files);
                put("parts", Value::Array(parts));
                if let Some((provider, name)) = model {
                    put("model", json!({ "providerID": provider, "modelID": name }));
                }
            }
            Words::Command(call) => {
                put("command", json!(call.name));
                put("arguments", json!(call.arguments));
                if !self.files.is_empty() {
                    put("parts", Value::Array(self.files));
                }
                if let Some((provider, name)) = model {
                    put("model", json!(format!("{provider}/{name}")));
                }
            }
        }
        if let Some(agent) = self.agent {
            put("agent", json!(agent));
        }
        if let Some(variant) = self.variant {
            put("variant", json!(variant));
        }
        Value::Object(body)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use nexus_plugin_api::chat::Ext;
    use nexus_plugin_api::chat::types::FileContent;

    fn call() -> CommandCall {
        CommandCall {
            name: "review".to_owned(),
            arguments: "HEAD~1".to_owned(),
        }
    }

    fn body(words: Words) -> Body {
        Body {
            words,
            answers: None,
            files: vec![json!({ "type": "file" })],
            model: Some("p/m/x".to_owned()),
            agent: Some("plan".to_owned()),
            variant: Some("high".to_owned()),
        }
    }

    #[test]
    fn a_prompt_is_a_text_or_a_command_with_files() {
        let attachment = NewAttachment {
            name: "a.png".to_owned(),
            content: FileContent {
                mime: "image/png".to_owned(),
                data: vec![1],
            },
        };
        let inputs = vec![
            Input::Text("a".to_owned()),
            Input::File("src".to_owned()),
            Input::Attachment(attachment.clone()),
        ];
        let parts = words(inputs).unwrap();
        assert_eq!(parts.words, Words::Text("a".to_owned()));
        assert_eq!(
            (parts.files, parts.attachments),
            (vec!["src".to_owned()], vec![attachment])
        );
        assert!(words(vec![Input::Text("a".to_owned()), Input::Command(call())]).is_err());
        let other = Input::Other(Ext {
            name: "image".to_owned(),
            value: "{}".to_owned(),
        });
        assert!(words(vec![other]).unwrap_err().contains("image"));
    }

    #[test]
    fn opencode_gets_a_prompt_and_a_command_in_its_own_forms() {
        assert_eq!(
            body(Words::Text("hi".to_owned())).json("msg_1"),
            json!({
                "messageID": "msg_1", "parts": [{"type": "text", "text": "hi"}, {"type": "file"}],
                "model": {"providerID": "p", "modelID": "m/x"}, "agent": "plan", "variant": "high",
            })
        );
        assert_eq!(
            body(Words::Command(call())).json("msg_1"),
            json!({
                "messageID": "msg_1", "command": "review", "arguments": "HEAD~1", "parts": [{"type": "file"}],
                "model": "p/m/x", "agent": "plan", "variant": "high",
            })
        );
    }
}
