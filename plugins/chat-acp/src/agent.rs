//! What the agent says of itself when a connection opens, and the words for what it wants from the owner.

use crate::rpc::RpcError;
use crate::wire::{AUTHENTICATION_REQUIRED, AuthMethod, Capabilities, Initialized, PROTOCOL};
use serde_json::{Value, json};

#[derive(Debug, Clone, Default)]
pub struct Agent {
    pub name: String,
    pub version: String,
    pub can: Capabilities,
    auth: Vec<AuthMethod>,
}

/// `hello` are the parameters of the first request: this client has no files and no terminals to offer.
pub fn hello() -> Value {
    json!({
        "protocolVersion": PROTOCOL,
        "clientCapabilities": {"fs": {"readTextFile": false, "writeTextFile": false}, "terminal": false},
        "clientInfo": {"name": "nexus", "title": "Nexus", "version": env!("CARGO_PKG_VERSION")},
    })
}

impl Agent {
    /// Reads the answer to [`hello`]. `title` is for one that has no name.
    ///
    /// # Errors
    /// It speaks another version of the protocol: a sentence with its fix.
    pub fn read(answer: Value, title: &str) -> Result<Self, String> {
        let read: Initialized = serde_json::from_value(answer).unwrap_or_default();
        if read.protocol_version != PROTOCOL {
            return Err(format!(
                "The agent speaks version {} of the Agent Client Protocol, and this plugin speaks version {PROTOCOL}. To fix: \
                 install a version of the agent that speaks version {PROTOCOL}",
                read.protocol_version
            ));
        }
        let info = read.agent_info;
        let name = info.title.filter(|title| !title.is_empty()).unwrap_or(info.name);
        Ok(Self {
            name: if name.is_empty() { title.to_owned() } else { name },
            version: info.version,
            can: read.agent_capabilities,
            auth: read.auth_methods,
        })
    }

    /// `shown_version` is the version for people; an agent may state none.
    pub fn shown_version(&self) -> String {
        format!("{} {}", self.name, self.version).trim_end().to_owned()
    }

    /// `words` is an error of the agent for its owner: where it wants a sign-in, what to do.
    pub fn words(&self, error: &RpcError) -> String {
        if error.code != AUTHENTICATION_REQUIRED {
            return format!("{}: {}", self.name, error.text());
        }
        let methods = self.auth.iter().map(|method| {
            let name = if method.name.is_empty() {
                &method.id
            } else {
                &method.name
            };
            match method.description.as_deref().filter(|text| !text.is_empty()) {
                Some(description) => format!("{name} ({description})"),
                None => name.clone(),
            }
        });
        let methods: Vec<String> = methods.collect();
        let how = if methods.is_empty() {
            String::new()
        } else {
            format!(", in one of these ways: {}", methods.join("; "))
        };
        format!(
            "{} wants you to sign in first: {}. To fix: start the agent in a terminal of this machine, as the user that Nexus \
             runs as, and sign in{how}. Then send the message again.",
            self.name,
            error.text()
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_a_name_and_one_version_of_the_protocol() {
        let read = |answer: Value| Agent::read(answer, "ACP agent");
        let agent =
            read(json!({"protocolVersion": 1, "agentInfo": {"name": "OpenCode", "version": "1.18.33"}})).unwrap();
        assert_eq!(agent.shown_version(), "OpenCode 1.18.33");
        assert_eq!(
            read(json!({"protocolVersion": 1})).unwrap().shown_version(),
            "ACP agent"
        );
        assert!(read(json!({"protocolVersion": 2})).unwrap_err().contains("version 2"));
        assert!(read(json!("hello")).is_err());
        assert_eq!(hello()["clientCapabilities"]["terminal"], false);
    }

    #[test]
    fn a_sign_in_that_is_missing_is_told_with_what_to_do() {
        let answer = json!({"protocolVersion": 1, "agentInfo": {"name": "X"}, "authMethods": [
            {"id": "login", "name": "Login with X", "description": "Run `x auth login` in the terminal"}, {"id": "key"}]});
        let agent = Agent::read(answer, "").unwrap();
        let error = |code| RpcError {
            code,
            message: "Authentication required".into(),
            data: None,
        };
        let words = agent.words(&error(AUTHENTICATION_REQUIRED));
        assert!(
            words.contains("Login with X (Run `x auth login` in the terminal); key"),
            "{words}"
        );
        assert_eq!(agent.words(&error(-1)), "X: Authentication required");
    }
}
