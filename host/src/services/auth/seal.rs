//! A login step's state on its way through the browser: encrypted and authenticated (ChaCha20-Poly1305), bound to the
//! browser, expiring, used once. The key lives as long as the process, so after a restart the login starts again and
//! nothing has to be remembered about what was used. (Keeping the states in memory instead would let strangers fill it.)

use super::{AuthError, millis, sha256};
use crate::limits::LOGIN_STEP;
use crate::runtime::port::auth::{Field, FieldKind};
use crate::time::Millis;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed {
    pub(super) plugin: String,
    /// The plugin's own state, base64.
    state: String,
    /// Canonical, where an earlier step told it.
    pub(super) account: Option<String>,
    /// The name of the field that tells it.
    pub(super) account_field: Option<String>,
    /// The names of all fields.
    pub(super) fields: Vec<String>,
    expires: Millis,
}

impl Sealed {
    pub(super) fn new(plugin: &str, state: &[u8], account: Option<String>, fields: &[Field], now: Millis) -> Self {
        Self {
            plugin: plugin.to_owned(),
            state: URL_SAFE_NO_PAD.encode(state),
            account,
            account_field: fields
                .iter()
                .find(|f| f.kind == FieldKind::Account)
                .map(|f| f.name.clone()),
            fields: fields.iter().map(|f| f.name.clone()).collect(),
            expires: now.saturating_add(millis(LOGIN_STEP)),
        }
    }

    pub(super) fn state(&self) -> Result<Vec<u8>, AuthError> {
        URL_SAFE_NO_PAD.decode(&self.state).map_err(|_| AuthError::Expired)
    }
}

pub(super) struct Seal {
    key: LessSafeKey,
    /// Nonces of states that were used, until they would have expired.
    used: Mutex<HashMap<[u8; NONCE_LEN], Millis>>,
}

impl Seal {
    pub(super) fn new() -> Result<Self, AuthError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &crate::time::random::<32>()?)
            .map_err(|_| AuthError::Unavailable("no key for login steps".into()))?;
        Ok(Self {
            key: LessSafeKey::new(key),
            used: Mutex::default(),
        })
    }

    pub(super) fn seal(&self, sealed: &Sealed, browser: &str) -> Result<String, AuthError> {
        let broken = |_| AuthError::Unavailable("the login step cannot be sealed".into());
        let nonce = crate::time::random::<NONCE_LEN>()?;
        let mut text = serde_json::to_vec(sealed).map_err(|e| AuthError::Unavailable(e.to_string()))?;
        let aad = Aad::from(sha256(browser.as_bytes()));
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .map_err(broken)?;
        let mut whole = nonce.to_vec();
        whole.append(&mut text);
        Ok(URL_SAFE_NO_PAD.encode(whole))
    }

    /// Opens it, once.
    pub(super) fn open(&self, text: &str, browser: &str, now: Millis) -> Result<Sealed, AuthError> {
        let mut whole = URL_SAFE_NO_PAD.decode(text).map_err(|_| AuthError::Expired)?;
        let (nonce, text) = whole.split_first_chunk_mut::<NONCE_LEN>().ok_or(AuthError::Expired)?;
        let aad = Aad::from(sha256(browser.as_bytes()));
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, text)
            .map_err(|_| AuthError::Expired)?;
        let sealed: Sealed = serde_json::from_slice(plain).map_err(|_| AuthError::Expired)?;
        if sealed.expires <= now {
            return Err(AuthError::Expired);
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, expires| *expires > now);
        if used.insert(*nonce, sealed.expires).is_some() {
            return Err(AuthError::Expired);
        }
        Ok(sealed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn opens_once_in_its_browser_in_time() {
        let seal = Seal::new().unwrap();
        let step = Sealed::new("local", b"pkce-verifier", None, &[], 1000);
        let text = seal.seal(&step, "browser").unwrap();
        assert!(!URL_SAFE_NO_PAD.decode(&text).unwrap().windows(4).any(|w| w == b"pkce"));
        assert_eq!(seal.open(&text, "another browser", 1000), Err(AuthError::Expired));
        let opened = seal.open(&text, "browser", 1000).unwrap();
        assert_eq!(opened.state().unwrap(), b"pkce-verifier");
        assert_eq!(seal.open(&text, "browser", 1000), Err(AuthError::Expired));
        let late = seal.seal(&step, "browser").unwrap();
        assert_eq!(
            seal.open(&late, "browser", 1000 + millis(LOGIN_STEP)),
            Err(AuthError::Expired)
        );
        let mut forged = seal.seal(&step, "browser").unwrap().into_bytes();
        forged[30] = if forged[30] == b'A' { b'B' } else { b'A' };
        assert_eq!(
            seal.open(std::str::from_utf8(&forged).unwrap(), "browser", 1000),
            Err(AuthError::Expired)
        );
        assert_eq!(
            Seal::new().unwrap().open(&late, "browser", 1000),
            Err(AuthError::Expired)
        );
    }
}
