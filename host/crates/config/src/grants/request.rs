//! What a manifest asks for, for a reader.

use crate::permission::Permission;

/// `Request` is one thing that a manifest asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `permission` is what it asks for, with an address as it is written in the manifest.
    pub permission: Permission,
    /// `reason` is the author's, which a secret has in the description of its key.
    pub reason: String,
    /// `optional`: the plugin works without it.
    pub optional: bool,
    /// `env` are the environment variables that the plugin sets for a program.
    pub env: Vec<String>,
}
