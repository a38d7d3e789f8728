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

/// `behind` is by how many milliseconds `now` is behind the time in an id: opencode does not answer a message whose id
/// sorts before the newest one. `None`: it is not behind, or the id has another format. A difference of more than a
/// year means that the counter has started again, as it does every two years and two months.
pub fn behind(newest: &str, now: u64) -> Option<u64> {
    let digits = newest.strip_prefix("msg_")?.get(..12)?;
    let theirs = u64::from_str_radix(digits, 16).ok()? >> 12;
    let ours = now & 0xf_ffff_ffff;
    theirs
        .checked_sub(ours)
        .filter(|by| (1..=365 * 24 * 3_600_000).contains(by))
}

/// `fnv` is the FNV-1a hash with 128 bits.
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
    fn a_clock_that_was_set_back_is_seen() {
        let now = 1_795_374_060_185;
        let newest = message_id(now, 1, "s", "c");
        assert_eq!(behind(&newest, now - 600_000), Some(600_000));
        assert_eq!(behind(&newest, now), None);
        assert_eq!(behind(&newest, now + 5), None);
        assert_eq!(behind("msg_other", now), None);
        // The digits are of some 26 months; then they start again.
        let last = (now | 0xf_ffff_ffff) - 10;
        assert_eq!(behind(&message_id(last, 0, "s", "c"), last + 20), None);
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
