//! Puts a backup back. Everything is unpacked beside the data and checked before anything of the data is touched.

use super::format::{BEFORE, FORMAT, MANIFEST, Manifest, RESTORING, check_path, left_out};
use super::hashing_reader::Hashed;
use super::staging::{Staging, private_dir, private_file, sync_dir};
use crate::lock::Lock;
use crate::snapshot;
use anyhow::{Context as _, bail};
use flate2::read::GzDecoder;
use nexus_model::digest::hex;
use nexus_model::limits;
use nexus_model::time::Utc;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// `Restored` is what [`restore`] has done.
#[derive(Debug)]
pub struct Restored {
    /// `manifest` is that of the backup.
    pub manifest: Manifest,
    /// `before` is the folder with the data that was there before, if there was any.
    pub before: Option<PathBuf>,
}

/// Restores the backup `file` into `data_dir`. With `force`, what is there is kept aside, in the same folder.
///
/// # Errors
/// A Nexus runs there; there is data and no `force`; the backup is damaged, of a newer Nexus, or leads out of the data
/// folder; there is not enough space. In each case the data is as it was.
pub fn restore(file: &Path, data_dir: &Path, force: bool) -> anyhow::Result<Restored> {
    let named = || format!("the backup {}", file.display());
    let archive = match File::open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "{} does not exist. To fix: give the path of a backup that Nexus wrote",
            named()
        ),
        opened => opened.with_context(named)?,
    };
    // Held to the end: a Nexus that starts meanwhile is refused.
    let _lock = Lock::acquire(data_dir)?;
    let there = entries(data_dir)?;
    if !force && let Some(first) = there.first() {
        bail!(
            "{} already contains data ({}, …). To fix: restore into another folder with --data-dir DIR, or use \
             --force, which moves the existing data into a folder {BEFORE}…",
            data_dir.display(),
            first.display()
        );
    }
    for entry in fs::read_dir(data_dir)?.flatten() {
        // The lock is ours: whoever began this is gone.
        if entry.file_name().to_string_lossy().starts_with(RESTORING) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    let staging = Staging::make(data_dir, RESTORING)?;
    let manifest = unpack(archive, &staging.0).with_context(named)?;
    let schema = snapshot::check(&staging.0.join(snapshot::NAME)).with_context(named)?;
    if schema != manifest.schema {
        bail!(
            "{}: its manifest says schema {}, but its database has {schema}: the backup was modified",
            named(),
            manifest.schema
        );
    }
    let before = keep_aside(data_dir, &there)?;
    let placed = place(&staging.0, data_dir).with_context(|| match &before {
        Some(before) => format!("the previous data is in {}", before.display()),
        None => "there was no previous data".to_owned(),
    });
    placed?;
    sync_dir(data_dir);
    Ok(Restored { manifest, before })
}

/// `entries` are what of the data folder a restore would replace; the database first.
fn entries(data_dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data_dir)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if !left_out(&text) || text.starts_with(snapshot::NAME) {
            found.push(PathBuf::from(name));
        }
    }
    found.sort_by_key(|name| (!name.to_string_lossy().starts_with(snapshot::NAME), name.clone()));
    Ok(found)
}

/// Unpacks into `to`, each file checked against the manifest.
fn unpack(archive: File, to: &Path) -> anyhow::Result<Manifest> {
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(archive)));
    // Raw: else the library reads the names and attributes that stand before an entry whole, and a few kilobytes of a
    // forged file unpack to as much memory as there is.
    let no_backup = |detail: &str| {
        anyhow::anyhow!("it is not a backup of Nexus, or it is damaged{detail}. To fix: give a backup that Nexus wrote")
    };
    let mut entries = tar.entries().map_err(|_| no_backup(""))?.raw(true);
    let first = entries
        .next()
        .ok_or_else(|| no_backup(""))?
        .map_err(|_| no_backup(""))?;
    if first.path_bytes() != MANIFEST.as_bytes() {
        return Err(no_backup(&format!(" ({MANIFEST} is not the first file)")));
    }
    let mut text = Vec::new();
    first.take(limits::BACKUP_MANIFEST_BYTES).read_to_end(&mut text)?;
    let manifest = manifest(&text)?;
    let mut expected = BTreeMap::new();
    let mut total: u64 = 0;
    for entry in &manifest.files {
        check_path(&entry.path).map_err(anyhow::Error::msg)?;
        total = total.saturating_add(entry.bytes);
        if expected.insert(entry.path.clone(), entry).is_some() {
            bail!("its manifest lists {} twice", shown(&entry.path));
        }
    }
    if !expected.contains_key(snapshot::NAME) {
        bail!("it contains no database ({})", snapshot::NAME);
    }
    if let Some(free) = free_space(to)
        && total > free
    {
        bail!(
            "it needs {total} bytes, but {} has only {free} left. To fix: free up space",
            to.display()
        );
    }
    let mut long_name = None;
    for entry in entries {
        let mut entry = entry.context("it is damaged")?;
        if entry.header().entry_type() == tar::EntryType::GNULongName && long_name.is_none() {
            long_name = Some(read_long_name(entry)?);
            continue;
        }
        let path = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        let path = String::from_utf8(path).context("a path in it is not UTF-8")?;
        check_path(&path).map_err(anyhow::Error::msg)?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            bail!(
                "{} is not a regular file, but a backup of Nexus contains only regular files",
                shown(&path)
            );
        }
        let listed = expected
            .remove(&path)
            .with_context(|| format!("{} is not in its manifest, or is listed twice", shown(&path)))?;
        let place = to.join(&path);
        if let Some(parent) = place.parent() {
            private_dir(parent)?;
        }
        let mut file = private_file(&place).with_context(|| place.display().to_string())?;
        // One byte more than is promised tells as well as a thousand.
        let mut content = Hashed::new((&mut entry).take(listed.bytes.saturating_add(1)));
        std::io::copy(&mut content, &mut file).context("it is damaged")?;
        file.sync_all()?;
        if content.end() != (listed.bytes, listed.sha256.clone()) {
            bail!(
                "the digest of {} does not match the manifest: the backup is damaged or was modified",
                shown(&path)
            );
        }
    }
    if let Some((missing, _)) = expected.first_key_value() {
        bail!("{} is missing: the backup is truncated", shown(missing));
    }
    Ok(manifest)
}

/// Reads the path of the entry behind it, where that is too long for the entry's own header.
fn read_long_name(entry: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut name = Vec::new();
    entry
        .take(limits::BACKUP_PATH_BYTES + 1)
        .read_to_end(&mut name)
        .context("it is damaged")?;
    if name.last() == Some(&0) {
        name.pop();
    }
    if name.len() as u64 >= limits::BACKUP_PATH_BYTES {
        bail!(
            "a path in it has {} bytes or more, which no system supports: the backup was forged or is damaged",
            limits::BACKUP_PATH_BYTES
        );
    }
    Ok(name)
}

/// `shown` is a path of the archive, in a sentence.
fn shown(path: &str) -> std::borrow::Cow<'_, str> {
    nexus_plugin_api::text::literal(path)
}

fn manifest(text: &[u8]) -> anyhow::Result<Manifest> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: u32,
        nexus: String,
    }
    // First only what every format has.
    let head: Head = serde_json::from_slice(text).context("its manifest is damaged")?;
    if head.format > FORMAT {
        bail!(
            "it was written by a newer Nexus ({}, format {}; this version knows format {FORMAT}). To fix: restore it \
             with that version",
            word(&head.nexus),
            head.format
        );
    }
    let mut manifest: Manifest = serde_json::from_slice(text).context("its manifest is damaged")?;
    // Whoever made the file may be a stranger, and these two are shown.
    for shown in [&mut manifest.nexus, &mut manifest.created_at] {
        *shown = word(shown);
    }
    Ok(manifest)
}

/// `word` is one of a manifest, in a sentence.
fn word(text: &str) -> String {
    let cut: String = text.chars().take(64).collect();
    nexus_plugin_api::text::line(&cut).into_owned()
}

/// `free_space` is in bytes; `None` where the system does not say.
fn free_space(dir: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(dir).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

/// Moves what is there into a folder of the data folder itself: a data folder may be a mount, which cannot be
/// renamed as a whole. The database stays in its place until the other one replaces it, so that there is no moment
/// without accounts.
fn keep_aside(data_dir: &Path, there: &[PathBuf]) -> anyhow::Result<Option<PathBuf>> {
    if there.is_empty() {
        return Ok(None);
    }
    let database = data_dir.join(snapshot::NAME);
    if database.exists()
        && let Err(error) = snapshot::settle(&database)
    {
        // A damaged one may be the very reason for the restore; it is kept as it is.
        tracing::warn!(%error, "cannot read the database that is being replaced");
    }
    let stamp = Utc::now().for_file_names();
    let token: [u8; 3] = nexus_model::random::random()?;
    let aside = data_dir.join(format!("{BEFORE}{stamp}-{}", hex(&token)));
    private_dir(&aside)?;
    for name in there {
        let (from, to) = (data_dir.join(name), aside.join(name));
        let kept = if from == database {
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(|_| ()))
        } else {
            fs::rename(&from, &to)
        };
        match kept {
            // SQLite itself removes its logs when the last one closes.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            other => other.with_context(|| {
                format!(
                    "cannot move {} aside; the files moved so far are in {}",
                    from.display(),
                    aside.display()
                )
            })?,
        }
    }
    sync_dir(&aside);
    Ok(Some(aside))
}

fn place(staging: &Path, data_dir: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(staging)? {
        let entry = entry?;
        let to = data_dir.join(entry.file_name());
        fs::rename(entry.path(), &to).with_context(|| format!("cannot move {} into place", to.display()))?;
    }
    Ok(())
}
