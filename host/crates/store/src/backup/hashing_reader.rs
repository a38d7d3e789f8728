//! Reading with a byte count and a digest.

use nexus_model::digest::hex;
use ring::digest::{Context, SHA256};
use std::io::Read;

/// Counts and digests what is read through it.
pub(super) struct Hashed<R> {
    inner: R,
    bytes: u64,
    digest: Context,
}

impl<R> Hashed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            bytes: 0,
            digest: Context::new(&SHA256),
        }
    }

    /// Bytes, and their SHA-256 in hex.
    pub(super) fn end(self) -> (u64, String) {
        (self.bytes, hex(self.digest.finish().as_ref()))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        self.digest.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
