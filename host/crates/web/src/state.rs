//! What every handler shares, and what it makes of errors that only the whole of it explains.

use crate::error::ApiError;
use crate::live::connections::Connections;
use crate::markdown;
use crate::services::Services;
use nexus_config::{APPLY, adding};
use nexus_model::time::Clock;
use nexus_model::trouble::sentence;
use std::sync::Arc;

/// `WebState` is what every handler shares.
#[derive(Clone)]
pub struct WebState {
    /// `services` are those behind the page.
    pub services: Services,
    /// `clock` is the wall clock for the times that are shown.
    pub clock: Arc<dyn Clock>,
    pub(crate) renderer: markdown::Renderer,
    pub(crate) live: Connections,
}

impl WebState {
    /// Makes the state, with no live connection in it.
    pub fn new(services: Services, clock: Arc<dyn Clock>) -> Self {
        Self {
            services,
            clock,
            renderer: markdown::Renderer::default(),
            live: Connections::default(),
        }
    }

    /// `not_swapped` says why `plugin` could not replace another; where the configuration's file says something of it that nobody has applied, that
    /// too: it may be what is missing.
    pub(crate) fn not_swapped(&self, plugin: &str, mut error: ApiError) -> ApiError {
        let pending = self.services.reload.pending();
        let waits = pending
            .borrow()
            .as_ref()
            .is_some_and(|pending| pending.what.names(&format!("plugin.{plugin}")));
        let (ApiError::NotFound(text) | ApiError::Refused(text) | ApiError::Unavailable(text)) = &mut error;
        *text = self.services.host.complete(text);
        if waits {
            text.push_str(&format!(
                "\nThe configuration also has changes of {plugin} that are not applied yet. If the plugin needs them, \
                 choose Apply on the status page, then try again."
            ));
        }
        error
    }
}

/// `unknown_tunnel` is the answer to a command for a tunnel that does not exist: where one is made, or that the file has
/// it and it is not applied yet.
pub(crate) fn unknown_tunnel(state: &WebState, name: &str, error: ApiError) -> ApiError {
    let ApiError::NotFound(cause) = error else {
        return error;
    };
    let file = &state.services.host.config_file;
    let pending = state.services.reload.pending();
    let waits = pending
        .borrow()
        .as_ref()
        .is_some_and(|pending| pending.what.names(&format!("tunnel.{name}")));
    ApiError::NotFound(if waits {
        format!("The tunnel `{name}` is in {file} but has not been applied yet. To fix: {APPLY}, then try again")
    } else {
        let lines = adding(&format!("[tunnel.{name}]\nplugin = \"tunnel-cloudflared\""));
        sentence(&cause, Some(&state.services.host.complete(&lines)))
    })
}
