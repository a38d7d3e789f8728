//! The pause between attempts.

use std::time::Duration;

/// `pause` before the next attempt doubles from `first` to `most`. `attempt` starts at 1.
pub fn pause(first: Duration, most: Duration, attempt: u32) -> Duration {
    let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(30));
        assert_eq!(pause(first, most, 1), first);
        assert_eq!(pause(first, most, 3), first * 4);
        assert_eq!(pause(first, most, 32), most);
        assert_eq!(pause(first, most, u32::MAX), most);
    }
}
