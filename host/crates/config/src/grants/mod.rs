//! What a plugin may do, one file for each capability that needs a grant: what the manifest asks for, the manifest ∩ what
//! the operator grants, what is missing, and the TOML that grants it.
//!
//! This is the one place that decides what is missing: it is settled with the grants, into [`crate::resolved::Plugin::missing`],
//! and the status page, the commands and the lines to paste only repeat it. A permission is put into words by
//! [`crate::Permission`] alone.

mod grant_context;
mod grant_kind;
mod http;
mod http_grant;
mod lines;
mod list;
mod missing_permissions;
mod process;
mod request;
mod secrets;
mod store;

pub(crate) use grant_context::{GrantContext, described};
pub(crate) use grant_kind::{GrantNotes, PluginTables};
pub use http::{HttpGrants, requested_http};
pub use http_grant::{HttpGrant, SOCKET_SCHEME};
pub(crate) use list::AuthoredGrants;
pub use list::Grants;
pub use missing_permissions::{MissingPermissions, lines_granting, missing_permissions};
pub use process::{ProcessGrant, ProcessGrants};
pub use request::Request;
pub use secrets::SecretGrants;
pub use store::StoreGrant;
