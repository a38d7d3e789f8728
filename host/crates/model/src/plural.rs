//! Numbers of things in words.

/// `count` is for nouns that take an `s`: `1 login`, `2 logins`.
pub fn count(many: usize, thing: &str) -> String {
    of(many as u64, thing, &format!("{thing}s"))
}

/// `of` is for all others: `1 process`, `2 processes`.
pub fn of(many: u64, one: &str, more: &str) -> String {
    format!("{many} {}", if many == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(
            [0, 1, 2].map(|n| count(n, "known device")),
            ["0 known devices", "1 known device", "2 known devices"]
        );
        assert_eq!(of(1, "process", "processes"), "1 process");
        assert_eq!(of(2, "process", "processes"), "2 processes");
    }
}
