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
//!
//! `tests/web/login_form.rs` shows it at work alone: the real services on fake plugins, and one login by its forms.

#![warn(missing_docs)]

mod api;
mod error;
pub mod http;
pub mod live;
pub mod markdown;
pub mod metrics;
mod pages;
mod permission_answers;
mod router;
mod services;
mod state;

pub use crate::http::listener::{Connection, Ingress, SiteContext};
pub use crate::http::server::{serve, serve_app};
pub use crate::http::tunnel_pages::TunnelPages;
pub use error::ApiError;
pub use router::router;
pub use services::{HostInfo, Services};
pub use state::WebState;
