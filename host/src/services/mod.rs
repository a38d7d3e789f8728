//! What the host does with its plugins: chat, tunnels, logins.

pub mod activity;
pub mod auth;
pub mod chat;
pub mod notify;
pub mod reload;
pub mod setup;
pub mod tunnel;

use futures::future::BoxFuture;
use std::sync::Arc;

/// Ends every process of an owner.
pub type StopProcesses = Arc<dyn Fn(String) -> BoxFuture<'static, ()> + Send + Sync>;
