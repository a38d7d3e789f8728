//! What a password has to be: long, and not one that a guesser tries first.
//!
//! Length is the rule that helps; demanding digits and signs makes people write `Password123!`, so nothing of
//! that kind is asked. The list of common passwords has only those of twelve characters and more, as shorter ones are
//! refused anyway.

/// `MIN_CHARS` is in characters, not bytes, so that a passphrase counts the same in every script.
pub(crate) const MIN_CHARS: usize = 12;
pub(crate) const MAX_CHARS: usize = 1024;
/// `aaaaaaaaaaaa` and `121212121212` are long and no better than short ones.
const MIN_DIFFERENT: usize = 5;

/// `COMMON` are passwords from public lists of leaked ones, in lower case, sorted.
const COMMON: &[&str] = &[
    "0123456789012",
    "0987654321098",
    "1234567890123",
    "12345678901234",
    "123456789012345",
    "1234567890123456",
    "12345678910111213",
    "1234567891011",
    "123456789101112",
    "123456789abc",
    "1234567890abc",
    "1234567890ab",
    "1234567890qwerty",
    "123456qwerty",
    "1234qwerasdf",
    "1234qwerasdfzxcv",
    "123qweasdzxc",
    "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc",
    "1qaz2wsx3edc4rfv",
    "1qaz@wsx3edc",
    "abc123456789",
    "abcd12345678",
    "abcd1234abcd",
    "abcdefghijkl",
    "abcdefghijklm",
    "abcdefghijklmnopqrstuvwxyz",
    "administrator",
    "administrator1",
    "alexanderthegreat",
    "asdfghjkl123",
    "asdfghjklqwertyuiop",
    "asdfghjklzxcvbnm",
    "changeme1234",
    "changemenow1",
    "changethispassword",
    "charlottesville",
    "chocolate123",
    "christopher1",
    "correct horse battery staple",
    "correcthorsebatterystaple",
    "dragonball123",
    "football1234",
    "iloveyou1234",
    "iloveyouforever",
    "ilovemyfamily",
    "internet1234",
    "letmein12345",
    "letmein123456",
    "liverpoolfc1",
    "manchesterunited",
    "masterpassword",
    "mypassword123",
    "mypassword1234",
    "p@ssw0rd1234",
    "passw0rd1234",
    "password0123",
    "password1234",
    "password12345",
    "password123456",
    "password1234567",
    "password12345678",
    "password123456789",
    "password@123",
    "password@1234",
    "passwordpassword",
    "q1w2e3r4t5y6",
    "q1w2e3r4t5y6u7",
    "qazwsxedcrfv",
    "qazwsxedcrfvtgb",
    "qwerasdfzxcv",
    "qwerty123456",
    "qwerty1234567",
    "qwerty12345678",
    "qwerty123456789",
    "qwertyqwerty",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiop1234",
    "qwertyuiop[]",
    "qwertyuiopasdfghjkl",
    "qwertyuiopasdfghjklzxcvbnm",
    "secretpassword",
    "skywalker123",
    "sunshine1234",
    "superman1234",
    "supersecret1",
    "thisismypassword",
    "unbelievable",
    "welcome12345",
    "welcome123456",
    "whatever1234",
    "zaq12wsxcde3",
    "zaq1xsw2cde3",
    "zxcvbnm12345",
    "zxcvbnm123456",
    "zxcvbnmasdfghjkl",
];

/// `check` tells whether `password` may be the password of `account`.
///
/// # Errors
/// A sentence for the user that says what to do instead. It never repeats the password.
pub(crate) fn check(account: &str, password: &str) -> Result<(), String> {
    let length = password.chars().count();
    if length < MIN_CHARS {
        return Err(format!(
            "The password has {length} characters but needs at least {MIN_CHARS}. A few random words make a good \
             password."
        ));
    }
    if length > MAX_CHARS {
        return Err(format!(
            "The password has {length} characters; the limit is {MAX_CHARS}."
        ));
    }
    let lower = password.to_lowercase();
    let account = account.to_lowercase();
    if !account.is_empty() && lower.replace(&account, "").is_empty() {
        return Err(
            "The password is too similar to the account name. Choose one that cannot be guessed from it.".to_owned(),
        );
    }
    let mut different: Vec<char> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < MIN_DIFFERENT {
        return Err("The password repeats the same few characters. Choose a more varied one.".to_owned());
    }
    if COMMON.contains(&lower.trim()) {
        return Err("This password is on lists of common passwords. Choose another one.".to_owned());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    fn refusal(account: &str, password: &str) -> String {
        check(account, password).expect_err("it must be refused")
    }

    #[test]
    fn length_is_in_characters_and_not_in_bytes() {
        // Eleven characters of three bytes each.
        let short = "日月火水木金土天地人川";
        assert!(short.len() > MIN_CHARS);
        assert!(refusal("owner", short).contains("11 characters"));
        assert_eq!(check("owner", &format!("{short}山")), Ok(()));
    }

    #[test]
    fn both_ends_of_the_length_are_inside() {
        let of = |n: usize| "abcdefghij".chars().cycle().take(n).collect::<String>();
        assert!(check("owner", &of(11)).is_err());
        assert_eq!(check("owner", &of(12)), Ok(()));
        assert_eq!(check("owner", &of(1024)), Ok(()));
        assert!(refusal("owner", &of(1025)).contains("limit is 1024"));
    }

    #[test]
    fn the_account_name_is_refused_in_any_case_and_repeated() {
        assert!(refusal("maximiliane.k", "Maximiliane.K").contains("account name"));
        assert!(refusal("owner", "ownerOWNERowner").contains("account name"));
        assert_eq!(check("owner", "owner of a yellow submarine"), Ok(()));
        assert_eq!(check("", "a yellow submarine"), Ok(()));
    }

    #[test]
    fn few_characters_and_common_ones_are_refused() {
        assert!(refusal("owner", "aaaaaaaaaaaaaaaa").contains("same few"));
        assert!(refusal("owner", "1212121212121212").contains("same few"));
        assert!(refusal("owner", "PasswordPassword").contains("lists of common passwords"));
        assert!(refusal("owner", "  correct horse battery staple ").contains("lists of common passwords"));
    }

    #[test]
    fn a_refusal_never_repeats_the_password() {
        for password in ["hunter2", "passwordpassword", "aaaaaaaaaaaaaaaa"] {
            assert!(!refusal("owner", password).contains(password));
        }
    }

    #[test]
    fn the_list_has_only_what_the_other_rules_let_through() {
        for entry in COMMON {
            assert_eq!(*entry, entry.to_lowercase(), "{entry} is not in lower case");
        }
    }
}
