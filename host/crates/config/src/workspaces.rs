//! The project folders of the chat: where the agent works, and where else it may.

use crate::diagnostic::Diagnostic;
use crate::toml_reader::{Findings, Located};
use nexus_model::limits;
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

/// Resolves the folders as they are written. `Err` beside them: why the agent cannot work.
pub(super) fn resolve(
    first: Option<&Located<String>>,
    others: &[Located<String>],
    here: &Path,
    from_folder: &dyn Fn(&str) -> PathBuf,
    findings: &mut Findings,
) -> (Workspaces, Result<(), Diagnostic>) {
    let mut workspaces = Workspaces::from(first.map_or_else(|| here.to_owned(), |written| from_folder(&written.value)));
    let mut usable = match first {
        Some(written) if !workspaces.first.is_dir() => Err(unusable(written, &workspaces.first)),
        _ => Ok(()),
    };
    if let Some(surplus) = others.get(limits::WORKSPACES - 1) {
        findings.push(
            surplus
                .problem("the chat has too many project folders")
                .found(format!("{} in `workspaces`", others.len()))
                .expected(format!("at most {}", limits::WORKSPACES - 1))
                .fix("remove those that are not used"),
        );
    }
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
                usable = usable.and(Err(written
                    .problem(format!(
                        "the workspace {} leads to a folder whose name is not text",
                        path.display()
                    ))
                    .fix("rename the folder")));
            }
            // Naming one twice, or the first one again, changes nothing.
            Some(real) if known.contains(&real) => {}
            Some(real) => {
                known.push(real.clone());
                workspaces.others.push(real);
            }
            None => usable = usable.and(Err(unusable(written, &path))),
        }
    }
    (workspaces, usable)
}

fn unusable(written: &Located<String>, path: &Path) -> Diagnostic {
    let shown = path.display();
    let (what, fix) = if path.exists() {
        ("is not a folder", "choose a folder".to_owned())
    } else {
        ("does not exist", format!("run `mkdir -p {shown}`"))
    };
    written
        .problem(format!("the workspace {shown} {what}"))
        .expected("a folder that exists; a relative path starts at this file's folder")
        .fix(fix)
}
