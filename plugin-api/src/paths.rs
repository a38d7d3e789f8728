//! Paths as text: of this machine or of another, whether or not there is a file.

/// `path_contains_name` tells whether a path goes through one of these names, or ends in one: `.git`, `.config/opencode`. It
/// has no regard to case, as some disks have none.
pub fn path_contains_name<T: AsRef<str>>(path: &str, names: &[T]) -> bool {
    let framed = |text: &str| format!("/{}/", text.to_lowercase().replace('\\', "/"));
    let path = framed(path);
    names.iter().any(|name| path.contains(&framed(name.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_a_whole_and_in_any_case() {
        for path in ["/w/.git", "/w/.git/hooks/x", ".GIT\\config", "/h/.config/opencode/x"] {
            assert!(path_contains_name(path, &[".git", ".config/opencode"]), "{path}");
        }
        for path in ["/w/.github", "/w/x.git", "/h/.config/x/opencode", ""] {
            assert!(!path_contains_name(path, &[".git", ".config/opencode"]), "{path}");
        }
    }
}
