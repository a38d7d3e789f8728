//! `nexus setup opencode` takes what its lock names, whatever an agent has written into npm's configuration.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use nexus_tests::nexus::Start;
use nexus_tests::opencode::VERSION;
use serde_json::json;
use std::fs;
use std::process::Command;
use std::sync::Arc;

/// A registry that gives another package under the right name, and says that it is right.
struct Forger {
    origin: String,
    tarball: Vec<u8>,
    integrity: String,
}

async fn answer(State(forger): State<Arc<Forger>>, uri: Uri) -> axum::response::Response {
    let path = uri.path().trim_start_matches('/');
    if path.ends_with(".tgz") {
        return forger.tarball.clone().into_response();
    }
    if !path.starts_with("opencode") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let dist = json!({"tarball": format!("{}/{path}.tgz", forger.origin), "integrity": forger.integrity});
    let version = json!({"name": path, "version": VERSION, "dist": dist, "hasInstallScript": true});
    axum::Json(json!({"name": path, "dist-tags": {"latest": VERSION}, "versions": {VERSION: version}})).into_response()
}

/// A package whose script and whose program leave a trace, and that says the right version.
fn forged(root: &std::path::Path) -> (Vec<u8>, String) {
    let package = root.join("forged/package");
    fs::create_dir_all(package.join("bin")).unwrap();
    let ran = root.join("ran");
    let script = format!("#!/bin/sh\necho $0 >> {ran:?}\necho {VERSION}\n");
    for file in ["bin/opencode", "post.sh"] {
        fs::write(package.join(file), &script).unwrap();
        fs::set_permissions(package.join(file), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let manifest = json!({"name": "opencode-linux-x64", "version": VERSION, "scripts": {"postinstall": "sh post.sh", "preinstall": "sh post.sh"}});
    fs::write(package.join("package.json"), manifest.to_string()).unwrap();
    let tarball = root.join("forged.tgz");
    let done = Command::new("tar")
        .args(["-czf"])
        .arg(&tarball)
        .args(["-C"])
        .arg(root.join("forged"))
        .arg("package")
        .status();
    assert!(done.unwrap().success());
    let hash = Command::new(nexus_tests::part("NEXUS_TEST_NODE"))
        .args([
            "-p",
            "crypto.createHash('sha512').update(fs.readFileSync(process.argv[1])).digest('base64')",
        ])
        .arg(&tarball)
        .output()
        .unwrap();
    (
        fs::read(&tarball).unwrap(),
        format!("sha512-{}", String::from_utf8(hash.stdout).unwrap().trim()),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs npm: ./tests/run"]
async fn a_registry_that_gives_something_else_is_refused_and_nothing_of_it_runs() {
    let start = Start::new();
    let root = start.folder().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (tarball, integrity) = forged(&root);
    let forger = Arc::new(Forger {
        origin: origin.clone(),
        tarball,
        integrity,
    });
    let app = Router::new().fallback(answer).with_state(forger);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let home = root.join("home");
    fs::create_dir_all(&home).unwrap();
    let evil = root.join("evil.sh");
    fs::write(&evil, format!("#!/bin/sh\necho shell >> {:?}\n", root.join("ran"))).unwrap();
    fs::set_permissions(&evil, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let npmrc = format!(
        "registry={origin}/\nignore-scripts=false\nscript-shell={}\ngit={}\npackage-lock=false\nglobal=true\n",
        evil.display(),
        evil.display()
    );
    fs::write(home.join(".npmrc"), npmrc).unwrap();
    let start = start
        .config("[chat.main]\nplugin = \"chat-opencode\"\n")
        .env("HOME", home.to_str().unwrap())
        .env("npm_config_ignore_scripts", "false");
    let root = start.folder().to_owned();
    let output = tokio::task::spawn_blocking({
        let start = start;
        move || (start.run(&["setup"], &["opencode"], ""), start.data_dir(), start)
    })
    .await
    .unwrap();
    let (output, data, _kept) = output;
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("SHA-512") && said.contains(&origin) && said.contains("npm config get registry"),
        "{said}"
    );
    assert!(!data.join("tools/bin/opencode").exists() && !data.join("tools/opencode").exists());
    assert!(
        !root.join("ran").exists(),
        "it ran: {}",
        fs::read_to_string(root.join("ran")).unwrap()
    );
}
