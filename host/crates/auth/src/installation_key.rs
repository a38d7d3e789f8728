//! The key of this installation, from which everything that is signed is derived.

use crate::error::AuthError;
use data_encoding::BASE64URL_NOPAD;
use nexus_store::Store;
use ring::hmac::{self, HMAC_SHA256, Key};

const SETTING: &str = "auth.key";

pub(super) struct Keys(Vec<u8>);

impl Keys {
    pub(super) async fn load(store: &Store) -> Result<Self, AuthError> {
        let fresh = nexus_model::random::random::<32>()?.to_vec();
        let key = store.setting_or(SETTING, fresh.clone()).await?;
        if key.len() == fresh.len() {
            return Ok(Self(key));
        }
        // With a short one, or none, anybody could sign.
        tracing::error!("the key in the database is damaged: created a new one; all known devices are forgotten");
        store.set_setting(SETTING, fresh.clone()).await?;
        Ok(Self(fresh))
    }

    /// Signs a text; `purpose` keeps a signature of one use from being good for another.
    pub(super) fn sign(&self, purpose: &str, text: &str) -> String {
        BASE64URL_NOPAD.encode(hmac::sign(&self.key(), &message(purpose, text)).as_ref())
    }

    pub(super) fn signed(&self, purpose: &str, text: &str, signature: &str) -> bool {
        // The comparison takes the same time wherever the first difference is.
        BASE64URL_NOPAD
            .decode(signature.as_bytes())
            .is_ok_and(|signature| hmac::verify(&self.key(), &message(purpose, text), &signature).is_ok())
    }

    fn key(&self) -> Key {
        Key::new(HMAC_SHA256, &self.0)
    }
}

fn message(purpose: &str, text: &str) -> Vec<u8> {
    [purpose.as_bytes(), b"\0", text.as_bytes()].concat()
}
