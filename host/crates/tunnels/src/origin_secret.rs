//! Proof that an answer comes from this listener of this process.

use data_encoding::HEXLOWER;
use nexus_model::random::random_token;
use ring::hmac;
use std::sync::Arc;

/// `OriginSecret` is a key of one listener of this process: only it knows the right answer to a nonce, so whoever gives
/// that has been reached. The answer is of no other use.
#[derive(Clone)]
pub struct OriginSecret(Option<Arc<[u8; 32]>>);

impl OriginSecret {
    /// Makes a fresh one. Where the machine gives no randomness there is no key: nothing is asked, and nothing
    /// answered.
    pub fn random() -> Self {
        Self(nexus_model::random::random().ok().map(Arc::new))
    }

    /// Makes a nonce that is answered: only whoever has the key can make one, so a stranger gets nothing, and holds
    /// nothing, by asking.
    ///
    /// # Errors
    /// The machine gives no randomness.
    pub fn nonce(&self) -> Result<String, getrandom::Error> {
        let random = random_token()?;
        let mark = self.of(&format!("ask {random}")).ok_or(getrandom::Error::UNEXPECTED)?;
        Ok(format!("{random}.{mark}"))
    }

    /// `answer` is the one to a nonce of ours; `None` to another's.
    pub fn answer(&self, nonce: &str) -> Option<String> {
        let (random, mark) = nonce.split_once('.')?;
        let mark = HEXLOWER.decode(mark.as_bytes()).ok()?;
        // The comparison takes the same time wherever the first difference is.
        hmac::verify(&self.key()?, format!("ask {random}").as_bytes(), &mark).ok()?;
        self.of(nonce)
    }

    /// `of` is in hexadecimal.
    fn of(&self, nonce: &str) -> Option<String> {
        Some(HEXLOWER.encode(hmac::sign(&self.key()?, nonce.as_bytes()).as_ref()))
    }

    fn key(&self) -> Option<hmac::Key> {
        Some(hmac::Key::new(hmac::HMAC_SHA256, self.0.as_ref()?.as_slice()))
    }
}

impl std::fmt::Debug for OriginSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OriginSecret(…)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_nothing_is_asked_and_nothing_answered() {
        let (good, none) = (OriginSecret::random(), OriginSecret(None));
        let nonce = good.nonce().unwrap();
        assert!(good.answer(&nonce).is_some());
        assert!(none.nonce().is_err());
        assert_eq!(none.answer(&nonce), None);
        // What a key of zeros would have proved.
        let zeros = OriginSecret(Some(Arc::new([0; 32])));
        assert_eq!(none.answer(&zeros.nonce().unwrap()), None);
    }
}
