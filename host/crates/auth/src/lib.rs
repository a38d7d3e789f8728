//! Who may come in. Users, login sessions, lockout, rate limits and the audit trail are the host's; a plugin only turns
//! what was shown into a subject, so that swapping it can drop none of them.
//!
//! Everything is read from the database at each check and nothing is cached: `nexus user passwd` works while the host
//! runs. Audit events are logged under the target `audit`; none has a secret in it.
//!
//! ```
//! # let data = tempfile::tempdir().unwrap();
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # use std::{collections::BTreeMap, sync::Arc};
//! # let provider = Arc::new(nexus_testkit::FakeAuth::default());
//! # let store = nexus_store::Store::open(data.path()).unwrap();
//! # let clock = Arc::new(nexus_model::time::SystemClock);
//! # let activity = Arc::new(nexus_store::activity_log::ActivityLog::unkept(clock.clone()));
//! # let config = nexus_testkit::auth_config();
//! use nexus_auth::{AuthError, AuthService, Client};
//! use nexus_plugin_traits::auth::Input;
//!
//! let auth = Arc::new(AuthService::open(provider, store, clock, config, activity).await?);
//! let token = auth.setup_link_token().await?.expect("there is no account yet");
//! let browser = Client { browser: "its cookie".to_owned(), place: "loopback".to_owned(), ..Client::default() };
//! let password = Input(BTreeMap::from([("password".to_owned(), "long enough".to_owned())]));
//! let made = auth.setup(&token, "ada", password.clone(), &browser).await?;
//! assert_eq!(made.login.user.account, "ada");
//! // The link that was printed is used up, and there is no other.
//! assert_eq!(auth.setup(&token, "eve", password, &browser).await.err(), Some(AuthError::SetUpClosed));
//! assert_eq!(auth.setup_link_token().await?, None);
//! # Ok::<_, AuthError>(())
//! # }).unwrap();
//! ```

#![warn(missing_docs)]

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
mod lockout;
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
pub use no_login::or_nobody;
pub use operator::{Listed, Removed};
pub use service::{AuthService, Lockout};
pub use sessions::{NewLogin, Session};

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
