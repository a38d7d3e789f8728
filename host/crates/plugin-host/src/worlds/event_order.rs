//! The order in which a connection to a chat backend reports: what is being done, that it is open, what happens.

use super::convert_chat_event::SkippedEvent;
use nexus_plugin_traits::BackendEvent;

/// `EventOrder` is how far one connection is. What the service is given of it needs no second look: it never waits for an
/// `opened` behind events, and a connection begins once.
#[derive(Debug, Default)]
pub(super) struct EventOrder {
    opened: bool,
}

impl EventOrder {
    /// Takes the next event.
    ///
    /// # Errors
    /// It does not come in its order.
    pub(super) fn admit(&mut self, event: BackendEvent) -> Result<BackendEvent, SkippedEvent> {
        let late = |what| Err(SkippedEvent::OutOfOrder(what));
        match &event {
            BackendEvent::Starting(_) if self.opened => late("`starting` after `opened`"),
            BackendEvent::Opened(_) if self.opened => late("a second `opened`"),
            BackendEvent::Event(_) if !self.opened => late("an event before `opened`"),
            BackendEvent::Opened(_) => {
                self.opened = true;
                Ok(event)
            }
            BackendEvent::Starting(_) | BackendEvent::Event(_) | BackendEvent::Closed(_) => Ok(event),
        }
    }
}
