
pub mod user;
