
pub mod auth;
