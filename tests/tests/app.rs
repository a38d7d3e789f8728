//! The app: what is checked in as built is what its sources make, its types are those of the API's description, and its own
//! tests pass.

use nexus_tests::part;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn app() -> PathBuf {
    part("NEXUS_TEST_APP")
}

/// Runs a program of the app's packages in its folder.
fn run(script: &str, args: &[&str]) {
    let output = Command::new(part("NEXUS_TEST_NODE"))
        .arg(app().join("node_modules").join(script))
        .args(args)
        .current_dir(app())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
#[ignore = "needs node and the app's packages: ./tests/run"]
fn the_built_app_is_what_its_sources_make() {
    let built = tempfile::tempdir().unwrap();
    let to = built.path().to_str().unwrap();
    run("vite/bin/vite.js", &["build", "--outDir", to, "--logLevel", "warn"]);
    let (now, checked_in) = (files(built.path()), files(&app().join("dist")));
    assert_eq!(
        now.keys().collect::<Vec<_>>(),
        checked_in.keys().collect::<Vec<_>>(),
        "To fix: run `npm run build` in host/crates/web/app and commit."
    );
    for (name, body) in now {
        assert!(
            checked_in.get(&name) == Some(&body),
            "{name} is not what the sources make. To fix: run `npm run build` in host/crates/web/app and commit."
        );
    }
}

#[test]
#[ignore = "needs node and the app's packages: ./tests/run"]
fn the_types_of_the_app_are_those_of_the_api() {
    let made = tempfile::tempdir().unwrap();
    let to = made.path().join("schema.d.ts");
    let args = [
        "../src/api/openapi.json",
        "--output",
        to.to_str().unwrap(),
        "--immutable",
        "--alphabetize",
    ];
    run("openapi-typescript/bin/cli.js", &args);
    assert!(
        std::fs::read(&to).unwrap() == std::fs::read(app().join("src/api/schema.d.ts")).unwrap(),
        "To fix: run `npm run types` in host/crates/web/app and commit."
    );
}

#[test]
#[ignore = "needs node and the app's packages: ./tests/run"]
fn the_app_has_no_error_of_types_or_accessibility() {
    run(
        "svelte-check/bin/svelte-check",
        &["--tsconfig", "./tsconfig.json", "--fail-on-warnings"],
    );
}

#[test]
#[ignore = "needs node and the app's packages: ./tests/run"]
fn the_unit_tests_of_the_app_pass() {
    run("vitest/vitest.mjs", &["run"]);
}

/// What opens a chat for the first time: the script that the page names, what that imports at once, and the style sheet. What else
/// there is comes when it is wanted.
#[test]
fn the_first_load_is_small() {
    use std::io::Write as _;
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/crates/web/app/dist");
    let (mut names, mut at) = (vec!["main.css".to_owned(), "main.js".to_owned()], 0);
    let mut sum = 0;
    while let Some(name) = names.get(at).cloned() {
        at += 1;
        let body = std::fs::read(dist.join(&name)).unwrap();
        if name.ends_with(".js") {
            let text = std::str::from_utf8(&body).unwrap();
            for imported in text
                .split("from\"./")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap())
            {
                if !names.iter().any(|known| known == imported) {
                    names.push(imported.to_owned());
                }
            }
        }
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        packed.write_all(&body).unwrap();
        sum += packed.finish().unwrap().len();
    }
    assert!(names.len() > 2, "the imports were not found: {names:?}");
    assert!(sum <= 100_000, "{sum} bytes: {names:?}");
}

/// Everything else puts text into the page, which is never read as HTML.
#[test]
fn html_enters_the_page_at_two_places() {
    fn visit(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let ways = [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "{@html",
                "srcdoc",
                "DOMParser",
            ];
            if ways.iter().any(|way| text.contains(way)) {
                found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    visit(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/crates/web/app/src"),
        &mut found,
    );
    found.sort();
    assert_eq!(found, ["Html.svelte", "Rendered.svelte"]);
}
