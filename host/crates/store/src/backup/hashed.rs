//! Reading that counts and digests.

use super::staging::hex;
use sha2::{Digest as _, Sha256};
use std::io::Read;

/// Counts and digests what is read through it.
pub(super) struct Hashed<R> {
    inner: R,
    bytes: u64,
    hasher: Sha256,
}

impl<R> Hashed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            bytes: 0,
            hasher: Sha256::new(),
        }
    }

    /// Bytes, and their SHA-256 in hex.
    pub(super) fn end(self) -> (u64, String) {
        (self.bytes, hex(&self.hasher.finalize()))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
