//! The project folders, by each of their names: the host's, and opencode's own where the configured one is a link.

use std::collections::BTreeMap;

/// `Folders` are the folders in which opencode works; nothing is asked of it in another one.
#[derive(Debug, Default)]
pub struct Folders {
    /// `paths` are as opencode names them, the configured one first.
    paths: Vec<String>,
    /// `names` are all names of them, with the place in `paths`.
    names: BTreeMap<String, usize>,
}

impl Folders {
    /// `configured` are as the host names them, the configured one first. `own`: that one, as opencode names it.
    pub fn new(configured: &[String], own: &str) -> Self {
        let mut paths = vec![own.to_owned()];
        let mut names = BTreeMap::from([(own.to_owned(), 0)]);
        for (at, name) in configured.iter().enumerate() {
            if !names.contains_key(name) {
                if at > 0 {
                    paths.push(name.clone());
                }
                names.insert(name.clone(), paths.len() - 1);
            }
        }
        Self { paths, names }
    }

    /// `of` is the folder of this name; the empty one is the configured folder's.
    pub fn of(&self, name: &str) -> Option<&str> {
        let at = if name.is_empty() {
            Some(&0)
        } else {
            self.names.get(name)
        };
        Some(self.paths.get(*at?)?.as_str())
    }

    /// `first` is the configured folder.
    pub fn first(&self) -> &str {
        self.paths.first().map_or("", String::as_str)
    }

    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// `names` are all names: opencode takes each for a folder of its own.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_folder_is_known_by_all_of_its_names_and_no_other_one_is() {
        let folders = Folders::new(&names(&["/link", "/b", "/real/c"]), "/real");
        assert_eq!(folders.paths(), ["/real", "/b", "/real/c"]);
        assert_eq!(folders.names().collect::<Vec<_>>(), ["/b", "/link", "/real", "/real/c"]);
        for (name, folder) in [
            ("", "/real"),
            ("/link", "/real"),
            ("/real", "/real"),
            ("/b", "/b"),
            ("/real/c", "/real/c"),
        ] {
            assert_eq!(folders.of(name), Some(folder), "{name}");
        }
        for other in ["/b/", "/b/x", "/", "/c", "b"] {
            assert_eq!(folders.of(other), None, "{other}");
        }
    }

    #[test]
    fn one_folder_is_the_configured_one() {
        for configured in [&[] as &[&str], &["/w"], &["/w", "/w"]] {
            let folders = Folders::new(&names(configured), "/w");
            assert_eq!((folders.paths(), folders.names().count()), (&names(&["/w"])[..], 1));
        }
    }
}
