//! Tool calls: what a permission request is about. opencode may ask before it has said what the call is.

use super::{DeserializeFrom as _, Normaliser};
use crate::wire;
use serde_json::Value;

/// A tool call: its session, its part, and what it is called with, from when that is whole until it ends.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) session: String,
    pub(super) part: String,
    pub(super) input: Option<Value>,
}

impl Normaliser {
    /// A request whose call is not known in full: opencode may ask before it says what the call is.
    pub fn unknown_call(&self, event: &wire::Envelope) -> Option<wire::Permission> {
        let asks = self.wanted(event) && event.payload.kind == "permission.asked";
        let permission = wire::Permission::deserialize_from(&event.payload.properties).ok();
        permission.filter(|p| asks && self.needs_call(p))
    }

    pub fn needs_call(&self, p: &wire::Permission) -> bool {
        let known = |t: &wire::ToolRef| self.calls.get(&t.call).is_some_and(|c| c.input.is_some());
        p.tool.as_ref().is_some_and(|t| !known(t))
    }

    /// The calls of a message that was read.
    pub fn calls_of(&mut self, message: &wire::WithParts) {
        message.parts.iter().for_each(|part| self.called(part));
    }

    pub(super) fn called(&mut self, part: &wire::Part) {
        let (Some(call), Some(state), "tool") = (&part.call, &part.state, part.kind.as_str()) else {
            return;
        };
        // Before that its input is still being written; after that nothing asks for it.
        let input = (state.status == "running").then(|| state.input.clone());
        let (session, part) = (part.session.clone(), part.id.clone());
        self.calls.insert(call.clone(), Called { session, part, input });
    }
}
