//! `plugin.toml`: who a plugin is, which keys it reads, and what it asks to be allowed, with a reason for each.
//!
//! It travels inside the component, in the custom section [`crate::MANIFEST_SECTION`], so that a plugin is one file.
//!
//! ```toml
//! name = "tunnel-bore"                # [a-z][a-z0-9-]{1,63}
//! kind = "tunnel"                     # tunnel | chat | auth
//! version = "0.1.0"                   # semver
//! api = "0.1"                         # the range of nexus:plugin versions it was written for
//! description = "…"
//! authors = ["…"]
//! licence = "MIT OR Apache-2.0"
//!
//! [config.server]                     # one table per key of [plugin.NAME.config]
//! type = "string"                     # string | integer | boolean | list (of strings) | table (of strings)
//! default = "bore.pub"                # none and not required: absent
//! required = false
//! secret = false                      # true: not in `config.get`; read as {secret:server}
//! description = "…"
//!
//! [capabilities.process.bore]         # a binary by name
//! reason = "…"
//! inherit-env = false
//!
//! [[capabilities.http]]
//! url = "https://api.example.org"     # scheme and host; {config:KEY} may stand for a key's value
//! reason = "…"
//!
//! [capabilities.store]
//! quota = 1048576                     # bytes
//! reason = "…"
//!
//! [limits]                            # all optional; the host's defaults otherwise
//! memory = 67108864                   # bytes
//! ```
