//! Which address leads to which handler.

use crate::state::WebState;
use crate::{api, http, live, pages};
use axum::Router;
use axum::routing::{any, get, post};
use tower_http::compression::CompressionLayer;

/// Every request must carry a [`Connection`](http::listener::Connection) in its extensions, as [`serve`](http::server::serve) puts it there.
pub fn router(state: WebState) -> Router {
    // Pages are not compressed: they hold tokens beside text that others can influence (BREACH).
    let assets = Router::new()
        .route("/assets/{digest}/{name}", get(http::assets::asset))
        .layer(CompressionLayer::new());
    Router::new()
        .route("/", get(pages::chat::fresh))
        .route("/s/{session}", get(pages::chat::session))
        .route("/install", get(pages::chat::installing).post(pages::chat::install))
        .route(
            "/setup",
            get(pages::first_account::page).post(pages::first_account::submit),
        )
        .route("/login", get(pages::login::page).post(pages::login::submit))
        .route(
            nexus_auth::CALLBACK,
            get(pages::callback::page).post(pages::callback::submit),
        )
        .route("/logout", post(pages::account::logout))
        .route("/account", get(pages::account::page).post(pages::account::change))
        .route("/account/access", get(pages::access::page).post(pages::access::end))
        .route("/account/logout-others", post(pages::account::logout_others))
        .route("/status", get(pages::status::page))
        .route("/status/tunnel/{name}/{action}", post(pages::status::actions::tunnel))
        .route("/status/config/apply", post(pages::status::actions::apply))
        .route("/status/backend/{action}", post(pages::status::actions::backend))
        .route("/log", get(pages::log::page))
        .route("/settings", get(pages::chat::settings))
        .route("/healthz", get(http::health::healthz))
        .route("/live", get(live::socket::upgrade))
        .route("/public-check/{nonce}", get(http::public_check::plain))
        .route("/public-check/{nonce}/stream", post(http::public_check::stream))
        .route("/public-check/{nonce}/socket", get(http::public_check::socket))
        .route("/api/{*rest}", any(api::nothing))
        .fallback(pages::not_found)
        .merge(api::with_login(&state))
        .merge(assets)
        .layer(axum::extract::DefaultBodyLimit::max(nexus_model::limits::FORM_BYTES))
        .layer(axum::middleware::from_fn(http::request_checks::guard))
        .with_state(state)
}
