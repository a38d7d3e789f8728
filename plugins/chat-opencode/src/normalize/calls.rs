//! Tool calls: what a permission request is about. opencode may ask before it has said what the call is.

use crate::wire;
use serde_json::Value;
use std::collections::BTreeMap;

/// `Called` is a tool call: its session, its part, and its input from when it is complete until the call ends.
#[derive(Debug)]
pub(super) struct Called {
    session: String,
    pub(super) part: String,
    pub(super) input: Option<Value>,
}

/// `Calls` are the tool calls of running sessions, by their id.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<String, Called>);

impl Calls {
    pub(super) fn get(&self, tool: Option<&wire::ToolRef>) -> Option<&Called> {
        tool.and_then(|t| self.0.get(&t.call))
    }

    pub(super) fn learn(&mut self, part: &wire::Part) {
        let (Some(call), Some(state), "tool") = (&part.call, &part.state, part.kind.as_str()) else {
            return;
        };
        // Before that its input is still being written; after that nothing asks for it.
        let input = (state.status == "running").then(|| state.input.clone());
        let (session, part) = (part.session.clone(), part.id.clone());
        self.0.insert(call.clone(), Called { session, part, input });
    }

    pub(super) fn forget(&mut self, session: &str) {
        self.0.retain(|_, c| c.session != session);
    }
}
