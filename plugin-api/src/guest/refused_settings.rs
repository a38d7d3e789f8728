//! Settings that a plugin cannot use, for its `describe`.

use super::caps::types::{Failure, FailureKind, RefusedSetting};

impl From<Failure> for RefusedSetting {
    /// The key is the first word in back quotes: "`port` is 0, which is …".
    fn from(failure: Failure) -> Self {
        Self {
            key: failure.message.split('`').nth(1).map(str::to_owned),
            cause: failure.message,
            fix: failure.hint,
        }
    }
}

/// `refuse_settings` are the settings that cannot be used. A failure that is not permanent is not about the settings, and is
/// left out.
pub fn refuse_settings(failures: impl IntoIterator<Item = Failure>) -> Vec<RefusedSetting> {
    let lasting = failures.into_iter().filter(|f| f.kind == FailureKind::Permanent);
    lasting.map(RefusedSetting::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::job::{permanent, retry};

    #[test]
    fn what_lasts_is_reported_with_its_key() {
        assert!(refuse_settings([]).is_empty() && refuse_settings([retry("The store is busy.")]).is_empty());
        let refused = refuse_settings([
            permanent("`port` is 99999, which is not a valid port.", "use 1 to 65535"),
            retry("Busy."),
        ]);
        let expected = RefusedSetting {
            key: Some("port".to_owned()),
            cause: "`port` is 99999, which is not a valid port.".to_owned(),
            fix: Some("use 1 to 65535".to_owned()),
        };
        assert_eq!(refused, [expected]);
    }
}
