//! The version of the program that a plugin runs: whether it is the right program, and new enough.

use crate::error_text::sentence;

/// `CHARACTERS` is how much of an unexpected output an error text shows.
const CHARACTERS: usize = 80;

/// `VersionRequirement` is the oldest version of a program that a plugin can use, and how to fix what does not meet it.
#[derive(Debug, Clone, Copy)]
pub struct VersionRequirement<'a> {
    /// `program` is the name in error texts: `OpenSSH`.
    pub program: &'a str,
    /// `command` is the command that prints the version: `ssh -V`.
    pub command: &'a str,
    /// `minimum` is the oldest version that can be used: `8.5`.
    pub minimum: &'a str,
    /// `update` is the fix for an older version.
    pub update: &'a str,
    /// `other_program` is the fix where the command runs a program that only has the same name.
    pub other_program: &'a str,
}

impl VersionRequirement<'_> {
    /// Returns `version` if it meets the requirement. `version` is what the plugin reads from `output`, which is what the
    /// command printed: a pre-release counts as its release, and what follows the numbers (`9.6p1`) is not compared.
    ///
    /// # Errors
    /// An error text with its fix: the version is too old; or it is `None` or no version, so it is another program.
    pub fn check(&self, output: &str, version: Option<&str>) -> Result<String, String> {
        let Self {
            program,
            command,
            minimum,
            ..
        } = self;
        match version.and_then(|version| Some((version, numbers(version)?))) {
            Some((version, found)) if numbers(minimum).is_none_or(|minimum| found >= minimum) => Ok(version.to_owned()),
            Some((version, _)) => Err(sentence(
                &format!("{program} {version} is too old: {minimum} or newer is required"),
                Some(self.update),
            )),
            None => {
                let binary = command.split(' ').next().unwrap_or(command);
                let line = output.trim().lines().next().unwrap_or_default();
                let line: String = line.chars().take(CHARACTERS).collect();
                let why = format!("The program `{binary}` is not {program}: `{command}` prints `{line}`");
                Err(sentence(&why, Some(self.other_program)))
            }
        }
    }
}

/// `numbers` are the numbers at the start of a version, for a comparison: two or three of them, where a missing one is 0.
/// `None`: it does not start with a version.
pub fn numbers(version: &str) -> Option<[u64; 3]> {
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.');
    let mut parts = version.get(..end.unwrap_or(version.len()))?.split('.');
    let mut next = || parts.next().map(|part| part.parse::<u64>().ok());
    let (major, minor, patch) = (next()??, next()??, next().unwrap_or(Some(0))?);
    parts.next().is_none().then_some([major, minor, patch])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SSH: VersionRequirement<'static> = VersionRequirement {
        program: "OpenSSH",
        command: "ssh -V",
        minimum: "8.5",
        update: "update your system",
        other_program: "install OpenSSH",
    };

    #[test]
    fn versions_of_two_and_three_numbers_are_compared() {
        for (version, expected) in [
            ("9.6p1", [9, 6, 0]),
            ("10.0p2", [10, 0, 0]),
            ("2026.1.0", [2026, 1, 0]),
            ("1.0.0-rc.1", [1, 0, 0]),
            ("0.6.0+git.5", [0, 6, 0]),
            ("2024.09.1", [2024, 9, 1]),
        ] {
            assert_eq!(numbers(version), Some(expected), "{version}");
        }
        assert!(numbers("9.10").unwrap() > numbers("9.9.9").unwrap());
    }

    #[test]
    fn what_is_no_version_is_none() {
        for odd in [
            "",
            "9",
            "v1.2.3",
            ".5.0",
            "5..0",
            "5.",
            "5.0.",
            "1.2.3.4",
            "DEV",
            "0x5.1",
            "-1.2",
            "١.٢",
            "1.99999999999999999999",
        ] {
            assert_eq!(numbers(odd), None, "{odd}");
        }
    }

    #[test]
    fn old_and_other_programs_are_told_apart_with_a_fix_for_each() {
        assert_eq!(SSH.check("", Some("9.6p1")), Ok("9.6p1".to_owned()));
        assert_eq!(SSH.check("", Some("8.5p1")), Ok("8.5p1".to_owned()));
        assert_eq!(
            SSH.check("", Some("8.4p1")).unwrap_err(),
            "OpenSSH 8.4p1 is too old: 8.5 or newer is required. To fix: update your system"
        );
        let other = "The program `ssh` is not OpenSSH: `ssh -V` prints `Dropbear v2022.83`. To fix: install OpenSSH";
        for version in [None, Some("v2022.83")] {
            assert_eq!(SSH.check("Dropbear v2022.83\nmore\n", version).unwrap_err(), other);
        }
        let long = SSH.check(&"é".repeat(1000), None).unwrap_err();
        assert_eq!(long.matches('é').count(), CHARACTERS);
    }

    proptest! {
        #[test]
        fn numbers_compare_as_they_are_written(a in any::<[u16; 3]>(), b in any::<[u16; 3]>(), rest in "(|p1|-rc\\.1|\\+x)") {
            let read = |n: [u16; 3]| numbers(&format!("{}.{}.{}{rest}", n[0], n[1], n[2])).unwrap();
            prop_assert_eq!(read(a).cmp(&read(b)), a.cmp(&b));
        }

        #[test]
        fn any_output_gives_a_version_or_an_error(output in "[ -~é\n]{0,120}") {
            match SSH.check(&output, Some(&output)) {
                Ok(version) => prop_assert!(numbers(&version).unwrap() >= [8, 5, 0]),
                Err(why) => prop_assert!(why.contains(" To fix: "), "{}", why),
            }
        }
    }
}
