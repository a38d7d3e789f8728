//! The order in which a chat backend reports: what is being done, that it is open, what happens. A plugin that had to connect
//! to its backend again says so by `opened` once more, and the host compares what it has with what is now.

use super::convert_chat_event::SkippedEvent;
use crate::bindings::chat::nexus::plugin::chat_types::Event;

/// `EventOrder` is how far it is: the service, which keeps events until it knows their session, never waits for an `opened`
/// behind thousands of them.
#[derive(Debug, Default)]
pub(super) struct EventOrder {
    opened: bool,
}

impl EventOrder {
    /// Takes the next event.
    ///
    /// # Errors
    /// It does not come in its order.
    pub(super) fn admit(&mut self, event: &Event) -> Result<(), SkippedEvent> {
        match event {
            Event::Opened(_) => self.opened = true,
            Event::Starting(_) => {}
            _ if self.opened => {}
            _ => return Err(SkippedEvent::OutOfOrder("an event before `opened`")),
        }
        Ok(())
    }
}
