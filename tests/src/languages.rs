//! The tunnels of `tests/guests` in other languages, each built once for a run of the tests as its author would build it: from
//! the contract's WIT alone, with the tools of its language. None of them knows anything of the guest SDK.

use crate::part;
use nexus_plugin_api::MANIFEST_SECTION;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use wasm_encoder::{ComponentSection as _, CustomSection};
use wit_bindgen_core::{Files, wit_parser::Resolve};

/// The world whose exports a tunnel has, and whose imports it may use.
const WORLD: &str = "tunnel-provider";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guests").join(name)
}

fn contract() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api/wit")
}

/// The Python tunnel, by componentize-py.
///
/// # Panics
/// It cannot be built, as for the others; what the tool wrote is on standard error.
pub fn python_tunnel() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        component("python-tunnel", |out| {
            // A copy: Python leaves its own files beside what it reads.
            let work = tempfile::tempdir().unwrap();
            std::fs::copy(folder("python-tunnel").join("app.py"), work.path().join("app.py")).unwrap();
            // With the WASI that it imports: `--stub-wasi` would freeze the random seed and lose every traceback.
            run(Command::new(part("NEXUS_TEST_COMPONENTIZE_PY"))
                .current_dir(work.path())
                .arg("--wit-path")
                .arg(contract())
                .args(["--world", WORLD, "componentize", "app", "--output"])
                .arg(out));
        })
    });
    built.clone()
}

/// The JavaScript tunnel, by componentize-qjs.
///
/// # Panics
/// As for Python.
pub fn js_tunnel() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        component("js-tunnel", |out| {
            let work = tempfile::tempdir().unwrap();
            let (from, wit) = (folder("js-tunnel"), work.path().join("wit"));
            copy(&from, work.path());
            copy(&from.join("wit"), &wit);
            copy(&from.join("wit/deps/wasi-random"), &wit.join("deps/wasi-random"));
            copy(&contract(), &wit.join("deps/nexus-plugin"));
            run(Command::new(part("NEXUS_TEST_COMPONENTIZE_QJS"))
                .current_dir(work.path())
                .args(["--wit", "wit", "--world", "js-tunnel", "--js", "tunnel.js", "--output"])
                .arg(out));
        })
    });
    built.clone()
}

/// The tunnel in C: bindings by wit-bindgen, a module of WASI 0.1 by clang with wasi-libc, a component by wit-component with
/// the adapter that makes 0.2 of it.
///
/// # Panics
/// As for Python.
pub fn c_tunnel() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        component("c-tunnel", |out| {
            let work = tempfile::tempdir().unwrap();
            let mut resolve = Resolve::default();
            let (package, _) = resolve.push_dir(contract()).unwrap();
            let world = resolve.select_world(&[package], Some(WORLD)).unwrap();
            let mut bindings = Files::default();
            let mut generator = wit_bindgen_c::Opts::default().build();
            generator.generate(&mut resolve, world, &mut bindings).unwrap();
            for (name, content) in bindings.iter() {
                std::fs::write(work.path().join(name), content).unwrap();
            }
            let module = work.path().join("module.wasm");
            run(Command::new(part("NEXUS_TEST_CLANG"))
                .current_dir(work.path())
                .args([
                    "--target=wasm32-wasi",
                    "-mexec-model=reactor",
                    "-Os",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    "-I.",
                ])
                .arg(folder("c-tunnel").join("tunnel.c"))
                .args(["tunnel_provider.c", "tunnel_provider_component_type.o", "-o"])
                .arg(&module));
            let component = wit_component::ComponentEncoder::default()
                .validate(true)
                .module(&std::fs::read(&module).unwrap())
                .and_then(|encoder| {
                    encoder.adapter(
                        wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
                        wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
                    )
                })
                .and_then(|mut encoder| encoder.encode());
            std::fs::write(out, component.unwrap()).unwrap();
        })
    });
    built.clone()
}

/// Lets `build` write a component, and appends the manifest of its folder, as `nexus plugin build` does.
fn component(name: &str, build: impl FnOnce(&Path)) -> PathBuf {
    let target = folder("target");
    std::fs::create_dir_all(&target).unwrap();
    // A file of this process's own: other test binaries build the same guests at the same time.
    let out = target.join(format!("{name}-{}.wasm", std::process::id()));
    build(&out);
    let mut bytes = std::fs::read(&out).unwrap();
    let manifest = std::fs::read(folder(name).join("plugin.toml")).unwrap();
    let section = CustomSection {
        name: MANIFEST_SECTION.into(),
        data: manifest.into(),
    };
    section.append_to_component(&mut bytes);
    std::fs::write(&out, bytes).unwrap();
    // Whole at every moment.
    let path = target.join(format!("{name}.wasm"));
    std::fs::rename(&out, &path).unwrap();
    path
}

/// Copies the files of a folder, and not what lies in folders of it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
