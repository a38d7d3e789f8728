use super::format::*;
use super::*;
use crate::{Durability, Store, snapshot};
use flate2::Compression;
use flate2::write::GzEncoder;
use nexus_model::digest::{hex, sha256};
use nexus_model::limits;
use std::fs;
use std::path::{Path, PathBuf};

fn nothing(_: &Path) -> bool {
    false
}

/// A data folder with an account, a login and a file; and its backup.
fn world() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("b.tar.gz"));
    fill(&data);
    fs::create_dir_all(data.join("extra/deep")).unwrap();
    fs::write(data.join("extra/deep/note"), "kept").unwrap();
    for (name, _) in LEFT_OUT {
        if !name.starts_with("nexus.db") && name != "lock" {
            fs::create_dir_all(data.join(name)).unwrap();
            fs::write(data.join(name).join("x"), "left out").unwrap();
        }
    }
    (dir, data, file)
}

fn fill(data: &Path) {
    let store = Store::open(data).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime
        .block_on(store.write(Durability::Synced, |db| {
            db.execute_batch(
                "INSERT INTO user(account, created_at) VALUES ('ann', 1);
                 INSERT INTO login VALUES (x'aa', 'l', 1, 1, 1, 1, 'p', 'a', 'loopback', '');",
            )
        }))
        .unwrap();
}

fn count(data: &Path, table: &str) -> i64 {
    let db = rusqlite::Connection::open(data.join(snapshot::NAME)).unwrap();
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0))
        .unwrap()
}

fn cause_of(result: anyhow::Result<Restored>) -> String {
    format!("{:#}", result.unwrap_err())
}

#[test]
fn what_matters_goes_there_and_back_and_no_login_does() {
    let (dir, data, file) = world();
    // Longer than a header's field: it is in an entry of its own.
    let long = format!("extra/{}/note", "a".repeat(200));
    fs::create_dir(data.join(&long).parent().unwrap()).unwrap();
    fs::write(data.join(&long), "kept too").unwrap();
    let written = write(&data, &file, &nothing).unwrap();
    let mut names: Vec<_> = written.manifest.files.iter().map(|f| f.path.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, [long.as_str(), "extra/deep/note", "nexus.db"]);
    let folders = [data.as_path(), file.parent().unwrap()];
    assert!(
        folders
            .iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap())
            .all(|e| !e.unwrap().file_name().to_string_lossy().starts_with(STAGING))
    );
    let new = dir.path().join("new");
    let restored = restore(&file, &new, false).unwrap();
    assert_eq!((restored.manifest, restored.before), (written.manifest, None));
    assert_eq!(fs::read_to_string(new.join("extra/deep/note")).unwrap(), "kept");
    assert_eq!(fs::read_to_string(new.join(&long)).unwrap(), "kept too");
    assert_eq!((count(&new, "user"), count(&new, "login")), (1, 0));
    assert_eq!(count(&data, "login"), 1, "the original is as it was");
    Store::open(&new).unwrap();
    let mut there: Vec<_> = fs::read_dir(&new).unwrap().map(|e| e.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["extra", "lock", "nexus.db"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&new.join("nexus.db"))), (0o600, 0o600));
        assert_eq!((mode(&new), mode(&new.join("extra/deep"))), (0o700, 0o700));
    }
}

#[test]
fn a_backup_takes_the_place_of_no_file_and_lies_not_in_what_it_backs_up() {
    let (dir, data, file) = world();
    fs::write(&file, "mine").unwrap();
    assert!(format!("{:#}", write(&data, &file, &nothing).unwrap_err()).contains("already exists"));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    let inside = data.join("b.tar.gz");
    assert!(format!("{:#}", write(&data, &inside, &nothing).unwrap_err()).contains("is in the data folder"));
    let none = dir.path().join("none");
    assert!(format!("{:#}", write(&none, &dir.path().join("c"), &nothing).unwrap_err()).contains("never run"));
    assert!(!none.exists());
}

#[test]
fn data_is_replaced_only_by_force_and_then_kept_aside() {
    let (_dir, data, file) = world();
    write(&data, &file, &nothing).unwrap();
    let db = rusqlite::Connection::open(data.join(snapshot::NAME)).unwrap();
    db.execute("INSERT INTO user(account, created_at) VALUES ('bob', 1)", [])
        .unwrap();
    drop(db);
    fs::write(data.join("newer"), "since then").unwrap();
    let cause = cause_of(restore(&file, &data, false));
    assert!(cause.contains("--force") && cause.contains("nexus.db"), "{cause}");
    assert_eq!(count(&data, "user"), 2);
    let before = restore(&file, &data, true).unwrap().before.unwrap();
    assert_eq!((count(&data, "user"), count(&before, "user")), (1, 2));
    assert_eq!(fs::read_to_string(before.join("newer")).unwrap(), "since then");
    assert!(!data.join("newer").exists());
    assert!(data.join("tools/x").exists(), "what a backup leaves out stays");
    // Once more: the first one stays where it is.
    let again = restore(&file, &data, true).unwrap().before.unwrap();
    assert!(again != before && before.exists());
}

#[test]
fn a_damaged_database_is_no_obstacle_to_its_restore() {
    let (_dir, data, file) = world();
    write(&data, &file, &nothing).unwrap();
    fs::write(data.join(snapshot::NAME), "no database any more".repeat(100)).unwrap();
    let before = restore(&file, &data, true).unwrap().before.unwrap();
    assert!(
        fs::read_to_string(before.join(snapshot::NAME))
            .unwrap()
            .starts_with("no database")
    );
    assert_eq!(count(&data, "user"), 1);
}

/// A gzipped tar of these entries: (path, content, type).
fn forge(file: &Path, entries: &[(&str, &[u8], tar::EntryType)]) {
    let mut tar = tar::Builder::new(GzEncoder::new(fs::File::create(file).unwrap(), Compression::fast()));
    for (path, content, kind) in entries {
        let mut header = tar::Header::new_gnu();
        // Past the crate's own checks.
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

fn manifest_of(files: &[(&str, &[u8])], schema: i64) -> Vec<u8> {
    let files = files.iter().map(|(path, content)| Entry {
        path: (*path).to_owned(),
        bytes: content.len() as u64,
        sha256: hex(&sha256(&[content])),
    });
    let manifest = Manifest {
        format: FORMAT,
        nexus: "0.1.0".into(),
        created_at: "2026-01-01T00:00:00Z".into(),
        schema,
        files: files.collect(),
    };
    serde_json::to_vec(&manifest).unwrap()
}

#[test]
fn what_is_forged_damaged_or_newer_is_refused_and_nothing_is_touched() {
    use tar::EntryType::{Regular, Symlink};
    let (dir, data, file) = world();
    write(&data, &file, &nothing).unwrap();
    let good = fs::read(data.join(snapshot::NAME)).unwrap();
    let good = good.as_slice();
    let db = ("nexus.db", good);
    let forged = dir.path().join("forged.tar.gz");
    let check = |entries: &[(&str, &[u8], tar::EntryType)], cause: &str| {
        forge(&forged, entries);
        for name in ["target", "data"] {
            let found = cause_of(restore(&forged, &dir.path().join(name), true));
            assert!(found.contains(cause), "{cause}: {found}");
        }
        assert_eq!(count(&data, "login"), 1, "{cause}");
        assert!(!dir.path().join("escaped").exists(), "{cause}");
        for name in ["target", "data"] {
            let staged = fs::read_dir(dir.path().join(name)).unwrap();
            assert!(
                staged
                    .flatten()
                    .all(|e| !e.file_name().to_string_lossy().contains("restore")),
                "{cause}"
            );
        }
    };
    // Good for itself, and behind more blanks than a manifest may have.
    let mut long = vec![b' '; usize::try_from(limits::BACKUP_MANIFEST_BYTES).unwrap()];
    long.extend(manifest_of(&[db], 1));
    check(
        &[(MANIFEST, &long, Regular), (db.0, good, Regular)],
        "its manifest is damaged",
    );
    for path in [
        "../escaped",
        "/escaped",
        "a/../../escaped",
        "a//b",
        "",
        "lock",
        "cache/wasm/x",
        "nexus.db/x",
    ] {
        check(
            &[
                (MANIFEST, &manifest_of(&[db, (path, b"x")], 1), Regular),
                ("nexus.db", good, Regular),
                (path, b"x", Regular),
            ],
            if path.starts_with(['l', 'c', 'n']) {
                "is never part"
            } else {
                "not a plain path"
            },
        );
    }
    // Not listed, but in it.
    let plain = manifest_of(&[db], 1);
    check(
        &[(MANIFEST, &plain, Regular), ("../escaped", b"x", Regular)],
        "not a plain path",
    );
    check(
        &[(MANIFEST, &plain, Regular), ("more", b"x", Regular)],
        "not in its manifest",
    );
    check(
        &[
            (MANIFEST, &plain, Regular),
            ("nexus.db", good, Regular),
            ("nexus.db", good, Regular),
        ],
        "is listed twice",
    );
    check(
        &[(MANIFEST, &plain, Regular), ("nexus.db", b"", Symlink)],
        "not a regular file",
    );
    check(
        &[(MANIFEST, &plain, Regular), ("nexus.db", b"other", Regular)],
        "digest",
    );
    check(&[(MANIFEST, &plain, Regular)], "nexus.db is missing");
    check(&[(MANIFEST, &manifest_of(&[], 1), Regular)], "no database");
    check(&[("nexus.db", good, Regular)], "is not the first file");
    check(&[(MANIFEST, b"{}", Regular)], "manifest is damaged");
    check(
        &[
            (MANIFEST, &manifest_of(&[db], 99), Regular),
            ("nexus.db", good, Regular),
        ],
        "its manifest says schema 99",
    );
    check(
        &[
            (MANIFEST, &manifest_of(&[("nexus.db", b"letter")], 0), Regular),
            ("nexus.db", b"letter", Regular),
        ],
        "damaged",
    );
    let newer = String::from_utf8(plain.clone())
        .unwrap()
        .replace("\"format\":1", "\"format\":2");
    check(&[(MANIFEST, newer.as_bytes(), Regular)], "newer Nexus");
    let future = dir.path().join("future.db");
    fs::copy(data.join(snapshot::NAME), &future).unwrap();
    let db = rusqlite::Connection::open(&future).unwrap();
    db.pragma_update(None, "user_version", 999).unwrap();
    db.pragma_update(None, "journal_mode", "DELETE").unwrap();
    drop(db);
    let future = fs::read(future).unwrap();
    check(
        &[
            (MANIFEST, &manifest_of(&[("nexus.db", &future)], 999), Regular),
            ("nexus.db", &future, Regular),
        ],
        "schema 999",
    );
    // What the library would read whole before it shows the entry behind it.
    let long = vec![b'a'; 64 << 10];
    for kind in [
        tar::EntryType::GNULongName,
        tar::EntryType::GNULongLink,
        tar::EntryType::XHeader,
    ] {
        check(
            &[("././@LongLink", &long, kind), (MANIFEST, &plain, Regular)],
            "is not the first file",
        );
        let cause = match kind {
            tar::EntryType::GNULongName => "a path in it has 4096 bytes or more",
            _ => "not a regular file",
        };
        check(
            &[
                (MANIFEST, &plain, Regular),
                ("x", &long, kind),
                ("nexus.db", good, Regular),
            ],
            cause,
        );
    }
    check(
        &[
            (MANIFEST, &plain, Regular),
            ("x", b"nexus.db", tar::EntryType::GNULongName),
            ("x", b"nexus.db", tar::EntryType::GNULongName),
            ("x", good, Regular),
        ],
        "not a regular file",
    );
    // Cut off, and no archive at all.
    let whole = fs::read(&file).unwrap();
    fs::write(&forged, &whole[..whole.len() / 2]).unwrap();
    cause_of(restore(&forged, &dir.path().join("target"), false));
    fs::write(&forged, "a letter").unwrap();
    assert!(cause_of(restore(&forged, &dir.path().join("target"), false)).contains("not a backup of Nexus"));
}

#[test]
fn what_a_strangers_backup_says_of_itself_moves_no_terminal() {
    use tar::EntryType::Regular;
    let (dir, data, file) = world();
    write(&data, &file, &nothing).unwrap();
    let good = fs::read(data.join(snapshot::NAME)).unwrap();
    drop(fs::remove_file(&file));
    let hostile = "0.1\u{1b}[2J\u{7}\u{202e}\u{200b}\u{9b}\n".repeat(100);
    let schema = {
        let db = rusqlite::Connection::open(data.join(snapshot::NAME)).unwrap();
        db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    };
    let mut manifest: Manifest = serde_json::from_slice(&manifest_of(&[("nexus.db", &good)], schema)).unwrap();
    (manifest.nexus, manifest.created_at) = (hostile.clone(), hostile.clone());
    let text = serde_json::to_vec(&manifest).unwrap();
    forge(&file, &[(MANIFEST, &text, Regular), ("nexus.db", &good, Regular)]);
    let restored = restore(&file, &dir.path().join("new"), false).unwrap().manifest;
    for shown in [&restored.nexus, &restored.created_at] {
        assert!(shown.contains("⟨U+202E⟩") && shown.chars().count() < 1000, "{shown}");
        assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{shown:?}");
    }
    let path = "a\u{1b}[2J";
    forge(
        &file,
        &[
            (
                MANIFEST,
                &manifest_of(&[("nexus.db", &good), (path, b"x")], schema),
                Regular,
            ),
            ("nexus.db", &good, Regular),
            (path, b"y", Regular),
        ],
    );
    let cause = cause_of(restore(&file, &dir.path().join("other"), false));
    assert!(cause.contains("the digest of a⟨U+001B⟩[2J does not match"), "{cause}");
}

#[test]
fn a_running_nexus_is_not_pulled_from_under() {
    let (_dir, data, file) = world();
    write(&data, &file, &nothing).unwrap();
    let lock = crate::lock::Lock::acquire(&data).unwrap();
    assert!(cause_of(restore(&file, &data, true)).contains("another Nexus"));
    drop(lock);
    restore(&file, &data, true).unwrap();
}
