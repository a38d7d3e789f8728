//! Who may come in. Users, login sessions, lockout, rate limits and the audit trail are the host's; a plugin only turns
//! what was shown into a subject, so that swapping it can drop none of them.
//!
//! Everything is read from the database at each check and nothing is cached: `nexus user passwd` works while the host
//! runs. Audit events are logged under the target `audit`; none has a secret in it.

mod access;
mod account_name;
mod background;
mod client;
mod devices;
mod error;
mod first_account;
mod form_token;
mod hash_queue;
mod installation_key;
mod login;
mod no_login;
mod operator;
mod run_to_end;
mod service;
mod sessions;
mod setup_link;

pub use access::{Access, End};
pub use account_name::Account;
pub use client::{Client, place_in_words};
pub use error::AuthError;
pub use first_account::FirstAccount;
pub use login::{Page, Progress};
pub use nexus_store::logins::{Device, Login, LoginId};
pub use no_login::NoLogin;
pub use operator::{Listed, Removed};
pub use service::{AuthService, Lockout};
pub use sessions::{NewLogin, Session};

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
