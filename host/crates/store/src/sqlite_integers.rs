//! SQLite's integers are signed; times and numbers here never come near 2^63.

/// `signed` is `n` as SQLite keeps it.
pub fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// `unsigned` is `n` as it was before [`signed`]; what is negative is 0.
pub fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
