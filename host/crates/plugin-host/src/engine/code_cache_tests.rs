//! The cache of compiled code, with files that others put there.

use super::*;

fn setup() -> (tempfile::TempDir, CodeCache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache_in(dir.path());
    (dir, cache)
}

/// As another start of the program has it.
fn cache_in(dir: &Path) -> CodeCache {
    CodeCache::new(dir, &crate::engine::engine().unwrap(), crate::minors::SUPPORTED)
}

/// A component of its own for each number.
fn component(n: u32) -> Vec<u8> {
    wat::parse_str(format!("(component (core module (func (export \"f{n}\"))))")).unwrap()
}

fn load(cache: &CodeCache, bytes: &[u8]) {
    cache
        .load(sha256(&[bytes]), || crate::engine::compile(&cache.engine, bytes))
        .unwrap();
}

fn file(cache: &CodeCache, bytes: &[u8]) -> (PathBuf, CacheKey) {
    let belongs = cache.key(sha256(&[bytes]));
    (cache.dir.join(belongs.name()), belongs)
}

fn refused(cache: &CodeCache, bytes: &[u8]) -> String {
    let (file, belongs) = file(cache, bytes);
    cache.read(&file, &belongs).err().unwrap()
}

fn files(cache: &CodeCache) -> usize {
    std::fs::read_dir(&cache.dir).unwrap().count()
}

#[test]
fn code_is_written_once_and_privately() {
    let (_dir, cache) = setup();
    let wasm = component(0);
    let (file, belongs) = file(&cache, &wasm);
    assert!(cache.read(&file, &belongs).unwrap().is_none());
    load(&cache, &wasm);
    assert!(cache.read(&file, &belongs).unwrap().is_some());
    let written = std::fs::read(&file).unwrap();
    let again = cache.load(sha256(&[&wasm]), || Err("compiled and checked again"));
    assert!(again.is_ok(), "{:?}", again.err());
    assert_eq!((files(&cache), std::fs::read(&file).unwrap()), (1, written));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&cache.dir), mode(&file)), (0o700, 0o600));
    }
}

#[test]
fn damage_is_reported_and_repaired() {
    let (_dir, cache) = setup();
    let wasm = component(0);
    let (file, belongs) = file(&cache, &wasm);
    load(&cache, &wasm);
    let good = std::fs::read(&file).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut other = good.clone();
    other[0] ^= 1;
    for (bytes, cause) in [
        (&flipped[..], "damaged"),
        (&good[..good.len() / 2], "damaged"),
        (&good[..20], "truncated"),
        (&good[..60], "truncated"),
        (&good[..100], "truncated"),
        (&other[..], "version"),
        (b"", "version"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let error = refused(&cache, &wasm);
        assert!(error.contains(cause), "{error}");
        load(&cache, &wasm);
        assert_eq!(std::fs::read(&file).unwrap().len(), good.len());
        assert!(cache.read(&file, &belongs).unwrap().is_some());
    }
}

#[test]
fn the_code_of_another_component_or_engine_is_not_run_under_a_borrowed_name() {
    let (dir, cache) = setup();
    let (mine, other) = (component(1), component(2));
    load(&cache, &other);
    let (borrowed, belongs) = file(&cache, &mine);
    std::fs::copy(file(&cache, &other).0, &borrowed).unwrap();
    let error = refused(&cache, &mine);
    assert!(error.contains("another component"), "{error}");
    assert!(crate::engine::cache_state(dir.path()).trouble[0].contains("another component"));
    load(&cache, &mine);
    assert!(cache.read(&borrowed, &belongs).unwrap().is_some(), "compiled again");

    let mut bytes = std::fs::read(&borrowed).unwrap();
    bytes[MAGIC.len()] ^= 1; // the engine
    std::fs::write(&borrowed, bytes).unwrap();
    assert!(refused(&cache, &mine).contains("another version of Nexus"));
}

#[cfg(unix)]
#[test]
fn code_that_others_could_have_written_is_not_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_dir, cache) = setup();
    let wasm = component(0);
    load(&cache, &wasm);
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    for path in [cache.dir.as_path(), cache.dir.parent().unwrap()] {
        open(path, 0o777);
        let error = refused(&cache, &wasm);
        assert!(error.contains("chmod go-w"), "{error}");
        open(path, 0o700);
    }
}

#[cfg(unix)]
#[test]
fn links_and_what_is_no_file_are_refused_and_nothing_is_written_through_them() {
    use std::os::unix::fs::symlink;
    let (dir, cache) = setup();
    let (elsewhere, wasm) = (tempfile::tempdir().unwrap(), component(0));
    load(&cache, &wasm);
    let (path, _) = file(&cache, &wasm);

    // A file.
    std::fs::rename(&path, elsewhere.path().join("code")).unwrap();
    symlink(elsewhere.path().join("code"), &path).unwrap();
    assert!(refused(&cache, &wasm).contains("symbolic link"));
    std::fs::remove_file(&path).unwrap();

    // A pipe, which nobody writes to.
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    assert!(refused(&cache, &wasm).contains("not a file"));
    std::fs::remove_file(&path).unwrap();

    // The folder, and the one above.
    for folder in [cache.dir.clone(), dir.path().join("cache")] {
        std::fs::remove_dir_all(dir.path().join("cache")).unwrap();
        let target = elsewhere.path().join("folder");
        std::fs::create_dir_all(target.join("wasm")).unwrap();
        std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
        symlink(&target, &folder).unwrap();
        load(&cache, &wasm);
        let left: Vec<_> = std::fs::read_dir(target.join("wasm"))
            .unwrap()
            .chain(std::fs::read_dir(&target).unwrap())
            .collect();
        assert_eq!(left.len(), 1, "only the empty folder is there: {left:?}");
        std::fs::remove_dir_all(&target).unwrap();
        std::fs::remove_file(&folder).unwrap();
        std::fs::create_dir_all(dir.path().join("cache")).unwrap();
    }
}

#[test]
fn files_beyond_the_bounds_are_deleted_the_oldest_first_and_none_that_is_used() {
    let (dir, _) = setup();
    for n in 0..6 {
        // Each of them an earlier life.
        load(&cache_in(dir.path()), &component(n));
    }
    let cache = cache_in(dir.path());
    let when = |n: u32, seconds| {
        let (path, _) = file(&cache, &component(n));
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(at)
            .unwrap();
    };
    for n in 0..6 {
        when(n, u64::from(n));
    }
    let there = |n| file(&cache, &component(n)).0.exists();
    // Used, though it is the oldest.
    load(&cache, &component(0));
    when(0, 0);
    let stale = cache.dir.join("x.partial");
    std::fs::write(&stale, "half").unwrap();
    File::options()
        .write(true)
        .open(&stale)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    std::fs::write(cache.dir.join("y.partial"), "of another process, now").unwrap();

    cache.shrink(3, u64::MAX);
    assert_eq!([0, 1, 2, 3, 4, 5].map(there), [true, false, false, false, true, true]);
    assert!(!stale.exists() && cache.dir.join("y.partial").exists());
    cache.shrink(usize::MAX, 0);
    assert_eq!([0, 4, 5].map(there), [true, false, false], "by bytes too");
}

#[test]
fn a_cache_that_cannot_be_written_only_takes_time() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("cache"), "a file in the way").unwrap();
    load(&cache_in(dir.path()), &component(0));
}
