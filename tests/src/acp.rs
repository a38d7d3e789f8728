//! Agents that speak the Agent Client Protocol: one that does what its prompts say (`tests/agents/scripted.mjs`), and the real
//! opencode.

use crate::llm::Llm;
use crate::nexus::Start;
use crate::opencode::Opencode;
use std::path::Path;

/// The variable that names Node.js, which runs the scripted agent.
pub const NODE: &str = "NEXUS_TEST_NODE";

fn config(workspace: &Path, program: &Path, args: &[String], more: &str) -> String {
    format!(
        "[chat.main]\nplugin = \"chat-acp\"\nworkspace = {workspace:?}\n\
         [plugin.chat-acp.grants.process.acp-agent]\npath = {program:?}\n\
         [plugin.chat-acp.config]\nargs = {args:?}\n{more}"
    )
}

/// A configuration whose chat is the scripted agent with these arguments.
///
/// # Panics
/// Node.js is not named by [`NODE`].
pub fn scripted(args: &[&str], more: &str) -> Start {
    let start = Start::new();
    let project = start.folder().join("project");
    std::fs::create_dir_all(&project).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("agents/scripted.mjs");
    let mut all = vec![script.to_str().expect("the repository has a plain name").to_owned()];
    all.extend(args.iter().map(|arg| (*arg).to_owned()));
    let config = config(&project, &crate::part(NODE), &all, more);
    start.config(config)
}

/// A configuration whose chat is the real opencode, by `opencode acp`, in its own world.
pub fn opencode(llm: &Llm, more: &str) -> (Start, Opencode) {
    let start = Start::new();
    let opencode = Opencode::prepare(start.folder(), &llm.url());
    let config = config(&opencode.project, &opencode.binary, &["acp".to_owned()], more);
    (start.config(config).envs(&opencode.env), opencode)
}
