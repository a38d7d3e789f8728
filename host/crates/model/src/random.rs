//! Randomness from the operating system: tokens, nonces and ids.

/// `random` is `N` bytes from the operating system.
///
/// # Errors
/// Where the operating system has no randomness to give; nothing may go on without it.
pub fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// `random_token` is 256 random bits as 43 URL-safe characters.
///
/// # Errors
/// As [`random`].
pub fn random_token() -> Result<String, getrandom::Error> {
    Ok(data_encoding::BASE64URL_NOPAD.encode(&random::<32>()?))
}
