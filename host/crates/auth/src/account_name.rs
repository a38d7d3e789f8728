//! An account's name in the one form it is stored, compared and counted in.

use crate::error::AuthError;

const LONGEST: usize = 64;

/// `Account` is canonical: lower case; ASCII letters, digits, `.`, `_`, `-`, `@`; 1 to 64 of them. Names that only look
/// alike (other scripts, full width) are refused rather than folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account(String);

impl Account {
    /// Reads what was typed: blanks around it are dropped, and letters are made lower case.
    ///
    /// # Errors
    /// [`AuthError::Rejected`] for `field`, which says what a name looks like.
    pub fn parse(typed: &str, field: &str) -> Result<Self, AuthError> {
        let name = typed.trim().to_ascii_lowercase();
        let cause = if name.is_empty() {
            "Type an account name.".to_owned()
        } else if name.len() > LONGEST {
            format!("An account name can have at most {LONGEST} characters.")
        } else if let Some(odd) = name
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && !"._-@".contains(*c))
        {
            format!("An account name can only have the letters a to z, digits and . _ - @, not {odd:?}.")
        } else {
            return Ok(Self(name));
        };
        Err(AuthError::Rejected {
            field: field.to_owned(),
            cause,
        })
    }

    /// `as_str` is the canonical form, as the database has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
