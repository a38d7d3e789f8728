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
//! use nexus_auth::{AuthError, AuthService, Client, Joiner, Joining, Progress};
//! use nexus_plugin_traits::auth::Input;
//!
//! let auth = Arc::new(AuthService::open(provider, store, clock, config, activity).await?);
//! let token = auth.setup_link_token().await?.expect("there is no account yet");
//! let browser = Client { browser: "its cookie".to_owned(), place: "loopback".to_owned(), ..Client::default() };
//! let Joining::Enroll(page) = auth.joining(&browser).await? else { panic!("it keeps no passwords") };
//! let input = Input(BTreeMap::from([("password".to_owned(), "long enough".to_owned())]));
//! let how = Joiner::Answer { state: &page.state, input };
//! let Progress::Done(made) = auth.join(&token, "ada", how, &browser).await? else { panic!("it asks for more") };
//! assert_eq!(made.login.user.account, "ada");
//! // The link that was printed is used up, and there is no other.
//! assert_eq!(auth.setup_check(&token).await, Err(AuthError::SetUpClosed));
//! assert_eq!(auth.setup_link_token().await?, None);
//! # Ok::<_, AuthError>(())
//! # }).unwrap();
//! ```

#![warn(missing_docs)]

mod access;
mod account_name;
mod background;
mod change;
mod client;
mod devices;
mod error;
mod form_token;
mod hash_queue;
mod installation_key;
mod invitation;
mod joining;
mod known_tokens;
mod lockout;
mod login;
mod no_login;
mod operator;
mod requests;
mod run_to_end;
mod service;
mod sessions;
mod setup_link;
mod steps;

pub use access::{Access, End};
pub use account_name::Account;
pub use client::{Client, place_in_words};
pub use error::AuthError;
pub use joining::{FirstAccount, Joiner, Joining};
pub use nexus_store::logins::{Device, Login, LoginId};
pub use no_login::or_nobody;
pub use operator::{Enrollment, Listed, Removed};
pub use requests::{Arrival, Headers};
pub use service::{AuthService, Lockout};
pub use sessions::{NewLogin, Session};
pub use steps::{CALLBACK, Page, Progress};

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod kinds_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
