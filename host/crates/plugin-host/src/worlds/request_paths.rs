//! The details of a permission request: where its paths really lead, and what the plugin says of it, within bounds.
//!
//! Problem: an agent's program compares the names of paths. A link in the workspace, as a cloned repository may bring, makes
//! a harmless name stand for a file of the owner's home folder, or for one that runs what is written into it; and a patch
//! may put a new file where there is one.
//!
//! Mechanism: the plugin names the paths of a request (`permission.paths`), and the host, which knows the workspace, follows them
//! by name alone: it opens nothing, so that no FIFO and no device holds it up. What leads elsewhere than its name says, what
//! would be replaced, and what runs what is written there becomes a detail of the request. Where that cannot be found out,
//! the detail says so, and the page does not let it be allowed.
//!
//! Limits: a link that is made between the request and its answer, and a hard link, are not seen.

use crate::bindings::chat::nexus::plugin::chat_types::{self as wit, AgentRequest, Event, RequestKind};
use crate::truncate;
use nexus_config::resolved::Workspaces;
use nexus_model::chat;
use nexus_model::limits;
use nexus_plugin_api::paths::path_contains_name;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use tokio::sync::Semaphore;

/// `LOOKS` bounds the looks that may hang on a disk that does not answer.
static LOOKS: Semaphore = Semaphore::const_new(4);
/// `LINKS` is how many links are followed, as Linux has it.
const LINKS: usize = 40;
/// `NAMES` is how many names there may be on the way, those of links included.
const NAMES: usize = 2_000;

/// `Named` is what a permission names.
#[derive(Debug, Clone, Default)]
struct Named {
    paths: Vec<wit::Path>,
    /// `obeyed` are names of what runs what is written there.
    obeyed: Vec<String>,
}

pub(crate) async fn add_to_event(event: &mut Event, workspaces: &Workspaces) {
    match event {
        Event::Request(request) => add(std::slice::from_mut(request), workspaces).await,
        Event::Opened(connection) => {
            let most = connection.requests.len().min(limits::OPEN_SESSIONS);
            add(connection.requests.get_mut(..most).unwrap_or_default(), workspaces).await;
        }
        _ => {}
    }
}

/// Adds what is found to the details of these.
pub(crate) async fn add(requests: &mut [AgentRequest], workspaces: &Workspaces) {
    let named: Vec<Option<Named>> = requests.iter().map(named).collect();
    if named.iter().all(Option::is_none) {
        return;
    }
    let (looked, folders) = (named.clone(), workspaces.clone());
    let look = async {
        let permit = LOOKS.acquire().await;
        let look = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let folders: Vec<Folder> = folders.all().map(Folder::new).collect();
            let details = |named: Named| details(&named, &folders);
            looked.into_iter().map(|named| named.map(details)).collect::<Vec<_>>()
        });
        look.await.ok()
    };
    let found = tokio::time::timeout(limits::PATHS_CHECK, look).await.ok().flatten();
    for (at, request) in requests.iter_mut().enumerate() {
        let details = match &found {
            Some(found) => found.get(at).cloned().flatten(),
            None => named.get(at).cloned().flatten().map(|named| {
                let certain = named.paths.iter().filter(|requested| !requested.guessed);
                let unknown = |requested: &wit::Path| not_known(&requested.path, "the disk did not respond in time");
                certain.map(unknown).collect()
            }),
        };
        append(request, details.unwrap_or_default());
    }
}

fn named(request: &AgentRequest) -> Option<Named> {
    let RequestKind::Permission(permission) = &request.kind else {
        return None;
    };
    (!permission.paths.is_empty()).then(|| Named {
        paths: permission.paths.clone(),
        obeyed: permission.obeyed.clone(),
    })
}

fn append(request: &mut AgentRequest, details: Vec<wit::Detail>) {
    if let RequestKind::Permission(permission) = &mut request.kind {
        permission.details.extend(details);
    }
}

/// `shown` are the details within bounds. What is left out is told: what is not seen is not agreed to.
pub(crate) fn shown(all: Vec<wit::Detail>) -> Vec<chat::Detail> {
    let more = all.len().saturating_sub(limits::REQUEST_DETAILS);
    let mut left = limits::REQUEST_DETAILS_BYTES;
    let mut shown: Vec<_> = truncate::list(all, limits::REQUEST_DETAILS)
        .into_iter()
        .map(|d| {
            let text = truncate::counted(d.text, left);
            left = left.saturating_sub(text.len());
            chat::Detail {
                name: truncate::literal(d.name, limits::TITLE_BYTES),
                text,
            }
        })
        .collect();
    if more > 0 {
        shown.push(unknown(format!("⟨{more} more details are not shown here⟩")));
    }
    shown
}

/// `unknown` is a detail that says what is not shown.
pub(crate) fn unknown(text: String) -> chat::Detail {
    chat::Detail {
        name: "Unknown".to_owned(),
        text,
    }
}

fn detail(name: &str, text: impl Into<String>) -> wit::Detail {
    wit::Detail {
        name: name.to_owned(),
        text: text.into(),
    }
}

fn not_known(path: &str, cause: &str) -> wit::Detail {
    detail(
        "Unknown",
        format!("where {path} leads: {cause}. ⟨the target is not shown here⟩"),
    )
}

/// `Folder` is a workspace.
struct Folder {
    path: PathBuf,
    /// `base` is the workspace without links.
    base: PathBuf,
}

impl Folder {
    fn new(path: &Path) -> Self {
        let path = path.to_owned();
        let base = follow(&path).map_or_else(|_| path.clone(), |real| real.path);
        Self { path, base }
    }

    fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.path) || path.starts_with(&self.base)
    }
}

/// `details` follow the paths. One that is relative is taken from the first folder. Where there are several folders, a path is
/// shown in full: without its folder it would look like one of the folder that the request is of.
fn details(named: &Named, folders: &[Folder]) -> Vec<wit::Detail> {
    let mut all = Vec::new();
    let Some(first) = folders.first() else { return all };
    let short = |inside: &Path, whole: &Path| match folders.len() {
        1 => inside.display().to_string(),
        _ => whole.display().to_string(),
    };
    for requested in named.paths.iter().take(limits::REQUEST_PATHS) {
        // As it stands: `..` after a link is not what it looks like.
        let path = first.path.join(&requested.path);
        let looks = lexical(&path);
        // One may lie within another.
        let holding = folders.iter().filter(|folder| folder.holds(&looks));
        let nearest = holding.max_by_key(|folder| folder.base.components().count());
        let Folder { path: workspace, base } = nearest.unwrap_or(first);
        let inside = looks.strip_prefix(workspace).or_else(|_| looks.strip_prefix(base));
        let (shown, expected) = match inside {
            Ok(inside) => (short(inside, &looks), base.join(inside)),
            Err(_) => (looks.display().to_string(), looks.clone()),
        };
        let real = match follow(&path) {
            Ok(real) => real,
            Err(_) if requested.guessed => continue,
            Err(cause) => {
                all.push(not_known(&shown, &cause));
                continue;
            }
        };
        if real.links > 0 && real.path != expected {
            let within = real.path.strip_prefix(base);
            all.push(detail("Through a link", shown.clone()));
            match within {
                Ok(within) => all.push(detail("leads to", short(within, &real.path))),
                Err(_) => all.push(detail(
                    "leads out of the workspace, to",
                    real.path.display().to_string(),
                )),
            }
            let place = within.unwrap_or(&real.path).display().to_string();
            if !requested.guessed && path_contains_name(&place, &named.obeyed) {
                let words = "is a file that configures the agent's program or git. Its content may run later without \
                    a permission request.";
                all.push(detail("Careful", format!("{place} {words}")));
            }
        }
        if requested.new && real.there {
            all.push(detail("Replaces", format!("{shown}, which already exists")));
        }
    }
    let left = named
        .paths
        .iter()
        .skip(limits::REQUEST_PATHS)
        .filter(|requested| !requested.guessed);
    match left.count() {
        0 => {}
        more => all.push(detail(
            "Unknown",
            format!("⟨where {more} more paths lead is not shown here⟩"),
        )),
    }
    all
}

#[derive(Debug)]
struct ResolvedPath {
    path: PathBuf,
    /// `links` counts how many were followed.
    links: usize,
    there: bool,
}

/// Follows a path as the kernel goes, but that nothing is opened, and that what is not there yet may be named as well.
fn follow(path: &Path) -> Result<ResolvedPath, String> {
    let names = |path: &Path| -> Vec<OsString> {
        let names = path.components().rev().filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        });
        names.collect()
    };
    let mut left = names(path);
    let mut real = ResolvedPath {
        path: PathBuf::from("/"),
        links: 0,
        there: true,
    };
    let mut walked = 0;
    while let Some(name) = left.pop() {
        walked += 1;
        if walked > NAMES || left.len() > NAMES {
            return Err("the path is too long".to_owned());
        }
        if name == ".." {
            real.path.pop();
            continue;
        }
        let next = real.path.join(name);
        match std::fs::symlink_metadata(&next) {
            Ok(found) if found.file_type().is_symlink() => {
                real.links += 1;
                if real.links > LINKS {
                    return Err("its links form a loop".to_owned());
                }
                let target = std::fs::read_link(&next).map_err(|e| e.to_string())?;
                left.extend(names(&target));
                if target.is_absolute() {
                    real.path = PathBuf::from("/");
                }
            }
            Ok(_) => real.path = next,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                real.there = false;
                real.path = next;
            }
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(real)
}

/// `lexical` is what a path looks like: `..` takes away a name.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn named(path: impl AsRef<Path>) -> wit::Path {
        wit::Path {
            path: path.as_ref().display().to_string(),
            new: false,
            guessed: false,
        }
    }

    fn guessed(path: &str) -> wit::Path {
        wit::Path {
            guessed: true,
            ..named(path)
        }
    }

    fn asked(paths: Vec<wit::Path>) -> AgentRequest {
        AgentRequest {
            id: "a".to_owned(),
            session: "s".to_owned(),
            requested_by: "s".to_owned(),
            kind: RequestKind::Permission(wit::Permission {
                subject: "edit".to_owned(),
                detail: "d".to_owned(),
                always: Vec::new(),
                changes: Vec::new(),
                details: Vec::new(),
                paths,
                obeyed: [".opencode", ".git", ".config/opencode"].map(str::to_owned).to_vec(),
            }),
            message: None,
            part: None,
            created_at: 1,
            ext: Vec::new(),
        }
    }

    fn permission(request: &mut AgentRequest) -> &mut wit::Permission {
        match &mut request.kind {
            RequestKind::Permission(permission) => permission,
            other => panic!("{other:?}"),
        }
    }

    async fn details(paths: Vec<wit::Path>, workspace: &Path) -> Vec<(String, String)> {
        details_in(paths, &workspace.to_owned().into()).await
    }

    async fn details_in(paths: Vec<wit::Path>, workspaces: &Workspaces) -> Vec<(String, String)> {
        let mut request = asked(paths);
        add(std::slice::from_mut(&mut request), workspaces).await;
        let all = std::mem::take(&mut permission(&mut request).details);
        all.into_iter().map(|detail| (detail.name, detail.text)).collect()
    }

    fn names(details: &[(String, String)]) -> Vec<&str> {
        details.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[tokio::test]
    async fn what_a_link_leads_to_is_shown() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().canonicalize().unwrap();
        let (project, outside) = (real.join("project"), real.join("outside"));
        for dir in [&project.join(".opencode/plugins"), &project.join("src"), &outside] {
            fs::create_dir_all(dir).unwrap();
        }
        fs::write(project.join("src/a"), "x").unwrap();
        symlink(&outside, project.join("docs")).unwrap();
        symlink(".opencode/plugins", project.join("assets")).unwrap();
        symlink("src", project.join("same")).unwrap();
        symlink("loop", project.join("loop")).unwrap();
        // The workspace may be a link itself: that is no news.
        let by_link = real.join("by-link");
        symlink(&project, &by_link).unwrap();
        for workspace in [&project, &by_link] {
            let at = |path: &str| vec![named(workspace.join(path))];
            let out = details(at("docs/.ssh/id_rsa"), workspace).await;
            assert_eq!(names(&out), ["Through a link", "leads out of the workspace, to"]);
            assert_eq!(
                (out[0].1.as_str(), Path::new(&out[1].1)),
                ("docs/.ssh/id_rsa", &*outside.join(".ssh/id_rsa"))
            );
            let obeyed = details(at("assets/logo.js"), workspace).await;
            assert_eq!(names(&obeyed), ["Through a link", "leads to", "Careful"]);
            assert_eq!(obeyed[1].1, ".opencode/plugins/logo.js");
            assert_eq!(details(at("same/a"), workspace).await[1].1, "src/a");
            assert_eq!(details(at("src/new/file"), workspace).await, []);
            assert_eq!(details(at("src/../src/a"), workspace).await, []);
            // `..` after a link goes up from where that leads.
            let up = details(vec![guessed("docs/../x")], workspace).await;
            assert_eq!(Path::new(&up[1].1), real.join("x"));
            let circle = details(at("loop/x"), workspace).await;
            assert!(
                names(&circle) == ["Unknown"] && circle[0].1.ends_with("not shown here⟩"),
                "{circle:?}"
            );
            assert_eq!(details(vec![guessed("loop/x")], workspace).await, []);
            let new = details(
                [workspace.join("src/a"), "src/b".into()]
                    .map(|path| wit::Path {
                        new: true,
                        ..named(path)
                    })
                    .to_vec(),
                workspace,
            )
            .await;
            assert_eq!(new, [("Replaces".to_owned(), "src/a, which already exists".to_owned())]);
        }
        assert_eq!(details(vec![named(outside.join("x"))], &project).await, []);
    }

    #[tokio::test]
    async fn with_several_folders_a_path_is_shown_in_full() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().canonicalize().unwrap();
        let (first, inner) = (real.join("a"), real.join("a/inner"));
        fs::create_dir_all(inner.join("src")).unwrap();
        symlink("src", inner.join("link")).unwrap();
        symlink("inner", first.join("link")).unwrap();
        let workspaces = Workspaces {
            first: first.clone(),
            others: vec![inner.clone()],
        };
        let shown = |path: PathBuf| path.display().to_string();
        let out = details_in(vec![named(inner.join("link/x"))], &workspaces).await;
        assert_eq!(
            out,
            [
                ("Through a link".to_owned(), shown(inner.join("link/x"))),
                ("leads to".to_owned(), shown(inner.join("src/x"))),
            ]
        );
        let out = details_in(vec![named(first.join("link/src/x"))], &workspaces).await;
        assert_eq!(out[1], ("leads to".to_owned(), shown(inner.join("src/x"))));
    }

    #[tokio::test]
    async fn many_paths_and_long_ways_have_an_end() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().canonicalize().unwrap();
        let paths = (0..limits::REQUEST_PATHS + 7).map(|n| named(format!("f{n}"))).collect();
        let all = details(paths, &real).await;
        assert_eq!(all[0].1, "⟨where 7 more paths lead is not shown here⟩");
        let deep = "x/".repeat(limits::REQUEST_DETAIL);
        assert!(details(vec![named(deep)], &real).await[0].1.contains("too long"));
        // Nothing is opened: a FIFO would hold it up for ever.
        let fifo = real.join("fifo");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(details(vec![named(fifo.join("x")), named(&fifo)], &real).await, []);
    }

    #[tokio::test]
    async fn what_the_plugin_reported_stays() {
        let mut request = asked(vec![named("/proc/self/cwd/x")]);
        permission(&mut request).details.push(detail("Moves", "a"));
        add(std::slice::from_mut(&mut request), &PathBuf::from("/w").into()).await;
        let all = &permission(&mut request).details;
        assert_eq!((all[0].name.as_str(), all.len()), ("Moves", 3));
    }
}
