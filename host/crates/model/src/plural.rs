//! Numbers of things in words.

/// `1 login`, `2 logins`: for nouns that take an `s`.
pub fn count(many: usize, thing: &str) -> String {
    match many {
        1 => format!("1 {thing}"),
        many => format!("{many} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_is_no_plural() {
        assert_eq!(
            [0, 1, 2].map(|n| super::count(n, "known device")),
            ["0 known devices", "1 known device", "2 known devices"]
        );
    }
}
