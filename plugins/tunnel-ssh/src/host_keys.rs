//! Host keys: which server it has to be.
//!
//! ssh itself compares. This module writes the file it compares with, and reads what `ssh-keyscan` says of a server that is
//! not known yet, so that the operator is shown the line to write down and not only a fingerprint that fits nowhere.

use crate::server::Target;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

/// `TYPES` are the types that are requested; the preferred one is first.
pub(crate) const TYPES: [&str; 3] = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"];

/// `Key` is a host key as it is in a file: its type, and the key in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) kind: String,
    blob: String,
    fingerprint: String,
}

impl Key {
    /// `of` is `None` if the text is not a key.
    pub(crate) fn of(kind: &str, blob: &str) -> Option<Self> {
        let bytes = STANDARD.decode(blob).ok()?;
        // The key begins with its own type: so a line that was cut or mixed up is noticed.
        let length = bytes.get(..4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        let own = bytes.get(4..)?.get(..usize::try_from(length).ok()?)?;
        (own == kind.as_bytes()).then(|| Self {
            kind: kind.to_owned(),
            blob: blob.to_owned(),
            fingerprint: format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&bytes))),
        })
    }

    /// `fingerprint` is the fingerprint as ssh-keygen prints it.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// `line` is the line of a known_hosts file.
    pub(crate) fn line(&self, target: &Target) -> String {
        format!("{} {} {}", target.known_as(), self.kind, self.blob)
    }
}

/// `line` makes a line of a known_hosts file from what the operator wrote.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn line(text: &str, target: &Target) -> Result<String, String> {
    let text = text.trim();
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err("it has more than one line".to_owned());
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (kind, blob, line) = match words.as_slice() {
        [marker, _, kind, blob, ..] if marker.starts_with('@') => (kind, blob, text.to_owned()),
        [kind, blob, ..] if is_type(kind) => (kind, blob, format!("{} {kind} {blob}", target.known_as())),
        [_, kind, blob, ..] => (kind, blob, text.to_owned()),
        _ => return Err("it is too short".to_owned()),
    };
    match Key::of(kind, blob) {
        Some(_) => Ok(line),
        None => Err(format!("`{kind}` and the text after it are not a key")),
    }
}

fn is_type(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]
        .iter()
        .any(|prefix| word.starts_with(prefix))
}

/// `scanned` are the keys in the output of `ssh-keyscan`, the preferred one first.
pub(crate) fn scanned(output: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = output
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            Key::of(words.next()?, words.next()?)
        })
        .collect();
    keys.sort_by_key(|key| TYPES.iter().position(|kind| *kind == key.kind));
    keys
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    /// `BLOB` is the key of a server that was made for these tests; [`FINGERPRINT`] is from ssh-keygen.
    const BLOB: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIMf3lztukhBKByINHhMhNa4twv0jQbhw+qcFltp7ReP2";
    const FINGERPRINT: &str = "SHA256:9haN0Vm+YeKK854fu1ZYBASjXiFtHgoEKgeGAJ43jMo";

    fn target() -> Target {
        Target {
            host: "ssh.example.org".to_owned(),
            port: 2222,
            user: None,
        }
    }

    #[test]
    fn a_scan_gives_keys_with_the_fingerprint_that_ssh_keygen_gives() {
        let output = format!("# 127.0.0.1:2299 SSH-2.0-OpenSSH_9.2p1\n[127.0.0.1]:2299 ssh-ed25519 {BLOB}\n");
        let keys = scanned(&output);
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].fingerprint(), FINGERPRINT);
        assert_eq!(
            keys[0].line(&target()),
            format!("[ssh.example.org]:2222 ssh-ed25519 {BLOB}")
        );
        assert!(scanned("127.0.0.1: Connection refused\n").is_empty());
        assert!(
            scanned(&format!("h ssh-rsa {BLOB}")).is_empty(),
            "the type does not match the key"
        );
    }

    #[test]
    fn a_key_alone_gets_the_servers_name_and_a_line_stays() {
        let full = format!("[ssh.example.org]:2222 ssh-ed25519 {BLOB}");
        assert_eq!(
            line(&format!("ssh-ed25519 {BLOB} root@server"), &target()),
            Ok(full.clone())
        );
        assert_eq!(line(&full, &target()), Ok(full));
        let authority = format!("@cert-authority *.example.org ssh-ed25519 {BLOB}");
        assert_eq!(line(&authority, &target()), Ok(authority));
        for bad in [
            "",
            "ssh-ed25519",
            FINGERPRINT,
            "ssh-ed25519 AAAA",
            &format!("ssh-ed25519 {BLOB}\nx"),
        ] {
            assert!(line(bad, &target()).is_err(), "{bad}");
        }
    }
}
