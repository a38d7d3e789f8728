//! Files and folders that only the user who runs Nexus can open.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::path::Path;

/// Makes the folder and those above it that are missing, with mode 0700. A folder that is there keeps its mode.
///
/// # Errors
/// The folder cannot be made.
pub fn make_dir(path: &Path) -> io::Result<()> {
    builder().recursive(true).create(path)
}

/// Makes one folder with mode 0700.
///
/// # Errors
/// Something of that name is there, or the folder cannot be made.
pub fn make_new_dir(path: &Path) -> io::Result<()> {
    builder().create(path)
}

fn builder() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "other systems have no mode"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Options that give a new file mode 0600. A file that is there keeps its mode; see [`tighten`].
pub fn options() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "other systems have no mode"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Gives an open file mode 0600 where others have rights to it.
///
/// # Errors
/// The file belongs to another user.
pub fn tighten(file: &File) -> io::Result<()> {
    match tighter(file.metadata()?.permissions(), 0o600) {
        Some(permissions) => file.set_permissions(permissions),
        None => Ok(()),
    }
}

/// Gives a folder mode 0700 where others have rights to it.
///
/// # Errors
/// The folder belongs to another user.
pub fn tighten_dir(path: &Path) -> io::Result<()> {
    match tighter(std::fs::metadata(path)?.permissions(), 0o700) {
        Some(permissions) => std::fs::set_permissions(path, permissions),
        None => Ok(()),
    }
}

/// `mode`, where the permissions hold more than it.
#[cfg(unix)]
fn tighter(mut permissions: Permissions, mode: u32) -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt as _;
    (permissions.mode() & 0o777 & !mode != 0).then(|| {
        permissions.set_mode(mode);
        permissions
    })
}

/// Other systems have no mode.
#[cfg(not(unix))]
fn tighter(_: Permissions, _: u32) -> Option<Permissions> {
    None
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_made_is_for_its_owner_and_what_was_there_is_tightened() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (outer, inner) = (dir.path().join("a"), dir.path().join("a/b"));
        make_dir(&inner).unwrap();
        assert_eq!((mode(&outer), mode(&inner)), (0o700, 0o700));
        assert_eq!(make_new_dir(&inner).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let file = inner.join("f");
        options().write(true).create_new(true).open(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        let set = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        set(&file, 0o644);
        tighten(&File::open(&file).unwrap()).unwrap();
        set(&inner, 0o755);
        tighten_dir(&inner).unwrap();
        assert_eq!((mode(&file), mode(&inner)), (0o600, 0o700));
        set(&file, 0o400);
        tighten(&File::open(&file).unwrap()).unwrap();
        assert_eq!(mode(&file), 0o400);
    }
}
