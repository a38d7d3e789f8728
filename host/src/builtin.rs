//! The components inside this binary. `nexus plugin build --builtin` writes them and the list of them.

// A static: a constant is copied into every unit of code that names it, and these are megabytes.
static ALL: &[(&str, &[u8])] = include!("../builtin/components.in");

/// Name and bytes of each, sorted by name.
pub fn all() -> &'static [(&'static str, &'static [u8])] {
    ALL
}

/// The built-in component of that name.
pub fn builtin(name: &str) -> Option<&'static [u8]> {
    ALL.iter()
        .find(|(builtin, _)| *builtin == name)
        .map(|(_, bytes)| *bytes)
}
