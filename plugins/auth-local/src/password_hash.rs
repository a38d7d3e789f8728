//! Argon2id, as PHC strings that carry their own parameters.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error as HashError, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// `CURRENT_PARAMS` are the minimum that OWASP recommends: 19 MiB, two passes, one lane.
pub(crate) const CURRENT_PARAMS: Params = Params::DEFAULT;

/// `DUMMY` is a hash that no password matches, so that an unknown account takes as long as a wrong password. It was
/// made with [`CURRENT_PARAMS`], which a test checks.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCE$NUoW1oIX7Rl1tyUkr/yfHgw+51oLMyVyyqXOujU+qqo";

/// `PasswordHashError` is the reason why a password could not be hashed or verified, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PasswordHashError(pub(crate) String);

impl From<HashError> for PasswordHashError {
    fn from(error: HashError) -> Self {
        Self(format!("cannot compute Argon2: {error}"))
    }
}

/// `Verification` is the result of comparing a password with a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verification {
    Wrong,
    Right,
    /// `Outdated`: the password is right, but was hashed with other parameters than [`CURRENT_PARAMS`]: hash it again.
    Outdated,
}

/// `random` are random bytes of the operating system.
///
/// # Errors
/// Where the host gives none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], PasswordHashError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| PasswordHashError(format!("no randomness is available: {error}")))?;
    Ok(bytes)
}

fn argon2(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

/// Hashes with a random salt of 16 bytes.
///
/// # Errors
/// Where there is no randomness or no memory.
pub(crate) fn hash_password(password: &str, params: &Params) -> Result<String, PasswordHashError> {
    let salt: [u8; 16] = random()?;
    let hash: PasswordHash = argon2(params).hash_password_with_salt(password.as_bytes(), &salt)?;
    Ok(hash.to_string())
}

/// Compares in constant time, with the parameters that the hash names.
///
/// # Errors
/// A kept hash that cannot be read, which is not the same as a wrong password.
pub(crate) fn verify(password: &str, kept: &str, params: &Params) -> Result<Verification, PasswordHashError> {
    let hash =
        PasswordHash::new(kept).map_err(|error| PasswordHashError(format!("cannot read the stored hash: {error}")))?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(PasswordHashError("the stored hash is truncated".to_owned()));
    }
    match argon2(params).verify_password(password.as_bytes(), &hash) {
        Ok(()) => {
            let used = Params::try_from(&hash)?;
            let same = used.m_cost() == params.m_cost()
                && used.t_cost() == params.t_cost()
                && used.p_cost() == params.p_cost()
                && hash.algorithm.as_str() == "argon2id"
                && hash.version == Some(u32::from(Version::V0x13));
            Ok(if same {
                Verification::Right
            } else {
                Verification::Outdated
            })
        }
        Err(HashError::PasswordInvalid) => Ok(Verification::Wrong),
        Err(error) => Err(error.into()),
    }
}

/// `verify_dummy` does the same work as [`verify`], for an account that does not exist.
pub(crate) fn verify_dummy(password: &str) {
    // Whatever comes out: nobody may be let in by it.
    let _ = verify(password, DUMMY, &CURRENT_PARAMS);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    fn cheap() -> Params {
        Params::new(64, 1, 1, None).unwrap()
    }

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let hash = hash_password("a yellow submarine", &cheap()).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert_eq!(verify("a yellow submarine", &hash, &cheap()), Ok(Verification::Right));
        assert_eq!(verify("A yellow submarine", &hash, &cheap()), Ok(Verification::Wrong));
    }

    #[test]
    fn each_hash_has_its_own_salt() {
        assert_ne!(
            hash_password("a yellow submarine", &cheap()).unwrap(),
            hash_password("a yellow submarine", &cheap()).unwrap()
        );
    }

    #[test]
    fn other_parameters_are_noticed() {
        let hash = hash_password("a yellow submarine", &cheap()).unwrap();
        let stronger = Params::new(128, 1, 1, None).unwrap();
        assert_eq!(
            verify("a yellow submarine", &hash, &stronger),
            Ok(Verification::Outdated)
        );
        assert_eq!(verify("wrong", &hash, &stronger), Ok(Verification::Wrong));
    }

    #[test]
    fn a_damaged_hash_is_an_error_and_not_a_wrong_password() {
        assert!(verify("a yellow submarine", "$argon2id$v=19$m=64", &cheap()).is_err());
        assert!(verify("a yellow submarine", "plain text", &cheap()).is_err());
    }

    #[test]
    fn the_dummy_takes_as_long_as_a_real_one() {
        let dummy = PasswordHash::new(DUMMY).unwrap();
        assert_eq!(Params::try_from(&dummy).unwrap().m_cost(), CURRENT_PARAMS.m_cost());
        assert_eq!(Params::try_from(&dummy).unwrap().t_cost(), CURRENT_PARAMS.t_cost());
        assert_eq!(Params::try_from(&dummy).unwrap().p_cost(), CURRENT_PARAMS.p_cost());
        assert_eq!(CURRENT_PARAMS.m_cost(), 19456);
        // It is read to the end: a dummy that does not parse would answer at once.
        assert_eq!(verify("whatever", DUMMY, &CURRENT_PARAMS), Ok(Verification::Wrong));
    }
}
