//! What the kernel says about files, so that nobody has to look at them while nothing happens.
//!
//! Problem: a look at the files each second is a look at nothing for days, and wakes the machine.
//!
//! Mechanism: inotify on each file, for what is written into it, and on each folder, for what is replaced, made or removed
//! there. The events say *that* something happened and nothing else; whether it was one of the files is what a look at them
//! tells. So an instance is good for one event and is made again with each look, before it: nothing that happens after the
//! look is missed, and what replaced a file is watched from then on.
//!
//! Limits: inotify does not see what another machine does to a file of a network, nor a change of a link's way in other
//! folders: all is looked at now and then besides ([`nexus_model::limits::CONFIG_RECHECK`]). Where it is not to be had, as
//! with a folder that is missing, and on other systems than Linux, there is no instance, and the files are looked at each
//! second as before.

use std::path::PathBuf;

/// `FileEvents` tells of the first thing that happens to some files.
pub(super) struct FileEvents(watching::Watches);

impl FileEvents {
    /// Watches these files from now on, those that are not there too. Blocks. `None`: the kernel cannot tell all that
    /// happens to them.
    pub(super) fn of(files: &[PathBuf]) -> Option<Self> {
        watching::watch(files).map(Self)
    }

    /// Waits until something has happened since [`Self::of`].
    pub(super) async fn happened(self) {
        watching::wait(self.0).await;
    }
}

#[cfg(target_os = "linux")]
mod watching {
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
    use rustix::io::Errno;
    use std::os::fd::OwnedFd;
    use std::path::{Path, PathBuf};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    pub(super) type Watches = OwnedFd;

    pub(super) fn watch(files: &[PathBuf]) -> Option<Watches> {
        let watches = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        let replaced = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        let gone = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        let written = WatchFlags::MODIFY | WatchFlags::ATTRIB;
        for file in files {
            let folder = match file.parent()? {
                folder if folder == Path::new("") => Path::new("."),
                folder => folder,
            };
            // Of both one can be a watch already, of another file: what is watched there grows.
            inotify::add_watch(
                &watches,
                folder,
                replaced | gone | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD,
            )
            .ok()?;
            match inotify::add_watch(&watches, file, written | gone | WatchFlags::MASK_ADD) {
                // It is seen in its folder when it comes.
                Ok(_) | Err(Errno::NOENT) => {}
                Err(_) => return None,
            }
        }
        Some(watches)
    }

    pub(super) async fn wait(watches: Watches) {
        // SAFETY: the descriptor is owned, so it is open and the same for as long as what is made of it.
        #[allow(unsafe_code)]
        let watches = unsafe { AsyncFd::register_with_interest(watches, Interest::READABLE) };
        // A runtime that cannot wait for it is as good as an event: the files are looked at.
        if let Ok(watches) = watches {
            let _ = watches.readable().await;
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod watching {
    use std::convert::Infallible;
    use std::path::PathBuf;

    pub(super) type Watches = Infallible;

    pub(super) fn watch(_: &[PathBuf]) -> Option<Watches> {
        None
    }

    pub(super) async fn wait(watches: Watches) {
        match watches {}
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::{Path, PathBuf};

    async fn tells(files: &[PathBuf], what: &str, act: impl FnOnce()) {
        let events = FileEvents::of(files).unwrap();
        act();
        let told = tokio::time::timeout(std::time::Duration::from_secs(30), events.happened()).await;
        assert!(told.is_ok(), "nothing is told of {what}");
    }

    #[tokio::test]
    async fn what_happens_to_a_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("nexus.toml"), dir.path().join("other"));
        let files = [file.clone()];
        tells(&files, "a file that is made", || fs::write(&file, "1").unwrap()).await;
        tells(&files, "a file that is written", || fs::write(&file, "2").unwrap()).await;
        tells(&files, "a file that is replaced", || {
            fs::write(&other, "3").unwrap();
            fs::rename(&other, &file).unwrap();
        })
        .await;
        let link = dir.path().join("linked/secret");
        fs::create_dir(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        tells(&[link], "what a link leads to", || fs::write(&file, "4").unwrap()).await;
        tells(&files, "a file that is removed", || fs::remove_file(&file).unwrap()).await;
    }

    #[tokio::test]
    async fn what_is_written_into_another_file_beside_it_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (file, log) = (dir.path().join("nexus.toml"), dir.path().join("nexus.log"));
        fs::write(&file, "").unwrap();
        fs::write(&log, "").unwrap();
        let happened = FileEvents::of(&[file]).unwrap().happened();
        fs::write(&log, "a line").unwrap();
        assert!(futures::FutureExt::now_or_never(happened).is_none());
    }

    #[test]
    fn where_the_kernel_cannot_tell_there_is_nothing_to_wait_for() {
        assert!(FileEvents::of(&[Path::new("/nowhere/at/all").to_owned()]).is_none());
    }
}
