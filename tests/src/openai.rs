//! `chat-openai` with the stand-in for a model, or another server, behind it.

use crate::llm::Llm;
use crate::nexus::Start;
use std::net::SocketAddr;

/// A configuration whose chat is a server at an address of this machine; `more` begins with keys of the plugin's settings.
pub fn config(address: SocketAddr, more: &str) -> String {
    format!(
        "[chat.main]\nplugin = \"chat-openai\"\n\
         [plugin.chat-openai.grants]\nhttp = [{{ url = \"http://{address}\", private = true }}]\n\
         [plugin.chat-openai.config]\nbase_url = \"http://{address}/v1\"\n{more}"
    )
}

/// The same with the stand-in for a model.
pub fn start(llm: &Llm, more: &str) -> Start {
    Start::new().config(config(llm.address, more))
}
