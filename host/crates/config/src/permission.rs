//! A permission in words: one wording for the denial that a plugin gets, the status page, the question before a changed
//! configuration takes effect, and the command line. The words of a capability are in its file in `grants`.

use std::fmt;

/// `Permission` is one thing that a plugin may do, or asks to do. Its text is a verb with its object, which follows
/// "may", "may not" or a colon: `run ssh (/usr/bin/ssh) with your environment`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// `capability` is the one that it is of: `process`, `http`.
    pub capability: &'static str,
    /// `target` is what it is for, as the configuration names it: a program, a server, a number of bytes.
    pub target: String,
    /// `extended`: it includes what has to be granted expressly, such as your environment for a program.
    pub extended: bool,
    /// `text` is the permission in words.
    pub text: String,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
