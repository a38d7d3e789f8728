//! The page: server-rendered HTML, one small script for the live chat, and nothing from elsewhere.
//!
//! | where | what |
//! | --- | --- |
//! | [`http`] | listeners, what holds for every request, cookies and logins, the control socket, the files of the page |
//! | [`pages`] | set-up, login, chat, status, account |
//! | [`live`] | the live socket and its protocol |
//! | [`api`] | the same for scripts, with a login or on the control socket |
//! | [`metrics`] | metrics for Prometheus, on a listener of their own |
//! | [`markdown`] | Markdown as HTML |
//!
//! Rendered in Rust and not by a client-side framework: the pages work before (and mostly without) the script, and
//! the whole client is small enough to read.

mod answers;
mod api;
mod error;
pub mod http;
pub mod live;
pub mod markdown;
pub mod metrics;
mod pages;
mod services;

pub use crate::http::ingress::{Connection, Ingress, Site};
pub use crate::http::serve::{serve, serve_app};
pub use crate::http::tunnel_pages::TunnelPages;
pub use error::ApiError;
pub use services::{HostInfo, Services};

use axum::Router;
use axum::routing::{any, get, post};
use nexus_model::time::Clock;
use std::sync::Arc;
use tower_http::compression::CompressionLayer;

/// What every handler shares.
#[derive(Clone)]
pub struct WebState {
    pub services: Services,
    pub clock: Arc<dyn Clock>,
    renderer: markdown::Renderer,
    live: live::Connections,
}

impl WebState {
    pub fn new(services: Services, clock: Arc<dyn Clock>) -> Self {
        Self {
            services,
            clock,
            renderer: markdown::Renderer::default(),
            live: live::Connections::default(),
        }
    }

    /// Why a plugin could not replace another; where the configuration's file says something that nobody has applied, that too:
    /// it may be what is missing.
    fn not_swapped(&self, mut error: ApiError) -> ApiError {
        if self.services.reload.pending().borrow().is_some() {
            let (ApiError::NotFound(text) | ApiError::Refused(text) | ApiError::Unavailable(text)) = &mut error;
            text.push_str(
                "\nThe configuration file has changes that are not applied yet: apply them on the status \
                page first.",
            );
        }
        error
    }
}

/// What an order to a tunnel that does not exist is answered: where one is made, or that the file has it and it is
/// not applied yet.
fn unknown_tunnel(state: &WebState, name: &str, error: ApiError) -> ApiError {
    let ApiError::NotFound(why) = error else {
        return error;
    };
    let file = &state.services.host.config_file;
    let pending = state.services.reload.pending();
    let waits = pending
        .borrow()
        .as_ref()
        .is_some_and(|pending| pending.what.names(&format!("tunnel.{name}")));
    ApiError::NotFound(if waits {
        format!(
            "The tunnel `{name}` is in {file} but has not been applied yet. To fix: apply the change on the \
            status page."
        )
    } else {
        format!("{why}. To add one, write into {file}:\n[tunnel.{name}]\nplugin = \"tunnel-cloudflared\"")
    })
}

/// Every request must carry a [`Connection`] in its extensions, as [`serve`] puts it there.
pub fn router(state: WebState) -> Router {
    // Pages are not compressed: they hold tokens beside text that others can influence (BREACH).
    let assets = Router::new()
        .route("/assets/{digest}/{name}", get(http::assets::asset))
        .layer(CompressionLayer::new());
    Router::new()
        .route("/", get(pages::chat::fresh))
        .route("/s/{session}", get(pages::chat::session))
        .route("/s/{session}/rename", post(pages::chat::rename))
        .route("/s/{session}/delete", post(pages::chat::delete))
        .route("/install", get(pages::chat::installing).post(pages::chat::install))
        .route("/setup", get(pages::setup::page).post(pages::setup::submit))
        .route("/login", get(pages::login::page).post(pages::login::submit))
        .route("/logout", post(pages::account::logout))
        .route("/account", get(pages::account::page).post(pages::account::change))
        .route("/account/access", get(pages::access::page).post(pages::access::end))
        .route("/account/logout-others", post(pages::account::logout_others))
        .route("/status", get(pages::status::page))
        .route("/status/tunnel/{name}/{action}", post(pages::status::tunnel))
        .route("/status/config/apply", post(pages::status::apply))
        .route("/status/backend/{action}", post(pages::status::backend))
        .route("/log", get(pages::log::page))
        .route("/healthz", get(http::health::healthz))
        .route("/live", get(live::socket::upgrade))
        .route("/probe/{nonce}", get(http::probe::plain))
        .route("/probe/{nonce}/stream", post(http::probe::stream))
        .route("/probe/{nonce}/socket", get(http::probe::socket))
        .route("/api/{*rest}", any(api::nothing))
        .fallback(pages::not_found)
        .merge(api::with_login(&state))
        .merge(assets)
        .layer(axum::extract::DefaultBodyLimit::max(nexus_model::limits::FORM_BYTES))
        .layer(axum::middleware::from_fn(http::guard::guard))
        .with_state(state)
}
