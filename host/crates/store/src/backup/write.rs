//! Writes a backup, while Nexus runs or not.

use super::format::{Entry, FORMAT, MANIFEST, Manifest, STAGING, check_path, left_out};
use super::hashing_reader::Hashed;
use super::staging::{Staging, private_file, sync_dir};
use crate::database::Store;
use crate::snapshot;
use anyhow::{Context as _, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use nexus_model::digest::hex;
use nexus_model::limits;
use nexus_model::time::Utc;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// `Written` is what [`write()`] has done.
#[derive(Debug)]
pub struct Written {
    /// `manifest` lists what is in the backup.
    pub manifest: Manifest,
    /// `bytes` is the size of the backup's file.
    pub bytes: u64,
    /// `skipped` are the paths, below the data folder, that are neither files nor folders and were left out.
    pub skipped: Vec<PathBuf>,
}

/// Writes a backup of `data_dir` into `file`, which does not exist yet and appears when it is complete, mode 0600.
/// `outside`: files in the data folder that do not belong into it, such as a log of its own place.
///
/// # Errors
/// There is nothing to back up, the file exists, a disk is full, or a file changed while it was read.
pub fn write(data_dir: &Path, file: &Path, outside: &dyn Fn(&Path) -> bool) -> anyhow::Result<Written> {
    if !Store::exists(data_dir) {
        bail!(
            "there is nothing to back up: Nexus has never run with {}. To fix: give the right data folder with \
             --data-dir DIR",
            data_dir.display()
        );
    }
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let place = folder.canonicalize().with_context(|| {
        format!(
            "cannot use the folder {} for the backup; create it first",
            folder.display()
        )
    })?;
    if place.starts_with(data_dir.canonicalize()?) {
        bail!(
            "{} is in the data folder and would be lost with it. To fix: choose a file elsewhere",
            file.display()
        );
    }
    if file.symlink_metadata().is_ok() {
        bail!(
            "{} already exists. To fix: choose another file, or delete it",
            file.display()
        );
    }
    // Not in the data folder, whose disk may be full: one reason to want a backup.
    clear_abandoned(&place);
    let staging = Staging::make(&place, STAGING)?;
    let database = staging.0.join(snapshot::NAME);
    let schema = snapshot::take(data_dir, &database)?;
    let mut sources = vec![(snapshot::NAME.to_owned(), database)];
    let mut skipped = Vec::new();
    collect(data_dir, data_dir, outside, &mut sources, &mut skipped)?;
    let files = sources.iter().map(|(name, path)| entry(name, path));
    let manifest = Manifest {
        format: FORMAT,
        nexus: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: Utc::now().whole_seconds(),
        schema,
        files: files.collect::<anyhow::Result<_>>()?,
    };
    let partial = partial(file)?;
    let done = archive(&partial.0, &manifest, &sources).and_then(|bytes| {
        fs::rename(&partial.0, file)?;
        Ok(bytes)
    });
    let bytes = done.with_context(|| format!("cannot write the backup {}", file.display()))?;
    sync_dir(&place);
    Ok(Written {
        manifest,
        bytes,
        skipped,
    })
}

/// Removes what a machine left that lost its power in the middle.
fn clear_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|m| m.modified()).map(|t| t.elapsed());
        if entry.file_name().to_string_lossy().starts_with(STAGING)
            && age.is_ok_and(|age| age.is_ok_and(|age| age > limits::BACKUP_ABANDONED))
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Collects every file below `dir` that belongs into a backup, besides the database.
fn collect(
    data_dir: &Path,
    dir: &Path,
    outside: &dyn Fn(&Path) -> bool,
    files: &mut Vec<(String, PathBuf)>,
    skipped: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let unreadable = || format!("cannot read {}", dir.display());
    let entries = fs::read_dir(dir).with_context(unreadable)?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().with_context(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let relative = path.strip_prefix(data_dir)?;
        if (dir == data_dir && left_out(&entry.file_name().to_string_lossy())) || outside(&path) {
            continue;
        }
        let kind = entry.file_type()?;
        match relative.to_str() {
            Some(name) if kind.is_file() && check_path(name).is_ok() => files.push((name.to_owned(), path)),
            Some(_) if kind.is_dir() => collect(data_dir, &path, outside, files, skipped)?,
            _ => skipped.push(relative.to_owned()),
        }
    }
    Ok(())
}

fn entry(name: &str, path: &Path) -> anyhow::Result<Entry> {
    let read = || -> std::io::Result<(u64, String)> {
        let mut hashed = Hashed::new(File::open(path)?);
        std::io::copy(&mut hashed, &mut std::io::sink())?;
        Ok(hashed.end())
    };
    let (bytes, sha256) = read().with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Entry {
        path: name.to_owned(),
        bytes,
        sha256,
    })
}

/// `Partial` is removed when it is dropped, unless it has got its name by then.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn partial(file: &Path) -> anyhow::Result<Partial> {
    let token: [u8; 6] = nexus_model::random::random()?;
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().context("the backup needs a file name")?);
    name.push(format!(".{}.partial", hex(&token)));
    Ok(Partial(file.with_file_name(name)))
}

fn archive(partial: &Path, manifest: &Manifest, sources: &[(String, PathBuf)]) -> anyhow::Result<u64> {
    let to = BufWriter::new(private_file(partial)?);
    let mut tar = tar::Builder::new(GzEncoder::new(to, Compression::default()));
    let text = serde_json::to_vec_pretty(manifest)?;
    append(&mut tar, MANIFEST, text.len() as u64, &mut text.as_slice())?;
    for (entry, (name, path)) in manifest.files.iter().zip(sources) {
        let mut content = Hashed::new(File::open(path)?.take(entry.bytes));
        append(&mut tar, name, entry.bytes, &mut content)?;
        if content.end() != (entry.bytes, entry.sha256.clone()) {
            bail!("{name} changed while it was being read; try again");
        }
    }
    let file = tar.into_inner()?.finish()?.into_inner().map_err(|e| e.into_error())?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, bytes: u64, content: &mut dyn Read) -> anyhow::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(Utc::now().seconds());
    // A file that became shorter would shift all that follows: what is missing is filled, and the digest tells.
    let mut content = content.chain(std::io::repeat(0)).take(bytes);
    tar.append_data(&mut header, name, &mut content)
        .with_context(|| name.to_owned())
}
