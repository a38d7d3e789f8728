//! What a plugin may add to a process's specification (`spec.ext`): named here for both sides.
//!
//! Problem: an agent's program loads code of its own from the folder it works in, and no switch of it prevents that. The
//! plugin knows which files those are, and cannot look at one; the host can, and does not know them.
//!
//! Mechanism: [`UNLESS_PRESENT`] with [`UnlessPresent`] as its JSON. The host looks before each start, and where the process
//! runs already, at each `ensure`. It is a restriction: no grant is needed.
//!
//! Limits: what appears after the look is not seen before the next one.

use serde::{Deserialize, Serialize};

/// `UNLESS_PRESENT` in `spec.ext`: do not run where one of these is there.
pub const UNLESS_PRESENT: &str = "nexus.unless-present";

/// `UnlessPresent` says what must not be there. Paths are one or two plain names below the working directory, and, with
/// `above`, below each folder above it. A process that has no working directory but its private one is not concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnlessPresent {
    /// `folders` are those in which nothing may lie.
    pub folders: Vec<String>,
    /// `files` are JSON, with or without comments, that may not have one of `keys` anywhere. No parser is needed to be
    /// sure: a file with an escape `\u`, by which a key could be written another way, is one that has it.
    pub files: Vec<String>,
    /// `keys` are letters and `_`.
    pub keys: Vec<String>,
    /// `above`: also in all folders above.
    pub above: bool,
    /// `home` are first names that are allowed in the user's home folder where that lies above: the program reads them
    /// from there in any case, as the user's own.
    pub home: Vec<String>,
    /// `or` is what else the owner can do than to remove the file: the end of the sentence "To fix: …, or ".
    pub or: String,
}
