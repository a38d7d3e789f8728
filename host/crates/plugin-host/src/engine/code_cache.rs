//! Compiled code on disk. Compiling takes 20 to 500 ms, loading a file of this cache 0.1 ms.
//!
//! Compiled code is native code: whoever writes here owns the host. So the directory is private and no link, and a file
//! says in its first bytes to which engine and which component it belongs, and a digest of the rest; its name is only where
//! it is looked for. The digest finds damage and mistakes, not malice: against malice stands the mode of the directory,
//! which is checked. The whole directory may be deleted at any time.
//!
//! What is here was compared with the contract before it was compiled ([`super::contract_check`]) and is not compared again:
//! the key holds the contract and the version of Nexus. What the code needs of the processor is not in the key, for the engine
//! has no compiler that would tell: wasmtime compares that when it loads the code, and code of another machine is refused and
//! compiled again.
//!
//! Each version of a plugin and of Nexus leaves files of its own. So those that were not used for the longest time are
//! deleted when one is written, until the rest keeps to [`limits::CODE_CACHE_BYTES`] and [`limits::CODE_CACHE_FILES`]; never
//! one that this process has loaded.

use super::minor::Minors;
use nexus_files::private;
use nexus_model::digest::{hex, sha256};
use nexus_model::limits;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::hash::Hash as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use wasmtime::Engine;
use wasmtime::component::Component;

/// `MAGIC` changes with the layout of a file: this, the engine, the component, the digest of the code, the code.
const MAGIC: &[u8; 16] = b"nexus-compiled-2";
const DIGEST: usize = 32;

#[derive(Clone)]
pub(crate) struct CodeCache {
    dir: PathBuf,
    engine: Engine,
    /// `engine_key` is [`CacheKey::engine`] of it.
    engine_key: [u8; DIGEST],
    /// `used` are the names of the files that this process has loaded or written.
    used: Arc<Mutex<BTreeSet<OsString>>>,
}

/// `CacheKey` says to which engine (with the version of Nexus and of its contract) and which component a file belongs;
/// SHA-256 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CacheKey {
    engine: [u8; DIGEST],
    component: [u8; DIGEST],
}

impl CacheKey {
    fn name(&self) -> String {
        let engine = hex(&self.engine);
        format!(
            "{}-{}.cwasm",
            engine.get(..16).unwrap_or_default(),
            hex(&self.component)
        )
    }
}

impl CodeCache {
    /// Uses `cache/wasm` in this directory, which is made at the first write, for code of this engine.
    /// `minors` are those that components are compared with before they are compiled.
    pub(crate) fn new(parent: &Path, engine: &Engine, minors: Minors) -> Self {
        let mut compatibility = Collected(Vec::new());
        engine.precompile_compatibility_hash().hash(&mut compatibility);
        let mut parts = vec![compatibility.0.as_slice(), env!("CARGO_PKG_VERSION").as_bytes()];
        parts.extend(minors.iter().map(|minor| minor.contract));
        Self {
            dir: folder(parent),
            engine: engine.clone(),
            engine_key: sha256(&parts),
            used: Arc::default(),
        }
    }

    /// `component` is the SHA-256 of the component.
    fn key(&self, component: [u8; DIGEST]) -> CacheKey {
        CacheKey {
            engine: self.engine_key,
            component,
        }
    }

    /// `load` is the component with this SHA-256, from the cache or compiled (and then cached).
    ///
    /// # Errors
    /// Those of `compile`. Trouble with the cache itself is logged and costs only time.
    pub(crate) fn load<E>(
        &self,
        component: [u8; DIGEST],
        compile: impl FnOnce() -> Result<Component, E>,
    ) -> Result<Component, E> {
        let belongs = self.key(component);
        let file = self.dir.join(belongs.name());
        match self.read(&file, &belongs) {
            Ok(Some(component)) => {
                self.keep(&file);
                return Ok(component);
            }
            Ok(None) => {}
            Err(cause) => {
                tracing::warn!(
                    "cannot use the cached file {}: {cause}. The plugin is compiled again.",
                    file.display()
                );
            }
        }
        let component = compile()?;
        self.keep(&file);
        if let Err(e) = self.write(&file, &belongs, &component) {
            tracing::warn!(
                "cannot cache compiled code in {}: {e}. The next start compiles it again.",
                file.display()
            );
        }
        Ok(component)
    }

    fn keep(&self, file: &Path) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.extend(file.file_name().map(ToOwned::to_owned));
    }

    /// Reads a file of the cache; `None`: there is no such file.
    fn read(&self, file: &Path, belongs: &CacheKey) -> Result<Option<Component>, String> {
        let Some(bytes) = content(&self.dir, file)? else {
            return Ok(None);
        };
        let (found, code) = checked(&bytes)?;
        if found != *belongs {
            return Err("it belongs to another component or another version of Nexus".into());
        }
        // SAFETY: `deserialize` trusts the bytes to come from `Component::serialize`. They lie in a file and a directory
        // that only this user can write (checked above), were written by `write` below for this component and an engine
        // of the same compatibility (compared above, and the engine again by wasmtime), and are undamaged (digest).
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(&self.engine, code) };
        component.map(Some).map_err(|e| format!("{e:#}"))
    }

    fn write(&self, file: &Path, belongs: &CacheKey, component: &Component) -> anyhow::Result<()> {
        let code = component.serialize().map_err(|e| anyhow::anyhow!("{e:#}"))?;
        private::make_dir(&self.dir)?;
        own_directory(&self.dir).map_err(|cause| anyhow::anyhow!("{cause}"))?;
        let unique: [u8; 8] = nexus_model::random::random()?;
        let partial = file.with_extension(format!("{}.partial", hex(&unique)));
        let written = (|| {
            let mut out = private::options().write(true).create_new(true).open(&partial)?;
            out.write_all(MAGIC)?;
            out.write_all(&belongs.engine)?;
            out.write_all(&belongs.component)?;
            out.write_all(&sha256(&[&code]))?;
            out.write_all(&code)?;
            std::fs::rename(&partial, file)
        })();
        if written.is_err() {
            // What is left half written must not stay; that it cannot be removed adds nothing to the error.
            let _ = std::fs::remove_file(&partial);
        }
        self.shrink(limits::CODE_CACHE_FILES, limits::CODE_CACHE_BYTES);
        Ok(written?)
    }

    /// Deletes what was not used for the longest time, until the rest keeps to both bounds. What cannot be looked at or
    /// deleted stays: it costs room and nothing else.
    fn shrink(&self, files: usize, bytes: u64) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            let changed = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let extension = entry.path().extension().map(ToOwned::to_owned);
            match extension.as_deref().and_then(|e| e.to_str()) {
                Some("cwasm") => found.push((changed, meta.len(), entry.file_name())),
                // Left half written by a process that was killed.
                Some("partial") if changed.elapsed().is_ok_and(|age| age > limits::CODE_CACHE_PARTIAL) => {
                    let _ = std::fs::remove_file(entry.path());
                }
                _ => {}
            }
        }
        found.sort_unstable();
        let (mut count, mut total) = (found.len(), found.iter().map(|(_, bytes, _)| bytes).sum::<u64>());
        for (_, size, name) in found {
            if count <= files && total <= bytes {
                return;
            }
            if !used.contains(&name) && std::fs::remove_file(self.dir.join(&name)).is_ok() {
                count -= 1;
                total = total.saturating_sub(size);
            }
        }
    }
}

fn folder(parent: &Path) -> PathBuf {
    parent.join("cache").join("wasm")
}

/// `content` are the bytes of a file of the cache, with everything checked that says nobody else wrote it. `None`:
/// there is none.
fn content(dir: &Path, file: &Path) -> Result<Option<Vec<u8>>, String> {
    let mut options = File::options();
    options.read(true);
    // A link leads elsewhere, and a pipe would hold the start up.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let open = match options.open(file) {
        Ok(open) => open,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        #[cfg(unix)]
        Err(e) if e.raw_os_error() == Some(libc::ELOOP) => return Err("it is a symbolic link".into()),
        Err(e) => return Err(e.to_string()),
    };
    own_directory(dir)?;
    let meta = open.metadata().map_err(|e| e.to_string())?;
    if !meta.is_file() {
        return Err("it is not a file".into());
    }
    private(file, &meta)?;
    if meta.len() > limits::CODE_CACHE_BYTES {
        return Err(format!(
            "it has {} bytes, more than the limit of the whole cache",
            meta.len()
        ));
    }
    // Which one was not used for the longest time is known by this. That it cannot be said costs a compilation.
    let _ = open.set_modified(SystemTime::now());
    let mut bytes = Vec::new();
    open.take(limits::CODE_CACHE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    Ok(Some(bytes))
}

/// Checks that the folder itself and the one it lies in are folders of this user and no links.
fn own_directory(dir: &Path) -> Result<(), String> {
    for dir in [dir.parent(), Some(dir)].into_iter().flatten() {
        let meta = std::fs::symlink_metadata(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        if !meta.is_dir() {
            return Err(format!(
                "{0} is a symbolic link or not a folder, so it does not belong to the cache; run: rm '{0}'",
                dir.display()
            ));
        }
        private(dir, &meta)?;
    }
    Ok(())
}

/// `CacheState` is what the cache of a data folder holds, for `nexus doctor`.
#[derive(Debug, Default)]
pub struct CacheState {
    /// `files` counts the files of compiled code, those that are refused among them.
    pub files: usize,
    /// `bytes` is the size of those together that can be used.
    pub bytes: u64,
    /// `trouble` says why files or the folder are refused; they are compiled again.
    pub trouble: Vec<String>,
}

/// Looks at every file of the cache and changes none.
pub fn cache_state(data_dir: &Path) -> CacheState {
    let dir = folder(data_dir);
    let mut state = CacheState::default();
    let Ok(entries) = std::fs::read_dir(&dir) else {
        return state;
    };
    state.trouble.extend(own_directory(&dir).err());
    for path in entries.flatten().map(|e| e.path()) {
        if path.extension().is_none_or(|e| e != "cwasm") {
            continue;
        }
        state.files += 1;
        let whole = || -> Result<u64, String> {
            let bytes = content(&dir, &path)?.ok_or("the file was deleted")?;
            let (belongs, _) = checked(&bytes)?;
            if path.file_name() != Some(std::ffi::OsStr::new(&belongs.name())) {
                return Err("it belongs to another component or another version of Nexus".into());
            }
            Ok(bytes.len() as u64)
        };
        match whole() {
            Ok(bytes) => state.bytes += bytes,
            Err(cause) => state.trouble.push(format!("{}: {cause}", path.display())),
        }
    }
    state
}

/// `checked` is the code in a file of the cache, and to what it says it belongs.
fn checked(bytes: &[u8]) -> Result<(CacheKey, &[u8]), String> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or("it is not a file of this version of Nexus")?;
    let (engine, rest) = rest.split_first_chunk().ok_or("it is truncated")?;
    let (component, rest) = rest.split_first_chunk().ok_or("it is truncated")?;
    let (digest, code) = rest.split_at_checked(DIGEST).ok_or("it is truncated")?;
    if sha256(&[code]) != digest {
        return Err("it is damaged: its digest does not match".into());
    }
    let belongs = CacheKey {
        engine: *engine,
        component: *component,
    };
    Ok((belongs, code))
}

#[cfg(unix)]
fn private(path: &Path, meta: &Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    if meta.mode() & 0o022 != 0 {
        return Err(format!(
            "other users can write to {}; run: chmod go-w '{0}'",
            path.display()
        ));
    }
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me {
        return Err(format!(
            "{} belongs to user {}, but Nexus runs as {me}",
            path.display(),
            meta.uid()
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_: &Path, _: &Metadata) -> Result<(), String> {
    Ok(())
}

/// `Collected` is what is to be hashed: the standard library promises no hash that is the same in the next process;
/// SHA-256 is.
struct Collected(Vec<u8>);

impl std::hash::Hasher for Collected {
    fn finish(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = sha256(&[&self.0]);
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

#[cfg(test)]
#[path = "code_cache_tests.rs"]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
