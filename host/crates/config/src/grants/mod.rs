//! What a plugin may do, one file for each capability that needs a grant: what the manifest asks for, the manifest ∩ what
//! the operator grants, what is missing, and the TOML that grants it.
//!
//! This is the one place that decides what is missing: it is settled with the grants, into [`crate::resolved::Plugin::missing`],
//! and the status page, the commands and the lines to paste only repeat it. A permission is put into words by
//! [`crate::Permission`] alone.

mod asked;
mod grantable;
mod http;
mod list;
mod missing_permissions;
mod process;
mod request;
mod secrets;
mod store;

pub(crate) use asked::{Asked, described};
pub(crate) use http::http;
pub use http::requested_http;
pub(crate) use list::missing;
pub use missing_permissions::{MissingPermissions, lines_granting, missing_permissions};
pub(crate) use process::processes;
pub use request::Request;
pub(crate) use secrets::secrets;
pub(crate) use store::store_quota;
