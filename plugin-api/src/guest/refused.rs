//! Settings that a plugin refuses, as the host reads them.

use super::caps::types::{Ext, Failure, FailureKind};
use crate::refused::{REFUSED, Refused};

impl From<Failure> for Refused {
    /// The key is the first word in back quotes: "`port` is 0, which is …".
    fn from(failure: Failure) -> Self {
        Self {
            key: failure.message.split('`').nth(1).map(str::to_owned),
            why: failure.message,
            hint: failure.hint,
        }
    }
}

/// `refusals` are what `describe` adds where the settings cannot be used; nothing where they can. A failure that may
/// pass is not about the settings, and left out.
pub fn refusals(failures: impl IntoIterator<Item = Failure>) -> Vec<Ext> {
    let lasting = failures.into_iter().filter(|f| f.kind == FailureKind::Permanent);
    let refused: Vec<Refused> = lasting.map(Refused::from).collect();
    match serde_json::to_string(&refused) {
        Ok(value) if !refused.is_empty() => vec![Ext {
            name: REFUSED.to_owned(),
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
    fn what_lasts_is_told_with_its_key() {
        assert!(refusals([]).is_empty() && refusals([retry("The store is busy.")]).is_empty());
        let ext = refusals([
            permanent("`port` is 99999, which is not a valid port.", "Give 1 to 65535."),
            retry("Busy."),
        ]);
        let read: Vec<Refused> = serde_json::from_str(&ext[0].value).unwrap();
        assert_eq!((ext[0].name.as_str(), read.len()), (REFUSED, 1));
        assert_eq!(read[0].key.as_deref(), Some("port"));
        assert_eq!(read[0].hint.as_deref(), Some("Give 1 to 65535."));
    }
}
