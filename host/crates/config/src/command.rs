//! The commands that a text gives to run.

use crate::locations::{absolute, default_place, xdg};
use std::path::{Path, PathBuf};

/// `command` is `nexus WORDS` as it reaches the Nexus that uses this configuration and this data folder: it names those that
/// are given and are not the defaults, as full paths that are quoted for a shell.
///
/// ```
/// use nexus_config::command;
/// use std::path::Path;
///
/// assert_eq!(
///     command("user add NAME", Some(Path::new("/srv/my nexus.toml")), Some(Path::new("/srv/data"))),
///     "nexus user add NAME --config '/srv/my nexus.toml' --data-dir /srv/data"
/// );
/// ```
pub fn command(words: &str, file: Option<&Path>, data_dir: Option<&Path>) -> String {
    let usual_data = xdg("XDG_DATA_HOME", ".local/share").map(|home| home.join("nexus"));
    let file = file.map(full).filter(|file| default_place().as_ref() != Some(file));
    let data_dir = data_dir.map(full).filter(|dir| usual_data.as_ref() != Some(dir));
    let mut command = format!("nexus {words}");
    for (flag, path) in [("--config", file), ("--data-dir", data_dir)] {
        if let Some(path) = path {
            command.push_str(&format!(" {flag} {}", shell_word(&path.display().to_string())));
        }
    }
    command
}

/// `full` is the path from the root on: the command may be run in another folder.
fn full(path: &Path) -> PathBuf {
    std::env::current_dir().map_or_else(|_| path.to_owned(), |cwd| absolute(&cwd, path))
}

/// `with_place` completes the commands of a text, which are in backquotes, as [`command`] writes them: who wrote the text
/// may not know which configuration is used. What a command names itself stays as it is.
pub fn with_place(text: &str, file: Option<&Path>, data_dir: Option<&Path>) -> String {
    let complete = |quoted: &str| {
        let words = quoted.strip_prefix("nexus ")?;
        let whole = ["--data-dir", "\n"].iter().any(|part| words.contains(part));
        let named = words.contains("--config") || words.starts_with("config check ");
        let complete = whole || words.starts_with("plugin build");
        (!complete).then(|| command(words, file.filter(|_| !named), data_dir))
    };
    let parts: Vec<&str> = text.split('`').collect();
    let last = parts.len().saturating_sub(1);
    let completed = parts.iter().enumerate().map(|(n, part)| {
        // Every other part is within backquotes, unless the last one is not closed.
        let quoted = n % 2 == 1 && n < last;
        quoted
            .then(|| complete(part))
            .flatten()
            .unwrap_or_else(|| (*part).to_owned())
    });
    completed.collect::<Vec<_>>().join("`")
}

/// `shell_word` is a text as one word of a shell.
pub fn shell_word(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_what_is_not_the_default() {
        let (file, data) = (Some(Path::new("/srv/nexus.toml")), Some(Path::new("/srv/data")));
        let usual_file = default_place();
        let usual_data = xdg("XDG_DATA_HOME", ".local/share").unwrap().join("nexus");
        for (file, data, flags) in [
            (None, None, ""),
            (usual_file.as_deref(), Some(&*usual_data), ""),
            (usual_file.as_deref(), data, " --data-dir /srv/data"),
            (file, Some(&*usual_data), " --config /srv/nexus.toml"),
            (file, data, " --config /srv/nexus.toml --data-dir /srv/data"),
        ] {
            assert_eq!(command("doctor", file, data), format!("nexus doctor{flags}"));
        }
        let here = std::env::current_dir().unwrap().join("d1");
        assert_eq!(
            command("doctor", None, Some(Path::new("./d1"))),
            format!("nexus doctor --data-dir {}", shell_word(&here.display().to_string()))
        );
    }

    #[test]
    fn the_commands_of_a_text_are_completed_and_nothing_else_of_it() {
        let completed = |text: &str| with_place(text, None, Some(Path::new("/srv/data")));
        assert_eq!(
            completed("set `x` to 1, then run `nexus tunnel start main` or `nexus doctor`."),
            "set `x` to 1, then run `nexus tunnel start main --data-dir /srv/data` or `nexus doctor --data-dir /srv/data`."
        );
        for text in [
            "run `nexus doctor --data-dir /other`",
            "run `nexus plugin build`",
            "restart `nexus`",
            "start Nexus and look at `x",
            "an open `nexus doctor",
            "`a`nexus b`c`",
            "",
        ] {
            assert_eq!(completed(text), text);
        }
        for words in ["config check /etc/nexus.toml", "doctor --config /etc/nexus.toml"] {
            let text = with_place(
                &format!("run `nexus {words}`"),
                Some(Path::new("/f")),
                Some(Path::new("/d")),
            );
            assert_eq!(text, format!("run `nexus {words} --data-dir /d`"));
        }
        let once = completed("run `nexus doctor`");
        assert_eq!(completed(&once), once, "once");
    }

    #[test]
    fn a_shell_takes_each_path_for_one_word() {
        for path in [
            "/a b", "/it's", "/$(id)", "/a;id", "/`id`", "/\"x\"", "/~", "/*", "/a\nb", "/ü", "/-x",
        ] {
            let given = command("doctor", None, Some(Path::new(path)));
            let script = given.replace("nexus doctor --data-dir", "printf %s");
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), path, "{given}");
        }
    }
}
