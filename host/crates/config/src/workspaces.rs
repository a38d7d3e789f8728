//! The project folders of the chat: where the agent works, and where else it may.

use crate::command::shell_word;
use crate::diagnostic::{Diagnostic, THIS_LINE};
use crate::toml_reader::{Findings, Located};
use nexus_model::limits;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// `Workspaces` are the project folders of the chat, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspaces {
    /// `first` is the one that is meant where none is named: absolute, and there.
    pub first: PathBuf,
    /// `others` are those that the operator named besides: real paths without links, as they were when the file was read, and
    /// there. A backend without project folders does not use them.
    pub others: Vec<PathBuf>,
}

impl Workspaces {
    /// `all` are all of them, the first one first.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.first).chain(&self.others).map(PathBuf::as_path)
    }
}

impl From<PathBuf> for Workspaces {
    fn from(first: PathBuf) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }
}

/// Resolves the folders as they are written. Beside them: each one in which the agent cannot work, and why.
pub(super) fn resolve(
    first: Option<&Located<String>>,
    others: &[Located<String>],
    here: &Path,
    from_folder: &dyn Fn(&str) -> PathBuf,
    findings: &mut Findings,
) -> (Workspaces, Vec<Diagnostic>) {
    let mut workspaces = Workspaces::from(first.map_or_else(|| here.to_owned(), |written| from_folder(&written.value)));
    let mut unusable = Vec::new();
    if let Some(written) = first.filter(|_| !workspaces.first.is_dir()) {
        unusable.push(no_folder(written, &workspaces.first));
    }
    if let Some(surplus) = others.get(limits::WORKSPACES - 1) {
        findings.push(
            surplus
                .problem("the chat has too many project folders")
                .found(format!("{} in `workspaces`", others.len()))
                .expected(format!("at most {}", limits::WORKSPACES - 1))
                .fix("remove those that are not used"),
        );
    }
    let mut missing = vec![workspaces.first.clone()];
    let mut known = vec![
        workspaces
            .first
            .canonicalize()
            .unwrap_or_else(|_| workspaces.first.clone()),
    ];
    for written in others.iter().take(limits::WORKSPACES - 1) {
        let path = from_folder(&written.value);
        let real = path.canonicalize().ok().filter(|real| real.is_dir());
        match real {
            Some(real) if real.to_str().is_none() => {
                unusable.push(
                    written
                        .problem(format!(
                            "the workspace {} leads to a folder whose name is not text",
                            path.display()
                        ))
                        .fix("rename the folder"),
                );
            }
            // Naming one twice, or the first one again, changes nothing.
            Some(real) if known.contains(&real) => {}
            Some(real) => {
                known.push(real.clone());
                workspaces.others.push(real);
            }
            None if missing.contains(&path) => {}
            None => {
                unusable.push(no_folder(written, &path));
                missing.push(path);
            }
        }
    }
    (workspaces, unusable)
}

fn no_folder(written: &Located<String>, path: &Path) -> Diagnostic {
    let shown = path.display();
    let (what, found, make) = match path.metadata() {
        Ok(_) => ("is not a folder", "a file is there".to_owned(), String::new()),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let make = format!("run `mkdir -p {}`, or ", shell_word(&shown.to_string()));
            ("does not exist", "nothing is there".to_owned(), make)
        }
        Err(e) => ("cannot be opened", e.to_string(), String::new()),
    };
    written
        .problem(format!("the workspace {shown} {what}"))
        .found(found)
        .expected("a folder that exists; a relative path starts at this file's folder")
        .fix(format!("{make}correct the path in {THIS_LINE}"))
}
