//! Settings that a plugin cannot use, as the host reads them.

use super::caps::types::{Ext, Failure, FailureKind};
use crate::refused_settings::{REFUSED_SETTINGS, RefusedSetting};

impl From<Failure> for RefusedSetting {
    /// The key is the first word in back quotes: "`port` is 0, which is …".
    fn from(failure: Failure) -> Self {
        Self {
            key: failure.message.split('`').nth(1).map(str::to_owned),
            why: failure.message,
            hint: failure.hint,
        }
    }
}

/// `refuse_settings` is what `describe` adds to its `ext` if settings cannot be used; empty if they can. A failure that
/// is not permanent is not about the settings, and is left out.
pub fn refuse_settings(failures: impl IntoIterator<Item = Failure>) -> Vec<Ext> {
    let lasting = failures.into_iter().filter(|f| f.kind == FailureKind::Permanent);
    let refused: Vec<RefusedSetting> = lasting.map(RefusedSetting::from).collect();
    match serde_json::to_string(&refused) {
        Ok(value) if !refused.is_empty() => vec![Ext {
            name: REFUSED_SETTINGS.to_owned(),
            value,
        }],
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::guest::job::{permanent, retry};

    #[test]
    fn what_lasts_is_reported_with_its_key() {
        assert!(refuse_settings([]).is_empty() && refuse_settings([retry("The store is busy.")]).is_empty());
        let ext = refuse_settings([
            permanent("`port` is 99999, which is not a valid port.", "Give 1 to 65535."),
            retry("Busy."),
        ]);
        let read: Vec<RefusedSetting> = serde_json::from_str(&ext[0].value).unwrap();
        assert_eq!((ext[0].name.as_str(), read.len()), (REFUSED_SETTINGS, 1));
        assert_eq!(read[0].key.as_deref(), Some("port"));
        assert_eq!(read[0].hint.as_deref(), Some("Give 1 to 65535."));
    }
}
