//! What a long session has changed is on more pages than the one that a snapshot begins with: the others are read beside it, for
//! nobody waits for them.

use crate::client;
use crate::connection_state;
use crate::normalize::Page;
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::chat::types::SessionRef;
use nexus_plugin_api::{log, spawn_local};

/// `PAGES` is how many pages are read of one session: of a longer one it is not told what it has changed.
const PAGES: usize = 100;

/// `begin` reads the pages before the newest one, where something on them has to be known.
///
/// # Errors
/// There is no connection.
pub fn begin(session: &SessionRef, before: &str) -> Result<(), Error> {
    let Some(token) = connection_state::with(|c| c.normalizer.read_back(&session.id))? else {
        return Ok(());
    };
    let (session, mut before) = (session.clone(), before.to_owned());
    spawn_local(async move {
        for _ in 0..PAGES {
            let page = client::messages(&session.id, &session.workspace, client::PAGE, Some(&before)).await;
            let (messages, next) = match page {
                Ok(page) => page,
                Err(e) => {
                    let e = Error::from(e);
                    log::warn(format!("Could not read what {} has changed: {}", session.id, e.text()));
                    return;
                }
            };
            let page = Page {
                messages: &messages,
                newest: false,
                oldest: next.is_none(),
            };
            let goes_on = connection_state::with(|c| {
                let normalizer = &mut c.normalizer;
                // Events that were missed meanwhile may be on pages that were read before.
                normalizer.reads(&session.id, &token) && !normalizer.read(&session.id, page, None)
            });
            match (goes_on, next) {
                (Ok(true), Some(next)) => before = next,
                _ => return,
            }
        }
    });
    Ok(())
}
