//! The names of interfaces in a component: `package/name@version`.

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
