//! Where the binary of a program is.

use nexus_config::{THEN_APPLY, adding, toml_text};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// Finds the granted path, else the host's own tools in `data_dir`, else the PATH of the host, else where programs are
/// installed on this system. The result is absolute. It looks at the disk.
///
/// # Errors
/// A sentence for the operator: it is not there; says where it was looked for.
pub fn find_binary(plugin: &str, binary: &str, granted: Option<&Path>, data_dir: &Path) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH");
    find_on(
        plugin,
        binary,
        granted,
        &data_dir.join("tools"),
        path.as_deref(),
        &installed(binary),
    )
}

fn find_on(
    plugin: &str,
    binary: &str,
    granted: Option<&Path>,
    tools: &Path,
    path: Option<&OsStr>,
    installed: &[PathBuf],
) -> Result<PathBuf, String> {
    if let Some(path) = granted {
        return if executable(path) {
            Ok(path.to_path_buf())
        } else {
            Err(format!(
                "{} is not an executable file. To fix: correct `path` in [plugin.{}.grants.process.{}] in the \
                 configuration, or leave it out to search the PATH; {THEN_APPLY}",
                path.display(),
                plugin,
                toml_text::key(binary)
            ))
        };
    }
    // A name is granted, not a path: `../x` must not lead out of the places below.
    let plain = Path::new(binary).components().collect::<Vec<_>>();
    if !matches!(plain.as_slice(), [Component::Normal(_)]) {
        return Err(format!("`{binary}` is not a plain file name"));
    }
    let file = format!("{binary}{}", std::env::consts::EXE_SUFFIX);
    let mut folders: Vec<PathBuf> = std::fs::read_dir(tools)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_dir())
        .collect();
    folders.sort();
    let of_the_host = folders
        .into_iter()
        .flat_map(|d| [d.join("node_modules").join(".bin"), d.join("bin"), d]);
    let on_path = path.into_iter().flat_map(std::env::split_paths);
    // A relative entry of the PATH means the directory the host was started in: somebody else's files.
    let found = of_the_host
        .chain(on_path)
        .chain(installed.iter().cloned())
        .filter(|d| d.is_absolute())
        .map(|d| d.join(&file))
        .find(|p| executable(p));
    found.ok_or_else(|| {
        format!(
            "`{binary}` was not found in {}, on Nexus's PATH or in the usual program folders. To fix: if it is installed \
             elsewhere, {}",
            tools.display(),
            adding(&format!(
                "[plugin.{plugin}.grants.process.{}]\npath = \"/absolute/path/of/{binary}\"\n",
                toml_text::key(binary)
            ))
        )
    })
}

/// `installed` is where programs are installed: a service manager's PATH often misses these. Nobody but an
/// administrator writes there, save Homebrew's own folder, which belongs to whoever installed it.
fn installed(binary: &str) -> Vec<PathBuf> {
    if cfg!(windows) {
        ["C:\\Program Files", "C:\\Program Files (x86)"]
            .map(|programs| Path::new(programs).join(binary))
            .into()
    } else if cfg!(target_os = "macos") {
        ["/opt/homebrew/bin", "/usr/local/bin", "/usr/bin"]
            .map(PathBuf::from)
            .into()
    } else {
        ["/usr/local/bin", "/usr/bin"].map(PathBuf::from).into()
    }
}

#[cfg(unix)]
fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.is_absolute() && std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn executable(path: &Path) -> bool {
    path.is_absolute() && path.is_file()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_binary_is_looked_for_in_order_and_by_name_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let make = |path: &Path, mode: u32| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let on_path = dir.path().join("path/tool");
        let tool = dir.path().join("tools/tool/node_modules/.bin/tool");
        let path = std::env::join_paths([Path::new("."), &dir.path().join("path")]).unwrap();
        let find = |binary: &str, granted: Option<&Path>, installed: &[PathBuf]| {
            let tools = dir.path().join("tools");
            find_on("demo", binary, granted, &tools, Some(&path), installed)
        };

        let installed = dir.path().join("installed/tool");
        make(&installed, 0o755);
        let last = [dir.path().join("installed")];
        assert_eq!(find("tool", None, &last).unwrap(), installed);
        let missing = find("tool", None, &[]).unwrap_err();
        let (cause, fix) = missing.split_once(" To fix: ").unwrap();
        assert!(cause.starts_with("`tool` was not found in "), "{missing}");
        assert!(fix.contains("[plugin.demo.grants.process.tool]"), "{missing}");
        make(&on_path, 0o644);
        assert!(find("tool", None, &[]).is_err(), "not executable");
        make(&on_path, 0o755);
        assert_eq!(find("tool", None, &last).unwrap(), on_path);
        make(&tool, 0o755);
        assert_eq!(find("tool", None, &[]).unwrap(), tool);

        let given = dir.path().join("mine");
        let refused = find("tool", Some(&given), &[]).unwrap_err();
        assert!(refused.contains("is not an executable file"), "{refused}");
        make(&given, 0o755);
        assert_eq!(find("tool", Some(&given), &[]).unwrap(), given);
        assert!(find("../path/tool", None, &[]).unwrap_err().contains("plain file name"));
    }
}
