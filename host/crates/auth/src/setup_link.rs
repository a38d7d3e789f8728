//! The link for the first account: of its token only the hash is kept.

use crate::error::AuthError;
use nexus_model::digest::sha256;
use nexus_model::time::Millis;
use std::sync::{Mutex, MutexGuard, PoisonError};
use subtle::ConstantTimeEq as _;

#[derive(Default)]
pub(super) struct SetupLink(Mutex<Option<Link>>);

struct Link {
    hash: [u8; 32],
    expires: Millis,
}

impl SetupLink {
    pub(super) fn check(&self, token: &str, now: Millis) -> Result<(), AuthError> {
        let link = self.link();
        let link = link.as_ref().ok_or(AuthError::SetUpWrong)?;
        if !bool::from(link.hash.ct_eq(&sha256(&[token.as_bytes()]))) {
            return Err(AuthError::SetUpWrong);
        }
        if link.expires <= now {
            Err(AuthError::SetUpExpired)
        } else {
            Ok(())
        }
    }

    /// Sets the token of the link that is good until `expires`, in place of the one before.
    pub(super) fn set(&self, token: &str, expires: Millis) {
        *self.link() = Some(Link {
            hash: sha256(&[token.as_bytes()]),
            expires,
        });
    }

    pub(super) fn clear(&self) {
        *self.link() = None;
    }

    /// Tells whether a link is good at this time.
    pub(super) fn is_open(&self, now: Millis) -> bool {
        self.link().as_ref().is_some_and(|link| link.expires > now)
    }

    fn link(&self) -> MutexGuard<'_, Option<Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
