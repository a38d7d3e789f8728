//! Compiled code on disk. Compiling takes 20 to 500 ms, loading a file of this cache 0.1 ms.
//!
//! Compiled code is native code: whoever writes here owns the host. So the directory is private, the name of a file
//! says the engine and the component it belongs to, and its first lines carry a version and a digest of the rest. The
//! digest finds damage, not malice: against malice stands the mode of the directory, which is checked. The
//! whole directory may be deleted at any time.

use sha2::{Digest as _, Sha256};
use std::hash::Hash as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Changes with the layout of a file.
const MAGIC: &[u8; 16] = b"nexus-compiled-1";
const DIGEST: usize = 32;

#[derive(Debug, Clone)]
pub(crate) struct CodeCache {
    dir: PathBuf,
}

impl CodeCache {
    /// `cache/wasm` in this directory; made at the first write.
    pub(crate) fn new(parent: &Path) -> Self {
        Self {
            dir: parent.join("cache").join("wasm"),
        }
    }

    fn file(&self, engine: &Engine, digest: &str) -> PathBuf {
        let mut hasher = Stable(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compatibility = hex(&hasher.0.finalize());
        self.dir.join(format!(
            "{}-{digest}.cwasm",
            compatibility.get(..16).unwrap_or_default()
        ))
    }

    /// The component, from the cache or compiled anew (and then cached). `digest`: the SHA-256 of `bytes` in hex. What
    /// `begin` gives is held while it is compiled.
    ///
    /// # Errors
    /// The component cannot be compiled. Trouble with the cache itself is logged and costs only time.
    pub(crate) fn load<T>(
        &self,
        engine: &Engine,
        bytes: &[u8],
        digest: &str,
        begin: impl FnOnce() -> T,
    ) -> wasmtime::Result<Component> {
        let file = self.file(engine, digest);
        match self.read(engine, &file) {
            Ok(Some(component)) => return Ok(component),
            Ok(None) => {}
            Err(why) => {
                tracing::warn!(
                    "the file {} of the cache is refused: {why}. The plugin is compiled anew.",
                    file.display()
                );
            }
        }
        let compiling = begin();
        let component = Component::new(engine, bytes)?;
        drop(compiling);
        if let Err(e) = self.write(&file, &component) {
            tracing::warn!(
                "compiled code could not be cached in {}: {e}. The next start compiles again.",
                file.display()
            );
        }
        Ok(component)
    }

    /// `None`: there is no such file.
    fn read(&self, engine: &Engine, file: &Path) -> Result<Option<Component>, String> {
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.to_string()),
        };
        private(&self.dir)?;
        private(file)?;
        let code = checked(&bytes)?;
        // SAFETY: `deserialize` trusts the bytes to come from `Component::serialize`. They lie in a file and a directory
        // that only this user can write (checked above), were written by `write` below for an engine of the same
        // compatibility (part of the name, and checked again by wasmtime), and are undamaged (digest).
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(engine, code) };
        component.map(Some).map_err(|e| format!("{e:#}"))
    }

    fn write(&self, file: &Path, component: &Component) -> anyhow::Result<()> {
        let code = component.serialize().map_err(|e| anyhow::anyhow!("{e:#}"))?;
        create_private(&self.dir)?;
        let unique: [u8; 8] = crate::time::random()?;
        let partial = file.with_extension(format!("{}.partial", hex(&unique)));
        let written = (|| {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut out = options.open(&partial)?;
            out.write_all(MAGIC)?;
            out.write_all(&Sha256::digest(&code))?;
            out.write_all(&code)?;
            std::fs::rename(&partial, file)
        })();
        if written.is_err() {
            // What is left half written must not stay; that it cannot be removed adds nothing to the error.
            let _ = std::fs::remove_file(&partial);
        }
        Ok(written?)
    }
}

/// What the cache of a data directory holds, for `nexus doctor`.
#[derive(Debug, Default)]
pub struct CacheState {
    pub files: usize,
    pub bytes: u64,
    /// Why files or the folder are refused; they are compiled anew.
    pub trouble: Vec<String>,
}

/// Looks at every file of the cache and changes none.
pub fn cache_state(data_dir: &Path) -> CacheState {
    let cache = CodeCache::new(data_dir);
    let mut state = CacheState::default();
    let Ok(entries) = std::fs::read_dir(&cache.dir) else {
        return state;
    };
    state.trouble.extend(private(&cache.dir).err());
    for path in entries.flatten().map(|e| e.path()) {
        if path.extension().is_none_or(|e| e != "cwasm") {
            continue;
        }
        state.files += 1;
        let whole = || -> Result<u64, String> {
            private(&path)?;
            let bytes = std::fs::read(&path).map_err(|e| e.to_string())?;
            checked(&bytes)?;
            Ok(bytes.len() as u64)
        };
        match whole() {
            Ok(bytes) => state.bytes += bytes,
            Err(why) => state.trouble.push(format!("{}: {why}", path.display())),
        }
    }
    state
}

/// The code in a file of the cache.
fn checked(bytes: &[u8]) -> Result<&[u8], String> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or("it is not a file of this version of nexus")?;
    let (digest, code) = rest.split_at_checked(DIGEST).ok_or("it is cut off")?;
    if Sha256::digest(code).as_slice() != digest {
        return Err("it is damaged: its content does not have the digest it was written with".into());
    }
    Ok(code)
}

#[cfg(unix)]
fn create_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn create_private(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)
}

#[cfg(unix)]
fn private(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if meta.mode() & 0o022 != 0 {
        return Err(format!("others can write to {}; run: chmod go-w '{0}'", path.display()));
    }
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me {
        return Err(format!(
            "{} belongs to user {}, nexus runs as {me}",
            path.display(),
            meta.uid()
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_: &Path) -> Result<(), String> {
    Ok(())
}

/// The standard library promises no hash that is the same in the next process; SHA-256 is.
struct Stable(Sha256);

impl std::hash::Hasher for Stable {
    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b))
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn setup() -> (tempfile::TempDir, CodeCache, Engine) {
        let dir = tempfile::tempdir().unwrap();
        let cache = CodeCache::new(dir.path());
        (dir, cache, crate::runtime::engine::engine().unwrap())
    }

    const EMPTY: &[u8] = b"(component)";

    #[test]
    fn code_is_written_once_and_privately() {
        let (_dir, cache, engine) = setup();
        let file = cache.file(&engine, "d");
        assert!(cache.read(&engine, &file).unwrap().is_none());
        cache
            .load(&engine, &wat::parse_bytes(EMPTY).unwrap(), "d", || ())
            .unwrap();
        assert!(cache.read(&engine, &file).unwrap().is_some());
        // From the cache: the bytes are not even looked at.
        cache.load(&engine, b"not a component", "d", || ()).unwrap();
        assert_eq!(std::fs::read_dir(&cache.dir).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                std::fs::metadata(&cache.dir).unwrap().permissions().mode() & 0o777,
                0o700
            );
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn damage_is_refused_in_words_and_repaired() {
        let (_dir, cache, engine) = setup();
        let wasm = wat::parse_bytes(EMPTY).unwrap();
        let file = cache.file(&engine, "d");
        cache.load(&engine, &wasm, "d", || ()).unwrap();
        let good = std::fs::read(&file).unwrap();
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let mut other = good.clone();
        other[0] ^= 1;
        for (bytes, why) in [
            (&flipped[..], "damaged"),
            (&good[..good.len() / 2], "damaged"),
            (&good[..20], "cut off"),
            (&other[..], "version"),
            (b"", "version"),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let error = cache.read(&engine, &file).err().unwrap();
            assert!(error.contains(why), "{error}");
            cache.load(&engine, &wasm, "d", || ()).unwrap();
            assert_eq!(std::fs::read(&file).unwrap().len(), good.len());
            assert!(cache.read(&engine, &file).unwrap().is_some());
        }
    }

    #[cfg(unix)]
    #[test]
    fn code_that_others_could_have_written_is_not_run() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, cache, engine) = setup();
        cache
            .load(&engine, &wat::parse_bytes(EMPTY).unwrap(), "d", || ())
            .unwrap();
        std::fs::set_permissions(&cache.dir, std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = cache.read(&engine, &cache.file(&engine, "d")).err().unwrap();
        assert!(error.contains("chmod go-w"), "{error}");
    }

    #[test]
    fn a_cache_that_cannot_be_written_costs_only_time() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cache"), "a file in the way").unwrap();
        let engine = crate::runtime::engine::engine().unwrap();
        CodeCache::new(dir.path())
            .load(&engine, &wat::parse_bytes(EMPTY).unwrap(), "d", || ())
            .unwrap();
    }
}
