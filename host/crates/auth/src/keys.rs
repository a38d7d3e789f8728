//! The key of this installation, from which everything that is signed is derived.

use crate::error::AuthError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use nexus_store::Store;
use subtle::ConstantTimeEq as _;

const SETTING: &str = "auth.key";

pub(super) struct Keys(Vec<u8>);

impl Keys {
    pub(super) async fn load(store: &Store) -> Result<Self, AuthError> {
        let fresh = nexus_model::time::random::<32>()?.to_vec();
        let key = store.setting_or(SETTING, fresh.clone()).await?;
        if key.len() == fresh.len() {
            return Ok(Self(key));
        }
        // With a short one, or none, anybody could sign.
        tracing::error!("the key in the database is damaged: created a new one; all known devices are forgotten");
        store.set_setting(SETTING, fresh.clone()).await?;
        Ok(Self(fresh))
    }

    /// `purpose` keeps one use from standing in for another.
    pub(super) fn sign(&self, purpose: &str, text: &str) -> Result<String, AuthError> {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&self.0)
            .map_err(|_| AuthError::Unavailable("the key in the database is damaged".into()))?;
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(text.as_bytes());
        Ok(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    pub(super) fn signed(&self, purpose: &str, text: &str, signature: &str) -> bool {
        self.sign(purpose, text)
            .is_ok_and(|right| bool::from(right.as_bytes().ct_eq(signature.as_bytes())))
    }
}
