//! Argon2id, as PHC strings that carry their own parameters.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error as HashError, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// What OWASP asks for at least: 19 MiB, two passes, one lane.
pub(crate) const PRESENT: Params = Params::DEFAULT;

/// A hash of nothing anybody knows: an unknown account costs the same work as a wrong password.
/// Made with [`PRESENT`]; a test holds the two together.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCE$NUoW1oIX7Rl1tyUkr/yfHgw+51oLMyVyyqXOujU+qqo";

/// Why there is no hash or no answer. Text for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) String);

impl From<HashError> for Broken {
    fn from(error: HashError) -> Self {
        Self(format!("cannot compute Argon2: {error}"))
    }
}

/// The outcome of comparing a password with a kept hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    Wrong,
    Right,
    /// Right, but hashed with other parameters than [`PRESENT`]: hash it again.
    Outdated,
}

/// Random bytes of the operating system.
///
/// # Errors
/// Where the host gives none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Broken> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Broken(format!("no randomness is available: {error}")))?;
    Ok(bytes)
}

fn argon2(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

/// Hashes with a random salt of 16 bytes.
///
/// # Errors
/// Where there is no randomness or no memory.
pub(crate) fn make(password: &str, params: &Params) -> Result<String, Broken> {
    let salt: [u8; 16] = random()?;
    let hash: PasswordHash = argon2(params).hash_password_with_salt(password.as_bytes(), &salt)?;
    Ok(hash.to_string())
}

/// Compares in constant time, with the parameters that the hash names.
///
/// # Errors
/// A kept hash that cannot be read, which is not the same as a wrong password.
pub(crate) fn verify(password: &str, kept: &str, params: &Params) -> Result<Match, Broken> {
    let hash = PasswordHash::new(kept).map_err(|error| Broken(format!("cannot read the stored hash: {error}")))?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(Broken("the stored hash is truncated".to_owned()));
    }
    match argon2(params).verify_password(password.as_bytes(), &hash) {
        Ok(()) => {
            let used = Params::try_from(&hash)?;
            let same = used.m_cost() == params.m_cost()
                && used.t_cost() == params.t_cost()
                && used.p_cost() == params.p_cost()
                && hash.algorithm.as_str() == "argon2id"
                && hash.version == Some(u32::from(Version::V0x13));
            Ok(if same { Match::Right } else { Match::Outdated })
        }
        Err(HashError::PasswordInvalid) => Ok(Match::Wrong),
        Err(error) => Err(error.into()),
    }
}

/// The same work as [`verify`], for an account that is not there.
pub(crate) fn pretend(password: &str) {
    // Whatever comes out: nobody may be let in by it.
    let _ = verify(password, DUMMY, &PRESENT);
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
        let hash = make("a yellow submarine", &cheap()).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert_eq!(verify("a yellow submarine", &hash, &cheap()), Ok(Match::Right));
        assert_eq!(verify("A yellow submarine", &hash, &cheap()), Ok(Match::Wrong));
    }

    #[test]
    fn each_hash_has_its_own_salt() {
        assert_ne!(
            make("a yellow submarine", &cheap()).unwrap(),
            make("a yellow submarine", &cheap()).unwrap()
        );
    }

    #[test]
    fn other_parameters_are_noticed() {
        let hash = make("a yellow submarine", &cheap()).unwrap();
        let stronger = Params::new(128, 1, 1, None).unwrap();
        assert_eq!(verify("a yellow submarine", &hash, &stronger), Ok(Match::Outdated));
        assert_eq!(verify("wrong", &hash, &stronger), Ok(Match::Wrong));
    }

    #[test]
    fn a_damaged_hash_is_an_error_and_not_a_wrong_password() {
        assert!(verify("a yellow submarine", "$argon2id$v=19$m=64", &cheap()).is_err());
        assert!(verify("a yellow submarine", "plain text", &cheap()).is_err());
    }

    #[test]
    fn the_dummy_costs_what_a_real_one_costs() {
        let dummy = PasswordHash::new(DUMMY).unwrap();
        assert_eq!(Params::try_from(&dummy).unwrap().m_cost(), PRESENT.m_cost());
        assert_eq!(Params::try_from(&dummy).unwrap().t_cost(), PRESENT.t_cost());
        assert_eq!(Params::try_from(&dummy).unwrap().p_cost(), PRESENT.p_cost());
        assert_eq!(PRESENT.m_cost(), 19456);
        // It is read to the end: a dummy that does not parse would answer at once.
        assert_eq!(verify("whatever", DUMMY, &PRESENT), Ok(Match::Wrong));
    }
}
