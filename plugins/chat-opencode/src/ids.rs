//! Message ids that opencode accepts: `msg_`, twelve hexadecimal digits that grow with time, fourteen characters.
//!
//! opencode accepts any id that starts with `msg`, but sorts by ids, and versions differ in how much hangs on that (a
//! user's message that sorts after its answer is answered again). So the client's id is never used as it is; an id of opencode's own
//! scheme is made, and which client id it stands for is kept in the store.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `now` in milliseconds; `count` tells ids of one millisecond apart. The tail is a digest of session and client id.
pub fn message_id(now: u64, count: u16, session: &str, client: &str) -> String {
    let time = now.wrapping_mul(0x1000).wrapping_add(u64::from(count) & 0xfff) & 0xffff_ffff_ffff;
    let mut digest = fnv(session.bytes().chain([0]).chain(client.bytes()));
    let mut id = format!("msg_{time:012x}");
    for _ in 0..14 {
        let digit = usize::try_from(digest % 62).unwrap_or_default();
        id.push(char::from(ALPHABET.get(digit).copied().unwrap_or(b'0')));
        digest /= 62;
    }
    id
}

/// FNV-1a, 128 bits.
fn fnv(bytes: impl Iterator<Item = u8>) -> u128 {
    bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_encoded_as_opencode_does() {
        // A real id, made by opencode 1.18.33 at that time.
        assert!("msg_204a21299001VAl982dwL0FztD".starts_with("msg_204a21299001"));
        let id = message_id(1_795_374_060_185, 1, "ses_a", "c1");
        assert!(id.starts_with("msg_204a21299001"), "{id}");
        assert_eq!(id.len(), "msg_204a21299001VAl982dwL0FztD".len());
    }

    #[test]
    fn later_sorts_later_and_others_differ() {
        let a = message_id(1_795_374_060_185, 1, "s", "a");
        assert!(a < message_id(1_795_374_060_185, 2, "s", "a"));
        assert!(a < message_id(1_795_374_060_186, 0, "s", "a"));
        assert_ne!(a, message_id(1_795_374_060_185, 1, "s", "b"));
        assert_ne!(message_id(1, 1, "sa", "b"), message_id(1, 1, "s", "ab"));
    }
}
