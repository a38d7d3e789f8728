//! The names of interfaces in a component: `package/name@version`.

use nexus_plugin_api::API_VERSION;
use semver::Version;

/// `Interface` is `package/name@version`.
pub(super) struct Interface<'a> {
    pub(super) package: &'a str,
    pub(super) name: &'a str,
    pub(super) version: Option<Version>,
}

pub(super) fn interface(text: &str) -> Option<Interface<'_>> {
    let (path, version) = text.split_once('@').map_or((text, None), |(p, v)| (p, Some(v)));
    let (package, name) = path.split_once('/')?;
    Some(Interface {
        package,
        name,
        version: version.and_then(|v| Version::parse(v).ok()),
    })
}

impl Interface<'_> {
    /// Tells whether its version and this host's are compatible by the rules of semver.
    pub(super) fn is_compatible(&self) -> bool {
        match (&self.version, Version::parse(API_VERSION)) {
            (Some(found), Ok(ours)) => found.major == ours.major && (ours.major > 0 || found.minor == ours.minor),
            _ => false,
        }
    }
}

/// `compatible_range` is `0.2.x`.
pub(super) fn compatible_range() -> String {
    let minor = API_VERSION.rsplit_once('.').map_or(API_VERSION, |(minor, _)| minor);
    format!("{minor}.x")
}
