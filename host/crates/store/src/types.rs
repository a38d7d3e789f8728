//! What is said of a write, and by which numbers people and logins are known.

/// `UserId` is the number of an account, never used again.
pub type UserId = i64;

/// `LoginId` names a login in lists and to revoke it; it opens nothing.
pub type LoginId = String;

/// `Health` says whether anything can be saved; every page says it where not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// `Writable`: everything can be saved.
    Writable,
    /// `ReadOnly`: nothing can be saved.
    ReadOnly {
        /// `cause` is a sentence for the operator.
        cause: String,
    },
}

/// `Durability` is what a commit has to survive before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// `Process`: a commit survives the death of the process, `kill -9` included; it takes microseconds.
    Process,
    /// `Synced`: a commit survives a power cut too; it takes as long as the disk does.
    Synced,
}
